"""A layer in time against snnTorch in the ideal limit, scipy's integrator, and differences; driven rows: test_rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from ideal_laws import ideal_laws
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.spiking.cell_curves import CellCurves
from spicetrain.spiking.circuit import SIDES, SpikingCircuit, load_circuit
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training import circuit_layer as module
from spicetrain.spiking.training.circuit_layer import circuit_layer
from spicetrain.spiking.training.fitted import FittedSpikingCircuit

SHAPES = [(1, 1), (5, 3), (3, 7), (60, 20)]
STEPS, SAMPLES = 12, 9


def circuit_of(array: str, threshold_V: float, C: float, *, edge_s: float = 2e-11, **more: Any) -> SpikingCircuit:
    content = load_circuit(f"lif-{array}").changed((threshold_V,), (C,)).model_dump()
    content["clock"]["edge_s"] = edge_s
    return SpikingCircuit.model_validate(content | more)


def conductances(rows: int, columns: int, seed: int = 0, largest: float = 7.9e-6) -> Conductances:
    """Half of the devices conduct hardly; inhibitory ones are weaker, so that neurons fire."""
    rng = np.random.default_rng(rows + 100 * columns + seed)

    def g(share: float, *shape: int) -> Tensor:
        return torch.tensor(1.2e-7 + share * largest * rng.uniform(0, 1, shape) * (rng.uniform(0, 1, shape) < 0.5))

    return Conductances(g(1, rows, columns), g(0.5, rows, columns), g(1, columns), g(0.5, columns))


def random_spikes(rows: int, steps: int = STEPS, samples: int = SAMPLES) -> Tensor:
    generator = torch.Generator().manual_seed(rows)
    return (torch.rand(steps, samples, rows, generator=generator) < 0.4).double()


def leaky(beta: Tensor, weights: Tensor, bias: Tensor, threshold: float, spikes: Tensor) -> tuple[Tensor, Tensor]:
    """snnTorch's own neuron."""
    neuron = snntorch.Leaky(beta, threshold=threshold, reset_mechanism="zero")
    mem, fired, membranes = torch.zeros(spikes.shape[1], len(bias), dtype=torch.float64), [], []
    for inputs in spikes:
        spike, mem = neuron(inputs @ weights + bias, mem)
        fired.append(spike)
        membranes.append(mem)
    return torch.stack(fired).double(), torch.stack(membranes)


@pytest.mark.parametrize("driven", [False, True])
@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_passive_array_in_the_ideal_limit_is_snntorchs_leaky(rows: int, columns: int, driven: bool) -> None:
    """Stiff rows, edges in no time, an ideal threshold and reset: V <- beta V + w s, whatever the threshold."""
    g = conductances(rows, columns)
    C = float(g.column_sum().mean()) * 15e-9
    circuit = circuit_of("1r", 0.05, C, edge_s=1e-18, inputs="driven" if driven else "ideal")
    fitted = FittedSpikingCircuit(circuit, ideal_laws(circuit, leak_S=1e-7, reset_S=1e3, driver_S=1e9), torch.float64)
    spikes = random_spikes(rows)
    fired, v, _ = circuit_layer(spikes, g, 0, 0.05, fitted)

    G, clock = g.column_sum() + 1e-7, circuit.clock
    per_siemens = 0.5 * -torch.expm1(-G * clock.integrate_s / C) / G
    weights, bias = (g.pos - g.neg) * per_siemens, (g.bias_pos - g.bias_neg) * per_siemens
    expected, mem = leaky(torch.exp(-G * clock.step_s / C), weights, bias, 0.05, spikes)
    assert torch.equal(fired, expected)
    torch.testing.assert_close(v, mem, rtol=0, atol=1e-8)
    assert 0.02 < fired.mean() < 0.9


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_1t1r_far_below_the_supplies_is_snntorchs_leaky(rows: int, columns: int) -> None:
    g, threshold_V = conductances(rows, columns), 5e-8
    C = 8e-9 * 0.4 * float((g.pos.sum(0) - g.neg.sum(0)).abs().mean()) * 0.5 / threshold_V
    circuit = circuit_of("1t1r", threshold_V, C, edge_s=1e-18)
    leak_S = 0.1 * C / circuit.clock.step_s
    fitted = FittedSpikingCircuit(circuit, ideal_laws(circuit, leak_S=leak_S, reset_S=1e9 * leak_S), torch.float64)
    spikes = random_spikes(rows)
    fired, _, _ = circuit_layer(spikes, g, 0, threshold_V, fitted)

    clock = circuit.clock
    share = -np.expm1(-leak_S * clock.integrate_s / C) / leak_S
    weights, bias = 0.5 * share * (g.pos - g.neg), 0.5 * share * (g.bias_pos - g.bias_neg)
    beta = torch.tensor(np.exp(-leak_S * clock.step_s / C))
    expected, mem = leaky(beta, weights, bias, threshold_V, spikes)
    clear = (mem / threshold_V - 1).abs() > 1e-5  # the limit is not reached to the last digit
    assert torch.equal(fired[clear], expected[clear]) and clear.double().mean() > 0.99
    assert 0.02 < fired.mean() < 0.9


