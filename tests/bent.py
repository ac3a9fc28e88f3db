"""A technology whose memristors bend."""

from __future__ import annotations

from spicetrain.array.devices import Sinh
from spicetrain.technology import Technology


def with_sinh(technology: Technology, b_per_V: float) -> Technology:
    """The same with devices of the sinh law in the same range."""
    device = technology.memristor
    bent = Sinh(g_min_S=device.g_min_S, g_max_S=device.g_max_S, b_per_V=b_per_V)
    return technology.model_copy(update={"memristor": bent})
