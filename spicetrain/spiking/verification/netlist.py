"""What of a trained spiking network goes to ngspice: its deck, with the measured currents of its cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.crossbar import Crossbar
from spicetrain.keyed import Recipe
from spicetrain.netlists.cells import Form
from spicetrain.spice.deck import Deck
from spicetrain.spiking.cell_curves import CellCurves
from spicetrain.spiking.chip import AccessLaw, AccessShifts, ChipLaw, SpikingChip, pairs_of
from spicetrain.spiking.circuit import SIDES, SpikingCircuit
from spicetrain.spiking.inputs import Inputs
from spicetrain.spiking.netlists.columns import CellCoefficients
from spicetrain.spiking.netlists.network import spiking_deck
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.technology import Technology

if TYPE_CHECKING:
    from spicetrain.spiking.surrogates.laws import SpikingLaws


@dataclass(frozen=True)
class SideCells:
    """The cells of one side of a crossbar, those of the bias row last.

    shares  [M, rows + 1, columns], siemens, of the `curves`
    change  [K + 1, rows + 1, columns], A / V^k: what their chip's access transistors add to the current of those that
            spike; 0 when nominal
    """

    curves: CellCurves
    shares: NDArray[np.float64]
    change: NDArray[np.float64]


Sides = tuple[SideCells, SideCells]
"""The excitatory cells and the inhibitory ones."""


@dataclass(frozen=True)
class Netlist:
    """A network on its circuit.

    sides  of every crossbar of a `1t1r`; none of a `1r`
    cells  the same crossbars as the reduced form of their netlist has them; None of a `1r`
    chip   whose network it is; None: nominal
    fingerprint  hash of everything here
    """

    network: SpikingNetwork
    circuit: SpikingCircuit
    technology: Technology
    sides: tuple[Sides, ...]
    cells: tuple[CellCoefficients, ...] | None
    fingerprint: str
    chip: SpikingChip | None = None

    @classmethod
    def of(cls, network: SpikingNetwork, circuit: SpikingCircuit, technology: Technology, laws: SpikingLaws) -> Self:
        """The cells of a `1t1r` are as the laws have them."""
        key = Recipe("netlist", 2).key(network=network, circuit=circuit, technology=technology, laws=laws)
        if circuit.array == "1r":
            return cls(network, circuit, technology, (), None, key)
        sides = tuple(_sides(crossbar, laws) for crossbar in network.crossbars)
        return cls(network, circuit, technology, sides, tuple(_cells(both, laws) for both in sides), key)

    def of_chip(self, chip: SpikingChip, laws: SpikingLaws, law: ChipLaw | None) -> Self:
        """The netlist of a chip's network, as that chip's own; `law`: of shifts of its cells, for the reduced form."""
        if chip.shifts is None:
            return self
        shifts = [array for one in chip.shifts for shift in one for array in shift]
        cells = [one[side] for one in chip.access or () for side in SIDES]
        facts = None if law is None else law.facts
        key = Recipe("netlist of a chip").key(nominal=self.fingerprint, shifts=shifts, cells=cells, law=facts)
        if chip.access is None or law is None or law.access is None:
            return replace(self, chip=chip, fingerprint=key)
        sides = tuple(
            _changed(both, crossbar, shifts_V, law.access)
            for both, crossbar, shifts_V in zip(self.sides, self.network.crossbars, chip.access, strict=True)
        )
        return replace(self, chip=chip, fingerprint=key, sides=sides, cells=tuple(_cells(both, laws) for both in sides))

    @property
    def domain(self) -> tuple[float, float] | None:
        """See CellCoefficients."""
        return self.cells[0].domain if self.cells else None

    def deck(self, spikes: Inputs, form: Form, layer: int | None = None) -> Deck:
        """Of one image, `spikes` [steps, rows], or levels, in the whole network or in one layer, whose rows these then
        are; ConfigurationError as `spiking_deck` raises it."""
        cells = self.cells if form == "reduced" else None
        chip = self.chip or SpikingChip(self.network)
        return spiking_deck(
            self.network, self.circuit, self.technology, spikes, form, layer=layer, cells=cells, shifts=chip.shifts,
            access=chip.access,
        )  # fmt: skip


def _sides(crossbar: Crossbar, laws: SpikingLaws) -> Sides:
    excitatory, inhibitory = (
        SideCells(laws.cells[side], np.stack(laws.cells[side].shares(g)), np.zeros((1, *g.shape)))
        for side, g in pairs_of(crossbar).items()
    )
    return excitatory, inhibitory


def _changed(sides: Sides, crossbar: Crossbar, shifts_V: AccessShifts, law: AccessLaw) -> Sides:
    pairs = pairs_of(crossbar)
    excitatory, inhibitory = (
        replace(nominal, change=np.stack(law.change(side, pairs[side], shifts_V[side])))
        for side, nominal in zip(SIDES, sides, strict=True)
    )
    return excitatory, inhibitory


def padded_sum(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of two polynomials, coefficients along the first axis."""
    powers = max(len(a), len(b))
    more = ((0, 0),) * (a.ndim - 1)
    return np.asarray(sum(np.pad(one, ((0, powers - len(one)), *more)) for one in (a, b)))


def _cells(sides: Sides, laws: SpikingLaws) -> CellCoefficients:
    """Both cells of a row pair together, with the charge that its word lines move."""
    silent = laws.silent_cells["excitatory"] + laws.silent_cells["inhibitory"]
    spiking = padded_sum(sides[0].change + sides[1].change, np.zeros((len(silent), 1, 1)))
    silent = padded_sum(silent, np.zeros(len(spiking)))  # of as many powers
    return CellCoefficients(
        spiking,
        silent,
        laws.domains.get("silent"),
        late_s=laws.cell_late_s,
        ceases_s=laws.cell_ceases_s,
        silent_F=laws.cell_silent_F,
        on_C=laws.cell_on_C,
        spiking_F=laws.cell_spiking_F,
        off_C=laws.cell_off_C,
        off_F=laws.cell_off_F,
        curves=tuple(side.curves for side in sides),
        shares=np.concatenate([side.shares for side in sides]),
    )
