"""A layer whose array has wires, in time: against scipy on the dense network of its resistors; gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dense_wires import DensePorts, dense_ports
from interrupted import interrupt_at
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.wired import EXACTLY, row_wires_of
from spicetrain.array.wired_ports import ports_correction
from spicetrain.array.wires import Wires
from spicetrain.spiking.circuit import SIDES, SpikingCircuit
from spicetrain.spiking.definition import SpikingTrainingSettings
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.circuit_layer import circuit_layer
from spicetrain.spiking.training.encoding import encode
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.model import TrainableSpikingNetwork
from spicetrain.spiking.training.phases import Phases
from spicetrain.spiking.training.predict import predict
from spicetrain.technology import Technology
from spicetrain.training import loop
from spiking.training.test_loop import CIRCUIT, LAWS, SHAPE, STEPS, Trainer, require_same
from spiking.training.test_rows import THRESHOLD_V, case

WIRES = Wires(row_ohm=2000.0, column_ohm=3000.0, feed_ohm=500.0)


def wired(technology: Technology, **changes: Any) -> Technology:
    return technology.changed(wires=WIRES.model_copy(update=changes))


class Kirchhoff:
    """One sample in one state; rows solved anew at every moment. `laws` None: ideal sources hold the rows."""

    def __init__(
        self, active: NDArray[np.bool_], ports: DensePorts, circuit: SpikingCircuit, laws: SpikingLaws | None
    ) -> None:
        pairs = [(side, bool(on)) for on in active for side in SIDES]  # in the order of the wires
        supply = {"excitatory": circuit.rails.vdd_V, "inhibitory": circuit.rails.vss_V}
        self.level = np.array([supply[side] - circuit.rest_V if on else 0.0 for side, on in pairs])
        self.ports, self.law = ports, None
        if laws is not None:
            self.law = np.array([laws.drivers[pair].current for pair in pairs]).T

    def rows(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        y, ports = self.level.copy(), self.ports
        if self.law is None:
            return y
        for _ in range(6):
            x = y - self.level
            excess = sum(a * x**k for k, a in enumerate(self.law)) - ports.A @ y + ports.B @ u
            slope = sum(k * a * x ** (k - 1) for k, a in enumerate(self.law) if k)
            y = y - np.linalg.solve(np.diag(slope) - ports.A, excess)
        return y

    def charge(self, u: NDArray[np.float64], law: NDArray[np.float64], C: float, t: float) -> NDArray[np.float64]:
        def rate(_: float, u: NDArray[np.float64]) -> NDArray[np.float64]:
            leaves = sum(a * u**k for k, a in enumerate(law))
            return (self.ports.B.T @ self.rows(u) - self.ports.Y @ u - leaves) / C

        self.rate = rate
        return solve_ivp(rate, (0, t), u, method="LSODA", rtol=1e-8, atol=1e-10).y[:, -1]


def integrated(
    spikes: NDArray[np.float64],
    ports: DensePorts,
    circuit: SpikingCircuit,
    laws: SpikingLaws,
    layer: int,
    driven: bool,
    wire_F: float,
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """(fired, u at the latch) [steps, columns] of one sample, `spikes` [steps, rows]."""
    C, phases, columns = circuit.capacitance_F(layer) + wire_F, Phases.of(circuit, laws), len(ports.Y)
    leak, reset = (np.append(law, np.zeros(3 - len(law)))[:, None] for law in (laws.leak[0], laws.reset[0]))
    of_rows = laws if driven else None
    silent = Kirchhoff(np.zeros(spikes.shape[1] + 1, bool), ports, circuit, of_rows)
    u = silent.charge(np.zeros(columns), np.repeat(leak, columns, 1), C, 1e-6)  # long at rest
    fires, membranes = [], []
    for inputs in spikes:
        state = Kirchhoff(np.append(inputs, 1) > 0, ports, circuit, of_rows)
        u = state.charge(u, np.repeat(leak, columns, 1), C, phases.driven_s)
        membranes.append(u)
        slope = state.rate(0.0, u)
        fires.append(u - circuit.clock.latch_early_s * slope > THRESHOLD_V - circuit.rest_V)
        u = u + slope * phases.after_s
        u = silent.charge(u, np.where(fires[-1], reset, leak), C, phases.rest_s)
        u = u + np.where(fires[-1], laws.reset_charge_C[0] / C, 0.0)
    return np.array(fires), np.array(membranes)


@pytest.mark.parametrize("driven", [False, True])
@pytest.mark.parametrize(("rows", "columns", "tau_s"), [(1, 1, 20e-9), (5, 3, 3e-9), (20, 7, 3e-9)])
def test_membranes_against_scipy(rows: int, columns: int, tau_s: float, driven: bool, ptm90: Technology) -> None:
    circuit, laws, g = case(rows, columns, tau_s, seed=rows, sag=0.06)
    layer, technology = int(driven), wired(ptm90, column_F=2e-15)
    wires = technology.segments
    assert wires is not None
    ports = dense_ports(row_wires_of(g).numpy(), wires)
    fitted = FittedSpikingCircuit(circuit, laws, torch.float64, technology=technology)
    spikes = torch.tensor(np.random.default_rng(rows).uniform(0, 1, (4, 2, rows)) < 0.4, dtype=torch.float64)
    held = ports_correction(g, wires, driven=driven, near=EXACTLY)
    fired, v, _ = circuit_layer(spikes, g, layer, THRESHOLD_V, fitted, correction=held)
    ideal = circuit_layer(spikes, g, layer, THRESHOLD_V, FittedSpikingCircuit(circuit, laws, torch.float64)).membranes
    for sample in range(2):
        expected = integrated(spikes[:, sample].numpy(), ports, circuit, laws, layer, driven, 2e-15 * ports.reach)
        np.testing.assert_allclose(v[:, sample].numpy(), expected[1], rtol=0, atol=2e-5)
        assert np.array_equal(fired[:, sample].bool().numpy(), expected[0])
    assert (v - ideal).abs().max() > 1e-3
    rough = FittedSpikingCircuit(circuit, laws, torch.float32, technology=technology)
    in_training = Conductances(*(value.float() for value in g))
    held = ports_correction(in_training, wires, driven=driven)
    coarse = circuit_layer(spikes[:1].float(), in_training, layer, THRESHOLD_V, rough, correction=held).membranes
    torch.testing.assert_close(coarse.double(), v[:1], rtol=0, atol=3e-4)


@pytest.mark.parametrize("driven", [False, True])
def test_gradients_before_any_spike(driven: bool, ptm90: Technology) -> None:
    """In spikes and conductances, the correction being held."""
    circuit, laws, g = case(3, 2, 2e-9, seed=2, sag=0.1)
    technology = wired(ptm90)
    assert technology.segments is not None
    held = ports_correction(g, technology.segments, driven=driven, near=EXACTLY)
    fitted = FittedSpikingCircuit(circuit, laws, torch.float64, technology=technology)
    scaled = [(value * 1e6).requires_grad_() for value in g]
    spikes = torch.rand(2, 1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def membranes(spikes: Tensor, *g: Tensor) -> Tensor:
        siemens = Conductances(*(value * 1e-6 for value in g))
        fired, v, _ = circuit_layer(spikes, siemens, int(driven), 0.45, fitted, correction=held)
        assert not fired.any()
        return v

    assert torch.autograd.gradcheck(membranes, (spikes, *scaled), atol=1e-8, rtol=1e-4)


def test_an_interrupted_training_goes_on_to_the_same_network(
    ptm90: Technology, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = Trainer(wired(ptm90))
    whole = train(tmp_path / "whole", epochs=2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt_at(patch, loop, STEPS + 2)
        train(tmp_path / "broken", epochs=2)
    require_same(whole, train(tmp_path / "broken", epochs=2))
    ideal = Trainer(ptm90)(tmp_path / "ideal", epochs=2)
    assert np.abs(ideal.crossbars[0].pos - whole.crossbars[0].pos).max() > 1e-9


def test_a_network_in_training_is_corrected_to_the_exact_mesh(ptm90: Technology) -> None:
    technology = wired(ptm90, row_ohm=50000.0, column_ohm=30000.0)
    fitted = FittedSpikingCircuit(CIRCUIT, LAWS, torch.float32, technology=technology)
    model = TrainableSpikingNetwork(SHAPE, SpikingTrainingSettings(), technology.memristor, fitted)
    spikes = np.random.default_rng(0).random((7, SHAPE.steps, 4)) < 0.5
    exact = predict(model.network({}), spikes, CIRCUIT, LAWS, technology=technology)[0][1]

    def off_V() -> float:
        with torch.no_grad():
            membranes = model(torch.tensor(spikes).transpose(0, 1).float())[0].membranes
        return float(np.abs(membranes.transpose(0, 1).numpy() - exact).max())

    alone = off_V()
    model.correct_wires()
    assert off_V() < 1e-5 < 0.01 * alone


def test_weights_of_a_regular_network_are_calibrated_on_arrays_with_wires(ptm90: Technology, tmp_path: Path) -> None:
    train = Trainer(wired(ptm90, column_ohm=30000.0))
    network = train(tmp_path, epochs=2, method="regular")
    spikes = encode(train.iris.train_inputs, SHAPE, 5)
    own = predict(network, spikes, CIRCUIT, None, "regular")

    def off(technology: Technology | None) -> float:
        answers = predict(network, spikes, CIRCUIT, LAWS, technology=technology)
        pairs = zip(answers, own, strict=True)
        return max(abs(float(fired.mean() - wanted.mean())) for (fired, _), (wanted, _) in pairs)

    assert off(train.technology) < 0.01 and off(None) > 0.05  # spikes a step; of few outputs every one counts
