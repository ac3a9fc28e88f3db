"""Laws of a spiking circuit: their file, and their fit to tables of which the truth is known."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from bench import simulator
from ideal_laws import ideal_laws
from numpy.polynomial.polynomial import polyval
from safetensors.numpy import save_file
from scipy.optimize import brentq

from spicetrain.array.crossbar import Crossbar
from spicetrain.characterization.characterize import characterize
from spicetrain.characterization.plan import load_plan
from spicetrain.characterization.sweep import Subject
from spicetrain.draw import Draw
from spicetrain.errors import ConfigurationError, StorageError
from spicetrain.runfolder import SURROGATES
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.spiking.cell_curves import CellCurves
from spicetrain.spiking.characterization.chip_law import chip_law
from spicetrain.spiking.characterization.tables import TABLES
from spicetrain.spiking.chip import drawn
from spicetrain.spiking.circuit import SIDES, SpikingCircuit, load_circuit, of_layer
from spicetrain.spiking.netlists.network import membranes_at_latch
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.array_fits import fit_capacitance, fit_cells, fit_pulse
from spicetrain.spiking.surrogates.curves import fit_curve
from spicetrain.spiking.surrogates.fit import FITS, fit_spiking_surrogates
from spicetrain.spiking.surrogates.laws import SpikingLaws, load_laws
from spicetrain.spiking.surrogates.neuron_fits import fit_charge, fit_residue, fit_threshold
from spicetrain.spiking.training.drawn import deviations_of
from spicetrain.spiking.training.predict import predict
from spicetrain.spiking.verification.netlist import Netlist
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.technology import Technology
from spicetrain.variation import VariationSettings, statistics_of

pytestmark = pytest.mark.xdist_group("laws")  # what its tests share is made once

SETTINGS = SurrogateSettings(hidden=(5,), load_iterations=5, starts=1)

CURVES = CellCurves(
    1.0, 0.5, np.array([0.1, 0.2]), np.array([0.02, 0.03]), np.array([0.5, 3.0]),
    np.array([[-0.3, 0.9, 0.1], [-0.7, -6.0, 0.0]]), 1e-7, 8e-6,
)  # fmt: skip


def every_law(array: str = "1t1r") -> SpikingLaws:
    circuit = load_circuit(f"lif-{array}")
    return replace(
        ideal_laws(circuit),
        leak=(np.array([1e-9, 2e-6]), np.array([1e-9, 2e-6, 3e-5])),
        coarse_leak=(np.array([1e-9, 3e-6]),),
        neuron_F=(2e-14, 3e-15),
        neuron_excess_C=(np.array([-1e-16, 0.0, 2e-16]), np.array([0.0, 0.0, 1e-17])),
        reset_rise_C=(1e-15, 3e-16),
        reset_charge_C=(-1e-15, -2e-16),
        reset_lost_s=1e-11,
        trip=np.array([1e-4, 2.5e-10]),
        trip_bend=np.array([0.0, 6e-20]),
        cells={"excitatory": CURVES, "inhibitory": replace(CURVES, sign=-1.0)},
        cell_on_C=1e-16,
        cell_off_C=-2e-16,
        cell_silent_F=5e-16,
        cell_spiking_F=7e-16,
        cell_late_s=1e-11,
        cell_ceases_s=2e-12,
        domains={"leak": (-0.2, 0.15)},
    )


@pytest.mark.parametrize("array", ["1r", "1t1r"])
def test_a_file_holds_all_of_the_laws(array: str, tmp_path: Path) -> None:
    laws = every_law(array)
    laws.save(tmp_path / SURROGATES, {"leak_current": {"key": "k"}})
    loaded = SpikingLaws.load(tmp_path)
    assert loaded.fingerprint == laws.fingerprint
    for name, value in vars(laws).items():
        if name != "fingerprint":
            assert repr(getattr(loaded, name)) == repr(value), name
    assert load_laws(tmp_path / SURROGATES)[1] == {"leak_current": {"key": "k"}}


@pytest.mark.parametrize(
    "change",
    [
        {"trip": np.array([2e-4, 2.5e-10])},
        {"trip_bend": np.array([0.0, 5e-20])},
        {"reset_rise_C": (1e-15,)},
        {"leak": (np.array([1e-9, 2.1e-6]),)},
        {"cell_spiking_F": 6e-16},
        {"domains": {}},
        {"cells": {}},
        {"cells": {"excitatory": replace(CURVES, drive_V=0.6), "inhibitory": replace(CURVES, sign=-1.0)}},
        {"coarse_leak": ()},
        {"neuron_F": (2e-14,)},
        {"neuron_excess_C": ()},
    ],
)
def test_whatever_changes_changes_the_fingerprint(change: dict[str, Any]) -> None:
    assert replace(every_law(), **change).fingerprint != every_law().fingerprint


def test_files_that_hold_no_laws(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"no surrogates at .*fit-surrogates"):
        SpikingLaws.load(tmp_path)
    save_file({"a": np.zeros(2)}, tmp_path / SURROGATES, {"format": "spicetrain-surrogates-1"})
    with pytest.raises(StorageError, match="no surrogates of this kind"):
        SpikingLaws.load(tmp_path)
    every_law().save(tmp_path / SURROGATES, {})
    (tmp_path / SURROGATES).write_bytes((tmp_path / SURROGATES).read_bytes()[:-8])
    with pytest.raises(StorageError, match="damaged"):
        SpikingLaws.load(tmp_path)


def test_the_last_layers_value_holds_for_deeper_ones() -> None:
    assert [of_layer((1, 2), layer) for layer in range(4)] == [1, 2, 2, 2]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_cells_are_what_is_stated_in_numpy_in_torch_and_in_a_deck(sign: float, ngspice: Ngspice) -> None:
    curves, u = replace(CURVES, sign=sign), np.linspace(-0.45, 0.45, 7)
    g = np.array([[1e-7, 3e-6], [8e-6, 2e-6]])
    shares, (volts, slopes) = curves.shares(g), curves.volts(u)
    for m in range(2):
        z = 2 * np.log(g / 1e-7) / np.log(80) - 1
        expected = g * np.exp(np.polynomial.polynomial.polyval(z, CURVES.log_share[m]))
        np.testing.assert_allclose(shares[m], expected, rtol=1e-12)
        np.testing.assert_allclose(curves.shares(torch.tensor(g))[m].numpy(), expected, rtol=1e-12)
        x = sign * u
        closed = (1 + np.exp((x - CURVES.centre_V[m]) / CURVES.width_V[m])) ** CURVES.power[m]
        np.testing.assert_allclose(volts[:, m], sign * (0.5 - x) / closed, rtol=1e-12)
    step = 1e-6
    np.testing.assert_allclose(slopes, (curves.volts(u + step)[0] - curves.volts(u - step)[0]) / (2 * step), rtol=1e-6)
    lines = [f"B{m} n{m} 0 v={one}" for m, one in enumerate(curves.expressions("v(m)"))]
    deck = Deck("\n".join(["* cells", "Vm m 0 0", *lines]), ".dc Vm -0.45 0.45 0.15", ("v(n0)", "v(n1)"), points=7)
    values = simulate(deck, ngspice).values
    np.testing.assert_allclose(np.stack([values["v(n0)"], values["v(n1)"]], 1), volts, rtol=1e-6, atol=1e-12)


def test_any_cells_keep_their_sign_fall_and_saturate() -> None:
    rng, u = np.random.default_rng(1), np.linspace(-0.49, 0.49, 99)
    for sign in (1.0, -1.0):
        any_logs = rng.normal(size=(3, 4))
        curves = CellCurves(sign, 0.5, rng.normal(0.1, 0.1, 3), rng.uniform(0.01, 0.1, 3), rng.uniform(0.1, 9, 3),
                            any_logs, 1e-7, 8e-6)  # fmt: skip
        for g in (5e-8, 1e-7, 2e-6, 8e-6, 12e-6):
            i = curves.current_A(np.full_like(u, g), u)
            assert (sign * i > 0).all() and (np.diff(i) < 0).all()


def test_cells_beyond_the_largest_that_was_measured_go_on_along_a_secant() -> None:
    """A cell that programming overshoots conducts a little more, never less than nothing."""
    g = np.array([1e-7, 6.4e-6, 8e-6, 10e-6, 12e-6, 1e-3])
    for share, of_torch in zip(CURVES.shares(g), CURVES.shares(torch.tensor(g)), strict=True):
        slope = (share[2] - share[1]) / 1.6e-6
        np.testing.assert_allclose(share[3:], np.maximum(share[2] + slope * (g[3:] - 8e-6), 0), rtol=1e-12)
        np.testing.assert_allclose(of_torch, share, rtol=1e-12)
    closing_late, closing_early = CURVES.shares(g)
    assert closing_late[4] > closing_late[2] and closing_early[-1] == 0
    np.testing.assert_allclose(CURVES.shares(np.array([5e-8])), np.array(CURVES.shares(np.array([1e-7]))) / 2)


def made_up_table(circuit: SpikingCircuit, reach: float = 0.3) -> pd.DataFrame:
    """A cell is its conductance in series with a transistor that closes exponentially around `reach` / 2."""
    g, u = (one.ravel() for one in np.meshgrid(np.geomspace(1e-7, 8e-6, 13), np.linspace(-0.3, 0.3, 61)))
    parts = []
    for side, sign in zip(SIDES, (1, -1), strict=True):
        closing = 3e-5 * np.logaddexp(0, (reach / 2 - sign * u) / 0.03)
        i = sign * (0.5 - sign * u) / (1 / g + 1 / closing)
        for spiking in (True, False):
            columns = {"g_S": g, "v_membrane_V": u + circuit.rest_V, "i_A": i if spiking else -1e-12 * u}
            parts.append(pd.DataFrame(columns).assign(side=side, spiking=spiking))
    return pd.concat(parts)


def test_cells_of_another_closed_form_are_met_within_a_percent_of_the_largest_current() -> None:
    circuit = load_circuit("lif-1t1r")
    table = made_up_table(circuit)
    laws, report, _ = fit_cells(table, SpikingLaws(0.0, (), ()), circuit, SurrogateSettings())
    for side in SIDES:
        rows = table[(table["side"] == side) & table["spiking"]]
        g, u, i = (rows[name].to_numpy() for name in ("g_S", "v_membrane_V", "i_A"))
        error = np.abs(laws.cells[side].current_A(g, u) - i)
        near = np.abs(u) <= 0.1
        assert error[near].max() < 0.01 * np.abs(i[near]).max()
    assert report["errors"]["max_relative"] < 0.01 and report["errors"]["points"] > 50
    assert report["errors"]["everywhere"]["points"] > report["errors"]["points"]


def test_a_threshold_that_no_pair_of_cells_reaches_is_refused_with_the_voltage_it_reaches() -> None:
    circuit = load_circuit("lif-1t1r")
    table = made_up_table(circuit, reach=0.1)
    _, report, _ = fit_cells(table, SpikingLaws(0.0, (), ()), circuit, SurrogateSettings())

    def net(u: float) -> float:
        up, down = (3e-5 * np.logaddexp(0, (0.05 - s * u) / 0.03) for s in (1, -1))
        return float((0.5 - u) / (1 / 8e-6 + 1 / up) - (0.5 + u) / (1e7 + 1 / down))

    assert report["reached_V"] == pytest.approx(brentq(net, 0, 0.5), abs=5e-3)
    far = circuit.changed((0.05, 0.2), None)
    with pytest.raises(ConfigurationError, match=r"layer 2, 0.2 V, is out of reach.* to 0\.\d+ V and no further"):
        fit_cells(table, SpikingLaws(0.0, (), ()), far, SurrogateSettings())


def test_a_curve_that_is_a_polynomial_is_found_with_its_degree() -> None:
    x = np.linspace(-0.3, 0.2, 41)
    truth = np.array([1e-6, -2e-4, 3e-4, 5e-3])
    fit = fit_curve(x, polyval(x, truth), np.full(41, 1e-12), 8, SETTINGS)
    np.testing.assert_allclose(fit.coefficients, truth, rtol=1e-8)
    assert fit.degree == 3 and len(fit.held_out) == len(fit.model) == len(fit.mlp) == 8
    rough = fit_curve(x, polyval(x, truth), np.full(41, 1.0), 8, SETTINGS)
    assert rough.degree == 1  # it is good enough
    exponential = fit_curve(x, np.exp(30 * x), np.full(41, 1e-12), 4, SETTINGS)
    assert exponential.degree == 4  # none is, so the best


@pytest.mark.parametrize("settles", [True, False])
def test_threshold_of_ramps_and_of_membranes_that_settle(settles: bool) -> None:
    trip, bend = np.array([1e-4, 2.5e-10, 2e-19, -1e-26, 3e-34]), np.array([0.0, -6e-20, 1e-28, -2e-36])
    ramps = np.array([-3e7, -1e7, -3e6, -1e6, 0, 1e6, 3e6, 1e7, 3e7])
    cases = [(slope, rate) for rate in (0.0, -5e7, -2e8)[: 3 if settles else 1] for slope in ramps]
    slope, rate = np.array(cases).T
    table = pd.DataFrame(cases, columns=["slope_V_per_s", "rate_per_s"])
    table["trip_V"] = polyval(slope, trip) + rate * polyval(slope, bend)
    laws, report, _ = fit_threshold(table, SpikingLaws(0.0, (), ()), load_circuit("lif-1r"), SETTINGS)
    np.testing.assert_allclose(laws.trip, trip, rtol=1e-5)
    np.testing.assert_allclose(laws.trip_bend, bend if settles else 0 * bend, rtol=1e-5)
    assert report["errors"]["max_V"] < 1e-9 and laws.domains["slope"] == (-3e7, 3e7)


def test_pulse_splits_into_charge_and_time() -> None:
    circuit = load_circuit("lif-1t1r")
    clock, rows = circuit.clock, []
    for side, sign in zip(SIDES, (1, -1), strict=True):
        for g, u in itertools.product((1e-7, 1e-6, 8e-6), (-0.1, 0.0, 0.1)):
            i = g * (sign * 0.5 - u)
            dc = i * clock.integrate_s
            latch = dc - i * (clock.edge_s / 2 + 4e-12) + sign * 3e-16 - 1e-16 - 4e-16 * u
            whole = latch + i * (clock.edge_s / 2 - 2e-12) - sign * 2e-16 - 1e-17 + (3 + sign) * 1e-16 * u
            rows.append((side, g, u, whole, latch, dc))
    names = ["side", "g_S", "v_membrane_V", "charge_C", "charge_latch_C", "charge_dc_C"]
    known = SpikingLaws(0.0, (), (), cell_spiking_F=8e-16)
    laws, _, _ = fit_pulse(pd.DataFrame(rows, columns=names), known, circuit, SETTINGS)
    found = (laws.cell_on_C, laws.cell_off_C, laws.cell_off_F, laws.cell_late_s, laws.cell_ceases_s)
    assert found == pytest.approx((-2e-16, -2e-17, 6e-16, 4e-12, 2e-12), rel=1e-5, abs=0)


RESET = SpikingLaws(0.0, (), (np.array([0.0, 1e-3]),), domains={"reset": (0.0, 0.3)})


@pytest.mark.parametrize(
    ("table", "known", "needed"),
    [
        ("cell_pulse", SpikingLaws(0.0, (), ()), "cell_capacitance"),
        ("reset_residue", SpikingLaws(0.0, (), ()), "reset_current"),
        ("reset_residue", RESET, "neuron_capacitance"),
    ],
)
def test_a_law_that_needs_another_is_not_fitted_before_it(table: str, known: SpikingLaws, needed: str) -> None:
    """Of any table: that the law is missing is seen before it is read."""
    circuit = load_circuit("lif-1t1r")
    nothing = pd.DataFrame({"side": [], "v_before_V": []})
    with pytest.raises(ConfigurationError, match=f"{table} is fitted with the law of {needed}.*Fit {needed} before"):
        FITS[table](nothing, known, circuit, SETTINGS)


def test_the_charge_of_a_neuron() -> None:
    """A capacitance of known integral: q = a u + b tanh((u - c) / w)."""
    circuit, u = load_circuit("lif-1t1r"), np.linspace(-0.3, 0.3, 121)
    a, b, c, w = (5e-15, 2e-14), 1e-15, 0.05, 0.03
    rows = [(layer, v, a[layer] + b / w / np.cosh((v - c) / w) ** 2) for layer in (0, 1) for v in u]
    table = pd.DataFrame(rows, columns=["layer", "v_membrane_V", "capacitance_F"])
    laws, report, _ = fit_charge(table, SpikingLaws(0.0, (), ()), circuit, SETTINGS)
    of_bump = b * np.tanh(c / w) / 0.05  # from rest to the threshold, 0.05 V
    assert laws.neuron_F == pytest.approx([of_bump + one for one in a], rel=1e-5, abs=0)
    grid = np.linspace(*laws.domains["charge"], len(laws.neuron_excess_C[0]))
    for excess in laws.neuron_excess_C:
        truth = b * (np.tanh((grid - c) / w) + np.tanh(c / w)) - of_bump * grid
        assert np.abs(excess - truth).max() < 1e-5 * b
    assert 0 < report["errors"]["max_F"] < 1e-2 * b / w


def test_the_order_of_the_fits_does_not_matter_or_is_refused(
    measured: tuple[Path, SpikingCircuit, dict[str, Any], SpikingLaws],
) -> None:
    folder, circuit, report, laws = measured
    tables = {name: pd.read_parquet(folder / "tables" / f"{name}.parquet") for name in report["surrogates"]}
    found = SpikingLaws(circuit.rest_V, (), ())
    for name in sorted(tables):  # the alphabet has capacitance before pulse, and residue behind current
        found = FITS[name](tables[name], found, circuit, SETTINGS)[0]
    assert found.fingerprint == laws.fingerprint
    found = SpikingLaws(circuit.rest_V, (), ())
    with pytest.raises(ConfigurationError, match="not among the laws so far"):
        for name in sorted(tables, reverse=True):
            found = FITS[name](tables[name], found, circuit, SETTINGS)[0]


def test_capacitances_are_of_a_pair_of_cells() -> None:
    rows = [
        (side, on, g, C)
        for side, few in zip(SIDES, (1e-16, 3e-16), strict=True)
        for on, C in ((False, few), (True, 4 * few))
        for g in (1e-7, 1e-6)
    ]
    table = pd.DataFrame(rows, columns=["side", "spiking", "g_S", "capacitance_F"])
    laws, report, _ = fit_capacitance(table, SpikingLaws(0.0, (), ()), load_circuit("lif-1t1r"), SETTINGS)
    assert (laws.cell_silent_F, laws.cell_spiking_F) == pytest.approx((4e-16, 12e-16), rel=1e-6, abs=0)
    assert report["errors"]["max_F"] == 0


@pytest.mark.parametrize("layers", [1, 2])
def test_residue_gives_back_what_was_injected(layers: int) -> None:
    circuit = load_circuit("lif-1r")
    reset = tuple(np.array([0.0, 1e-3 * (k + 1), -2e-3]) for k in range(layers))
    neuron_F = (3e-14, 1e-13)[:layers]
    laws = SpikingLaws(0.0, (), reset, neuron_F=neuron_F, neuron_excess_C=(np.zeros(2),), domains={"reset": (0.0, 0.3)})
    rows = []
    for k in range(layers):
        C = circuit.capacitance_F(k) + neuron_F[k]
        for g in (0.0, 3e-4, 2e-3):
            for before in np.geomspace(0.01, 0.25, 6):
                at_edge = np.exp(-g / C * (circuit.clock.edge_s + 5e-11) / 2)
                u = float(before) * at_edge + (k + 1) * 3e-15 / C
                h = (circuit.clock.rest_s - 5e-11) / 1000
                for _ in range(1000):
                    middle = u - h / 2 * (polyval(u, reset[k]) + g * u) / C
                    u -= h * (polyval(middle, reset[k]) + g * middle) / C
                rows.append((k, g, before, (u - (k + 1) * 2e-15 / C) * at_edge))
    table = pd.DataFrame(rows, columns=["layer", "g_column_S", "v_before_V", "v_after_V"])
    found, report, _ = fit_residue(table, laws, circuit, SETTINGS)
    assert found.reset_rise_C == pytest.approx([3e-15 * (k + 1) for k in range(layers)], rel=1e-3, abs=0)
    assert found.reset_charge_C == pytest.approx([-2e-15 * (k + 1) for k in range(layers)], rel=1e-3, abs=0)
    assert found.reset_lost_s == pytest.approx(5e-11, rel=1e-3, abs=0)
    assert report["errors"]["max_V"] < 1e-6


@pytest.fixture(scope="module", params=["1r", "1t1r"])
def measured(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ptm90: Technology, ngspice: Ngspice
) -> tuple[Path, SpikingCircuit, dict[str, Any], SpikingLaws]:
    """The shipped circuit measured by ngspice and fitted: (folder, circuit, report, laws)."""
    folder, circuit = tmp_path_factory.mktemp("laws"), load_circuit(f"lif-{request.param}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICETRAIN_CACHE", str(folder / "cache"))
        characterize(Subject(ptm90, circuit), load_plan("spiking", TABLES), simulator(ngspice), folder / "tables")
        report = fit_spiking_surrogates(folder / "tables", ptm90, circuit, SETTINGS, folder)
    return folder, circuit, report, SpikingLaws.load(folder)


def with_charge(laws: SpikingLaws, circuit: SpikingCircuit, technology: Technology, ngspice: Ngspice) -> SpikingLaws:
    """Those of a circuit that differs in its neuron's capacitances."""
    subject, parts = Subject(technology, circuit), simulator(ngspice)
    kind = TABLES["neuron_capacitance"]
    frames = [
        pd.DataFrame(sweep.columns(parts.simulate(sweep.deck()).values))
        for sweep in kind.sweeps(kind.section(), subject, 1)
    ]
    return fit_charge(pd.concat(frames), laws, circuit, SETTINGS)[0]


