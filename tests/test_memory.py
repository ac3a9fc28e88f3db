"""What is free goes back to the system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from pathlib import Path
from spicetrain.memory import give_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

blocks = [bytearray(b"x" * 20_000) for _ in range(10_000)]
kept = blocks[::100] + blocks[-1:]
full = resident()
blocks.clear()
before = resident()
give_back()
print(full, before, resident(), len(kept))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
def test_freed_blocks_between_living_ones_go_back() -> None:
    """In a process of its own: what else is in the heap of this one is not known."""
    said = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    full, before, after, _ = (int(word) for word in said.split())
    assert full > 2e8 and before > 0.8 * full
    assert after < 0.5 * before


@pytest.mark.parametrize("system", ("inverter", "spiking"))
def test_training_and_verifying_load_nothing_that_only_fitting_needs(system: str) -> None:
    """scikit-learn and what it draws in are 80 MB, and a second of every start."""
    rooms = f"spicetrain.{system}.training.loop, spicetrain.{system}.verification.verify"
    program = f"import sys, {rooms}; print(*sorted({{'sklearn', 'scipy.stats'}} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.strip() == ""
