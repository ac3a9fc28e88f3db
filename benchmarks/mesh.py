"""The exact mesh of a crossbar's wires: one solution and its gradient, over the array's size and the wires' resistance.
Target: 1,000 x 1,000 cells in a minute.

Also, of a crossbar of 784 pairs and 100 columns: by how much the trainer's fast form is off the mesh at columns, and
what is left with a correction measured where every conductance was up to 10 % another. The same of devices that bend,
on fewer images, without a correction.

Beside it, where badcrossbar is installed (pip install badcrossbar), that simulator on the very same network: rows
driven through one segment, columns grounded through one. Both answers must be the same, and their times are one run's.
"""

from __future__ import annotations

import importlib.util
import resource
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import finish, parser, save, seconds
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.array.bent_mesh import BentMesh
from spicetrain.array.columns import open_columns
from spicetrain.array.conductances import Conductances
from spicetrain.array.devices import Sinh
from spicetrain.array.mesh import Mesh
from spicetrain.array.wired import EXACTLY, correction, driven_columns, row_wires_of, wired
from spicetrain.array.wired_bent import driven_bent_columns, mean_slopes, wired_bent
from spicetrain.array.wires import Segments, row_voltages
from spicetrain.rails import Rails

TARGET_S, LARGEST = 60.0, 1000
SAME = 1e-6  # of the largest voltage
RAILS = Rails(vdd_V=0.25, vss_V=-0.25)


def main() -> None:
    arguments = parser("mesh", __doc__)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[30, 100, 300, LARGEST], help="rows = columns")
    arguments.add_argument("--ohms", type=float, nargs="+", default=[1.0, 10.0, 100.0], help="of a segment")
    arguments.add_argument("--fast", type=float, nargs="*", default=[1.0, 5.0, 10.0], help="of a segment, fast forms")
    arguments.add_argument("--bend", type=float, nargs="*", default=[2.0, 4.0], help="b of (g / b) sinh(b v), 1/V")
    arguments.add_argument("--peer-up-to", type=int, default=100, help="the largest array given to badcrossbar")
    options = arguments.parse_args()
    Mesh(problem(5)[0], Segments(1.0, 1.0, 1.0)).columns(problem(5)[1])  # LAPACK is loaded
    rows, curves, met = {}, dict[str, dict[int, float]](), True
    peer = importlib.util.find_spec("badcrossbar") is not None
    for size in options.sizes:
        for ohm in options.ohms:
            g, v_rows = problem(size)
            mesh = solved(g, ohm)
            taken_s = seconds(lambda mesh=mesh, v_rows=v_rows: mesh.gradient(v_rows, np.ones((1, v_rows.shape[1]))))  # type: ignore[misc]
            curves.setdefault(f"ours, {ohm:g} ohm", {})[size] = taken_s
            text = f"{taken_s:.3g} s"
            met &= size < LARGEST or taken_s <= TARGET_S
            if peer and size <= options.peer_up_to:
                theirs, their_s = by_badcrossbar(g, v_rows, ohm)
                ours = mesh.columns(v_rows) / ohm
                assert np.abs(ours - theirs).max() < SAME / ohm, "the two simulators disagree"
                curves.setdefault(f"badcrossbar, {ohm:g} ohm", {})[size] = their_s
                text += f"; badcrossbar, without a gradient, {their_s:.3g} s: {their_s / taken_s:.0f} times"
            rows[f"{size} x {size}, {ohm:g} ohm"] = text
    largest_kB = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows |= {f"784 x 100 pairs, {ohm:g} ohm, columns": text for ohm, text in fast_forms(options.fast).items()}
    rows |= {f"784 x 100 pairs, {of}, columns": text for of, text in bent_forms(options.fast, options.bend).items()}
    rows["badcrossbar"] = "beside ours" if peer else "not installed"
    rows["memory"] = f"{largest_kB / 1e6:.2f} GB at most"
    draw(curves, options.out.with_suffix(".png"))
    result: dict[str, Any] = {"seconds": curves, "memory_kB": largest_kB}
    finish(options.out, "one solution of the mesh and its gradient", rows, result, met)


