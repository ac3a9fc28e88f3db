"""The exact mesh against nodal analysis by numpy, against ngspice, and its gradients against finite differences."""

from __future__ import annotations

from itertools import product
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from spicetrain.array.mesh import Mesh
from spicetrain.array.wires import Place, Segments
from spicetrain.errors import SimulationError
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate

Array = NDArray[np.float64]
SHAPES = [(1, 1), (1, 7), (7, 1), (2, 3), (5, 3), (40, 3)]
PLACES = list(product(get_args(Place), repeat=2))
SAMPLES = 3

every_shape = pytest.mark.parametrize("shape", SHAPES)


def cells(shape: tuple[int, int]) -> Array:
    return np.random.default_rng(sum(shape)).uniform(1e-7, 1e-5, shape)


def voltages(rows: int) -> Array:
    return np.random.default_rng(rows).uniform(-0.25, 0.25, (SAMPLES, rows))


def segments(driven: Place = "one end", sensed: Place = "one end") -> Segments:
    """So resistive that wires matter in a small array, every kind by another number."""
    return Segments(3000.0, 5000.0, 700.0, driven, sensed)


class Nodal:
    """Nodes by name and the conductances between them; tied ones share a name."""

    def __init__(self, g: Array, wires: Segments, load_S: float = 0.0):
        self.g, self.wires = g, wires
        rows, columns = g.shape
        links = [(self.w(i, j), self.u(i, j), float(g[i, j])) for i, j in np.ndindex(g.shape)]
        links += [(self.w(i, j), self.w(i, j + 1), 1 / wires.row_ohm) for i in range(rows) for j in range(columns - 1)]
        links += [
            (self.u(i, j), self.u(i + 1, j), 1 / wires.column_ohm) for i in range(rows - 1) for j in range(columns)
        ]
        links += [(f"x{i}", self.w(i, k), 1 / wires.feed_ohm) for i in range(rows) for k in wires.driven(columns)]
        links += [(self.sensed(j), "0", load_S) for j in range(columns)]
        self.links = links

    def w(self, i: int, j: int) -> str:
        return f"w{i}_{j}"

    def u(self, i: int, j: int) -> str:
        tied = self.wires.sensed(len(self.g))
        return f"u{tied[0] if i in tied else i}_{j}"

    def sensed(self, j: int) -> str:
        return self.u(self.wires.sensed(len(self.g))[0], j)

    def solve(self, v_rows: Array) -> Array:
        """[columns] where they are sensed, of one sample."""
        held = {f"x{i}": v for i, v in enumerate(v_rows)} | {"0": 0.0}
        free = sorted({node for link in self.links for node in link[:2]} - set(held))
        place = {node: k for k, node in enumerate(free)}
        A, b = np.zeros((len(free), len(free))), np.zeros(len(free))
        for one, other, conductance in self.links:
            for a, c in ((one, other), (other, one)):
                if a in place and one != other:
                    A[place[a], place[a]] += conductance
                    if c in place:
                        A[place[a], place[c]] -= conductance
                    else:
                        b[place[a]] += conductance * held[c]
        v = np.linalg.solve(A, b)
        return np.array([v[place[self.sensed(j)]] for j in range(self.g.shape[1])])

    def deck(self, v_rows: Array) -> Deck:
        lines = [f"r{k} {a} {b} {1 / g!r}" for k, (a, b, g) in enumerate(self.links) if a != b and g]
        lines += [f"vx{i} x{i} 0 {v!r}" for i, v in enumerate(v_rows.tolist())]
        saves = tuple(f"v({self.sensed(j)})" for j in range(self.g.shape[1]))
        return Deck("\n".join(lines), ".op", saves, points=1)


@every_shape
@pytest.mark.parametrize(("driven", "sensed"), PLACES)
@pytest.mark.parametrize("load_S", [0.0, 3e-6])
def test_columns_are_those_of_nodal_analysis(
    shape: tuple[int, int], driven: Place, sensed: Place, load_S: float
) -> None:
    g, v_rows, wires = cells(shape), voltages(shape[0]), segments(driven, sensed)
    mesh, nodal = Mesh(g, wires, load_S), Nodal(g, wires, load_S)
    expected = np.stack([nodal.solve(v) for v in v_rows])
    np.testing.assert_allclose(mesh.columns(v_rows), expected, rtol=0, atol=1e-11)
    np.testing.assert_allclose(v_rows @ mesh.transfer(), expected, rtol=0, atol=1e-11)
    if shape[0] > 1:
        ideal = v_rows @ g / (g.sum(0) + load_S)
        assert np.abs(expected - ideal).max() > 1e-4


