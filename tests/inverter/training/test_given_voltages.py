"""Gradients at voltages solved elsewhere: kcl's own at kcl's solution, elsewhere those of Kirchhoff's law linearized
there; and those of ngspice itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.crossbar import Crossbar
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.netlists.network import network_deck, saved_nodes
from spicetrain.inverter.network import Network
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.newton import Tolerance
from spicetrain.inverter.training.output import solve_output
from spicetrain.inverter.training.parameters import row_signal
from spicetrain.inverter.training.stage import solve_stage
from spicetrain.inverter.training.voltages import Convergence, LayerVoltages, Prediction
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology
from spicetrain.training.settings import NoSettings

from .circuits import EXACT, random_network
from .test_stage import stage

SHAPES = [(4, 3, 3), (7, 5, 4, 3), (2, 1, 1), (3, 2)]


class Differentiable:
    """A network's voltages as functions of the logarithms of its conductances and sizes, one tensor each."""

    def __init__(self, network: Network, circuit: FittedCircuit, inputs: NDArray) -> None:
        self.circuit, self.network = circuit, network
        arrays = [value for box in network.crossbars for value in vars(box).values()] + list(network.sizes)
        self.logs = [torch.tensor(np.log(array), requires_grad=True) for array in arrays]
        self.signal = row_signal(torch.from_numpy(inputs), network.encoding, circuit.rails)
        self.predictor = METHODS["kcl"].predictor(circuit, [], network.ground_S, NoSettings())
        shape = (len(inputs), network.layers[-1])
        self.weights = torch.from_numpy(np.random.default_rng(5).normal(size=shape))

    def predicted(self, given: list[LayerVoltages] | None = None) -> Prediction:
        values, depth = [log.exp() for log in self.logs], len(self.network.crossbars)
        boxes = [Conductances(*values[4 * i : 4 * i + 4]) for i in range(depth)]
        found: Prediction = self.predictor(boxes, values[4 * depth :], self.signal, given)
        return found

    def voltages(self, given: list[LayerVoltages] | None = None) -> list[LayerVoltages]:
        return self.predicted(given).layers

    def gradients(self, given: list[LayerVoltages] | None = None) -> list[Tensor]:
        """Of the weighted sum of the outputs."""
        return list(torch.autograd.grad((self.weights * self.voltages(given)[-1].v_n).sum(), self.logs))


def detached(layers: list[LayerVoltages]) -> list[LayerVoltages]:
    return [LayerVoltages(*(None if v is None else v.detach() for v in vars(layer).values())) for layer in layers]  # type: ignore[arg-type]


@pytest.mark.parametrize("layers", SHAPES)
def test_at_kcls_own_solution_the_gradients_are_kcls(
    layers: tuple[int, ...], ptm90: Technology, circuit: FittedCircuit
) -> None:
    # Down to the last digit: kcl's own is a step behind.
    circuit = replace(circuit, tolerance=Tolerance(step_V=1e-30, iterations=8))
    inputs = np.random.default_rng(1).random((6, layers[0]))
    grounded = replace(random_network(ptm90, *layers), ground_S=2e-5)  # else an output's size counts for nothing
    net = Differentiable(grounded, circuit, inputs)
    given = detached(net.voltages())
    expected = net.gradients()
    largest = max(float(gradient.abs().max()) for gradient in expected)
    for found, gradient in zip(net.gradients(given), expected, strict=True):
        torch.testing.assert_close(found, gradient, rtol=1e-9, atol=1e-12 * largest)
        assert found.abs().max() > 0


def test_the_values_are_the_given_ones_and_nothing_is_solved(ptm90: Technology, circuit: FittedCircuit) -> None:
    net = Differentiable(random_network(ptm90, 4, 3, 3), circuit, np.random.default_rng(1).random((6, 4)))
    rng = np.random.default_rng(2)

    def anything(columns: int) -> Tensor:
        return torch.from_numpy(rng.uniform(-0.2, 0.2, (6, columns)))

    given = [LayerVoltages(anything(3), anything(3), anything(3)), LayerVoltages(anything(3), anything(3))]
    assert net.predicted(given).convergence == Convergence()
    for layer, known in zip(net.voltages(given), given, strict=True):
        for v, expected in zip(vars(layer).values(), vars(known).values(), strict=True):
            assert (v is None) == (expected is None)
            assert v is None or torch.equal(v, expected)
    assert not any(v.requires_grad for layer in given for v in vars(layer).values() if v is not None)