def test_a_column_device_by_device(
    measured: tuple[Path, SpikingCircuit, dict[str, Any], SpikingLaws],
    ptm90: Technology,
    ngspice: Ngspice,
) -> None:
    """The model, and the reduced netlist of a 1t1r, against every cell in ngspice: columns that fall, stay and rise."""
    _, shipped, _, laws = measured
    rows, columns, steps, share = 100, 3, 5, 101 / 785  # of the shipped circuit's rows, so of its capacitances
    content = shipped.changed(None, (shipped.capacitance_F(0) * share,)).model_dump()
    content["neuron"]["reset_fingers"] = (shipped.reset_fingers(0) * share,)
    circuit, rng = SpikingCircuit.model_validate(content), np.random.default_rng(0)
    laws = with_charge(laws, circuit, ptm90, ngspice)
    low, high = ptm90.memristor.g_min_S, ptm90.memristor.g_max_S
    pos, neg = np.exp(rng.uniform(np.log(low), np.log(0.3 * high), (2, rows, columns)))
    pos[:, 0], neg[:, 2] = np.maximum(0.5 * pos[:, 0], low), np.maximum(0.5 * neg[:, 2], low)
    never_V = 0.3
    network = SpikingNetwork((Crossbar(pos, neg, pos[0], neg[0]),), (never_V,))
    spikes = rng.random((steps, rows)) < 0.12
    netlist = Netlist.of(network, circuit, ptm90, laws)
    flat, reduced = (
        membranes_at_latch(simulate(netlist.deck(spikes, form), ngspice).values, network, circuit, steps)[0]
        for form in ("flat", "reduced")
    )
    ((_, model),) = predict(network, spikes[None], circuit, laws)
    reached = np.abs(flat) < 0.075  # above, every neuron has fired
    assert reached.sum() > 8 and np.ptp(flat[reached]) > 0.02
    assert np.abs(reduced - flat)[reached].max() < (1e-5 if circuit.array == "1r" else 4.5e-4)
    assert np.abs(model[0] - flat)[reached].max() < (2e-4 if circuit.array == "1r" else 4.5e-4)


