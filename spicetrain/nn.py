"""Crossbars for networks of one's own: `nn.Module`s for any model, loss and loop.

Gates draw no current, so an inverter-based network falls into stages, a Sequential of

    InverterCrossbar(4, 10, ...), InverterCrossbar(10, 3, ..., driven_by="inverters"), OutputInverters(3, ...)

Each solves Kirchhoff's laws of its stage (`inverter.training.stage`), nothing is unrolled and no load is neglected.
SpikingCrossbar is a layer of LIF neurons on an array (`spiking.training.circuit_layer`). `inverter_network` and
`spiking_network` make of them what is written into a chip; `Run.verify_network` simulates that in ngspice. `convert`
makes them of a model of Linear with Tanh, ReLU or snntorch.Leaky that was trained elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from spicetrain.array.columns import open_columns
from spicetrain.converting.dense import convert_dense
from spicetrain.converting.distil import Distilling
from spicetrain.converting.read import dense_layers, require_inputs
from spicetrain.converting.spiking import convert_spiking
from spicetrain.errors import ArchitectureMismatch, ConfigurationError
from spicetrain.inverter.network import Encoding, Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.newton import Tolerance
from spicetrain.inverter.training.output import solve_output
from spicetrain.inverter.training.parameters import CrossbarParameters, row_signal
from spicetrain.inverter.training.stage import solve_stage
from spicetrain.inverter.training.voltages import Convergence
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.circuit_layer import circuit_layer
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.layers import LayerResponse
from spicetrain.spiking.training.parameters import SynapseParameters, programmed
from spicetrain.technology import Technology

NEWTON = Tolerance()


class _OfInverters(nn.Module):
    """fingers: [inputs, inverters an input]; the circuit follows the module to any precision and device."""

    fingers: Tensor

    def __init__(
        self, technology: Technology, surrogates: Surrogates, fingers: Tensor, ground_S: float, tolerance: Tolerance
    ) -> None:
        super().__init__()
        self._circuit, self.ground_S = FittedCircuit(technology, surrogates, tolerance=tolerance), ground_S
        self.register_buffer("fingers", fingers)

    @property
    def circuit(self) -> FittedCircuit:
        like = self.fingers
        if (self._circuit.dtype, self._circuit.device) != (like.dtype, like.device):
            self._circuit = replace(self._circuit, dtype=like.dtype, device=like.device)
        return self._circuit


class InverterCrossbar(_OfInverters):
    """A crossbar of memristors with its drivers; its trainables are the conductances.

    rows, columns  of signals: a row pair an input, driven to opposite sides of mid-rail, and one bias pair more
    technology     transistors, rails and the device's range
    surrogates     fitted to it: their current surface is all that is used (`Run.surrogates()`)
    driven_by      "sources": ideal ones, as in the first crossbar of a network; "inverters": a pair an input, the
                   first drives the positive row and the second, driven by the first, the negative one
    fingers        of these inverters, of unit size each
    ground_S       siemens from every inverter output to mid-rail (RIM's resistors); 0: there are none
    tolerance      when Newton's method has solved a stage
    encoding       how sources make voltages of inputs in 0..1: "unipolar" from mid-rail on, "bipolar" from rail to rail
    generator      of the initial conductances

    Raises DomainError (the surface does not cover the rails).
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        technology: Technology,
        surrogates: Surrogates,
        *,
        driven_by: Literal["sources", "inverters"] = "sources",
        fingers: float = 1.0,
        ground_S: float = 0.0,
        tolerance: Tolerance = NEWTON,
        encoding: Encoding = "unipolar",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(technology, surrogates, torch.full((rows, 2), float(fingers)), ground_S, tolerance)
        self.columns, self.driven_by, self.encoding = columns, driven_by, encoding
        self.conductances = CrossbarParameters(
            rows, columns, technology.memristor, ratios=False, generator=generator, loads=driven_by == "inverters"
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Column voltages [samples, columns], volts: what the gates behind them see.

        inputs  [samples, rows]: of sources values in 0..1, of inverters the voltages at the first ones' gates
        """
        return self.solve(inputs)[0]

    def solve(self, inputs: Tensor) -> tuple[Tensor, Convergence]:
        """Column voltages as `forward` has them, and how well the stage is solved; sources leave nothing to solve."""
        circuit, g = self.circuit, self.conductances()
        device = circuit.technology.memristor
        if self.driven_by == "sources":
            signal = row_signal(inputs, self.encoding, circuit.rails)
            return open_columns(g, signal, circuit.rails, device), Convergence()
        inverters = replace(circuit.inverters, ground_S=self.ground_S)
        stage = solve_stage(inputs, g, self.fingers, inverters, circuit.tolerance, device=device)
        return stage.v_col, stage.convergence


class OutputInverters(_OfInverters):
    """The inverters behind the last crossbar, which drive nothing, or their resistor to mid-rail: nothing is trained.

    Parameters as of InverterCrossbar.
    """

    def __init__(
        self,
        columns: int,
        technology: Technology,
        surrogates: Surrogates,
        *,
        fingers: float = 1.0,
        ground_S: float = 0.0,
        tolerance: Tolerance = NEWTON,
    ) -> None:
        super().__init__(technology, surrogates, torch.full((columns, 1), float(fingers)), ground_S, tolerance)

    def forward(self, v_col: Tensor) -> Tensor:
        """Output voltages of column voltages, [samples, columns] both, volts."""
        inverters = replace(self.circuit.inverters, ground_S=self.ground_S)
        return solve_output(v_col, self.fingers[:, 0], inverters, self.circuit.tolerance).v_out


class SpikingCrossbar(nn.Module):
    """A memristor array with LIF neurons behind its columns; its trainables are the synapses.

    rows, columns  input and output neurons; one more row pair, the bias, spikes in every step
    technology     transistors, rails and the device's range
    circuit        the neuron and its clock (`spiking.circuit.load_circuit`)
    laws           fitted to both (`Run.surrogates()` of a spiking run)
    layer          its place in the network, from 0: which threshold, capacitance and row drivers are its own
    slope          of the spike's surrogate gradient, over membranes in units of their threshold
    generator      of the initial synapses
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        technology: Technology,
        circuit: SpikingCircuit,
        laws: SpikingLaws,
        *,
        layer: int = 0,
        slope: float = 3.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self._fitted = FittedSpikingCircuit(circuit, laws, torch.float32, slope)
        self.shape, self.technology, self.layer = (rows, columns), technology, layer
        self.synapses = SynapseParameters(rows, columns, generator)

    @property
    def fitted(self) -> FittedSpikingCircuit:
        """The circuit, which follows the module to any precision and device."""
        like = self.synapses.synapses
        if (self._fitted.dtype, self._fitted.device) != (like.dtype, like.device):
            self._fitted = replace(self._fitted, dtype=like.dtype, device=like.device)
        return self._fitted

    @property
    def threshold_V(self) -> float:
        return self._fitted.circuit.threshold_V(self.layer)

    def forward(self, spikes: Tensor) -> Tensor:
        """Spikes [steps, samples, columns], 0 or 1, of input spikes [steps, samples, rows]; surrogate gradient."""
        return self.response(spikes).spikes

    def response(self, spikes: Tensor) -> LayerResponse:
        """The same with the membranes at the latch, [steps, samples, columns], volts."""
        g = self.synapses.conductances(self.technology.memristor)
        return circuit_layer(spikes, g, self.layer, self.threshold_V, self.fitted)

    def project(self) -> None:
        """Bring every synapse back into the device's range: after each step of the optimizer."""
        self.synapses.project()


def convert(
    model: nn.Module,
    inputs: Tensor,
    technology: Technology,
    surrogates: Surrogates | SpikingLaws,
    *,
    circuit: SpikingCircuit | None = None,
    encoding: Encoding = "bipolar",
    fingers: float = 8.0,
    epochs: int = 30,
    learning_rate: float | None = None,
    batch_size: int = 32,
    seed: int = 0,
) -> nn.Sequential:
    """The circuit of a classifier that was trained without one: its weights as conductances, then trained for the
    model's own answers to `inputs`; labels are not wanted. The model stays as it is.

    model       a Sequential of Linear with Tanh or ReLU between them; or of Linear with snntorch.Leaky behind each
    inputs      [samples, rows] in 0..1, as many as there are; of a model that spikes, spikes [steps, samples, rows]
    surrogates  fitted to the technology; of a model that spikes the laws of the `circuit`
    encoding, fingers  of the first crossbar, and of the inverters behind every hidden one
    epochs      of Adam over `inputs`; 0 leaves the mapped weights. Its learning_rate by default: 0.05, of spikes 0.02

    Returns the modules that `inverter_network`, or `spiking_network`, takes. Raises ConfigurationError with every
    module that no circuit has, ArchitectureMismatch and DomainError when inputs are of another shape, not in 0..1.
    """
    layers, x = dense_layers(model), inputs.detach().float().cpu()
    require_inputs(layers, x)
    how = Distilling(epochs, learning_rate, batch_size, seed)
    first, *others = (one.shape for one in layers)
    if layers[-1].then is not None:
        if circuit is None or not isinstance(surrogates, SpikingLaws):
            raise ConfigurationError(
                "This model spikes: give circuit=, and in place of surrogates the laws that were fitted to it "
                "(`Run.surrogates()` of a spiking run)."
            )
        spiking = [SpikingCrossbar(*of.shape, technology, circuit, surrogates, layer=k) for k, of in enumerate(layers)]
        return convert_spiking(spiking, layers, x, how)
    if not isinstance(surrogates, Surrogates):
        raise ConfigurationError(
            "This model does not spike: give the surrogates of an inverter-based network (`Run.surrogates()` of a run "
            "of that system)."
        )
    crossbars = [
        InverterCrossbar(*first, technology, surrogates, encoding=encoding),
        *(InverterCrossbar(*of, technology, surrogates, driven_by="inverters", fingers=fingers) for of in others),
    ]
    outputs, gain = OutputInverters(crossbars[-1].columns, technology, surrogates), crossbars[0].circuit.threshold.gain
    return convert_dense([*crossbars, outputs], layers, x, technology, gain, how, bipolar=encoding == "bipolar")


def inverter_network(modules: Iterable[nn.Module], dataset: str) -> Network:
    """What is written into the chip, in float64 and inside the device's range.

    modules  InverterCrossbars in order, the first one driven by sources, and the OutputInverters; what is not of this
             module (Identity ...) is passed over
    dataset  its name, for the provenance

    Raises ArchitectureMismatch when they make no network.
    """
    chain = [one for one in modules if isinstance(one, _OfInverters)]
    crossbars = [one for one in chain if isinstance(one, InverterCrossbar)]
    drivers = [one.driven_by for one in crossbars]
    if (
        len(chain) != len(crossbars) + 1
        or not isinstance(chain[-1], OutputInverters)
        or drivers != ["sources", *["inverters"] * (len(crossbars) - 1)]
        or [one.columns for one in crossbars] != [len(one.fingers) for one in chain[1:]]
        or len({one.ground_S for one in chain[1:]}) != 1
    ):
        raise ArchitectureMismatch(
            f"{_names(chain)} are no network: that is an InverterCrossbar driven by sources, others driven by "
            "inverters, as many rows as the one before has columns, and OutputInverters, all inverters with one "
            "ground_S."
        )
    crossbars_S = tuple(one.conductances.crossbar() for one in crossbars)
    sizes = tuple(one.fingers.double().cpu().numpy() for one in chain[1:])
    about = _provenance("inverter", "kcl", dataset, chain[0].circuit.technology)
    return Network(crossbars_S, sizes, crossbars[0].encoding, about, chain[-1].ground_S)


def spiking_network(modules: Iterable[nn.Module], dataset: str) -> SpikingNetwork:
    """The same of SpikingCrossbars in order, layer 0 first, and with the circuit's own thresholds."""
    layers = [one for one in modules if isinstance(one, SpikingCrossbar)]
    widths = [one.shape for one in layers]
    in_order = [one.layer for one in layers] == list(range(len(layers)))
    if not layers or not in_order or any(a[1] != b[0] for a, b in pairwise(widths)):
        raise ArchitectureMismatch(
            f"{_names(layers)} are no network: that is a SpikingCrossbar of layer 0, then of layer 1 ..., each with as "
            "many rows as the one before has columns."
        )
    first = layers[0]
    circuit = first.fitted.circuit
    about = _provenance("spiking", "circuit", dataset, first.technology)
    about |= {"circuit": circuit.name, "circuit_fingerprint": circuit.fingerprint}
    crossbars = tuple(
        programmed(one.synapses.conductances(one.technology.memristor), one.technology.memristor) for one in layers
    )
    return SpikingNetwork(crossbars, tuple(one.threshold_V for one in layers), about)


def _provenance(system: str, method: str, dataset: str, technology: Technology) -> dict[str, Any]:
    return {
        "system": system,
        "method": method,
        "dataset": dataset,
        "technology": technology.name,
        "technology_fingerprint": technology.fingerprint,
    }


def _names(modules: Iterable[nn.Module]) -> str:
    return ", ".join(type(one).__name__ for one in modules) or "No modules"
