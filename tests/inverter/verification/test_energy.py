"""Energy and delay against closed forms, against ngspice's .dc, against the surrogate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench import Counted, simulator
from bent import bending
from numpy.typing import NDArray

from inverter.training.circuits import random_network
from inverter.verification.linear import GAIN, GDS, GM, H, linear_technology, one_column
from spicetrain.errors import ConfigurationError, SimulationError
from spicetrain.inverter.definition import EnergySettings
from spicetrain.inverter.netlists.transient import Timing, Wiring, transient_deck
from spicetrain.inverter.network import Network, encode
from spicetrain.inverter.surrogates.current_surface import CurrentSurface, supply_currents
from spicetrain.inverter.verification import energy as module
from spicetrain.inverter.verification.energy import Energy, measure_energy
from spicetrain.inverter.verification.present import rail_power
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.spice.simulator import Simulator
from spicetrain.technology import Technology

Measure = Callable[..., Energy]
INPUTS = np.random.default_rng(5).random((4, 5)).astype(np.float32)


@pytest.fixture
def measure(tmp_path: Path) -> Measure:
    def run(
        network: Network, technology: Technology, inputs: NDArray, at: Simulator | None = None, **settings: Any
    ) -> Energy:
        wanted = EnergySettings(images=len(inputs), **settings)
        at = at or simulator(scratch=tmp_path / "scratch")
        return measure_energy(network, technology, inputs.astype(np.float32), wanted, at)

    return run


@pytest.fixture
def linear(tmp_path: Path) -> Technology:
    return linear_technology(tmp_path / "technology")


def near(expected: Any, rel: float = 1e-6) -> Any:
    """approx without its absolute 1e-12, which any picojoule passes."""
    return pytest.approx(expected, rel=rel, abs=0)


TWO = np.array([[0.1], [0.9]])


@pytest.mark.parametrize(("column_F", "settled"), [(1e-12, 0.1), (1e-11, 0.01)])
def test_one_pole_settles_after_rc_times_the_logarithm(
    column_F: float, settled: float, linear: Technology, measure: Measure
) -> None:
    network = one_column(5e-6, 2e-6, size=3.0)
    tau_s = column_F / 9e-6
    found = measure(network, linear, TWO, column_capacitance_F=column_F, settled=settled, edge_s=1e-6 * tau_s)
    assert found.by_image["hold_time_s"] == near(np.full(2, tau_s * np.log(1 / settled)), rel=5e-3)
    assert found.figures.hold_time_s < 0.8 * found.figures.period_s
    assert found.figures.fingers == 3.0


def test_an_output_capacitance_is_charged_through_the_inverter_and_rims_resistor(
    linear: Technology, measure: Measure
) -> None:
    network, row_F = one_column(5e-6, 2e-6, size=2.0, ground_S=3e-5), 1e-12
    tau_s = row_F / (2 * 2 * GDS + 3e-5)
    found = measure(network, linear, TWO, row_capacitance_F=row_F, edge_s=1e-6 * tau_s)
    assert found.figures.hold_time_s == near(tau_s * np.log(10), rel=2e-3)


def test_energy_of_the_linear_inverter_is_the_closed_form(linear: Technology, measure: Measure) -> None:
    """Each rail gives h times its current; what depends on the signal, and on the load, cancels between the two."""
    for ground_S in (0.0, 4e-5):
        network = one_column(5e-6, 2e-6, size=2.0, ground_S=ground_S)
        found = measure(network, linear, TWO, column_capacitance_F=1e-12)
        power_W = 2 * H * 2.0 * (GM + GDS) * H
        figures = found.figures
        assert figures.static_power_W == near(power_W, rel=1e-5)
        assert figures.energy_per_inference_J == near(power_W * figures.hold_time_s, rel=1e-5)


def test_source_power_is_what_the_sources_give(linear: Technology, measure: Measure) -> None:
    """Two row sources at +-x h, two bias rows at +-h, by Ohm's law at each resistor."""
    found = measure(one_column(5e-6, 2e-6, size=1.0), linear, TWO, column_capacitance_F=1e-13)
    for image, x in enumerate((0.1, 0.9)):
        ends = [(5e-6, x * H), (2e-6, -x * H), (1e-6, H), (1e-6, -H)]
        v = sum(g * e for g, e in ends) / sum(g for g, _ in ends)
        given = sum(e * g * (e - v) for g, e in ends)
        assert found.by_image["source_power_W"][image] == near(given, rel=1e-6)
    figures = found.figures
    assert figures.source_power_W == near(found.by_image["source_power_W"].mean())
    assert figures.hold_time_s == found.by_image["hold_time_s"].max()
    assert figures.source_energy_J == near(figures.source_power_W * figures.hold_time_s)


