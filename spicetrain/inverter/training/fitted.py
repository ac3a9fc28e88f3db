"""What every method needs of the circuit, in one precision on one device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from spicetrain.errors import ConfigurationError
from spicetrain.inverter.surrogates.current_surface import CurrentSurface, Mismatch, require_inside
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.hermite import hermite_inverter, hermite_transistors
from spicetrain.inverter.training.inverters import Inverters, inverters_of, mismatched_inverters_of
from spicetrain.inverter.training.loaded_start import loaded_vtc
from spicetrain.inverter.training.newton import Tolerance
from spicetrain.inverter.training.threshold import Threshold, threshold_of
from spicetrain.inverter.training.walk import Offsets
from spicetrain.rails import Rails
from spicetrain.technology import Technology


@dataclass(frozen=True)
class FittedCircuit:
    """A technology and what was fitted of it.

    DomainError when the surface was not measured up to the technology's rails, between which every node stays;
    ConfigurationError when the memristors were not.
    """

    technology: Technology
    surrogates: Surrogates
    dtype: torch.dtype = torch.float32
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    tolerance: Tolerance = field(default_factory=Tolerance)

    def __post_init__(self) -> None:
        rails = self.technology.rails
        self.technology.memristor.require_range(rails.vdd_V - rails.vss_V)
        corners = torch.tensor([rails.vss_V, rails.vdd_V], dtype=torch.float64)
        require_inside(self.surrogates.current_surface, corners, corners)

    @property
    def rails(self) -> Rails:
        return self.technology.rails

    @cached_property
    def surface(self) -> CurrentSurface:
        """In the circuit's own precision."""
        return self.surrogates.current_surface.to(self.dtype, self.device)

    @cached_property
    def inverters(self) -> Inverters:
        """In the circuit's own precision."""
        found = inverters_of(self.surface)
        if not self._tabulates:
            return found
        table = hermite_inverter(self._exact_surface)
        return replace(
            found,
            current=table,
            coarse=replace(table),
            tables=table.tables.above(self.rails.mid_V),
            loaded=loaded_vtc(table, self.rails),
        )

    @property
    def _tabulates(self) -> bool:
        """Whether currents come from a table, a tenth of the price: where float32 is enough, and numba compiles."""
        return self.dtype == torch.float32 and self.device.type == "cpu"

    @property
    def _exact_surface(self) -> CurrentSurface:
        return self.surrogates.current_surface.to(torch.float64)

    @cached_property
    def exact_inverters(self) -> Inverters:
        """In float64 on the CPU: what curves are fitted to."""
        return inverters_of(self._exact_surface)

    @cached_property
    def mismatched_inverters(self) -> Inverters:
        """In the circuit's own precision, with gates that mismatch may shift beyond the rails. ConfigurationError when
        that surface is not fitted."""
        surface = self.surrogates.shifted_surface
        if surface is None:
            raise ConfigurationError(
                "Mismatch shifts gates beyond the rails, and the surrogate shifted_surface, which knows the inverter "
                "there, is not fitted. `spicetrain characterize` and `spicetrain fit-surrogates` make it when "
                "variation.mismatch is asked for."
            )
        exact = self.dtype == torch.float64  # in float32 the residual is below the last digits that count
        found = mismatched_inverters_of(
            (surface if exact else replace(surface, residual=None)).to(self.dtype, self.device)
        )
        if not self._tabulates:
            return found
        table = hermite_transistors(surface.to(torch.float64))
        return replace(
            found,
            current=table.current,
            coarse=replace(table).current,
            transistors=table,
            tables=table.tables.above(self.rails.mid_V),
            loaded=self.inverters.loaded,
        )

    @cached_property
    def threshold(self) -> Threshold:
        """Of one inverter without a load."""
        return threshold_of(self._exact_surface, self.rails)

    def offsets(self, mismatch: Sequence[Mismatch] | None) -> Offsets | None:
        """What the mismatch of every layer is at the columns, for methods that know curves but no transistors."""
        return None if mismatch is None else [self.threshold.offsets(of_layer) for of_layer in mismatch]