@every_shape
def test_ngspice_agrees(shape: tuple[int, int], ngspice: Ngspice) -> None:
    g, v_rows, wires = cells(shape), voltages(shape[0]), segments("one end", "middle")
    deck = Nodal(g, wires).deck(v_rows[0])
    answer = simulate(deck, ngspice).values
    found = np.array([answer[name][0] for name in deck.saves])
    np.testing.assert_allclose(Mesh(g, wires).columns(v_rows[:1])[0], found, rtol=0, atol=1e-9)


@every_shape
def test_the_sources_deliver_what_the_cells_and_wires_turn_into_heat(shape: tuple[int, int]) -> None:
    g, v_rows, wires = cells(shape), voltages(shape[0]), segments("both ends", "both ends")
    mesh = Mesh(g, wires)
    Y = mesh.conductance()
    np.testing.assert_allclose(Y, Y.T, rtol=0, atol=1e-16)
    nodes = mesh.nodes(v_rows)
    heat = (g * (nodes.row_nodes - nodes.column_nodes) ** 2).sum((1, 2))
    heat += (np.diff(nodes.row_nodes, axis=2) ** 2).sum((1, 2)) / wires.row_ohm
    heat += (np.diff(nodes.column_nodes, axis=1) ** 2).sum((1, 2)) / wires.column_ohm
    for k in wires.driven(shape[1]):
        heat += ((nodes.row_nodes[:, :, k] - v_rows) ** 2).sum(1) / wires.feed_ohm
    np.testing.assert_allclose(np.einsum("si,ij,sj->s", v_rows, Y, v_rows), heat, rtol=1e-9, atol=1e-18)


@every_shape
@pytest.mark.parametrize(("driven", "sensed"), [("one end", "one end"), ("middle", "both ends")])
def test_gradients_are_those_of_finite_differences(shape: tuple[int, int], driven: Place, sensed: Place) -> None:
    g, v_rows, wires = cells(shape), voltages(shape[0]), segments(driven, sensed)
    rng = np.random.default_rng(0)
    upstream, along_g, along_v = (
        rng.normal(size=(SAMPLES, shape[1])),
        g * rng.normal(size=shape),
        rng.normal(size=v_rows.shape),
    )
    with_g, with_v = Mesh(g, wires, 1e-6).gradient(v_rows, upstream)

    def loss(step: float) -> float:
        return float((upstream * Mesh(g + step * along_g, wires, 1e-6).columns(v_rows + step * along_v)).sum())

    found = (with_g * along_g).sum() + (with_v * along_v).sum()
    assert found == pytest.approx((loss(1e-4) - loss(-1e-4)) / 2e-4, rel=1e-6)


def test_a_large_array_of_good_wires_takes_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """300 x 200 cells at 10 ohm: the superposition of two halves of the rows is the whole."""
    monkeypatch.setattr("spicetrain.array.mesh._STEPS", 20)
    g, v_rows = cells((300, 200)), voltages(300)[:1]
    mesh = Mesh(g, Segments(10.0, 10.0, 10.0))
    upper = np.where(np.arange(300) < 150, v_rows, 0.0)
    parts = mesh.columns(np.concatenate((upper, v_rows - upper, v_rows)))
    np.testing.assert_allclose(parts[0] + parts[1], parts[2], rtol=0, atol=1e-10)
    assert np.ptp(mesh.columns(np.ones((1, 300)))) < 1e-10  # nothing flows


@pytest.mark.parametrize("wrong", [-1e-5, np.nan])
def test_impossible_conductances_are_refused(wrong: float) -> None:
    g = cells((5, 3))
    g[2, 1] = wrong
    with pytest.raises(SimulationError, match="singular: likely a conductance is 0, negative"):
        Mesh(g, Segments(1e5, 1e5, 1e5)).columns(voltages(5))
