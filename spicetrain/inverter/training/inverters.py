"""What the stage solver knows of the inverters: the fitted current surface, and tables of it to start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from spicetrain.inverter.surrogates.current_surface import (
    Currents,
    CurrentSurface,
    inverter_current,
    transistor_currents,
)
from spicetrain.inverter.training.kernels import Table
from spicetrain.inverter.training.loaded_start import LoadedVtc
from spicetrain.inverter.training.tabulated import Current, tabulate, tabulate_transistors, tabulate_vtc
from spicetrain.rails import Rails


@dataclass(frozen=True)
class Inverters:
    """One finger of the inverter.

    current    surface of its output current, the one that counts
    coarse     the same, cheap and rough, to come near
    vtc        v_in -> v_out when it drives nothing, to start from
    rails      no node can leave them
    ground_S   siemens from every inverter's output to mid-rail, whatever its size (RIM's resistors)
    transistors  (v_in, v_out, mismatch) -> the currents and slopes of nMOS and pMOS; None where no mismatch is taken
    tables     those `current` is read from, if it is, from mid-rail: then a stage's Newton steps are compiled ones
    loaded     outputs under loads, where Newton starts in a stage; None: at outputs without
    """

    current: Current
    coarse: Current
    vtc: Callable[[Tensor], Tensor]
    rails: Rails
    ground_S: float = 0.0
    transistors: Callable[..., tuple[Currents, Currents]] | None = None
    tables: tuple[Table, ...] = ()
    loaded: LoadedVtc | None = None

    @property
    def low(self) -> float:
        return self.rails.vss_V

    @property
    def high(self) -> float:
        return self.rails.vdd_V

    @property
    def i_ground(self) -> float:
        """What the resistor to mid-rail feeds into an output held at 0 V, amperes."""
        return self.ground_S * (self.low + self.high) / 2


def inverters_of(surface: CurrentSurface) -> Inverters:
    """The inverters of a fitted surface, in its precision and on its device."""
    low, high = surface.vss_V, surface.vdd_V
    current = partial(inverter_current, surface)
    coarse = tabulate(current, low, high, like=surface.mean)
    vtc = tabulate_vtc(coarse, low, high, like=surface.mean)
    return Inverters(current, coarse, vtc, Rails(vdd_V=high, vss_V=low))


def mismatched_inverters_of(surface: CurrentSurface) -> Inverters:
    """The same of a surface whose gates reach beyond the rails: all its currents take a mismatch as well."""
    current = partial(inverter_current, surface)
    vtc = tabulate_vtc(current, surface.vss_V, surface.vdd_V, like=surface.mean)
    rails = Rails(vdd_V=surface.vdd_V, vss_V=surface.vss_V)
    transistors = partial(transistor_currents, surface)
    return Inverters(current, tabulate_transistors(surface), vtc, rails, transistors=transistors)
