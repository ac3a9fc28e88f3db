"""The made-up measurement that ships as an example: data/devices/synthetic-iv.csv and synthetic-programming.csv.

    python docs/synthetic_device.py [--out FOLDER]

Of a known law with known scatter, so that what `spicetrain import-device` finds can be held against it.
Nobody measured it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from spicetrain.array.devices.sinh import Sinh
from spicetrain.array.programming import Polynomial

ROOT = Path(__file__).resolve().parents[1]
STATES_US = (1.5, 4.0, 11.0, 28.0, 60.0, 90.0)
DEVICE = Sinh(g_min_S=1.5e-6, g_max_S=90e-6, b_per_V=2.4)
SHARE, FLOOR_A = 0.01, 1e-9  # of the current, and of the meter
SWEEPS = 3
PROGRAMMING = Polynomial(form="polynomial", coefficients=(0.4, 2.2, -1.1), scale_S=90e-6)
PROGRAMMED = 1500


def write_iv(path: Path, random: np.random.Generator) -> None:
    """Every state swept three times from -0.6 to 0.6 V."""
    v = np.linspace(-0.6, 0.6, 49)
    rows = ["voltage_V,current_uA,state"]
    for state in STATES_US:
        for _ in range(SWEEPS):
            i = np.asarray(DEVICE.current(1e-6 * state, v))
            i = i * (1 + SHARE * random.standard_normal(len(v))) + FLOOR_A * random.standard_normal(len(v))
            rows += [f"{at:.4g},{1e6 * of:.6g},{state:g} uS" for at, of in zip(v, i, strict=True)]
    path.write_text("\n".join(rows) + "\n")


def write_programming(path: Path, random: np.random.Generator) -> None:
    """Targets all over the range, each of a device of its own."""
    target = 1e-6 * random.uniform(STATES_US[0], STATES_US[-1], PROGRAMMED)
    found = PROGRAMMING.disturbed(target, random.standard_normal(PROGRAMMED))
    pairs = zip(1e6 * target, 1e6 * found, strict=True)
    rows = [f"{wanted:.5g},{got:.5g},{k}" for k, (wanted, got) in enumerate(pairs)]
    path.write_text("\n".join(["target_uS,measured_uS,device", *rows]) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "devices")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    write_iv(folder / "synthetic-iv.csv", np.random.default_rng(1))
    write_programming(folder / "synthetic-programming.csv", np.random.default_rng(2))


if __name__ == "__main__":
    main()
