"""Memory that is free goes back to the system."""

from __future__ import annotations

import ctypes
import sys

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def give_back() -> None:
    """glibc keeps what was freed between blocks that live on: a comparison of ten cells held 8 GB, of which 5 were
    free. Elsewhere nothing happens."""
    trim = getattr(_libc, "malloc_trim", None)
    if trim is not None:
        trim(0)
