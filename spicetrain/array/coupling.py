"""The coupling that a crossbar is between its rows and its columns, by its devices and its wires. See `tangent`."""

from __future__ import annotations

from spicetrain.array.bent_coupling import AnyLaw, Sinh
from spicetrain.array.conductances import Conductances
from spicetrain.array.device import Device
from spicetrain.array.linear_coupling import Ohmic, Wired
from spicetrain.array.of_chips import ChipConductances, OhmicOfChips
from spicetrain.array.tangent import Coupling
from spicetrain.array.wired import WiredCrossbar
from spicetrain.array.wired_bent import BentCrossbar
from spicetrain.rails import Rails


def coupling(
    crossbar: Conductances | WiredCrossbar | BentCrossbar, rails: Rails, device: Device | None = None
) -> Coupling:
    """Of devices `device`; None: ohmic ones."""
    if isinstance(crossbar, ChipConductances):
        return OhmicOfChips(crossbar, rails)
    if isinstance(crossbar, WiredCrossbar):
        return Wired(crossbar, rails)
    b_per_V = 0.0 if device is None else device.sinh_between(rails)
    if isinstance(crossbar, BentCrossbar):
        assert b_per_V
        return Sinh(crossbar, rails, b_per_V)
    if b_per_V is None:
        assert device is not None
        return AnyLaw(crossbar, rails, device)
    return Sinh(crossbar, rails, b_per_V) if b_per_V else Ohmic(crossbar, rails)