def problem(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Conductances as a trained crossbar has them, most of them small; voltages [1, rows]."""
    rng = np.random.default_rng(size)
    return 1.2e-7 + 7.7e-6 * rng.uniform(size=(size, size)) ** 6, rng.uniform(-0.25, 0.25, (1, size))


def solved(g: NDArray[np.float64], ohm: float) -> Mesh:
    """Rows driven through one segment, columns grounded through one."""
    return Mesh(g, Segments(ohm, ohm, ohm), 1 / ohm)


def fast_forms(ohms: list[float], images: int = 64) -> dict[float, str]:
    """What is told of the columns, in microvolts: mean and largest over random images, four fifths of them dark."""
    random, rails = np.random.default_rng(0), RAILS

    def others(g: Conductances) -> Conductances:
        return Conductances(*(of * torch.from_numpy(random.uniform(0.9, 1.1, of.shape)) for of in g))

    g, signal = layer(random, images)
    found = {}
    for ohm in ohms:
        segments, before = Segments(ohm, ohm, ohm), others(g)
        columns_V = {
            name: driven_columns(wired(g, segments, rails, held), signal, rails)
            for name, held in (
                ("exact", correction(g, segments, loads=False, near=EXACTLY)),
                ("fast", None),
                ("corrected", correction(before, segments, loads=False)),
            )
        }
        exact = columns_V["exact"]
        moved = (g.open_columns(signal, rails) - exact).abs()
        off = {name: (v - exact).abs() * 1e6 for name, v in columns_V.items() if name != "exact"}
        told = [f"{name} off by {of.mean():.2f} / {of.max():.1f} uV" for name, of in off.items()]
        found[ohm] = "; ".join([f"moved by {moved.mean() * 1e3:.2f} mV", *told])
    return found


def bent_forms(ohms: list[float], bends: list[float], images: int = 8) -> dict[str, str]:
    """Likewise, of (g / b) sinh(b v)."""
    g, signal = layer(np.random.default_rng(0), images)
    rows = row_voltages(signal.numpy(), -signal.numpy(), RAILS.half_swing_V, -RAILS.half_swing_V)
    found = {}
    for b_per_V, ohm in product(bends, ohms):
        device, segments = Sinh(g_min_S=1.2e-7, g_max_S=7.9e-6, b_per_V=b_per_V), Segments(ohm, ohm, ohm)
        exact = torch.from_numpy(BentMesh(row_wires_of(g).numpy(), segments, device).columns(rows))
        moved = (open_columns(g, signal, RAILS, device) - exact).abs()
        fast = wired_bent(g, segments, mean_slopes(signal, -signal, RAILS, device))
        off = (driven_bent_columns(fast, signal, RAILS, b_per_V) - exact).abs() * 1e6
        text = f"moved by {moved.mean() * 1e3:.2f} mV; fast off by {off.mean():.2f} / {off.max():.1f} uV"
        found[f"b = {b_per_V:g} /V, {ohm:g} ohm"] = text
    return found


def layer(random: np.random.Generator, images: int) -> tuple[Conductances, Tensor]:
    """784 pairs and 100 columns, and random images, four fifths of them dark, as signals of the rows, volts."""
    pairs, columns = 784, 100
    shapes = (pairs, columns), (pairs, columns), (columns,), (columns,)
    g = Conductances(*(torch.from_numpy(1.2e-7 + 7.7e-6 * random.uniform(size=of) ** 6) for of in shapes))
    lit = random.uniform(size=(images, pairs)) > 0.8
    return g, torch.from_numpy(RAILS.half_swing_V * lit * random.uniform(size=(images, pairs)))


def by_badcrossbar(g: NDArray, v_rows: NDArray, ohm: float) -> tuple[NDArray, float]:
    """(currents of the columns [1, columns], seconds)."""
    import badcrossbar  # type: ignore[import-not-found]

    found = []

    def job() -> None:
        found.append(badcrossbar.compute(v_rows.T, 1 / g, ohm).currents.output)

    job_s = seconds(job)
    return np.atleast_2d(found[0]), job_s


def draw(curves: dict[str, dict[int, float]], path: Path) -> None:
    figure = Figure((6, 4), layout="constrained")
    axes = figure.subplots()
    for name, by_size in curves.items():
        axes.loglog(list(by_size), list(by_size.values()), "o-" if name.startswith("ours") else "s--", label=name)
    axes.set(xlabel="rows = columns", ylabel="seconds")
    save(figure, path)


if __name__ == "__main__":
    main()