def strange_laws(circuit: SpikingCircuit) -> SpikingLaws:
    """Every law that is not ideal, large enough to be seen; a reset leaves a third or so."""
    shapes = ((1.0, [0.05, 0.2], [0.03, 0.04], [0.5, 2.0]), (-1.0, [0.1], [0.05], [1.0]))
    logs = np.array([[-0.3, 0.4, 0.1]])
    cells = {
        side: CellCurves(
            sign, 0.5, np.array(centre), np.array(width), np.array(power), logs.repeat(len(centre), 0), 1e-7, 8e-6
        )
        for side, (sign, centre, width, power) in zip(SIDES, shapes, strict=True)
    }
    return replace(
        ideal_laws(circuit),
        leak=(np.array([2e-9, 2e-6, -1e-5]),),
        reset=(np.array([0.0, 5e-5, -3e-4, 1e-3]),),
        reset_rise_C=(2e-16,),
        reset_charge_C=(-3e-16,),
        reset_lost_s=3e-11,
        trip=np.array([2e-3, 3e-10, 1e-18]),
        trip_bend=np.array([0.0, 8e-20]),
        cells=cells,
        silent_cells={side: np.array([1e-9, -2e-8]) for side in SIDES},
        cell_on_C=2e-16,
        cell_off_C=-1e-16,
        cell_silent_F=4e-16,
        cell_spiking_F=7e-16,
        cell_off_F=4e-16,
        cell_late_s=2e-11,
        cell_ceases_s=5e-12,
        domains={"leak": (-0.4, 0.4), "cell": (-0.4, 0.4), "reset": (0.0, 0.4)},
    )


def cell_current(curves: CellCurves, g: np.ndarray, u: float) -> float:
    """Of cells g [cells] all together at one membrane, as the law is stated."""
    x, total = curves.sign * u, 0.0
    z = 2 * np.log(g / curves.g_low_S) / np.log(curves.g_high_S / curves.g_low_S) - 1
    for centre, width, power, logs in zip(curves.centre_V, curves.width_V, curves.power, curves.log_share, strict=True):
        share = (g * np.exp(sum(a * z**d for d, a in enumerate(logs)))).sum()
        total += share * (curves.drive_V - x) * (1 + np.exp((x - centre) / width)) ** -power
    return float(curves.sign * total)


def integrated(u: float, a: np.ndarray, C: float, t: float, cells: Callable[[float], float] | None = None) -> float:
    def rate(_: float, u: np.ndarray) -> np.ndarray:
        return (np.polynomial.polynomial.polyval(u, a) + (0.0 if cells is None else cells(float(u[0])))) / C

    return float(solve_ivp(rate, (0, t), [u], method="LSODA", rtol=1e-10, atol=1e-12).y[0, -1])


def current_and_slope(i: Callable[[float], float], u: float, h: float = 1e-6) -> np.ndarray:
    return np.array([i(u), (i(u + h) - i(u - h)) / (2 * h)])


def polynomial_sum(*parts: Any) -> np.ndarray:
    total = np.zeros(max(len(part) for part in parts))
    for part in parts:
        total[: len(part)] += part
    return total