def test_a_chip_device_by_device(
    measured: tuple[Path, SpikingCircuit, dict[str, Any], SpikingLaws],
    ptm90: Technology,
    ngspice: Ngspice,
) -> None:
    """Membranes of a drawn chip that never fires, in the model, in the reduced netlist, and with every transistor that
    is drawn in ngspice; those of the nominal network are others. (When it fires: test_chip.py.)"""
    _, shipped, _, laws = measured
    rows, columns, steps, share, never_V = 60, 5, 4, 61 / 785, 0.3
    circuit = shipped.changed(None, (shipped.capacitance_F(0) * share,))
    laws = with_charge(laws, circuit, ptm90, ngspice)
    rng, device = np.random.default_rng(1), ptm90.memristor
    pos, neg = np.exp(rng.uniform(np.log(device.g_min_S), np.log(0.6 * device.g_max_S), (2, rows, columns)))
    network = SpikingNetwork((Crossbar(pos, 0.9 * neg, pos[0], neg[0]),), (never_V,))
    spikes, statistics = rng.random((steps, rows)) < 0.15, statistics_of(ptm90, VariationSettings())
    law = chip_law(circuit, ptm90, statistics, simulator(ngspice))
    chip = drawn(network, circuit, ptm90, statistics, Draw(0))
    assert law is not None and (law.access is None) == (circuit.array == "1r")
    netlist = Netlist.of(chip.network, circuit, ptm90, laws).of_chip(chip, laws, law)
    flat, reduced = (
        membranes_at_latch(simulate(netlist.deck(spikes, form), ngspice).values, network, circuit, steps)[0]
        for form in ("flat", "reduced")
    )
    ((_, model),) = predict(chip.network, spikes[None], circuit, laws, deviations=deviations_of(chip, law))
    # Without what its transistors do: on 1r that is trips only, which nothing reaches here.
    ((_, without),) = predict(chip.network, spikes[None], circuit, laws)
    reached = np.abs(flat) < 0.075
    assert reached.sum() > 12 and np.ptp(flat[reached]) > 0.02
    assert np.abs(reduced - flat)[reached].max() < (1e-5 if circuit.array == "1r" else 1e-3)
    assert np.abs(model[0] - flat)[reached].max() < (6e-4 if circuit.array == "1r" else 1e-3)
    assert circuit.array == "1r" or np.abs(without[0] - flat)[reached].max() > 3e-3


