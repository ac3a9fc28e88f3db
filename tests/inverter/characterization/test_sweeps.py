"""Each table against a deck written by hand or a closed form."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bench import simulator
from bent import with_sinh

from spicetrain.characterization import memristor_iv
from spicetrain.characterization.memristor_iv import MemristorIvPlan
from spicetrain.characterization.sweep import Subject, Sweep, measure
from spicetrain.inverter.characterization import current_surface, effective_load, loaded_vtc
from spicetrain.inverter.characterization.crossbars import (
    EffectiveLoadPlan,
    Specimen,
    random_crossbar,
    random_rows,
    specimens,
)
from spicetrain.inverter.characterization.current_surface import CurrentSurfacePlan
from spicetrain.inverter.characterization.loaded_vtc import LoadedVtcPlan
from spicetrain.inverter.network import Network
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology

# The unit inverter of ptm90, by hand.
INVERTER = """vup up 0 0.25
vlow low 0 -0.25
mn y a low low nmos w=240e-9 l=90e-9
mp y a up up pmos w=560e-9 l=90e-9
"""


def table(sweeps: list[Any], ngspice: Ngspice) -> pd.DataFrame:
    return pd.concat([pd.DataFrame(measure(simulator(ngspice), sweep).columns) for sweep in sweeps], ignore_index=True)


def test_currents_of_the_inverter(ptm90: Technology, ngspice: Ngspice) -> None:
    found = table(current_surface.sweeps(CurrentSurfacePlan(points=5), Subject(ptm90), 1), ngspice)
    grid = [-0.25, -0.125, 0.0, 0.125, 0.25]
    np.testing.assert_allclose(found[["v_in_V", "v_out_V"]], list(product(grid, grid)), atol=1e-15)
    circuit = f".include {ptm90.library}\n{INVERTER}va a 0 0.0\nvy y 0 0.0"
    deck = Deck(circuit, ".dc vy -0.25 0.25 0.125 va -0.25 0.25 0.125", ("i(vy)", "i(vup)", "i(vlow)"), points=25)
    theirs = simulate(deck, ngspice).values
    np.testing.assert_allclose(found["i_out_A"], theirs["i(vy)"], rtol=1e-6, atol=1e-14)
    np.testing.assert_allclose(found["i_vdd_A"], -theirs["i(vup)"], rtol=1e-6, atol=1e-14)
    np.testing.assert_allclose(found["i_vss_A"], theirs["i(vlow)"], rtol=1e-6, atol=1e-14)


def test_currents_have_the_signs_they_say_and_obey_kirchhoff(
    ptm90: Technology, made_up: Technology, ngspice: Ngspice
) -> None:
    for technology in (ptm90, made_up):
        found = table(current_surface.sweeps(CurrentSurfacePlan(points=21), Subject(technology), 2), ngspice)
        assert found["v_in_V"].min() == found["v_out_V"].min() == technology.rails.vss_V
        assert found["v_in_V"].max() == found["v_out_V"].max() == technology.rails.vdd_V
        assert found["i_vdd_A"].min() > -1e-10
        assert found["i_vss_A"].min() > -1e-10
        pulled_up = found[(found.v_in_V == technology.rails.vss_V) & (found.v_out_V == technology.rails.vss_V)]
        assert pulled_up["i_out_A"].item() > 1e-6
        gate_leakage = found["i_vdd_A"] - found["i_vss_A"] - found["i_out_A"]
        assert gate_leakage.abs().max() < 1e-3 * found["i_out_A"].abs().max()


def test_parts_make_the_whole(ptm90: Technology, ngspice: Ngspice) -> None:
    cases: list[tuple[Any, Any]] = [
        (current_surface, CurrentSurfacePlan(points=7)),
        (loaded_vtc, LoadedVtcPlan(v_in_points=4, v_load_points=5, g_load_points=2)),
    ]
    for module, plan in cases:
        whole, split = (table(module.sweeps(plan, Subject(ptm90), parts), ngspice) for parts in (1, 3))
        pd.testing.assert_frame_equal(whole, split, rtol=1e-6, atol=1e-9)
        assert len(module.sweeps(plan, Subject(ptm90), 100)) < 100  # never an empty run


def test_loaded_vtc(ptm90: Technology, ngspice: Ngspice) -> None:
    plan = LoadedVtcPlan(v_in_points=5, v_load_points=3, g_load_points=3, g_load_min_S=1e-6, g_load_max_S=1e-4)
    found = table(loaded_vtc.sweeps(plan, Subject(ptm90), 2), ngspice)
    assert len(found) == 5 * 3 * 4
    assert not found.duplicated(["v_in_V", "g_load_S", "v_load_V"]).any()
    for g, v_load in product([0.0, 1e-6, 1e-5, 1e-4], [-0.25, 0.0, 0.25]):
        load = f"rload y load {1 / g}\n" if g else ""
        circuit = f".include {ptm90.library}\n{INVERTER}va a 0 0.0\nvload load 0 {v_load}\n{load}"
        theirs = simulate(Deck(circuit, ".dc va -0.25 0.25 0.125", ("v(y)",), points=5), ngspice).values["v(y)"]
        ours = found[np.isclose(found.g_load_S, g, rtol=1e-9, atol=0) & np.isclose(found.v_load_V, v_load)]
        np.testing.assert_allclose(ours.v_in_V, np.linspace(-0.25, 0.25, 5), atol=1e-15)
        np.testing.assert_allclose(ours.v_out_V, theirs, atol=5e-6)  # reltol of 0.25 V, twice


PLAN = EffectiveLoadPlan(
    shapes=((1, 1), (5, 3), (3, 7), (20, 4)),
    distributions=("uniform", "log_uniform", "sparse"),
    crossbars=1,
    samples=3,
    seed=7,
)


def row_current(specimen: Specimen, v_rows: np.ndarray, technology: Technology, f: Any) -> np.ndarray:
    """Row currents [drivers] with the columns found by Newton; f(v) -> I / g and its slope."""
    box, drivers = specimen.crossbar, specimen.drivers
    g = np.stack([box.pos, box.neg], axis=1).reshape(drivers, box.columns)
    g_all = np.vstack([g, box.bias_pos, box.bias_neg])
    v_all = np.r_[v_rows, technology.rails.vdd_V, technology.rails.vss_V][:, None]
    v_columns = np.zeros(box.columns)
    for _ in range(30):
        current, slope = f(v_all - v_columns)
        v_columns = v_columns + (g_all * current).sum(0) / (g_all * slope).sum(0)
    return (g * f(v_rows[:, None] - v_columns)[0]).sum(1)


def test_effective_load_of_ohmic_crossbars_is_the_closed_form(
    ptm90: Technology, made_up: Technology, ngspice: Ngspice
) -> None:
    for technology in (ptm90, made_up):
        found = table(effective_load.sweeps(PLAN, Subject(technology), 2), ngspice)
        assert len(found) == 3 * 3 * 2 * (1 + 5 + 3 + 20)
        for specimen in specimens(PLAN, technology):
            box = specimen.crossbar
            g = np.stack([box.pos, box.neg], axis=1).reshape(specimen.drivers, box.columns)
            for sample, v in enumerate(specimen.v_rows):
                ours = found[(found.crossbar == specimen.number) & (found["sample"] == sample)]
                assert list(ours.side) == ["pos", "neg"] * box.rows
                assert list(ours.row) == [i for i in range(box.rows) for _ in range(2)]
                bias = box.bias_pos * technology.rails.vdd_V + box.bias_neg * technology.rails.vss_V
                v_columns = (v[:, 0] @ box.pos + v[:, 1] @ box.neg + bias) / box.column_sum
                slope = (g - g**2 / box.column_sum).sum(1)
                current = (g * (v.reshape(-1, 1) - v_columns)).sum(1)
                expected = {
                    "g_sum_S": g.sum(1),
                    "g_square_S2": (g**2).sum(1),
                    "column_sum_S": (g * box.column_sum).sum(1) / g.sum(1),
                    "v_row_V": v.ravel(),
                    "v_columns_V": (g * v_columns).sum(1) / g.sum(1),
                    "g_load_S": slope,
                    "v_return_V": v.ravel() - current / slope,
                }
                for name, values in expected.items():
                    np.testing.assert_allclose(ours[name], values, rtol=1e-9, atol=1e-13, err_msg=name)


def test_effective_load_of_sinh_devices_is_the_secant(ptm90: Technology, ngspice: Ngspice) -> None:
    b = 6.0
    technology = with_sinh(ptm90, b)
    plan = PLAN.model_copy(update={"shapes": ((4, 3),), "samples": 2})
    found = table(effective_load.sweeps(plan, Subject(technology), 1), ngspice)

    def sinh(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.sinh(b * v) / b, np.cosh(b * v)

    for specimen in specimens(plan, technology):
        for sample, rows in enumerate(specimen.v_rows):
            ours = found[(found.crossbar == specimen.number) & (found["sample"] == sample)]
            v = rows.ravel()
            at_rest = row_current(specimen, v, technology, sinh)
            for driver in range(specimen.drivers):
                nearby = v + np.eye(specimen.drivers)[driver] * 1e-6
                tangent = (row_current(specimen, nearby, technology, sinh) - at_rest)[driver] / 1e-6
                assert ours.g_load_S.iloc[driver] == pytest.approx(tangent, rel=0.03)  # over 10 mV it bends
                expected = v[driver] - at_rest[driver] / ours.g_load_S.iloc[driver]
                assert ours.v_return_V.iloc[driver] == pytest.approx(expected, abs=1e-6)
        assert (found.g_load_S > found.g_sum_S).any()  # beyond what an ohmic row could be


def test_trained_crossbars_are_taken_from_the_second_on(ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    boxes = tuple(random_crossbar(rng, *shape, "uniform", ptm90.memristor) for shape in ((6, 4), (4, 3), (3, 2)))
    network = Network(boxes, (np.ones((4, 2)), np.ones((3, 2)), np.ones((2, 1))))
    network.save(tmp_path / "mine.safetensors")
    plan = EffectiveLoadPlan(shapes=(), samples=1, trained=(tmp_path / "mine.safetensors",))
    found = table(effective_load.sweeps(plan, Subject(ptm90), 1), ngspice)
    assert set(found.origin) == {"trained"}
    assert sorted(set(zip(found["rows"], found["columns"], strict=True))) == [(3, 2), (4, 3)]
    second = found[found["rows"] == 4]
    np.testing.assert_allclose(second[second.side == "neg"].g_sum_S, boxes[1].neg.sum(1))


def test_random_conductances_and_voltages_stay_in_range(ptm90: Technology) -> None:
    rng = np.random.default_rng(0)
    device = ptm90.memristor
    found = {name: random_crossbar(rng, 60, 20, name, device).pos for name in ("uniform", "log_uniform", "sparse")}
    for g in found.values():
        assert device.g_min_S <= g.min() < g.max() <= device.g_max_S
    middle = (device.g_min_S + device.g_max_S) / 2
    assert np.median(found["uniform"]) == pytest.approx(middle, rel=0.1)
    assert np.median(found["log_uniform"]) == pytest.approx(np.sqrt(device.g_min_S * device.g_max_S), rel=0.3)
    assert 0.85 < np.mean(found["sparse"] == device.g_min_S) < 0.95
    v = random_rows(rng, 50, 40, ptm90.rails)
    assert v.shape == (50, 40, 2)
    assert ptm90.rails.vss_V <= v.min() < v.max() <= ptm90.rails.vdd_V
    assert np.ptp(v.mean((1, 2))) > 0.2  # samples differ in their mean: return voltages cover the rails


def test_memristor_iv(ptm90: Technology, ngspice: Ngspice) -> None:
    bent = with_sinh(ptm90, 2.5)
    for technology in (ptm90, bent):
        found = table(memristor_iv.sweeps(MemristorIvPlan(g_points=3, v_points=5), Subject(technology), 4), ngspice)
        g = np.repeat([1.2e-7, np.sqrt(1.2e-7 * 7.88e-6), 7.88e-6], 5)
        v = np.tile([-0.5, -0.25, 0.0, 0.25, 0.5], 3)
        assert set(found.form) == {technology.memristor.form}
        np.testing.assert_allclose(found.g_S, g)
        np.testing.assert_allclose(found.v_V, v, atol=1e-15)
        expected = g * v if technology is ptm90 else g * np.sinh(2.5 * v) / 2.5
        np.testing.assert_allclose(found.i_A, expected, rtol=1e-9, atol=1e-17)


def test_sweeps_travel_to_workers(ptm90: Technology) -> None:
    import pickle

    sweeps: list[Sweep[Any]] = [
        *current_surface.sweeps(CurrentSurfacePlan(), Subject(ptm90), 2),
        *effective_load.sweeps(PLAN, Subject(ptm90), 2),
    ]
    for sweep in sweeps:
        assert pickle.loads(pickle.dumps(sweep)).deck() == sweep.deck()
