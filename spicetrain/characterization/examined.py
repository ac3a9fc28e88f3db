"""What is looked at of a technology before it is measured."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace

from spicetrain.characterization.probe import AddInverter, Probe, Transistor, probe
from spicetrain.errors import SimulationError, TechnologyError
from spicetrain.netlists.cells import Kind
from spicetrain.rails import Rails
from spicetrain.spice.simulator import Simulator
from spicetrain.technology import Technology

KINDS: tuple[Kind, Kind] = ("nmos", "pmos")


@dataclass(frozen=True)
class Examined:
    """Some transistors of a technology, between the rails that they work between.

    circuit       the name of theirs, where a circuit has transistors of its own
    add_inverter  puts the unit inverter into a circuit; None: there is none to look at
    """

    technology: Technology
    rails: Rails
    transistors: tuple[Transistor, ...]
    circuit: str | None = None
    add_inverter: AddInverter | None = None

    @property
    def swing_V(self) -> float:
        return self.rails.vdd_V - self.rails.vss_V

    def model(self, kind: Kind) -> str:
        models = self.technology.transistors
        return models.nmos if kind == "nmos" else models.pmos

    def exchanged(self) -> Examined:
        """The same with the names of the models exchanged."""
        names = {"nmos": self.model("pmos"), "pmos": self.model("nmos")}
        models = self.technology.transistors.model_copy(update=names)
        return replace(self, technology=self.technology.changed(transistors=models))

    def probe(self, simulator: Simulator) -> Probe:
        return probe(self.technology, self.rails, self.transistors, simulator, self.add_inverter)

    def alone(self, simulator: Simulator) -> Probe | None:
        """Without the inverter; None when ngspice fails."""
        try:
            return replace(self, add_inverter=None).probe(simulator)
        except SimulationError as error:
            remove(error)
            return None

    def error(self, what: str) -> TechnologyError:
        of = "Technology" if self.circuit is None else f"Circuit {self.circuit!r} with technology"
        return TechnologyError(f"{of} {self.technology.name!r} ({self.technology.library}): {what}")


def remove(error: SimulationError) -> None:
    """What ngspice left, where our own text says all there is to say."""
    if error.folder is not None:
        shutil.rmtree(error.folder, ignore_errors=True)