def test_shipped_circuits_are_fitted(measured: tuple[Path, SpikingCircuit, dict[str, Any], SpikingLaws]) -> None:
    folder, circuit, report, laws = measured
    assert json.loads((folder / "surrogates.json").read_text()) == report
    names = set(report["surrogates"])
    assert all((folder / f"surrogates-{name}.svg").stat().st_size > 10_000 for name in names)
    assert all("domain" in law and "errors" in law and law["seed"] == 0 for law in report["surrogates"].values())
    of_curves = names & {"driver_current", "leak_current", "reset_current"}
    for name in of_curves:
        errors = report["surrogates"][name]["errors"]
        assert len(errors["mlp"]) == 5 and errors["points"] > 5 and errors["kept"].startswith("polynomial")
    # Delay of a 90 nm inverter, and trip where its supplies' middle is.
    offset_V, delay_s = laws.trip[:2]
    assert 1e-10 < delay_s < 5e-10 and abs(offset_V) < 1e-3
    # Of an inverter with one time constant a membrane that settles is its square later.
    assert laws.trip_bend[1] == pytest.approx(-(delay_s**2), rel=0.3)
    assert report["surrogates"]["threshold"]["errors"]["q90_V"] < 1e-5
    # The gate rises, and falls again: what it brought it takes.
    assert all(charge < 0 for charge in laws.reset_charge_C)
    assert laws.reset_rise_C == pytest.approx([-charge for charge in laws.reset_charge_C], rel=0.3)
    clock, C = circuit.clock, circuit.capacitance_F(0)
    leak = report["surrogates"]["leak_current"]["errors"]
    assert all(len(law) <= 4 for law in laws.coarse_leak) and len(laws.coarse_leak) == len(laws.leak)
    assert leak["q50_A"] * clock.step_s / C < 2e-5  # of the membrane in a step
    if circuit.array == "1r":
        driver = report["surrogates"]["driver_current"]["errors"]
        assert driver["max_A"] < 1e-3 * 1e-3  # of about a milliampere
        for side in SIDES:
            assert laws.drivers[side, True].current[1] < -1e-3 and laws.drivers[side, False].current[1] < -1e-3
    else:
        cell = report["surrogates"]["cell_current"]["errors"]
        assert cell["max_relative"] < 0.011 and cell["q99_relative"] < 0.01
        table = pd.read_parquet(folder / "tables" / "cell_current.parquet")
        at = table[(table["side"] == "excitatory") & table["spiking"] & (table["g_S"] == table["g_S"].max())]
        at = at[np.isclose(at["v_membrane_V"], 0.1)]  # where a cubic is 19 % of the largest current off
        law = laws.cells["excitatory"].current_A(at["g_S"].to_numpy(), np.array([0.1]))
        assert law[0] == pytest.approx(float(at["i_A"].iloc[0]), abs=0.01 * cell["largest_A"]) and law[0] > 0
        assert report["surrogates"]["cell_current"]["reached_V"] == pytest.approx(0.188, abs=2e-3)
        assert 1e-16 < laws.cell_silent_F < 2e-15 and laws.cell_spiking_F > 0


