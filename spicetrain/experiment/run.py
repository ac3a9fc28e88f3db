"""The verbs of spicetrain, as the command line and Python have them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tomli_w

from spicetrain.errors import ArchitectureMismatch, ConfigurationError, StorageError, VerificationError
from spicetrain.experiment.definition import (
    CHECKPOINT,
    DEFINITION,
    FIT,
    MANIFEST,
    NETWORK,
    SURROGATES,
    Experiment,
    load_experiment,
)
from spicetrain.experiment.manifest import dataset_sha256, origin, plan_sha256, technology_entry
from spicetrain.spice.ngspice import Ngspice, find_ngspice
from spicetrain.storage import copy_into, make_folder, read_json, sha256_of_file, write_atomic, write_json
from spicetrain.technology import load_technology

if TYPE_CHECKING:
    from spicetrain.datasets import Dataset
    from spicetrain.experiment.system import System
    from spicetrain.inverter.network import Network
    from spicetrain.spiking.network import SpikingNetwork


class Run:
    """An experiment and the folder that holds everything of it. Each verb reads what the one before wrote.

    characterize, fit_surrogates and train keep a result that is there already, made from the same inputs; verify
    always simulates. A folder with trained work keeps its definition: only [verification] and [energy] may change,
    another training is refused and nothing is overwritten. What a verb needs and does not find is said before torch is
    loaded.

    ngspice   an executable (None: $SPICETRAIN_NGSPICE, else the one on the PATH)
    workers   processes at a time (None: one a core)
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: str | Path,
        *,
        ngspice: str | Path | None = None,
        workers: int | None = None,
    ):
        if workers is not None and workers < 1:
            raise ConfigurationError(f"workers = {workers}: at least one process is needed.")
        self.experiment, self.folder, self.workers = experiment.with_absolute_paths(Path.cwd()), Path(folder), workers
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigurationError(f"{self.folder} is a file, not a run folder: choose another with --out.")
        self._ngspice = ngspice
        self.technology = load_technology(experiment.technology)

    @cached_property
    def ngspice(self) -> Ngspice:
        return find_ngspice(self._ngspice)

    @cached_property
    def dataset(self) -> Dataset:
        from spicetrain.datasets import load_dataset

        return load_dataset(self.experiment.dataset.name, self.experiment.dataset.folder)

    @cached_property
    def system(self) -> System:
        """The steps of the experiment's system."""
        from spicetrain.experiment.inverter import InverterSystem
        from spicetrain.experiment.spiking import SpikingSystem

        return InverterSystem(self) if self.experiment.system == "inverter" else SpikingSystem(self)

    def characterize(self) -> dict[str, Path]:
        """Measure the technology: characterization/<table>.parquet, by table name."""
        from spicetrain.characterization.plan import load_plan

        plan = load_plan(self.experiment.characterization.plan)
        inputs = {"characterization.plan": plan_sha256(plan), "ngspice that characterized": str(self.ngspice.version)}
        with self._room("characterize", inputs, ngspice=self.ngspice.version):
            return self.system.characterize(plan)

    def fit_surrogates(self) -> dict[str, Any]:
        """Fit the small NNs: surrogates.safetensors, surrogates.json (returned), plots."""
        with self._room("fit-surrogates", seed=self.experiment.surrogates.seed):
            return self.system.fit()

    def train(self) -> Network | SpikingNetwork:
        """Train: network.safetensors, metrics.jsonl; with training.forward = "spice" every minibatch in ngspice."""
        settings = self.experiment.training
        version = {"ngspice": self.ngspice.version} if self.system.trained_by_ngspice else {}
        inputs = {f"{name} that trained": str(value) for name, value in version.items()}
        surrogates = self._surrogates()
        inputs |= dataset_sha256(self.dataset)
        with (
            self._room("train", inputs, seed=settings.seed, device=settings.device, **version),
            self.system.simulator() as simulate,
        ):
            network = self.system.train(surrogates, simulate)
            self._keep(network)
        return network

    def verify(self) -> dict[str, Any]:
        """Simulate the trained network in ngspice: verification.parquet, summary.json (returned), network.cir; of the
        inverter system with [energy] images also transient.parquet and waveforms.parquet, of the spiking system
        spikes.npz and waveforms.parquet.

        VerificationError, after all is written, when a figure is outside what [verification] asks.
        """
        network, surrogates = self._made_by("train", NETWORK), self._surrogates()
        with self._room("verify", dataset_sha256(self.dataset), ngspice=self.ngspice.version):
            self.netlist(0, self.system.plain_form)
            return self.system.verify(network, surrogates)

    def netlist(self, image: int, form: Literal["reduced", "flat"] = "flat") -> Path:
        """Write the deck of one test image for plain ngspice: network.cir (reduced) or network-flat-<image>.cir."""
        network, images = self._made_by("train", NETWORK), len(self.dataset.test_inputs)
        if not 0 <= image < images:
            raise ConfigurationError(f"There is no test image {image}: {self.dataset.name} has 0 .. {images - 1}.")
        path = self.folder / ("network.cir" if form == "reduced" else f"network-flat-{image}.cir")
        self.system.write_deck(network, image, form, path)
        return path

    def report(self) -> Path:
        """Everything the folder holds so far on one page: report.html."""
        from spicetrain.report import write_report

        return write_report(self.folder)

    def all(self) -> dict[str, Any]:
        """characterize, fit_surrogates, train, verify, report; the verification's summary.

        A verification of the same inputs is kept; its figures are judged again.
        """
        self.ngspice  # noqa: B018  # what is missing or does not fit shows before the work begins
        self.system.require()
        self.characterize()
        self.fit_surrogates()
        self.train()
        try:
            summary = self.verified()
        except VerificationError:
            self.report()
            raise
        self.report()
        return summary

    def verified(self) -> dict[str, Any]:
        """`verify`, unless a verification of the same inputs is there: then its summary, judged again."""
        summary = self.system.kept_verification(self.folder / NETWORK, self._surrogates())
        if summary is None:
            return self.verify()
        self.system.require_within(summary)
        return summary

    def adopt(self, other: Run) -> None:
        """Take the characterization and the surrogates of another folder, instead of making them again.

        ConfigurationError when that one is of another technology, plan or fit, StorageError when it holds none.
        """
        ours, theirs = self.experiment.measured_as(), other.experiment.measured_as()
        differing = [name for name, value in ours.items() if theirs.get(name) != value]
        if differing:
            raise ConfigurationError(f"{other.folder} was made with another {' and '.join(differing)} than this asks.")
        other._surrogates()
        known = ("characterization.plan", "ngspice that characterized")
        inputs = {name: value for name, value in other._manifest()["inputs_sha256"].items() if name in known}
        with self._room("characterize", inputs, copied_from=str(other.folder)):
            copy_into(self.folder / "characterization", (other.folder / "characterization").iterdir())
        with self._room("fit-surrogates", seed=self.experiment.surrogates.seed, copied_from=str(other.folder)):
            fit = [path for path in other.folder.glob("surrogates*") if path.name != FIT]
            copy_into(self.folder, [*fit, other.folder / FIT])  # the last, by which it is recognised

    def _keep(self, network: Network | SpikingNetwork) -> None:
        """Write network.safetensors, unless it is this network already: its checksum is what a verification, and the
        pieces of an interrupted one, are known by."""
        path = self.folder / NETWORK
        with suppress(StorageError):  # absent or damaged
            if self.system.load_network(path).fingerprint == network.fingerprint:
                return
        network.save(path)

    def _surrogates(self) -> Any:
        """What was fitted; ConfigurationError when it is not of this technology and this folder's fit."""
        path, report = (self._made_by("fit-surrogates", name) for name in (SURROGATES, FIT))
        surrogates, kept = self.system.load_surrogates(path)
        fit, first = read_json(report), self.system.first_fit
        try:
            fingerprint, key = fit["technology_fingerprint"], fit["surrogates"][first]["key"]
        except (KeyError, TypeError) as error:
            raise StorageError(
                f"{report} is not what a fit writes ({error!r}). {self._again('fit-surrogates')}"
            ) from error
        if fingerprint != self.technology.fingerprint:
            raise ConfigurationError(
                f"{path} was fitted for another technology than {self.technology.name!r} as it is now: its file or its "
                "library has changed since, or another one is named. Characterize and fit again, or name that one."
            )
        if kept[first].get("key") != key:
            raise ConfigurationError(
                f"{path} is not of the fit that {report.name} describes: it was copied here, or a fit was interrupted. "
                + self._again("fit-surrogates")
            )
        return surrogates

    @contextmanager
    def _room(self, name: str, inputs: dict[str, str] | None = None, **details: Any) -> Iterator[None]:
        """Write the resolved experiment, do the work, and note in the manifest what it was done with.

        inputs  checksum, or version, of what the work depends on besides the settings, by name
        """
        make_folder(self.folder)
        inputs = {"technology": self.technology.fingerprint} | self.system.inputs | (inputs or {})
        self._require_same_training(inputs)
        started, missed = time.time(), None
        try:
            with self._defined():
                yield
        except VerificationError as error:  # its files are written all the same
            missed = error
        manifest = self._manifest()
        manifest |= origin() | {"technology": technology_entry(self.technology)}
        manifest["inputs_sha256"] |= inputs
        manifest["rooms"][name] = {
            **details,
            "seconds": time.time() - started,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "artefacts_sha256": self._artefacts(),
        }
        write_json(self.folder / MANIFEST, manifest)
        if missed is not None:
            raise missed

    @contextmanager
    def _defined(self) -> Iterator[None]:
        """The resolved experiment in the folder; what is refused with it leaves the one before."""
        path = self.folder / DEFINITION
        before = path.read_bytes() if path.exists() else None
        with write_atomic(path) as temporary:
            temporary.write_text(tomli_w.dumps(self.experiment.model_dump(mode="json", exclude_none=True)))
        try:
            yield
        except StorageError:
            raise
        except ConfigurationError:
            if before is None:
                path.unlink()
            else:
                with write_atomic(path) as temporary:
                    temporary.write_bytes(before)
            raise

    def _manifest(self) -> dict[str, Any]:
        path = self.folder / MANIFEST
        empty: dict[str, Any] = {"rooms": {}, "inputs_sha256": {}}
        found = read_json(path) if path.exists() else {}
        if not (isinstance(found, dict) and all(isinstance(found.get(key, {}), dict) for key in empty)):
            raise StorageError(f"{path} is not what spicetrain writes. Remove it; the next step writes another.")
        return empty | found

    def _require_same_training(self, inputs: dict[str, str]) -> None:
        """A folder with trained work in it belongs to the training that made it."""
        if not (self.folder / DEFINITION).exists() or not (self.folder / CHECKPOINT).exists():
            return
        found = self._manifest()["inputs_sha256"] | load_experiment(self.folder).trained_as()
        wanted = inputs | self.experiment.trained_as()
        differing = [
            f"{key} {_short(found[key])} there, {_short(value)} here"
            for key, value in wanted.items()
            # The network it started from is known by what it holds, which the checkpoint says.
            if key in found and found[key] != value and key != "training.initial"
        ]
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
            raise ConfigurationError(f"{path} is not there. {self._again(verb)}")
        return path

    def _again(self, verb: str) -> str:
        return f"`spicetrain {verb} {self.folder}` makes it (`spicetrain run` does all in order)."


def _short(value: object) -> str:
    """A setting as it is, a checksum by its beginning."""
    text = value if isinstance(value, str) else repr(value)
    return f"{text[:12]}..." if len(text) == 64 else text