def chain(technology: Technology, *layers: int, ground_S: float = 0.0) -> Network:
    return replace(random_network(technology, *layers), ground_S=ground_S)


def surrogate_power(network: Network, technology: Technology, surface: CurrentSurface, inputs: NDArray) -> NDArray:
    """Rails' power of the surrogate's inverters and of the bias rows, at ngspice's own voltages (of its .dc)."""
    from spicetrain.inverter.netlists.network import network_deck
    from spicetrain.spice.ngspice import find_ngspice

    v = simulate(network_deck(network, technology, inputs, "reduced", hidden=True), find_ngspice()).values
    rails, last = technology.rails, len(network.crossbars) - 1
    total = np.zeros(len(inputs))
    for layer, (box, sizes) in enumerate(zip(network.crossbars, network.sizes, strict=True)):
        for j in range(box.columns):
            nodes = [f"c{layer}_{j}", *([f"o_{j}"] if layer == last else [f"n{layer}_{j}", f"p{layer}_{j}"])]
            for size, (a, b) in zip(sizes[j], zip(nodes, nodes[1:], strict=False), strict=True):
                ends = (torch.tensor(v[f"v({node})"].copy()) for node in (a, b))
                upper, lower = supply_currents(surface, *ends)
                total += size * (rails.vdd_V * upper - rails.vss_V * lower).numpy()
            if layer:
                column = v[f"v(c{layer}_{j})"]
                total += rails.vdd_V * box.bias_pos[j] * (rails.vdd_V - column)
                total += rails.vss_V * box.bias_neg[j] * (rails.vss_V - column)
    return total


@pytest.mark.parametrize("ground_S", [0.0, 2e-5])
@pytest.mark.parametrize("layers", [(1, 1), (5, 3, 2)])
def test_static_power_is_the_surrogates_and_that_of_the_transients_end(
    layers: tuple[int, ...], ground_S: float, ptm90: Technology, surface: CurrentSurface, measure: Measure
) -> None:
    network, inputs = chain(ptm90, *layers, ground_S=ground_S), INPUTS[:, : layers[0]]
    found = measure(network, ptm90, inputs)
    expected = surrogate_power(network, ptm90, surface, inputs)
    np.testing.assert_allclose(found.by_image["static_power_W"], expected, rtol=2e-3)
    ends = [wave.power_W[-1] for wave in found.waveforms]
    np.testing.assert_allclose(ends, found.by_image["static_power_W"][: len(ends)], rtol=1e-3)
    assert found.figures.static_power_W == near(expected.mean(), rel=2e-3)


def test_all_images_are_held_for_the_slowest(ptm90: Technology, measure: Measure) -> None:
    network = chain(ptm90, 5, 3, 2)
    found = measure(network, ptm90, INPUTS)
    figures, hold_s = found.figures, found.by_image["hold_time_s"]
    assert 0 < hold_s.min() < hold_s.max() == figures.hold_time_s
    for wave, joules in zip(found.waveforms, found.by_image["energy_J"], strict=False):
        times = np.linspace(0, hold_s.max(), 20001)
        watts = np.interp(times, wave.time_s, wave.power_W)
        assert joules == near(watts.mean() * hold_s.max(), rel=1e-3)
    assert figures.energy_per_inference_J == near(found.by_image["energy_J"].mean())
    assert figures.source_energy_J == near(figures.source_power_W * hold_s.max())
    assert figures.fingers == near(sum(sum(pair) for sizes in network.sizes for pair in sizes))