def test_finished_laws_are_kept_and_others_are_not(
    measured: tuple[Path, SpikingCircuit, dict[str, Any], SpikingLaws],
    ptm90: Technology,
    tmp_path: Path,
    own_cache: Path,
) -> None:
    folder, circuit, report, laws = measured
    again = fit_spiking_surrogates(folder / "tables", ptm90, circuit, SETTINGS, folder)
    assert again["fitted_now"] == [] and again["surrogates"] == report["surrogates"]
    assert report["fitted_now"] == list(report["surrogates"])
    if circuit.array == "1t1r":
        return  # once is enough
    other = SETTINGS.model_copy(update={"seed": 1})
    keys = {law["key"] for law in report["surrogates"].values()}
    # Another folder takes them over from the cache, with what they look like; where a plot is gone there, not.
    first, taken = (
        fit_spiking_surrogates(folder / "tables", ptm90, circuit, SETTINGS, tmp_path / name) for name in "ab"
    )
    assert first["fitted_now"] == report["fitted_now"] and taken["fitted_now"] == []
    assert taken["surrogates"] == first["surrogates"]
    kept = {path.name: path.read_bytes() for path in (tmp_path / "a").glob("surrogates*") if path.suffix != ".json"}
    assert len(kept) == 1 + len(report["surrogates"])
    assert {name: (tmp_path / "b" / name).read_bytes() for name in kept} == kept
    next(own_cache.rglob("*.svg")).unlink()
    again = fit_spiking_surrogates(folder / "tables", ptm90, circuit, SETTINGS, tmp_path / "d")
    assert again["fitted_now"] == report["fitted_now"]
    changed = fit_spiking_surrogates(folder / "tables", ptm90, circuit, other, folder)
    assert changed["fitted_now"] and not keys & {law["key"] for law in changed["surrogates"].values()}


