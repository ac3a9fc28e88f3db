"""What of a run is finished in its folder, and what would be done: from what the folder holds alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from spicetrain.characterization.plan import load_plan
from spicetrain.characterization.stored import Stored, stored_tables
from spicetrain.errors import ArchitectureMismatch
from spicetrain.run import Run
from spicetrain.runfolder import FIT, METRICS, NETWORK, SUMMARY, SURROGATES, TABLES
from spicetrain.show.settings import flat
from spicetrain.storage import sha256_of_file
from spicetrain.systems import load_experiment, require_same_training

State = Literal["finished", "would run", "would refuse"]


@dataclass(frozen=True)
class Room:
    """A room of `spicetrain run`: its verb, how far it is, and why."""

    verb: str
    state: State
    why: str

    @property
    def finished(self) -> bool:
        return self.state == "finished"


def tables_of(run: Run) -> list[Stored]:
    """The tables that the experiment is made of."""
    plan = load_plan(run.experiment.characterization.plan, run.system.tables)
    return stored_tables(*run.system.measured(run, plan), run.files / TABLES)


def rooms_of(run: Run, tables: list[Stored]) -> list[Room]:
    """The rooms in order. A room behind one that would run is judged as it is now."""
    measured = _characterize(run, tables)
    fitted = _fit_surrogates(run, tables, measured)
    trained = _train(run)
    return [measured, fitted, trained, _verify(run, trained)]


def _characterize(run: Run, tables: list[Stored]) -> Room:
    missing = [table.name for table in tables if not table.ngspice_versions]
    if missing:
        return Room("characterize", "would run", f"measures {', '.join(missing)}")
    lacking = [table.name for table in tables if run.files.path(f"{TABLES}/{table.name}.parquet") is None]
    if lacking:
        return Room("characterize", "would run", f"copies {', '.join(lacking)} from the cache")
    return Room("characterize", "finished", "")


def _fit_surrogates(run: Run, tables: list[Stored], measured: Room) -> Room:
    verb, files = "fit-surrogates", run.files
    fit = files.json(FIT, ("technology_fingerprint", "surrogates"), verb)
    if fit is None or files.path(SURROGATES) is None:
        return Room(verb, "would run", "nothing is fitted here yet: fits what the cache does not have")
    reports = fit["surrogates"]
    if not (isinstance(reports, dict) and all(isinstance(report, dict) for report in reports.values())):
        raise files.damaged(files / FIT, f"surrogates = {reports!r:.40}", verb)
    now = {"technology": run.technology.fingerprint} | run.system.inputs(run)
    if changed := [name for name, value in now.items() if fit.get(f"{name}_fingerprint", value) != value]:
        return Room(verb, "would run", f"it was fitted for another {changed[0]}")
    settings = run.experiment.surrogates.model_dump(mode="json")
    if differing := _differing(fit.get("settings", settings), settings):
        return Room(verb, "would run", differing)
    if not measured.finished:
        return Room(verb, "would run", "if tables change")
    for name, report in reports.items():
        table = files.path(f"{TABLES}/{report.get('table')}")
        if table is not None and report.get("table_sha256") not in (None, sha256_of_file(table)):
            return Room(verb, "would run", f"the table of {name} has changed")
    unfitted = [table.name for table in tables if table.name not in reports]
    if unfitted and run.system.first_fit in unfitted:
        return Room(verb, "would run", f"fits {', '.join(unfitted)}")
    return Room(verb, "finished", "")


def _train(run: Run) -> Room:
    verb, files, epochs = "train", run.files, run.experiment.training.last_epoch
    now = {"technology": run.technology.fingerprint} | run.system.inputs(run)
    try:
        require_same_training(run.folder, run.experiment, now=now, then=files.manifest["inputs_sha256"])
    except ArchitectureMismatch as error:
        return Room(verb, "would refuse", str(error))
    lines = files.metrics(("epoch", "seconds"), epochs) or []
    seconds = _seconds_of(run, lines)
    if len(lines) == epochs and files.path(NETWORK) is not None:
        return Room(verb, "finished", f"{epochs} epochs, {seconds:.0f} s")
    if lines:
        left_s = seconds / len(lines) * (epochs - len(lines))
        return Room(verb, "would run", f"goes on behind epoch {len(lines)} of {epochs}, about {left_s:.0f} s to go")
    return Room(verb, "would run", f"{epochs} epochs")


def _seconds_of(run: Run, lines: list[dict[str, Any]]) -> float:
    try:
        return float(sum(line["seconds"] for line in lines))
    except (TypeError, ValueError) as error:
        raise run.files.damaged(run.files / METRICS, str(error), "train") from error


def _verify(run: Run, trained: Room) -> Room:
    verb, files = "verify", run.files
    if files.path(SUMMARY) is None:
        return Room(verb, "would run", "nothing is verified yet")
    if not trained.finished:
        return Room(verb, "would run", f"what is in {SUMMARY} is of another training, or of a part of this one")
    made = files.manifest["rooms"].get(verb)
    if _sha256_then(made) != sha256_of_file(files / NETWORK):
        return Room(verb, "would run", f"{SUMMARY} is of another {NETWORK}")
    before, now = (_judged(experiment) for experiment in (load_experiment(run.folder), run.experiment))
    if differing := _differing(before, now):
        return Room(verb, "would run", differing)
    return Room(verb, "finished", "`spicetrain run` keeps it, `spicetrain verify` simulates again")


def _sha256_then(made: Any) -> Any:
    """Of the network, as the manifest's entry of a room has it; None where it says nothing of it."""
    artefacts = made.get("artefacts_sha256") if isinstance(made, dict) else None
    return artefacts.get(NETWORK) if isinstance(artefacts, dict) else None


def _judged(experiment: Any) -> dict[str, Any]:
    """What a verification depends on, of an experiment that trains the same."""
    tables: dict[str, Any] = experiment.model_dump(mode="json", exclude={"training": True, "characterization": True})
    return tables


def _differing(before: dict[str, Any], now: dict[str, Any]) -> str:
    """The first setting that is not what it was; empty when there is none."""
    there, here = flat(before), flat(now)
    for name in here | there:
        if there.get(name) != here.get(name):
            return f"{name} was {there.get(name)}, is {here.get(name)}"
    return ""