def test_the_period_lasts_until_small_steps_are_made_too(
    linear: Technology, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No step is 1 V, so none is waited for; but the outputs must be near their DC points for the figures to hold."""
    monkeypatch.setattr(module, "_first_guess_s", lambda *_: 1e-9)
    network, tau_s = one_column(5e-6, 2e-6, size=1.0), 1e-12 / 9e-6
    figures = measure(network, linear, TWO, column_capacitance_F=1e-12, step_min_V=1.0).figures
    step_V = abs(GAIN) * 0.8 * H * 3 / 9
    assert (figures.steps, figures.hold_time_s) == (0, 0.0)
    assert tau_s * np.log(step_V / 0.05) < figures.period_s < 2 * tau_s * np.log(step_V / 0.05)


def held_for(
    network: Network, technology: Technology, ngspice: Ngspice, timing: Timing, options: dict[str, Any] | None = None
) -> tuple[NDArray, NDArray, float]:
    """(time, rail power, its integral) of the four images."""
    deck = transient_deck(network, technology, INPUTS[[3, 0, 1, 2, 3]], timing, Wiring(2e-14))
    answer = simulate(replace(deck, options={**deck.options, **(options or {})}), ngspice)
    time_s, power_W = answer.values["time"], rail_power(answer, technology.rails)
    return time_s, power_W, float(np.sum(np.diff(time_s) * (power_W[1:] + power_W[:-1])) / 2)


def test_energy_of_a_long_period_is_the_static_power_times_it(
    ptm90: Technology, measure: Measure, ngspice: Ngspice
) -> None:
    network = chain(ptm90, 5, 3, 2)
    static_W = measure(network, ptm90, INPUTS).by_image["static_power_W"]
    timing = Timing(1e-4, 1e-11)
    joules = held_for(network, ptm90, ngspice, timing)[2]
    assert joules == near(static_W.sum() * timing.period_s, rel=1e-3)


def test_the_energy_does_not_depend_on_ngspices_step(ptm90: Technology, ngspice: Ngspice) -> None:
    network, timing = chain(ptm90, 5, 3, 2), Timing(2e-8, 1e-11)
    others: list[dict[str, Any]] = [{}, {"reltol": 1e-6, "trtol": 1.0, "chgtol": 1e-19}, {"method=gear": True}]
    here, fine, gear = (held_for(network, ptm90, ngspice, timing, options)[2] for options in others)
    assert here == near(fine, rel=1e-4)
    assert here == near(gear, rel=1e-3)


@pytest.mark.parametrize("device", ["ohmic", "sinh"])
def test_flat_and_reduced_are_the_same_also_in_time(device: str, ptm90: Technology, ngspice: Ngspice) -> None:
    """The flat netlist's rails feed the first bias rows too, which reach the rails' power but not the outputs."""
    network, timing, wiring = chain(ptm90, 5, 3, 2), Timing(2e-8, 1e-11), Wiring(2e-14, 1e-15)
    technology = ptm90 if device == "ohmic" else bending(ptm90, device)
    reduced, flat = (
        simulate(transient_deck(network, technology, INPUTS, timing, wiring, form), ngspice)
        for form in ("reduced", "flat")
    )
    times = np.linspace(0, 6e-8, 997)
    for node in ("v(o_0)", "v(o_1)"):
        curves = [np.interp(times, one.values["time"], one.values[node]) for one in (reduced, flat)]
        assert np.ptp(curves[0]) > 0.01
        np.testing.assert_allclose(curves[0], curves[1], rtol=0, atol=2e-4)


def test_every_image_is_an_edge_from_the_one_before(linear: Technology, measure: Measure) -> None:
    """Outputs at the start of each waveform: GAIN times the column's voltage of the image before."""
    inputs = np.array([[0.1], [0.9], [0.4], [0.7]])
    network = one_column(5e-6, 2e-6, size=1.0)
    found = [measure(network, linear, inputs, simulator(workers=n), column_capacitance_F=1e-12) for n in (1, 2)]
    v_pos, v_neg = encode(inputs, "unipolar", linear.rails)
    out = GAIN * network.crossbars[0].open_column_voltage(v_pos, v_neg, linear.rails)[:, 0]
    for k, wave in enumerate(found[0].waveforms):
        assert (wave.v_out_V[0, 0], wave.v_out_V[-1, 0]) == pytest.approx((out[k - 1], out[k]), abs=1e-4)
        assert (wave.time_s[0], wave.time_s[-1]) == near((0.0, found[0].figures.period_s))
    assert len(found[0].waveforms) == module.DRAWN
    for name, values in found[0].by_image.items():
        np.testing.assert_allclose(found[1].by_image[name], values, rtol=2e-3, err_msg=name)


def test_images_that_look_alike_have_nothing_to_settle(linear: Technology, measure: Measure) -> None:
    figures = measure(one_column(5e-6, 2e-6, size=1.0), linear, np.full((3, 1), 0.5)).figures
    assert (figures.steps, figures.hold_time_s, figures.energy_per_inference_J) == (0, 0.0, 0.0)


def test_a_circuit_that_never_settles_is_said(
    linear: Technology, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_DOUBLINGS", 2)
    monkeypatch.setattr(module, "_first_guess_s", lambda *_: 1e-9)
    with pytest.raises(
        SimulationError, match=r"Held for 2e-09 s an image's outputs do not settle.* V from its DC point"
    ):
        measure(one_column(5e-6, 2e-6, size=1.0), linear, TWO, column_capacitance_F=1e-12)


def test_a_short_first_guess_gives_the_same_figures(
    linear: Technology, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, settings = one_column(5e-6, 2e-6, size=1.0), {"column_capacitance_F": 1e-12}
    long = measure(network, linear, TWO, **settings).figures
    monkeypatch.setattr(module, "_first_guess_s", lambda *_: 1e-9)
    short = measure(network, linear, TWO, **settings).figures
    assert short.period_s < long.period_s
    for name in ("hold_time_s", "energy_per_inference_J"):
        assert getattr(short, name) == near(getattr(long, name), rel=1e-3)


def test_finished_pieces_are_not_simulated_again(
    ptm90: Technology, measure: Measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, answer = chain(ptm90, 5, 3, 2), Counted()
    at = simulator(scratch=tmp_path / "scratch", answer=answer)
    monkeypatch.setattr(module, "PIECE", 2)
    first = measure(network, ptm90, INPUTS, at)
    assert answer.calls == 1 + 2  # the operating points; the first piece, which found the period, counts for the whole
    again = measure(network, ptm90, INPUTS, at)
    assert answer.calls == 3 + 1
    for name, values in first.by_image.items():
        np.testing.assert_array_equal(again.by_image[name], values)
    for changed in ({"column_capacitance_F": 1e-15}, {"row_capacitance_F": 1e-15}, {"edge_s": 2e-11}):
        before = answer.calls
        measure(network, ptm90, INPUTS, at, **changed)
        assert answer.calls >= before + 1 + 2, changed


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"images": 1}, "no step"),
        ({"images": -1}, "greater than or equal to 0"),
        ({"column_capacitance_F": -1e-15}, "greater than or equal to 0"),
        ({"row_capacitance_F": -1e-15}, "greater than or equal to 0"),
        ({"edge_s": 0.0}, "greater than 0"),
        ({"settled": 0.0}, "greater than 0"),
        ({"settled": 1.0}, "less than 1"),
        ({"step_min_V": 0.0}, "greater than 0"),
        ({"step_min_V": float("nan")}, "finite number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        EnergySettings(**settings)


@pytest.mark.parametrize("timing", [(0.0, 1e-11), (-1e-9, 1e-11), (1e-9, 0.0), (1e-9, -1e-11), (1e-9, 1e-9)])
def test_impossible_timing_is_refused(timing: tuple[float, float]) -> None:
    with pytest.raises(ConfigurationError, match="an edge takes some time"):
        Timing(*timing)


def test_one_sample_has_no_transient(ptm90: Technology) -> None:
    with pytest.raises(ConfigurationError, match="two are needed"):
        transient_deck(chain(ptm90, 5, 3, 2), ptm90, INPUTS[:1], Timing(1e-8, 1e-11), Wiring())
