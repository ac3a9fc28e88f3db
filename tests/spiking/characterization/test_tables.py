"""The tables of a spiking circuit against decks written by hand, closed forms, and one another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bench import plan_of, simulator

from spicetrain.characterization.characterize import characterize
from spicetrain.characterization.plan import Plan, load_plan
from spicetrain.characterization.sweep import Subject
from spicetrain.errors import ConfigurationError, SimulationError
from spicetrain.inverter.characterization.tables import TABLES as INVERTER_TABLES
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.spiking.characterization.tables import TABLES
from spicetrain.spiking.circuit import SpikingCircuit, load_circuit
from spicetrain.tables import read_about, read_table
from spicetrain.technology import Technology

pytestmark = pytest.mark.xdist_group("tables")  # what its tests share is made once

PLAN: dict[str, Any] = {
    "driver_current": {"points": 8},
    "cell_current": {"points": 5, "g_points": 3},
    "cell_pulse": {"g_points": 3},
    "cell_capacitance": {"g_points": 3},
    "leak_current": {"points": 5},
    "reset_current": {"points": 5},
    "neuron_capacitance": {"points": 25},
    "threshold": {"slopes_V_per_s": [1e6, 1e7], "ramp_V": 0.03},
    "reset_residue": {"g_columns_S": [0.0, 1e-3], "v_points": 3},
}
BOTH = {"leak_current", "reset_current", "neuron_capacitance", "threshold", "reset_residue"}
X = "rbodymod=0 rgatemod=0"


def plan(*names: str) -> Plan:
    return plan_of(TABLES, **{name: TABLES[name].section(**PLAN[name]) for name in names or PLAN})


@pytest.fixture(scope="module", params=["1r", "1t1r"])
def spiking(request: pytest.FixtureRequest) -> SpikingCircuit:
    return load_circuit(f"lif-{request.param}")


@pytest.fixture(scope="module")
def tables(
    spiking: SpikingCircuit, ptm90: Technology, ngspice: Ngspice, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICETRAIN_CACHE", str(folder / "cache"))
        paths = characterize(Subject(ptm90, spiking), plan(), simulator(ngspice), folder)
    return {name: read_table(path) for name, path in paths.items()}


def test_an_array_has_its_own_tables(tables: dict[str, pd.DataFrame], spiking: SpikingCircuit) -> None:
    own = {"driver_current"} if spiking.array == "1r" else {"cell_current", "cell_pulse", "cell_capacitance"}
    assert tables.keys() == BOTH | own
    for name in BOTH - {"threshold"}:
        assert set(tables[name].layer) == {0, 1}


def by_hand(circuit: str, analysis: str, save: str, points: int, technology: Technology, ngspice: Ngspice) -> Any:
    deck = Deck(f".include {technology.library}\nvup up 0 0.5\nvlow low 0 -0.5\n{circuit}", analysis, (save,), points)
    return simulate(deck, ngspice).values[save]


@pytest.mark.parametrize("spiking", ["1r"], indirect=True)
def test_drivers(tables: dict[str, pd.DataFrame], spiking: SpikingCircuit, ptm90: Technology, ngspice: Ngspice) -> None:
    table = tables["driver_current"]
    halves = {
        ("excitatory", True): (f"mp row low up up pmos w=4e-6 l=90e-9 {X}\nmn row low 0 low nmos w=4e-6 l=90e-9 {X}"),
        ("inhibitory", False): (f"mp row low 0 up pmos w=8e-6 l=90e-9 {X}\nmn row low low low nmos w=2e-6 l=90e-9 {X}"),
    }
    for (side, spikes), transistors in halves.items():
        found = table[(table.side == side) & (table.spiking == spikes)]
        start, stop = found.v_row_V.iloc[[0, -1]]
        step = (stop - start) / 7
        theirs = by_hand(f"{transistors}\nvr row 0 0.0", f".dc vr {start} {stop} {step}", "i(vr)", 8, ptm90, ngspice)
        np.testing.assert_allclose(found.i_row_A, theirs, rtol=1e-4, atol=1e-10)
    up = table[(table.side == "excitatory") & table.spiking]
    assert up.v_row_V.min() == pytest.approx(0.2)
    assert (np.diff(up.sort_values("v_row_V").i_row_A) < 0).all()
    assert up.i_row_A.max() > 1e-4


@pytest.mark.parametrize("spiking", ["1t1r"], indirect=True)
def test_cells(tables: dict[str, pd.DataFrame], spiking: SpikingCircuit, ptm90: Technology, ngspice: Ngspice) -> None:
    table = tables["cell_current"]
    g = float(table.g_S.max())
    assert g == pytest.approx(ptm90.memristor.g_max_S)
    for side, spikes, word, rail, kind, bulk in (
        ("excitatory", True, "up", "up", "nmos", "low"),
        ("excitatory", False, "low", "up", "nmos", "low"),
        ("inhibitory", True, "low", "low", "pmos", "up"),
    ):
        found = table[(table.side == side) & (table.spiking == spikes) & (table.g_S == g)]
        cell = f"rg {rail} y {1 / g!r}\nma y {word} col {bulk} {kind} w=240e-9 l=90e-9 {X}\nvc col 0 0.0"
        theirs = by_hand(cell, ".dc vc -0.3 0.3 0.15", "i(vc)", 5, ptm90, ngspice)
        np.testing.assert_allclose(found.v_membrane_V, [-0.3, -0.15, 0, 0.15, 0.3], atol=1e-12)
        # ngspice's usual reltol leaves g * 5 uV.
        np.testing.assert_allclose(found.i_A, theirs, rtol=1e-4, atol=6e-11)
    silent = table[~table.spiking & (table.v_membrane_V.abs() < 0.2)]
    assert silent.i_A.abs().max() < 3e-11


@pytest.mark.parametrize("spiking", ["1t1r"], indirect=True)
def test_a_pulse_brings_its_current_and_its_edges_cancel(
    tables: dict[str, pd.DataFrame], spiking: SpikingCircuit
) -> None:
    pulses, cells = tables["cell_pulse"], tables["cell_current"]
    np.testing.assert_allclose(pulses.v_membrane_V.unique(), [-0.05, 0.0, 0.05], atol=1e-12)
    pulse, at_rest = (table[table.v_membrane_V.abs() < 1e-9] for table in (pulses, cells[cells.spiking]))
    merged = pulse.merge(at_rest, on="side").query("abs(g_S_x / g_S_y - 1) < 1e-6")
    assert len(merged) == 6
    np.testing.assert_allclose(merged.charge_dc_C, merged.i_A * spiking.clock.integrate_s, rtol=2e-3)
    # What an edge couples is a fraction of a femtocoulomb, of both signs.
    edges = merged.charge_latch_C - merged.charge_dc_C
    assert (np.sign(edges) == np.where(merged.side == "excitatory", 1, -1)).all()
    assert edges.abs().between(5e-17, 4e-16).all()
    more = tables["cell_capacitance"].groupby(["side", "spiking"]).capacitance_F.mean()
    # A cell that opens takes its capacitance's charge from a higher membrane; a part of it comes back.
    smallest = pulses[pulses.g_S == pulses.g_S.min()].sort_values("v_membrane_V")
    for side in ("excitatory", "inhibitory"):
        one = smallest[smallest.side == side]
        rises, falls = one.charge_latch_C - one.charge_dc_C, one.charge_C - one.charge_latch_C
        opened = more[side, True] - more[side, False]
        assert np.ptp(rises) / 0.1 == pytest.approx(opened, rel=0.25, abs=0) and rises.is_monotonic_decreasing
        assert 0.5 * opened < np.ptp(falls) / 0.1 < opened and falls.is_monotonic_increasing
        assert 1e-16 < more[side, False] < 0.6 * more[side, True] < 6e-16


def test_currents_of_a_neuron(
    tables: dict[str, pd.DataFrame], spiking: SpikingCircuit, ptm90: Technology, ngspice: Ngspice
) -> None:
    for name, gate in (("leak_current", "low"), ("reset_current", "up")):
        neuron = f"{neuron_by_hand(spiking, gate)}\nvm m 0 0.0"
        theirs = by_hand(neuron, ".dc vm -0.3 0.3 0.15", "i(vm)", 5, ptm90, ngspice)
        found = tables[name][tables[name].layer == 1]
        np.testing.assert_allclose(found.i_A, -theirs, rtol=1e-4, atol=1e-12)


def neuron_by_hand(spiking: SpikingCircuit, gate: str) -> str:
    """The transistors of a neuron of the second layer, their membrane at m."""
    fingers, threshold_V = spiking.reset_fingers(1), spiking.threshold_V(1)
    return f"""vleak leak 0 {spiking.neuron.leak_gate_V}
