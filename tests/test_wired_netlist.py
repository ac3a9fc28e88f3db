"""A crossbar with its wires in a deck, against the exact mesh: every place of sources and gates, ohmic and bent."""

from __future__ import annotations

import re
from itertools import product
from typing import get_args

import numpy as np
import pytest
from bent import bending
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from spicetrain.array.bent_mesh import BentMesh
from spicetrain.array.crossbar import Crossbar
from spicetrain.array.device import Device
from spicetrain.array.devices import Ohmic, Power, Sinh
from spicetrain.array.mesh import Mesh
from spicetrain.array.mesh_columns import mesh_columns
from spicetrain.array.netlist import add_crossbar, wire_names
from spicetrain.array.open_column import open_column_voltage
from spicetrain.array.wires import Place, Segments, row_voltages, row_wires
from spicetrain.errors import SimulationError
from spicetrain.netlists.cells import text_of
from spicetrain.rails import Rails
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology

Array = NDArray[np.float64]
SHAPES = [(1, 1), (1, 7), (5, 3), (20, 3)]
PLACES = list(product(get_args(Place), repeat=2))
RAILS = Rails(vdd_V=0.3, vss_V=-0.2)
OHMIC = Ohmic(g_min_S=1e-7, g_max_S=1e-5)
BENT = {
    "sinh": Sinh(g_min_S=1e-7, g_max_S=1e-5, b_per_V=5.0),
    "steep sinh": Sinh(g_min_S=1e-7, g_max_S=1e-5, b_per_V=60.0),
    "power": Power(g_min_S=1e-7, g_max_S=1e-5, ratio=2.8, v_ref_V=0.25),
    "root": Power(g_min_S=1e-7, g_max_S=1e-5, ratio=1.3, v_ref_V=0.25),
}
SOME_PLACES: list[tuple[Place, Place]] = [("one end", "one end"), ("both ends", "middle"), ("middle", "both ends")]

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
every_place = pytest.mark.parametrize(("driven", "sensed"), PLACES)


def crossbar(shape: tuple[int, int]) -> Crossbar:
    rng = np.random.default_rng(sum(shape))
    return Crossbar(*(rng.uniform(1e-7, 1e-5, size) for size in (shape, shape, shape[1:], shape[1:])))


def pairs(shape: tuple[int, int], samples: int = 1) -> tuple[Array, Array]:
    v = np.random.default_rng(shape[0]).uniform(-0.2, 0.3, (2, samples, shape[0]))
    return v[0], v[1]


def segments(driven: Place = "one end", sensed: Place = "one end") -> Segments:
    """So resistive that wires matter in a small array, every kind by another number."""
    return Segments(3000.0, 5000.0, 700.0, driven, sensed)


def in_ngspice(box: Crossbar, wires: Segments, device: Device, ngspice: Ngspice) -> Array:
    """[columns] of the first sample."""
    circuit = Circuit("spicetrain")
    v_pos, v_neg = pairs(box.pos.shape)
    sources = {"up": RAILS.vdd_V, "low": RAILS.vss_V}
    rows = [(f"x{i}_p", f"x{i}_n") for i in range(box.rows)]
    for i, (pos, neg) in enumerate(rows):
        sources |= {pos: float(v_pos[0, i]), neg: float(v_neg[0, i])}
    for node, v in sources.items():
        circuit.V(node, node, circuit.gnd, v)
    add_crossbar(circuit, 2, box, rows, ("up", "low"), device, wires)
    saves = tuple(f"v(c2_{j})" for j in range(box.columns))
    answer = simulate(Deck(text_of(circuit), ".op", saves, points=1, large=True), ngspice).values
    return np.array([answer[name][0] for name in saves])


@every_shape
@every_place
def test_ohmic_devices_and_wires(shape: tuple[int, int], driven: Place, sensed: Place, either_ngspice: Ngspice) -> None:
    box, wires = crossbar(shape), segments(driven, sensed)
    found = in_ngspice(box, wires, OHMIC, either_ngspice)
    v_pos, v_neg = pairs(shape)
    v_rows = row_voltages(v_pos, v_neg, RAILS.vdd_V, RAILS.vss_V)
    np.testing.assert_allclose(found, Mesh(row_wires(box), wires).columns(v_rows)[0], rtol=0, atol=1e-9)
    assert np.abs(found - box.open_column_voltage(v_pos, v_neg, RAILS)[0]).max() > 1e-5


