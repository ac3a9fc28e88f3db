"""Crossbars built as tiles: the mesh against nodal analysis and ngspice, its gradient, devices that bend, the deck."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit
from test_mesh import Nodal, cells, voltages
from test_wired_netlist import OHMIC, RAILS, crossbar, in_ngspice, pairs

from spicetrain.array.devices import Sinh
from spicetrain.array.mesh import Mesh
from spicetrain.array.mesh_columns import mesh_columns
from spicetrain.array.netlist import add_crossbar
from spicetrain.array.wires import Place, Segments, Wires
from spicetrain.errors import ConfigurationError
from spicetrain.netlists.cells import text_of
from spicetrain.schema import parse
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate


@dataclass(frozen=True)
class Layout:
    """By hand: where tiles begin, and where columns are sensed."""

    shape: tuple[int, int]
    tile_rows: int
    sensed: Place
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    @property
    def segments(self) -> Segments:
        return Segments(3000.0, 5000.0, 700.0, "one end", self.sensed, self.tile_rows)


LAYOUTS = [
    Layout((5, 3), 2, "one end", (0, 2, 4), (1, 3, 4)),
    Layout((5, 3), 2, "both ends", (0, 2, 4), (0, 1, 2, 3, 4)),
    Layout((5, 3), 4, "one end", (0, 2), (1, 4)),
    Layout((5, 3), 4, "middle", (0, 2), (1, 3)),
    Layout((40, 3), 14, "one end", (0, 12, 26), (11, 25, 39)),
    Layout((40, 3), 14, "both ends", (0, 12, 26), (0, 11, 12, 25, 26, 39)),
    Layout((40, 3), 14, "middle", (0, 12, 26), (6, 19, 33)),
]

every_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda of: f"{of.shape}, {of.tile_rows}, {of.sensed}")


class Tiled(Nodal):
    def __init__(self, g: NDArray[np.float64], layout: Layout, load_S: float = 0.0):
        self.layout = layout
        super().__init__(g, layout.segments, load_S)
        between = {(self.u(k - 1, j), self.u(k, j)) for k in layout.starts[1:] for j in range(g.shape[1])}
        self.links = [link for link in self.links if link[:2] not in between]

    def u(self, i: int, j: int) -> str:
        return f"u{'joined' if i in self.layout.ends else i}_{j}"

    def sensed(self, j: int) -> str:
        return f"ujoined_{j}"


@every_layout
@pytest.mark.parametrize("load_S", [0.0, 3e-6])
def test_columns_are_those_of_nodal_analysis(layout: Layout, load_S: float) -> None:
    g, v_rows = cells(layout.shape), voltages(layout.shape[0])
    mesh, nodal = Mesh(g, layout.segments, load_S), Tiled(g, layout, load_S)
    expected = np.stack([nodal.solve(v) for v in v_rows])
    np.testing.assert_allclose(mesh.columns(v_rows), expected, rtol=0, atol=1e-11)
    np.testing.assert_allclose(v_rows @ mesh.transfer(), expected, rtol=0, atol=1e-11)
    whole = Mesh(g, layout.segments._replace(tile_rows=None), load_S)
    assert np.abs(expected - whole.columns(v_rows)).max() > 1e-4


@every_layout
def test_ngspice_agrees(layout: Layout, ngspice: Ngspice) -> None:
    g, v_rows = cells(layout.shape), voltages(layout.shape[0])
    deck = Tiled(g, layout).deck(v_rows[0])
    answer = simulate(deck, ngspice).values
    found = np.array([answer[name][0] for name in deck.saves])
    np.testing.assert_allclose(Mesh(g, layout.segments).columns(v_rows[:1])[0], found, rtol=0, atol=1e-9)


@every_layout
def test_gradients_are_those_of_finite_differences(layout: Layout) -> None:
    g, v_rows = cells(layout.shape), voltages(layout.shape[0])
    rng = np.random.default_rng(0)
    upstream, along_g = rng.normal(size=(len(v_rows), g.shape[1])), g * rng.normal(size=g.shape)
    along_v = rng.normal(size=v_rows.shape)
    with_g, with_v = Mesh(g, layout.segments, 1e-6).gradient(v_rows, upstream)

    def loss(step: float) -> float:
        moved = Mesh(g + step * along_g, layout.segments, 1e-6)
        return float((upstream * moved.columns(v_rows + step * along_v)).sum())

    found = (with_g * along_g).sum() + (with_v * along_v).sum()
    assert found == pytest.approx((loss(1e-4) - loss(-1e-4)) / 2e-4, rel=1e-6)


@pytest.mark.parametrize("sensed", ["one end", "both ends", "middle"])
def test_the_deck_of_a_crossbar_has_its_tiles(sensed: Place, ngspice: Ngspice) -> None:
    """12 row wires: 3 tiles of 4; its devices ohmic, then bent."""
    box, segments = crossbar((5, 3)), Segments(3000.0, 5000.0, 700.0, "middle", sensed, 4)
    for device in (OHMIC, Sinh(g_min_S=1e-7, g_max_S=1e-5, b_per_V=5.0)):
        found = in_ngspice(box, segments, device, ngspice)
        expected = mesh_columns(box, *pairs((5, 3)), RAILS, device, segments)[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


def test_no_segment_leads_from_tile_to_tile() -> None:
    circuit, segments = Circuit("spicetrain"), Segments(3.0, 5.0, 7.0, tile_rows=4)
    add_crossbar(circuit, 0, crossbar((3, 1)), [("a", "b")] * 3, ("up", "low"), OHMIC, segments)
    assert re.findall(r"^Ru\S+ (\S+) (\S+)", text_of(circuit), re.M) == [
        ("u0_0p_0", "u0_0n_0"), ("u0_0n_0", "u0_1p_0"), ("u0_1p_0", "c0_0"), ("u0_2p_0", "u0_2n_0"),
        ("u0_2n_0", "u0_bp_0"), ("u0_bp_0", "c0_0"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "tile_rows", "lengths"),
    [(1570, 196, [174] * 4 + [176] + [174] * 3 + [176]), (1570, 1570, [1570]), (202, 392, [202]), (8, 2, [2] * 4)],
)
def test_tiles_are_as_few_and_as_equal_as_pairs_allow(rows: int, tile_rows: int, lengths: list[int]) -> None:
    tiles = Segments(1.0, 1.0, 1.0, tile_rows=tile_rows).tiles(rows)
    assert sorted(map(len, tiles)) == sorted(lengths)
    assert [k for tile in tiles for k in tile] == list(range(rows))
    assert all(tile.start % 2 == 0 for tile in tiles)


@pytest.mark.parametrize("tile_rows", [0, 3, -2])
def test_a_tile_of_no_whole_pairs_is_refused(tile_rows: int) -> None:
    content = {"row_ohm": 1.0, "column_ohm": 1.0, "tile_rows": tile_rows}
    with pytest.raises(ConfigurationError, match=rf"tile_rows = {tile_rows}: a tile has whole pairs of row wires"):
        parse(Wires, content, "wires.toml")


def test_tiles_that_split_no_crossbar_are_refused() -> None:
    Wires(row_ohm=1.0, column_ohm=1.0, tile_rows=1568).require_tiles((784, 100, 10))
    with pytest.raises(ConfigurationError, match="tile_rows = 1570, .* 784-100-10 has 1570 row wires"):
        Wires(row_ohm=1.0, column_ohm=1.0, tile_rows=1570).require_tiles((784, 100, 10))
