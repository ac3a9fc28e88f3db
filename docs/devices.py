"""The programming error of the shipped devices, drawn, over the formulas that were published: docs/devices.svg.

    python docs/devices.py [--out FILE] [--draws 4000]

The formulas are those of tests/device_formulas.py, in their sources' units; the dots are what a chip would get.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spicetrain.array.devices.presets import load_preset
from spicetrain.array.variation import ArrayStatistics, disturbed

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from device_formulas import DAY_S, PROGRAMMING, RANGES  # noqa: E402

TIMES = {0.0: "at once", 1.0: "after 1 s"}
COLOURS = ("#0f7f86", "#c96a00", "#6a51a3")


def draw(axes: Axes, name: str, draws: int) -> None:
    """Standard deviation of the device `name` over its range: lines published, dots of `draws` devices each."""
    memristor = load_preset(name).memristor
    ends_S = memristor.g_min_S, memristor.g_max_S
    line_uS, dots_uS = np.linspace(*RANGES[name], 200), np.linspace(*RANGES[name], 14)
    for (time_s, formula), colour in zip(PROGRAMMING[name].items(), COLOURS, strict=False):
        n = np.random.default_rng(0).standard_normal((draws, len(dots_uS)))
        statistics = ArrayStatistics(programming=memristor.programming, time_s=time_s)
        wanted_S = np.broadcast_to(1e-6 * dots_uS, n.shape)
        drawn_S = disturbed(wanted_S, statistics, *ends_S, lambda source, n=n: n, lambda source, n=n: n)
        label = TIMES.get(time_s) or f"after {time_s / DAY_S:g} d"
        axes.plot(line_uS, formula(line_uS), color=colour, lw=1.2, label=label)
        axes.plot(dots_uS, 1e6 * drawn_S.std(0), "o", color=colour, ms=3)
    axes.set(title=name, xlabel="g, uS", xlim=(0, None), ylim=(0, None))
    axes.legend(frameon=False, fontsize=7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "devices.svg")
    parser.add_argument("--draws", type=int, default=4000, help="devices a dot (default: %(default)s)")
    arguments = parser.parse_args()
    style = {"svg.fonttype": "none", "svg.hashsalt": "spicetrain", "font.size": 8.0}
    with matplotlib.rc_context({**style, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure((11.0, 2.6), layout="constrained")
        panels = figure.subplots(1, len(PROGRAMMING))
        for axes, name in zip(panels, PROGRAMMING, strict=True):
            draw(axes, name, arguments.draws)
        panels[0].set_ylabel("sigma, uS")
        figure.savefig(arguments.out, metadata={"Date": None} if arguments.out.suffix == ".svg" else None)


if __name__ == "__main__":
    main()
