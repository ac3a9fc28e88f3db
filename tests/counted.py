"""Simulations counted and interrupted."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest


class Counted:
    """A module's simulate, counting; raises KeyboardInterrupt instead of the given call."""

    def __init__(self, patch: pytest.MonkeyPatch, module: ModuleType, interrupt_at: int = 0) -> None:
        self.calls, self.interrupt_at, self.real = 0, interrupt_at, module.simulate
        patch.setattr(module, "simulate", self)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        self.calls += 1
        if self.calls == self.interrupt_at:
            raise KeyboardInterrupt
        return self.real(*arguments, **keywords)