vhigh high 0 {threshold_V + 0.25}
vbottom bottom 0 {threshold_V - 0.25}
ml m leak 0 low nmos w=240e-9 l=90e-9 {X}
mr m {gate} 0 low nmos w=1e-6 l=90e-9 m={fingers} {X}
mn q m bottom bottom nmos w=240e-9 l=90e-9 {X}
mp q m high high pmos w=560e-9 l=90e-9 {X}"""


def test_capacitance_of_a_neuron_is_the_charge_that_a_slow_ramp_brings(
    tables: dict[str, pd.DataFrame], spiking: SpikingCircuit, ptm90: Technology, ngspice: Ngspice
) -> None:
    """Of the gates and junctions alone: up and down differ by twice what the capacitors take."""
    table = tables["neuron_capacitance"]
    found = table[table.layer == 1].set_index("v_membrane_V").capacitance_F
    np.testing.assert_allclose(found.index, np.linspace(-0.3, 0.3, 25), atol=1e-12)
    half_V, slope = 2e-3, 1e6
    seconds = 2 * half_V / slope
    for v in (-0.2, 0.0, 0.05):
        ramps = []
        for sign in (1, -1):
            ramp = f"vm m 0 pwl(0 {v - sign * half_V} {seconds} {v + sign * half_V})"
            deck = Deck(
                f".include {ptm90.library}\nvup up 0 0.5\nvlow low 0 -0.5\n{neuron_by_hand(spiking, 'low')}\n{ramp}",
                f".tran {seconds / 200!r} {seconds!r} 0 {seconds / 200!r}", ("i(vm)",), None,
                options={"reltol": 1e-6, "vntol": 1e-9, "abstol": 1e-15, "chgtol": 1e-20},
            )  # fmt: skip
            values = simulate(deck, ngspice).values
            ramps.append(-np.interp(seconds / 2, values["time"], values["i(vm)"]))
        C = (ramps[0] - ramps[1]) / 2 / slope
        assert found[found.index[np.abs(found.index - v).argmin()]] == pytest.approx(C, rel=0.02, abs=0)
    assert found.max() > 1.3 * found.min()  # more of it where the inverter's own output moves


def test_the_trip_follows_the_slope(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["threshold"]
    trip = table[table.rate_per_s == 0].set_index("slope_V_per_s").trip_V
    assert sorted(trip.index) == [-1e7, -1e6, 0.0, 1e6, 1e7]
    assert abs(trip[0.0]) < 1e-3
    # A delay of the inverter: as long up as down, and for every slope.
    delays = (trip.drop(0.0) - trip[0.0]) / trip.drop(0.0).index
    assert (delays > 1e-10).all()
    assert delays.max() < 1.1 * delays.min()


def test_the_trip_of_a_membrane_that_settles(tables: dict[str, pd.DataFrame]) -> None:
    """An inverter of one time constant d is d behind a ramp, and d / (1 - d / tau) behind exp(-t / tau)."""
    table = tables["threshold"]
    ramps = table[table.rate_per_s == 0].sort_values("slope_V_per_s")
    settling = table[table.rate_per_s < 0]
    assert len(settling) >= 4 and settling.slope_V_per_s.nunique() == len(settling)
    as_ramp_V = np.interp(settling.slope_V_per_s, ramps.slope_V_per_s, ramps.trip_V)
    late_V = (settling.trip_V - as_ramp_V) * np.sign(settling.slope_V_per_s)
    delay_s = np.polyfit(ramps.slope_V_per_s, ramps.trip_V, 1)[0]
    expected_V = settling.slope_V_per_s.abs() * delay_s**2 * -settling.rate_per_s
    np.testing.assert_allclose(late_V, expected_V, rtol=0.5, atol=3e-6)
    assert (late_V > 0).mean() > 0.7


def test_what_a_reset_leaves(tables: dict[str, pd.DataFrame], spiking: SpikingCircuit) -> None:
    table = tables["reset_residue"]
    for layer in (0, 1):
        found = table[table.layer == layer]
        assert len(found) == 6
        start = (spiking.threshold_V(layer) - spiking.rest_V) / 2
        assert found.v_before_V.min() == pytest.approx(spiking.rest_V + start)
        low = found[found.v_before_V < 2.2 * start]
        assert low.v_after_V.abs().max() < 3e-3
        assert (found.groupby("g_column_S").v_after_V.apply(lambda v: v.is_monotonic_increasing)).all()
        tied = found.pivot(index="v_before_V", columns="g_column_S", values="v_after_V")
        assert (tied[1e-3].abs() < tied[0.0].abs()).all() or (tied[1e-3] < tied[0.0]).any()


def test_a_plan_of_spiking_tables_needs_a_circuit(ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="asks for threshold, a table of a spiking circuit"):
        characterize(Subject(ptm90), plan("threshold"), simulator(ngspice), tmp_path)


def test_a_plan_of_another_systems_tables_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"spiking.toml: unknown key 'driver_current'.*current_surface"):
        load_plan("spiking", INVERTER_TABLES)
    with pytest.raises(ConfigurationError, match="asks for the table threshold, which is not of this system"):
        plan_of(INVERTER_TABLES, threshold=TABLES["threshold"].section())


def test_another_circuit_is_measured_again(ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    broken = replace(ngspice, executable=Path("/bin/false"))
    circuit, wanted = load_circuit("lif-1r"), plan("leak_current")
    first = characterize(Subject(ptm90, circuit), wanted, simulator(ngspice), tmp_path / "a")["leak_current"]
    again = characterize(Subject(ptm90, circuit), wanted, simulator(broken), tmp_path / "b")["leak_current"]
    assert first.read_bytes() == again.read_bytes()
    assert read_about(first)["circuit"] == "lif-1r"
    content = circuit.model_dump()
    content["neuron"]["leak_gate_V"] = 0.1
    other = SpikingCircuit.model_validate(content)
    with pytest.raises(SimulationError):
        characterize(Subject(ptm90, other), wanted, simulator(broken), tmp_path / "b")