@pytest.mark.parametrize("layers", SHAPES[:2])
def test_they_are_finite_differences_of_kcl(layers: tuple[int, ...], ptm90: Technology, circuit: FittedCircuit) -> None:
    net = Differentiable(random_network(ptm90, *layers), circuit, np.random.default_rng(1).random((6, layers[0])))
    found = net.gradients(detached(net.voltages()))
    step, rng = 1e-5, np.random.default_rng(3)
    for log, gradient in zip(net.logs, found, strict=True):
        direction = torch.from_numpy(rng.choice([-1.0, 1.0], tuple(log.shape)))
        sums = []
        for sign in (1, -1):
            with torch.no_grad():
                log += sign * step * direction
                sums.append(float((net.weights * net.voltages()[-1].v_n).sum()))
                log -= sign * step * direction
        assert (sums[0] - sums[1]) / (2 * step) == pytest.approx(
            float((gradient * direction).sum()), rel=1e-5, abs=1e-8
        )


def jacobian(function: Callable[[NDArray], NDArray], x: NDArray, step: float) -> NDArray:
    """Central differences, [values, unknowns]."""
    shifts = step * np.eye(len(x))
    return np.stack([(function(x + shift) - function(x - shift)) / (2 * step) for shift in shifts], axis=1)


def test_anywhere_they_are_those_of_kirchhoffs_law_linearized_there(ptm90: Technology, inverters: Inverters) -> None:
    """The point is no solution: the surface's view of the circuit and ngspice's are not the same."""
    rows, columns = 3, 2
    arrays = [array[1:2] if place == 0 else array for place, array in enumerate(stage(ptm90, rows, columns))]
    rng = np.random.default_rng(4)
    v = rng.uniform(-0.2, 0.2, 2 * rows + columns)
    shapes, ends = [array.shape for array in arrays], np.cumsum([array.numel() for array in arrays])

    def currents(v: NDArray, u: NDArray) -> NDArray:
        """Sum of the currents into every node, microamperes; v_in is moved by u volts, all else by the factor exp u."""
        parts = [part.reshape(shape) for part, shape in zip(np.split(u, ends[:-1]), shapes, strict=True)]
        v_in = (arrays[0].numpy() + parts[0])[0]
        g_n, g_p, b_pos, b_neg, m_n, m_p = (a.numpy() * np.exp(p) for a, p in zip(arrays[1:], parts[1:], strict=True))
        v_n, v_p, v_col = v[:rows], v[rows : 2 * rows], v[2 * rows :]
        i = inverters.current(*(torch.from_numpy(np.concatenate(pair)) for pair in ((v_in, v_n), (v_n, v_p))))[
            0
        ].numpy()
        down_n, down_p = g_n * (v_n[:, None] - v_col), g_p * (v_p[:, None] - v_col)
        into_columns = (down_n + down_p).sum(0) + b_pos * (0.25 - v_col) + b_neg * (-0.25 - v_col)
        sums = m_n * i[:rows] - down_n.sum(1), m_p * i[rows:] - down_p.sum(1), into_columns
        return 1e6 * np.concatenate(sums)

    nothing = np.zeros(ends[-1])
    dF_dv = jacobian(lambda w: currents(w, nothing), v, 1e-5)
    dF_du = jacobian(lambda u: currents(v, u), nothing, 1e-5)
    weights = rng.normal(size=len(v))
    expected = -np.linalg.solve(dF_dv.T, weights) @ dF_du
    leaves = [torch.zeros(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    moved = [arrays[0] + leaves[0], *(a * u.exp() for a, u in zip(arrays[1:], leaves[1:], strict=True))]
    given = tuple(torch.from_numpy(part)[None] for part in np.split(v, [rows, 2 * rows]))
    v_in, g, sizes = moved[0], Conductances(*moved[1:5]), torch.stack(moved[5:], 1)
    solution = solve_stage(v_in, g, sizes, inverters, EXACT, given)  # type: ignore[arg-type]
    out = torch.cat((solution.v_n, solution.v_p, solution.v_col), dim=1)
    found = torch.autograd.grad((out * torch.from_numpy(weights)).sum(), leaves)
    assert np.abs(currents(v, nothing)).min() > 1e-3
    np.testing.assert_allclose(torch.cat([g.reshape(-1) for g in found]), expected, rtol=1e-5, atol=1e-8)


def test_outputs_anywhere_too(inverters: Inverters) -> None:
    v_in, given = torch.tensor([[-0.1, 0.003, 0.08]]).double(), torch.tensor([[0.2, 0.05, -0.1]]).double()
    m = torch.tensor([1.0, 2.5, 4.0], dtype=torch.float64)
    v_in.requires_grad_(), m.requires_grad_()
    grounded = replace(inverters, ground_S=2e-5)
    found = torch.autograd.grad(solve_output(v_in, m, grounded, EXACT, given).v_out.sum(), (v_in, m))

    def current(v_in: Tensor, m: Tensor, v_out: Tensor) -> Tensor:
        return m * inverters.current(v_in.detach(), v_out)[0] - 2e-5 * v_out

    h = 1e-6
    with torch.no_grad():
        falling = (current(v_in, m, given + h) - current(v_in, m, given - h)) / (2 * h)
        by_v = (current(v_in + h, m, given) - current(v_in - h, m, given)) / (2 * h)
        by_m = (current(v_in, m + h, given) - current(v_in, m - h, given)) / (2 * h)
    torch.testing.assert_close(found[0], -by_v / falling, rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(found[1], (-by_m / falling)[0], rtol=1e-5, atol=1e-9)


def in_ngspice(network: Network, technology: Technology, inputs: NDArray, ngspice: Ngspice) -> dict[str, NDArray]:
    answer = simulate(network_deck(network, technology, inputs, "reduced", hidden=True), ngspice)
    return {node: answer.values[f"v({node})"] for node in saved_nodes(network, hidden=True)}


def test_they_are_finite_differences_of_ngspice(ptm90: Technology, circuit: FittedCircuit, ngspice: Ngspice) -> None:
    """Moved by half a thousandth both ways: with a gain of 60, more than that bends. ngspice takes a voltage when its
    last step was below reltol, 2.5 uV of 0.25 V, and is then far nearer; the surface's slopes are good to 0.3 %."""
    inputs = np.random.default_rng(6).random((5, 3))
    network = random_network(ptm90, 3, 2, 2, sizes=(6.0, 1.0))
    spice = in_ngspice(network, ptm90, inputs, ngspice)

    def columns(kind: str) -> Tensor:
        return torch.from_numpy(np.stack([spice[f"{kind}_{j}"] for j in range(2)], axis=1))

    given = [LayerVoltages(*(columns(kind) for kind in ("c0", "n0", "p0"))), LayerVoltages(columns("c1"), columns("o"))]
    net = Differentiable(network, circuit, inputs)
    found, step = net.gradients(given), 5e-4

    def moved(layer: int, name: str, by: NDArray) -> float:
        boxes = list(network.crossbars)
        boxes[layer] = Crossbar(**(vars(boxes[layer]) | {name: getattr(boxes[layer], name) * np.exp(by)}))
        outputs = in_ngspice(Network(tuple(boxes), network.sizes), ptm90, inputs, ngspice)
        return float(sum((net.weights[:, j].numpy() * outputs[f"o_{j}"]).sum() for j in range(2)))

    rng = np.random.default_rng(8)
    for place, (layer, name) in enumerate((i, n) for i in range(2) for n in vars(network.crossbars[0])):
        direction = rng.choice([-1.0, 1.0], tuple(found[place].shape))
        expected = (moved(layer, name, step * direction) - moved(layer, name, -step * direction)) / (2 * step)
        along = float((found[place].numpy() * direction).sum())
        assert along == pytest.approx(expected, rel=0.01), (layer, name)
