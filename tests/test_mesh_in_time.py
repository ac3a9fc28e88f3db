"""What a column between wires is to what hangs on it: resistance, Elmore's time constant, heat, against ngspice."""

from __future__ import annotations

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit
from test_wired_netlist import OHMIC, RAILS, crossbar, pairs, segments

from spicetrain.array.mesh_in_time import mesh_heat, one_pole
from spicetrain.array.netlist import add_crossbar
from spicetrain.array.wires import Place, SegmentFarads, Wires
from spicetrain.netlists.cells import text_of
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate

FARADS = SegmentFarads(0.0, 3e-14)
some_places = pytest.mark.parametrize(
    ("driven", "sensed"), [("one end", "one end"), ("middle", "both ends"), ("both ends", "middle")]
)


@some_places
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (20, 3)])
def test_a_column_is_behind_the_resistance_that_ngspice_sees(
    shape: tuple[int, int], driven: Place, sensed: Place, ngspice: Ngspice
) -> None:
    box, circuit = crossbar(shape), Circuit("spicetrain")
    wires, ground = segments(driven, sensed), circuit.gnd
    add_crossbar(circuit, 0, box, [(ground, ground)] * shape[0], (ground, ground), OHMIC, wires)
    last, amperes = shape[1] - 1, 1e-9
    circuit.I("in", ground, f"c0_{last}", amperes)
    answer = simulate(Deck(text_of(circuit), ".op", (f"v(c0_{last})",), points=1), ngspice).values
    found = one_pole(box, wires, FARADS).source_S[last]
    assert found == pytest.approx(amperes / answer[f"v(c0_{last})"][0], rel=1e-4)
    assert found < 0.99 * box.column_sum[last]


@some_places
@pytest.mark.parametrize("rows", [1, 20])
def test_the_delay_of_a_single_column_is_elmores(rows: int, driven: Place, sensed: Place, ngspice: Ngspice) -> None:
    """All rows step together: the area between the step and the column's answer, over the step, is the first moment."""
    box, circuit = crossbar((rows, 1)), Circuit("spicetrain")
    wires = segments(driven, sensed)
    circuit.raw_spice += "Vx x 0 pwl(0 0 1e-13 1)\n"
    add_crossbar(circuit, 0, box, [("x", "x")] * rows, ("x", "x"), OHMIC, wires, farads=FARADS)
    pole = one_pole(box, wires, FARADS)
    tau_s = float(pole.farads[0] / pole.source_S[0])
    deck = Deck(text_of(circuit), f".tran {tau_s / 200!r} {20 * tau_s!r}", ("v(c0_0)",), points=None)
    answer = simulate(deck, ngspice).values
    time_s, left = answer["time"], 1 - answer["v(c0_0)"]
    delay_s = float(np.sum(np.diff(time_s) * (left[1:] + left[:-1])) / 2)
    assert tau_s == pytest.approx(delay_s, rel=5e-3)
    lumped_s = float(FARADS.column_F * (2 * rows + 2) / pole.source_S[0])
    assert rows == 1 or tau_s < 0.98 * lumped_s  # a column's far end counts less than its sensed end


def test_heat_is_what_ngspices_sources_give(ngspice: Ngspice) -> None:
    box, wires, circuit = crossbar((5, 3)), segments("both ends"), Circuit("spicetrain")
    v_pos, v_neg = pairs((5, 3), 2)
    rows = [(f"x{i}_p", f"x{i}_n") for i in range(5)]
    sources = {"up": RAILS.vdd_V, "low": RAILS.vss_V}
    for i, (pos, neg) in enumerate(rows):
        sources |= {pos: float(v_pos[1, i]), neg: float(v_neg[1, i])}
    for node, v in sources.items():
        circuit.V(node, node, circuit.gnd, v)
    add_crossbar(circuit, 0, box, rows, ("up", "low"), OHMIC, wires)
    answer = simulate(Deck(text_of(circuit), ".op", tuple(f"i(v{node})" for node in sources), points=1), ngspice)
    given = -sum(v * answer.values[f"i(v{node})"][0] for node, v in sources.items())
    found = mesh_heat(box, v_pos, v_neg, RAILS, wires)
    assert found[1] == pytest.approx(given, rel=1e-5, abs=0)
    assert found[1] < 0.99 * box.source_power(v_pos, v_neg, RAILS)[1]


def test_every_node_of_the_wires_has_its_capacitance() -> None:
    box, circuit = crossbar((2, 3)), Circuit("spicetrain")
    rows, farads = [("a", "b"), ("c", "d")], SegmentFarads(2e-15, 0.0)
    add_crossbar(circuit, 1, box, rows, ("up", "low"), OHMIC, segments(), farads=farads)
    lines = [line.split() for line in text_of(circuit).splitlines() if line.startswith("C")]
    assert len(lines) == 6 * 3 and {(ground, float(farad)) for _, _, ground, farad in lines} == {("0", 2e-15)}
    assert len({node for _, node, *_ in lines}) == 6 * 3 and lines[0][:2] == ["Cw1_0p_0", "w1_0p_0"]


def test_capacitance_by_length() -> None:
    wires = Wires(row_ohm=1.0, column_ohm=1.0, pitch_m=2e-6, row_F_per_m=1e-10, column_F=3e-16)
    assert wires.farads == pytest.approx((2e-16, 3e-16), abs=0)
    assert Wires(row_ohm=1.0, column_ohm=1.0).farads == (0.0, 0.0)
    with pytest.raises(ValueError, match=r"column_F_per_m = 1e-10 takes pitch_m.* and no column_F; given are pitch_m"):
        Wires(row_ohm=1.0, column_ohm=1.0, column_F_per_m=1e-10)
    with pytest.raises(ValueError, match=r"row_F_per_m = 1e-10 takes pitch_m.*row_F = 1e-15"):
        Wires(row_ohm=1.0, column_ohm=1.0, pitch_m=1e-6, row_F_per_m=1e-10, row_F=1e-15)