def expected_1t1r(
    spikes: np.ndarray, g: Conductances, column: int, circuit: SpikingCircuit, laws: SpikingLaws, threshold_V: float
) -> tuple[list[bool], list[float]]:
    """One column of one sample, `spikes` [steps, rows], cell by cell and phase by phase."""
    clock, fires, membranes = circuit.clock, [], []
    pos, neg = (np.append(rows[:, column], bias[column]) for rows, bias in ((g.pos, g.bias_pos), (g.neg, g.bias_neg)))
    silent_F = circuit.capacitance_F(0) + len(pos) * laws.cell_silent_F
    silent = polynomial_sum(*(laws.silent_cells[side] for side in SIDES))
    at_rest = polynomial_sum(len(pos) * silent, -laws.leak[0])
    u = brentq(lambda u: np.polynomial.polynomial.polyval(u, at_rest), -0.02, 0.02, xtol=1e-12)
    for inputs in spikes:
        on = np.append(inputs, 1.0).astype(bool)
        a, driven = polynomial_sum(-laws.leak[0], (~on).sum() * silent), (pos[on], neg[on])

        def cells(u: float, driven: tuple[np.ndarray, np.ndarray] = driven) -> float:
            return sum(cell_current(laws.cells[side], g, u) for side, g in zip(SIDES, driven, strict=True))

        C = silent_F + on.sum() * laws.cell_spiking_F
        u = (silent_F * u + on.sum() * laws.cell_on_C) / C
        u = integrated(u, a, C, clock.integrate_s - clock.edge_s / 2 - laws.cell_late_s, cells)
        membranes.append(u)

        def flowing(u: float, a: np.ndarray = a, cells: Callable[[float], float] = cells) -> float:
            return float(np.polynomial.polynomial.polyval(u, a)) + cells(u)

        slope, rate = current_and_slope(flowing, u) / C
        late = laws.trip @ slope ** np.arange(3) + rate * laws.trip_bend @ slope ** np.arange(2)
        fires.append(bool(u > threshold_V + late + clock.latch_early_s * slope))
        u += slope * (clock.edge_s / 2 - laws.cell_ceases_s)
        u += on.sum() * (laws.cell_off_C + laws.cell_off_F * u) / silent_F
        if fires[-1]:
            cells_alone, edge_s = len(on) * silent, laws.reset_lost_s / 2
            u = integrated(u, cells_alone, silent_F, edge_s) + laws.reset_rise_C[0] / silent_F
            u = integrated(u, polynomial_sum(cells_alone, -laws.reset[0]), silent_F, clock.rest_s - 2 * edge_s)
            u = integrated(u + laws.reset_charge_C[0] / silent_F, cells_alone, silent_F, edge_s)
        else:
            u = integrated(u, at_rest, silent_F, clock.rest_s + laws.cell_late_s + laws.cell_ceases_s)
    return fires, membranes


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (12, 3)])
def test_1t1r_with_every_law_against_scipy(rows: int, columns: int) -> None:
    g = conductances(rows, columns)
    circuit = circuit_of("1t1r", 0.06, (rows + 1) * 1.5e-14)
    laws = strange_laws(circuit)
    spikes = random_spikes(rows, 5, 2)
    fired, v, _ = circuit_layer(spikes, g, 0, 0.06, FittedSpikingCircuit(circuit, laws, torch.float64))
    for sample in range(2):
        for column in range(columns):
            answer = expected_1t1r(spikes[:, sample].numpy(), g, column, circuit, laws, 0.06)
            assert fired[:, sample, column].bool().tolist() == answer[0]
            np.testing.assert_allclose(v[:, sample, column], answer[1], rtol=0, atol=1e-5)
    assert fired.any() and not fired.all()