def test_bad_tables(tmp_path: Path, ptm90: Technology) -> None:
    circuit = load_circuit("lif-1r")
    with pytest.raises(ConfigurationError, match=r"need the table driver_current.*plan that has \[driver_current\]"):
        fit_spiking_surrogates(tmp_path, ptm90, circuit, SETTINGS, tmp_path)
    laws = SpikingLaws(0.0, (), ())
    with pytest.raises(ConfigurationError, match="no column trip_V; it has slope_V_per_s, rate_per_s"):
        fit_threshold(pd.DataFrame({"slope_V_per_s": [0.0], "rate_per_s": [0.0]}), laws, circuit, SETTINGS)
    table = pd.DataFrame({"slope_V_per_s": [0.0, 1e6], "rate_per_s": [0.0, 0.0], "trip_V": [0.0, np.nan]})
    with pytest.raises(ConfigurationError, match="no finite slope_V_per_s, rate_per_s, trip_V"):
        fit_threshold(table, laws, circuit, SETTINGS)
    for name in ("driver_current", "leak_current", "reset_current", "neuron_capacitance", "threshold", "reset_residue"):
        about = {b"spicetrain": json.dumps({"technology_fingerprint": "another"}).encode()}
        pq.write_table(pa.table({"a": [0.0]}).replace_schema_metadata(about), tmp_path / f"{name}.parquet")
    with pytest.raises(ConfigurationError, match="measured of another technology"):
        fit_spiking_surrogates(tmp_path, ptm90, circuit, SETTINGS, tmp_path)
