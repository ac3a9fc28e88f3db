"""Which tables a plan asks of a spiking circuit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from spicetrain.characterization.plan import Plan
from spicetrain.characterization.sweep import Sweep
from spicetrain.errors import ConfigurationError
from spicetrain.schema import Definition
from spicetrain.spiking.characterization import currents as currents
from spicetrain.spiking.characterization import transients as transients
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.technology import Technology

Build = Callable[[Any, Technology, SpikingCircuit], list[Sweep[Any]]]


@dataclass(frozen=True)
class _Kind:
    version: int
    build: Callable[..., list[Any]]
    arrays: tuple[str, ...] = ("1r", "1t1r")


_KINDS = {
    "driver_current": _Kind(currents.VERSION, currents.driver_sweeps, ("1r",)),
    "cell_current": _Kind(currents.VERSION, currents.cell_sweeps, ("1t1r",)),
    "cell_pulse": _Kind(transients.VERSION, transients.pulse_sweeps, ("1t1r",)),
    "cell_capacitance": _Kind(transients.VERSION, transients.capacitance_sweeps, ("1t1r",)),
    "leak_current": _Kind(currents.VERSION, currents.leak_sweeps),
    "reset_current": _Kind(currents.VERSION, currents.reset_sweeps),
    "threshold": _Kind(transients.VERSION, transients.threshold_sweeps),
    "reset_residue": _Kind(transients.VERSION, transients.residue_sweeps),
}


def tables(plan: Plan, circuit: SpikingCircuit | None) -> Iterator[tuple[str, Definition, int, Build]]:
    """Name, section, version and builder of the sweeps, of each table that the circuit's array has.

    ConfigurationError when the plan has such tables and there is no circuit.
    """
    for name, kind in _KINDS.items():
        section = getattr(plan, name)
        if section is None:
            continue
        if circuit is None:
            raise ConfigurationError(
                f"The plan asks for {name}, a table of a spiking circuit, and none is given. The plan may be meant "
                "for the spiking system: set system = 'spiking', or leave the section out."
            )
        if circuit.array in kind.arrays:
            yield name, section, kind.version, kind.build