@every_shape
@pytest.mark.parametrize(("driven", "sensed"), SOME_PLACES)
@pytest.mark.parametrize("name", BENT)
def test_devices_that_bend(
    shape: tuple[int, int], driven: Place, sensed: Place, name: str, either_ngspice: Ngspice
) -> None:
    box, wires, device = crossbar(shape), segments(driven, sensed), BENT[name]
    v_pos, v_neg = pairs(shape)
    v_rows = row_voltages(v_pos, v_neg, RAILS.vdd_V, RAILS.vss_V)
    expected = BentMesh(row_wires(box), wires, device).columns(v_rows)[0]
    np.testing.assert_allclose(in_ngspice(box, wires, device, either_ngspice), expected, rtol=0, atol=2e-8)
    straight = Mesh(row_wires(box), wires).columns(v_rows)[0]
    assert np.abs(expected - straight).max() > 1e-5


@pytest.mark.parametrize("form", ["sinh", "power", "poole-frenkel", "table"])
def test_wires_that_hardly_resist_leave_open_columns(form: str, ptm90: Technology) -> None:
    box, device = crossbar((5, 3)), bending(ptm90, form).memristor
    v_pos, v_neg = pairs((5, 3), 4)
    expected = open_column_voltage(box, v_pos, v_neg, RAILS, device)
    for ohm, atol in ((1e-3, 1e-7), (1e-1, 1e-5)):
        found = mesh_columns(box, v_pos, v_neg, RAILS, device, Segments(ohm, ohm, ohm))
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def test_few_samples_and_many_are_the_same(ptm90: Technology) -> None:
    """One by one with conjugate gradients, all of them with one matrix, which is kept: also of another crossbar."""
    for box in (crossbar((5, 3)), crossbar((5, 4))):
        v_pos, v_neg = pairs((5, 3), 6)
        whole = mesh_columns(box, v_pos, v_neg, RAILS, OHMIC, segments())
        one = [mesh_columns(box, v_pos[k : k + 1], v_neg[k : k + 1], RAILS, OHMIC, segments())[0] for k in range(6)]
        np.testing.assert_allclose(whole, one, rtol=0, atol=1e-11)


def test_a_step_that_goes_too_far_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """A current that is steep around 0 V and flat beyond: undamped, Newton's method runs in circles."""
    g, v_rows = row_wires(crossbar((5, 3))), np.random.default_rng(0).uniform(-1, 1, (1, 12))
    root = Power(g_min_S=1e-7, g_max_S=1e-5, ratio=1.1, v_ref_V=0.25)
    assert np.abs(BentMesh(g, segments(), root).columns(v_rows)).max() < 1
    monkeypatch.setattr("spicetrain.array.bent_mesh._UPHILL", np.inf)
    with pytest.raises(SimulationError, match="not solved|singular"):
        BentMesh(g, segments(), root).columns(v_rows)


def test_the_names_of_the_wires_are_in_their_order(ptm90: Technology) -> None:
    assert wire_names(2) == ["0p", "0n", "1p", "1n", "bp", "bn"]
    box, circuit = crossbar((1, 2)), Circuit("spicetrain")
    add_crossbar(circuit, 0, box, [("a", "b")], ("up", "low"), OHMIC, segments("middle", "middle"))
    text = text_of(circuit)
    assert set(re.findall(r"^Rf\S+ (\S+) (\S+)", text, re.M)) == {
        ("a", "w0_0p_1"), ("b", "w0_0n_1"), ("up", "w0_bp_1"), ("low", "w0_bn_1")
    }  # fmt: skip
    assert re.findall(r"^Ru\S+ (\S+) (\S+)", text, re.M)[:3] == [
        ("u0_0p_0", "u0_0n_0"), ("u0_0n_0", "c0_0"), ("c0_0", "u0_bn_0")
    ]  # fmt: skip
    cells = [line.split() for line in text.splitlines() if line.startswith("Rm")]
    found = {tuple(sorted(nodes)): 1 / float(ohm) for _, *nodes, ohm in cells}
    assert found["u0_0n_1", "w0_0n_1"] == pytest.approx(box.neg[0, 1])
    assert found["c0_0", "w0_bp_0"] == pytest.approx(box.bias_pos[0])
