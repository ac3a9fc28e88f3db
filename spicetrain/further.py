"""More epochs behind a finished training: a run folder of its own, which starts from the network of the one before.

Not in place: a run folder belongs to the training that made it, and what a schedule of other epochs makes is another
training. What was measured and fitted is taken over, and metrics.jsonl, whose lines go on.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from spicetrain.errors import ConfigurationError
from spicetrain.experiment import Experiment
from spicetrain.run import Run
from spicetrain.runfolder import CHECKPOINT, CONDITIONS, FIT, MANIFEST, METRICS, NETWORK, SURROGATES, TABLES, RunFolder
from spicetrain.storage import storage_errors, write_json
from spicetrain.system import Network
from spicetrain.systems import default_folder, load_experiment, require_same_training

_WITHOUT_SIZES = ("fixed", "erim")
"""Kinds of sizing that need not know the sizes of the network before."""


def finished_folder(target: str | Path) -> RunFolder:
    """The run folder of TARGET, in which a training is finished; ConfigurationError when there is no such one."""
    files = RunFolder(default_folder(target))
    if files.path(NETWORK) is None or not files.is_one:
        raise ConfigurationError(
            f"{files} holds no finished training that could go on: --further trains behind one. First "
            f"`spicetrain train {target}`, which also goes on where it was interrupted."
        )
    return files


def folder_of(source: RunFolder, epochs: int, out: Path | None) -> Path:
    """Where the further training goes: `out`, or beside the source."""
    folder = source.folder.with_name(f"{source.folder.name}-further-{epochs}") if out is None else out
    if folder.resolve() == source.folder.resolve():
        raise ConfigurationError(
            f"--out {folder} is the folder that the training goes on from, and it keeps what it holds: "
            f"`spicetrain train {source} --further {epochs}` writes {folder_of(source, epochs, None)}."
        )
    return folder


def continued(source: RunFolder, epochs: int) -> Experiment:
    """The experiment of `source`, for so many epochs more from its network. The schedule of the learning rate begins
    again; what came after some epochs only has come. ConfigurationError when it cannot go on."""
    if epochs < 1:
        raise ConfigurationError(f"--further {epochs}: an epoch more at least.")
    experiment = load_experiment(source.folder)
    training = experiment.training
    if (sizing := getattr(training, "sizing", "fixed")) not in _WITHOUT_SIZES:
        raise ConfigurationError(
            f"{source} was trained with training.sizing = {sizing!r}: a further training would begin again with the "
            "sizes of network.inverter_sizes, not with those that it found. Give these as network.inverter_sizes, "
            f"training.sizing = 'fixed' and training.initial = {str(source / NETWORK)!r} in an experiment of its own."
        )
    later: dict[str, Any] = {
        name: table.model_copy(update={"after_epochs": max(0, table.after_epochs - training.epochs)})
        for name in ("variation", "conditions")
        if (table := getattr(training, name, None)) is not None
    }
    if static := getattr(training, "static_epochs", 0):
        later["static_epochs"] = max(0, static - training.epochs)
    initial = (source / NETWORK).resolve()
    later |= {"epochs": epochs, "epochs_before": training.last_epoch, "initial": initial}
    return experiment.model_copy(update={"training": training.model_copy(update=later)})


def finished_in(run: Run, source: RunFolder) -> bool:
    """Whether this training is finished in its folder. ConfigurationError, ArchitectureMismatch when something else is
    there."""
    if not run.files.is_one:
        return False
    found, asked = load_experiment(run.folder).training, run.experiment.training
    if (found.initial, found.epochs_before) != (asked.initial, asked.epochs_before):
        raise ConfigurationError(
            f"{run.folder} holds another experiment than what goes on behind {source}. It is left as it is: choose "
            "another folder with --out."
        )
    require_same_training(run.folder, run.experiment)
    return all(run.files.path(name) is not None for name in (CHECKPOINT, NETWORK))


def train_further(run: Run, source: RunFolder) -> Network:
    """Train what `continued` says, from the beginning or where it was interrupted; raises as Run.train and
    `finished_in`."""
    with run.files.locked():
        finished_in(run, source)
        if not run.files.is_one:
            _take_over(source, run.files)
        return run.train()


def _take_over(source: RunFolder, files: RunFolder) -> None:
    """What was measured and fitted, and the lines of the epochs before; the definition is written last, by the room."""
    with storage_errors(files.folder):
        for folder in (TABLES, CONDITIONS):
            if (source / folder).is_dir():
                shutil.copytree(source / folder, files / folder, dirs_exist_ok=True)
        for path in (*(source / name for name in (SURROGATES, FIT, METRICS)), *source.folder.glob("surrogates-*.svg")):
            if path.is_file():
                shutil.copy2(path, files / path.name)
    manifest = source.manifest
    made = {name: room for name, room in manifest["rooms"].items() if name in ("characterize", "fit-surrogates")}
    write_json(files / MANIFEST, manifest | {"rooms": made})
