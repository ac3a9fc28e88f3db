"""One TOML, all rooms in order, one run folder: the verbs of spicetrain, as the command line and Python have them."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tomli_w
from pydantic import Field

from spicetrain import __version__, assets
from spicetrain.errors import ArchitectureMismatch, ConfigurationError, nearest
from spicetrain.schema import Definition, parse, read_toml
from spicetrain.spice.ngspice import Ngspice, find_ngspice
from spicetrain.storage import make_folder, read_json, sha256_of_file, write_atomic, write_json
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.technology import load_technology
from spicetrain.training.settings import NetworkSettings, TrainingSettings
from spicetrain.verification.settings import VerificationSettings

if TYPE_CHECKING:
    from spicetrain.datasets import Dataset
    from spicetrain.network import Network

DEFINITION, MANIFEST, CHECKPOINT = "experiment.toml", "manifest.json", "checkpoint.safetensors"
NETWORK, SURROGATES, SUMMARY, REPORT = "network.safetensors", "surrogates.safetensors", "summary.json", "report.html"


class DatasetSettings(Definition):
    """name: mnist, fashion-mnist or iris; folder: where <name>/*.gz lie, None: the usual places, else downloaded."""

    name: str = "mnist"
    folder: Path | None = None


class CharacterizationSettings(Definition):
    """plan: a shipped plan's name or the path of a TOML."""

    plan: str = "inverter"


class Experiment(Definition):
    """Everything a run depends on. `technology` is a shipped one's name or the path of a TOML."""

    system: Literal["inverter"] = "inverter"
    technology: str = "ptm90"
    dataset: DatasetSettings = Field(default_factory=DatasetSettings)
    characterization: CharacterizationSettings = Field(default_factory=CharacterizationSettings)
    surrogates: SurrogateSettings = Field(default_factory=SurrogateSettings)
    network: NetworkSettings = Field(default_factory=NetworkSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    verification: VerificationSettings = Field(default_factory=VerificationSettings)

    def trained_as(self) -> dict[str, Any]:
        """What a trained network depends on, by dotted name."""
        settings = self.training.model_dump(exclude={"device", "threads"}) | self.network.model_dump()
        return {"technology": self.technology, "dataset": self.dataset.name, **settings}


def load_experiment(target: str | Path) -> Experiment:
    """An experiment by preset name, by the path of a TOML, or of an existing run folder. ConfigurationError otherwise.

    Relative paths in a TOML are relative to it.
    """
    path = _definition_of(target)
    experiment = parse(Experiment, read_toml(path), str(path))
    return _with_absolute_paths(experiment, path.resolve().parent)


def presets() -> list[str]:
    """Names of the shipped experiments."""
    return sorted(path.stem for path in assets.presets_folder().glob("*.toml"))


class Run:
    """An experiment and the folder that holds everything of it. Each verb reads what the one before wrote.

    A verb whose result is there already, made from the same inputs, keeps it; a trained network is never overwritten by
    another training. `ngspice` names an executable, `workers` the processes at a time (None: one a core).
    """

    def __init__(
        self, experiment: Experiment, folder: Path, *, ngspice: str | Path | None = None, workers: int | None = None
    ):
        if workers is not None and workers < 1:
            raise ConfigurationError(f"workers = {workers}: at least one process is needed.")
        self.experiment, self.folder, self.workers = experiment, Path(folder), workers
        self._ngspice = ngspice
        self.technology = load_technology(experiment.technology)

    @classmethod
    def open(
        cls,
        target: str | Path,
        folder: Path | None = None,
        *,
        ngspice: str | Path | None = None,
        workers: int | None = None,
    ) -> Run:
        """The run of a preset, TOML or run folder, in `folder` (default: the run folder itself, else runs/<name>)."""
        return cls(load_experiment(target), folder or default_folder(target), ngspice=ngspice, workers=workers)

    @cached_property
    def ngspice(self) -> Ngspice:
        return find_ngspice(self._ngspice)

    @cached_property
    def dataset(self) -> Dataset:
        from spicetrain.datasets import load_dataset

        return load_dataset(self.experiment.dataset.name, self.experiment.dataset.folder)

    def characterize(self) -> dict[str, Path]:
        """Measure the technology: characterization/<table>.parquet."""
        from spicetrain.characterization.characterize import characterize
        from spicetrain.characterization.plan import load_plan

        plan = load_plan(self.experiment.characterization.plan)
        with self._room("characterize", ngspice=self.ngspice.version):
            return characterize(
                self.technology, plan, self.ngspice, self.folder / "characterization", workers=self.workers
            )

    def fit_surrogates(self) -> dict[str, Any]:
        """Fit the small NNs: surrogates.safetensors, surrogates.json, plots."""
        from spicetrain.surrogates.fit import fit_surrogates

        with self._room("fit-surrogates"):
            return fit_surrogates(
                self.folder / "characterization", self.technology, self.experiment.surrogates, self.folder
            )

    def train(self) -> Network:
        """Train: network.safetensors, metrics.jsonl. A finished training of the same definition is kept."""
        from spicetrain.surrogates.store import load_current_surface
        from spicetrain.training.loop import train

        surface = load_current_surface(self._made_by("fit-surrogates", SURROGATES))
        experiment = self.experiment
        with self._room("train", seed=experiment.training.seed, device=experiment.training.device):
            network = train(
                experiment.network, experiment.training, self.dataset, self.technology, surface, self.folder
            )
            network.save(self.folder / NETWORK)
        return network

    def verify(self) -> dict[str, Any]:
        """Simulate the trained network in ngspice: verification.parquet, summary.json, network.cir."""
        from spicetrain.surrogates.store import load_current_surface
        from spicetrain.verification.verify import verify

        network = self._made_by("train", NETWORK)
        surface = load_current_surface(self._made_by("fit-surrogates", SURROGATES))
        with self._room("verify", ngspice=self.ngspice.version):
            self.netlist(0, "reduced" if self.technology.memristor.form == "ohmic" else "flat")
            return verify(
                network,
                self.technology,
                surface,
                self.dataset,
                self.experiment.verification,
                self.ngspice,
                self.folder,
                workers=self.workers,
            )

    def netlist(self, image: int, form: Literal["reduced", "flat"] = "flat") -> Path:
        """Write the deck of one test image for plain ngspice: network.cir (reduced) or network-flat-<image>.cir."""
        from spicetrain.netlists.network import network_deck
        from spicetrain.network import Network

        network = Network.load(self._made_by("train", NETWORK))
        inputs = self.dataset.test_inputs
        if not 0 <= image < len(inputs):
            raise ConfigurationError(f"There is no test image {image}: {self.dataset.name} has 0 .. {len(inputs) - 1}.")
        deck = network_deck(network, self.technology, inputs[image : image + 1], form)
        path = self.folder / ("network.cir" if form == "reduced" else f"network-flat-{image}.cir")
        with write_atomic(path) as temporary:
            temporary.write_text(deck.text())
        return path

    def report(self) -> Path:
        """Everything the folder holds so far on one page: report.html."""
        from spicetrain.report import write_report

        return write_report(self.folder)

    def all(self) -> dict[str, Any]:
        """characterize, fit_surrogates, train, verify, report; the verification's summary."""
        self.ngspice, self.dataset  # noqa: B018  # what is missing shows before the work begins
        self.characterize()
        self.fit_surrogates()
        self.train()
        try:
            return self.verify()
        finally:
            if (self.folder / SUMMARY).exists():
                self.report()

    @contextmanager
    def _room(self, name: str, **details: Any) -> Iterator[None]:
        """Write the resolved experiment, do the work, and note in the manifest what it was done with."""
        make_folder(self.folder)
        self._require_same_training()
        with write_atomic(self.folder / DEFINITION) as temporary:
            temporary.write_text(tomli_w.dumps(self.experiment.model_dump(mode="json", exclude_none=True)))
        started = time.time()
        yield
        path = self.folder / MANIFEST
        manifest = read_json(path) if path.exists() else {"rooms": {}}
        manifest |= _origin()
        manifest["technology"] = {
            "name": self.technology.name,
            "fingerprint": self.technology.fingerprint,
            "library_sha256": sha256_of_file(self.technology.library),
        }
        manifest["rooms"][name] = {
            **details,
            "seconds": time.time() - started,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "artefacts_sha256": self._artefacts(),
        }
        write_json(path, manifest)

    def _require_same_training(self) -> None:
        """A folder with trained work in it belongs to the training that made it."""
        definition = self.folder / DEFINITION
        if not definition.exists() or not (self.folder / CHECKPOINT).exists():
            return
        found, wanted = (e.trained_as() for e in (load_experiment(self.folder), self.experiment))
        differing = [f"{key} {found[key]!r} there, {wanted[key]!r} here" for key in wanted if found[key] != wanted[key]]
        if differing:
            raise ArchitectureMismatch(
                f"{self.folder} holds a network trained otherwise ({'; '.join(differing)}). It is left as it is: "
                "choose another folder with --out, or remove this one."
            )

    def _artefacts(self) -> dict[str, str]:
        files = [self.folder / name for name in (SURROGATES, NETWORK)]
        files += sorted((self.folder / "characterization").glob("*.parquet"))
        return {str(file.relative_to(self.folder)): sha256_of_file(file) for file in files if file.exists()}

    def _made_by(self, verb: str, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            raise ConfigurationError(
                f"{path} is not there: `spicetrain {verb} {self.folder}` makes it (`spicetrain run` does all in order)."
            )
        return path


def default_folder(target: str | Path) -> Path:
    """runs/<name> for a preset or TOML; a run folder is its own."""
    path = Path(target)
    return path if (path / DEFINITION).is_file() else Path("runs") / path.stem


def _definition_of(target: str | Path) -> Path:
    path = Path(target).expanduser()
    if (path / DEFINITION).is_file():
        return path / DEFINITION
    if path.suffix == ".toml":
        return path
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder without {DEFINITION}: not a run of spicetrain.")
    if str(target) not in presets():
        raise ConfigurationError(
            f"Unknown preset {str(target)!r}.{nearest(str(target), presets())} "
            "An experiment may also be named by the path of its TOML or of a run folder."
        )
    return assets.presets_folder() / f"{target}.toml"


def _with_absolute_paths(experiment: Experiment, base: Path) -> Experiment:
    def absolute(path: Path | None) -> Path | None:
        return None if path is None else (base / path.expanduser())

    def absolute_toml(name: str) -> str:
        return str(base / Path(name).expanduser()) if name.endswith(".toml") else name

    return experiment.model_copy(
        update={
            "technology": absolute_toml(experiment.technology),
            "dataset": experiment.dataset.model_copy(update={"folder": absolute(experiment.dataset.folder)}),
            "characterization": CharacterizationSettings(plan=absolute_toml(experiment.characterization.plan)),
            "training": experiment.training.model_copy(update={"initial": absolute(experiment.training.initial)}),
        }
    )


def _origin() -> dict[str, Any]:
    packages = ("numpy", "scipy", "torch", "PySpice", "scikit-learn")
    return {
        "spicetrain": __version__,
        "git_revision": _git_revision(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "cores": os.cpu_count(),
    }


def _git_revision() -> str | None:
    """The checkout's revision, None in an installed wheel."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
