"""What of a trained spiking network goes to ngspice: its deck, with the measured currents of its cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.crossbar import Crossbar
from spicetrain.keyed import Recipe
from spicetrain.netlists.cells import Form
from spicetrain.spice.deck import Deck
from spicetrain.spiking.chip import NeuronShifts
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.netlists.columns import CellCoefficients
from spicetrain.spiking.netlists.network import spiking_deck
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.technology import Technology

if TYPE_CHECKING:
    from spicetrain.spiking.surrogates.laws import SpikingLaws

Sides = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Current into the column of the excitatory and of the inhibitory cell of every row that spikes, the bias row last, as
polynomials of V - rest_V: [K + 1, rows + 1, columns]."""


@dataclass(frozen=True)
class Netlist:
    """A network on its circuit.

    sides  of every crossbar of a `1t1r`; none of a `1r`
    cells  the same crossbars as the reduced form of their netlist has them; None of a `1r`
    shifts of the neurons' transistors, by layer, when the network is a chip's; None: they are nominal
    fingerprint  hash of everything here
    """

    network: SpikingNetwork
    circuit: SpikingCircuit
    technology: Technology
    sides: tuple[Sides, ...]
    cells: tuple[CellCoefficients, ...] | None
    fingerprint: str
    shifts: tuple[NeuronShifts, ...] | None = None

    @classmethod
    def of(
        cls,
        network: SpikingNetwork,
        circuit: SpikingCircuit,
        technology: Technology,
        laws: SpikingLaws,
        *,
        shifts: tuple[NeuronShifts, ...] | None = None,
    ) -> Self:
        """The cells of a `1t1r` are as the laws have them."""
        # Of a nominal network it is what it was before there were chips.
        drawn = {} if shifts is None else {"shifts": [array for one in shifts for shift in one for array in shift]}
        key = Recipe("netlist").key(network=network, circuit=circuit, technology=technology, laws=laws, **drawn)
        if circuit.array == "1r":
            return cls(network, circuit, technology, (), None, key, shifts)
        sides = tuple(_sides(crossbar, laws) for crossbar in network.crossbars)
        return cls(network, circuit, technology, sides, tuple(_cells(both, laws) for both in sides), key, shifts)

    @property
    def domain(self) -> tuple[float, float] | None:
        """See CellCoefficients."""
        return self.cells[0].domain if self.cells else None

    def deck(self, spikes: NDArray[np.bool_], form: Form) -> Deck:
        """Of one image, `spikes` [steps, rows]; ConfigurationError as `spiking_deck` raises it."""
        cells = self.cells if form == "reduced" else None
        return spiking_deck(self.network, self.circuit, self.technology, spikes, form, cells=cells, shifts=self.shifts)


def _sides(crossbar: Crossbar, laws: SpikingLaws) -> Sides:
    return (
        np.stack(laws.cell_coefficients("excitatory", np.vstack([crossbar.pos, crossbar.bias_pos]))),
        np.stack(laws.cell_coefficients("inhibitory", np.vstack([crossbar.neg, crossbar.bias_neg]))),
    )


def _cells(sides: Sides, laws: SpikingLaws) -> CellCoefficients:
    """Both cells of a row pair together, with the charge that its word lines move."""
    spiking = sides[0] + sides[1]
    silent = laws.silent_cells["excitatory"] + laws.silent_cells["inhibitory"]
    return CellCoefficients(
        spiking,
        silent,
        laws.domains.get("cell"),
        late_s=laws.cell_late_s,
        ceases_s=laws.cell_ceases_s,
        silent_F=laws.cell_silent_F,
        on_C=laws.cell_on_C,
        spiking_F=laws.cell_spiking_F,
        off_C=laws.cell_off_C,
        off_F=laws.cell_off_F,
    )
