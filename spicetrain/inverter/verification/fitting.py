"""The inverter under other operating conditions: measured and fitted for each, as for the nominal one."""

from __future__ import annotations

from dataclasses import dataclass

from spicetrain.characterization.characterize import characterize
from spicetrain.characterization.plan import Plan
from spicetrain.characterization.sweep import Subject
from spicetrain.inverter.characterization.check import examined
from spicetrain.inverter.surrogates.fit import fit_surrogates
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.operating import Condition
from spicetrain.runfolder import CONDITIONS, SURROGATES, TABLES, RunFolder
from spicetrain.spice.simulator import Simulator
from spicetrain.surrogates.settings import SurrogateSettings


@dataclass(frozen=True)
class Fitting:
    """How it is measured and fitted, and where that is kept: files / conditions / <name>.

    plan       the tables that are needed
    timeout_s  of one run of ngspice
    """

    plan: Plan
    settings: SurrogateSettings
    timeout_s: float
    files: RunFolder

    def facts(self) -> dict[str, object]:
        """All that the fits depend on besides the technology, as JSON."""
        return {"plan": self.plan.key(), "settings": self.settings.model_dump(mode="json")}

    def folder(self, condition: Condition) -> RunFolder:
        return RunFolder(self.files / CONDITIONS / condition.name)

    def under(self, condition: Condition, simulator: Simulator) -> Surrogates:
        """What is fitted under a condition. Tables and fits that are there, made of the same, are kept; an interrupted
        call goes on. Raises what `characterize` and `fit_surrogates` raise."""
        technology, files = condition.technology, self.folder(condition)
        at_work, subject = simulator.changed(timeout_s=self.timeout_s), Subject(technology)
        characterize(subject, self.plan, at_work, files / TABLES, examined=examined(technology))
        fit_surrogates(files / TABLES, technology, self.settings, files.folder, plots=False)
        return Surrogates.load(files / SURROGATES)
