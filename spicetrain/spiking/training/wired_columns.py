"""Columns of an array with wires, ideal sources at its rows: they couple through the wires of their rows."""

from __future__ import annotations

from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.wired_ports import Ports
from spicetrain.spiking.training.charge import NeuronCharge
from spicetrain.spiking.training.columns import product
from spicetrain.spiking.training.coupled import CoupledColumns, Coupling
from spicetrain.spiking.training.drawn import Deviation
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.laid_out import LaidOut


class WiredColumns(CoupledColumns):
    """The columns of one layer, with their neurons. Silent rows are held at rest."""

    def __init__(
        self,
        spikes: Tensor,
        g: Conductances,
        layer: int,
        fitted: FittedSpikingCircuit,
        deviation: Deviation | None,
        charge: NeuronCharge | None,
        ports: Ports,
    ) -> None:
        array, circuit = LaidOut.of(g, ports), fitted.circuit
        up, down = circuit.rails.vdd_V - circuit.rest_V, circuit.rails.vss_V - circuit.rest_V
        excitatory, inhibitory = array.g.chunk(2)
        pairs = up * excitatory + down * inhibitory
        pull = product(spikes, pairs[:-1], pairs[-1])
        C = fitted.capacitance_F(layer, array.reach)
        at_rest = array.columns_S.new_zeros(len(array.columns_S))
        super().__init__(pull, at_rest, array.columns_S, C, layer, fitted, deviation, charge)
        self.array = array

    def driven(self, step: int) -> Coupling:
        return self.silent()

    def silent(self) -> Coupling:
        between = self.array.between_columns
        assert between is not None  # of wires
        return lambda u: u @ between