def test_rest_away_from_zero_is_a_shift() -> None:
    """Rails, rest and threshold all 0.3 V higher: the same spikes, membranes 0.3 V higher."""
    g, spikes, answers = conductances(5, 3), random_spikes(5), []
    for up in (0.0, 0.3):
        content = circuit_of("1r", 0.02, 1e-13).model_dump()
        content |= {"rest_V": up, "rails": {"vdd_V": 0.5 + up, "vss_V": -0.5 + up}}
        content["neuron"]["threshold_V"] = (0.02 + up,)
        circuit = SpikingCircuit.model_validate(content)
        fitted = FittedSpikingCircuit(circuit, ideal_laws(circuit, leak_S=3e-6), torch.float64)
        answers.append(circuit_layer(spikes, g, 0, 0.02 + up, fitted))
    assert torch.equal(answers[0][0], answers[1][0]) and answers[0][0].any()
    torch.testing.assert_close(answers[0][1] + 0.3, answers[1][1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("array", ["1r", "1t1r"])
def test_gradients_of_membranes_before_any_spike(array: str) -> None:
    circuit = circuit_of(array, 0.4, 4e-14)
    laws = (
        strange_laws(circuit) if array == "1t1r" else replace(ideal_laws(circuit), leak=(np.array([0, 3e-6, -9e-6]),))
    )
    fitted = FittedSpikingCircuit(circuit, laws, torch.float64)
    g = [(value * 1e6).requires_grad_() for value in conductances(3, 2)]
    spikes = random_spikes(3, 2, 1).requires_grad_()

    def membranes(spikes: Tensor, *g: Tensor) -> Tensor:
        fired, v, _ = circuit_layer(spikes, Conductances(*(value * 1e-6 for value in g)), 0, 0.4, fitted)
        assert not fired.any()
        return v

    # Of a cell's closed form without how the points that its parabola goes through move.
    rtol = 2e-3 if array == "1t1r" else 1e-4
    assert torch.autograd.gradcheck(membranes, (spikes, *g), atol=1e-4 if array == "1t1r" else 1e-7, rtol=rtol)


def test_gradient_at_the_spike_is_snntorchs_fast_sigmoid(monkeypatch: pytest.MonkeyPatch) -> None:
    """With x / (1 + k |x|), whose derivative it is, in place of the step, differences see it; one step, so that no
    reset depends on it."""
    circuit = circuit_of("1t1r", 0.05, 4e-14)
    laws = replace(strange_laws(circuit), trip_bend=np.zeros(2))  # the rate of cells passes no gradient
    fitted = FittedSpikingCircuit(circuit, laws, torch.float64, slope=3.0)
    g = [(value * 1e6).requires_grad_() for value in conductances(4, 3)]
    spikes = random_spikes(4, 1, 2)

    def fires(*g: Tensor) -> Tensor:
        return circuit_layer(spikes, Conductances(*(value * 1e-6 for value in g)), 0, 0.05, fitted)[0]

    (gradient,) = torch.autograd.grad(fires(*g).sum(), g[0])
    monkeypatch.setattr(module.surrogate, "fast_sigmoid", lambda slope: lambda x: x / (1 + slope * x.abs()))
    (expected,) = torch.autograd.grad(fires(*g).sum(), g[0])
    assert torch.autograd.gradcheck(fires, g, atol=1e-7, rtol=1e-4)
    torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-9)
    assert expected.abs().max() > 1e-3


def test_a_neuron_that_fired_passes_nothing_through_its_reset() -> None:
    circuit = circuit_of("1r", 0.02, 4e-14)
    fitted = FittedSpikingCircuit(circuit, ideal_laws(circuit), torch.float64)
    g = conductances(5, 3)
    spikes = random_spikes(5, 2, 4).requires_grad_()
    fired, v, _ = circuit_layer(spikes, g, 0, 0.02, fitted)
    (gradient,) = torch.autograd.grad(v[1].sum(1)[fired[0].all(1)].sum(), spikes)
    assert fired[0].all(1).any() and gradient[1].abs().max() > 0
    assert gradient[0].abs().max() == 0


def test_membranes_beyond_the_laws_are_counted() -> None:
    circuit = circuit_of("1t1r", 0.05, 4e-14)
    laws = replace(strange_laws(circuit), domains={"leak": (-0.4, 0.4), "cell": (-0.01, 0.03), "reset": (0.0, 0.4)})
    fitted = FittedSpikingCircuit(circuit, laws, torch.float64)
    _, v, asked = circuit_layer(random_spikes(5), conductances(5, 3), 0, 0.05, fitted)
    beyond = int(((v < -0.01) | (v > 0.03)).sum())
    assert asked.count == {"membrane": beyond} and beyond > 0
    assert asked.farthest["membrane"] == pytest.approx(max(float(v.max()) - 0.03, -0.01 - float(v.min())))
    assert f"membrane: {beyond} values" in str(asked)
    inside = FittedSpikingCircuit(circuit, strange_laws(circuit), torch.float64)
    assert not circuit_layer(random_spikes(5), conductances(5, 3), 0, 0.05, inside).extrapolation


def test_float32_is_near_float64() -> None:
    circuit, g = circuit_of("1r", 0.02, 2e-13), conductances(30, 5)
    answers = []
    for dtype in (torch.float32, torch.float64):
        fitted = FittedSpikingCircuit(circuit, ideal_laws(circuit, leak_S=1e-6), dtype)
        answers.append(
            circuit_layer(random_spikes(30).to(dtype), Conductances(*(v.to(dtype) for v in g)), 0, 0.02, fitted)
        )
    assert answers[0][0].dtype == answers[0][1].dtype == torch.float32
    assert (answers[0][0].double() == answers[1][0]).double().mean() > 0.99
    torch.testing.assert_close(answers[0][1][0].double(), answers[1][1][0], rtol=0, atol=1e-7)
