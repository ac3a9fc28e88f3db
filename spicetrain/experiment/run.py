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
    from spicetrain.network import Network
    from spicetrain.surrogates.store import Surrogates
    from spicetrain.training.voltages import Simulate


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

    def characterize(self) -> dict[str, Path]:
        """Measure the technology: characterization/<table>.parquet, by table name."""
        from spicetrain.characterization.characterize import characterize
        from spicetrain.characterization.plan import load_plan

        plan = load_plan(self.experiment.characterization.plan)
        inputs = {"characterization.plan": plan_sha256(plan), "ngspice that characterized": str(self.ngspice.version)}
        with self._room("characterize", inputs, ngspice=self.ngspice.version):
            return characterize(
                self.technology, plan, self.ngspice, self.folder / "characterization", workers=self.workers
            )

    def fit_surrogates(self) -> dict[str, Any]:
        """Fit the small NNs: surrogates.safetensors, surrogates.json (returned), plots."""
        from spicetrain.surrogates.fit import fit_surrogates

        settings = self.experiment.surrogates
        with self._room("fit-surrogates", seed=settings.seed):
            return fit_surrogates(self.folder / "characterization", self.technology, settings, self.folder)

    def train(self) -> Network:
        """Train: network.safetensors, metrics.jsonl; with training.forward = "spice" every minibatch in ngspice."""
        settings = self.experiment.training
        version = {"ngspice": self.ngspice.version} if settings.forward == "spice" else {}
        inputs = {f"{name} that trained": str(value) for name, value in version.items()}
        surrogates = self._surrogates()
        from spicetrain.training.loop import train

        inputs |= dataset_sha256(self.dataset)
        with (
            self._room("train", inputs, seed=settings.seed, device=settings.device, **version),
            self._simulator() as simulate,
        ):
            network = train(
                self.experiment.network, settings, self.dataset, self.technology, surrogates, self.folder, simulate
            )
            self._keep(network)
        return network

    def verify(self) -> dict[str, Any]:
        """Simulate the trained network in ngspice: verification.parquet, summary.json (returned), network.cir;
        with [energy] images, transient.parquet and waveforms.parquet.

        VerificationError, after all is written, when a figure is outside what [verification] asks.
        """
        network, surrogates = self._made_by("train", NETWORK), self._surrogates()
        from spicetrain.verification.verify import verify

        with self._room("verify", dataset_sha256(self.dataset), ngspice=self.ngspice.version):
            self.netlist(0, "reduced" if self.technology.memristor.form == "ohmic" else "flat")
            return verify(
                network,
                self.technology,
                surrogates,
                self.dataset,
                self.experiment.verification,
                self.ngspice,
                self.folder,
                self.experiment.energy,
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
        network.require_layers((inputs.shape[1], *network.layers[1:]), str(self.folder / NETWORK))
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
        """characterize, fit_surrogates, train, verify, report; the verification's summary.

        A verification of the same inputs is kept; its figures are judged again.
        """
        from spicetrain.training.loop import require_fit
        from spicetrain.verification.energy import require_energy
        from spicetrain.verification.verify import require_images

        self.ngspice  # noqa: B018  # what is missing or does not fit shows before the work begins
        require_fit(self.experiment.network, self.experiment.training, self.dataset)
        require_images(self.experiment.verification, self.dataset)
        require_energy(self.experiment.energy, self.dataset, self.technology)
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
        from spicetrain.verification.figures import require_within

        summary = self._kept_verification()
        if summary is None:
            return self.verify()
        require_within(summary, self.experiment.verification)
        return summary

    def adopt(self, other: Run) -> None:
        """Take the characterization and the surrogates of another folder, instead of making them again.

        ConfigurationError when that one is of another technology, plan or fit, StorageError when it holds none.
        """
        depends = ("technology", "characterization", "surrogates")
        differing = [name for name in depends if getattr(self.experiment, name) != getattr(other.experiment, name)]
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

    @contextmanager
    def _simulator(self) -> Iterator[Simulate | None]:
        """What solves the forward passes of a training that asks for ngspice."""
        if self.experiment.training.forward != "spice":
            yield None
            return
        from spicetrain.verification.spice_forward import spice_forward

        with spice_forward(self.technology, self.ngspice, self.workers) as simulate:
            yield simulate

    def _kept_verification(self) -> dict[str, Any] | None:
        """summary.json when it, and the table it was made from, are of these very inputs."""
        from spicetrain.verification.verify import kept_verification

        return kept_verification(
            self.folder / NETWORK,
            self.technology,
            self._surrogates(),
            self.dataset,
            self.experiment.verification,
            self.ngspice,
            self.folder,
            self.experiment.energy,
        )

    def _keep(self, network: Network) -> None:
        """Write network.safetensors, unless it is this network already: its checksum is what a verification, and the
        pieces of an interrupted one, are known by."""
        from spicetrain.network import Network

        path = self.folder / NETWORK
        with suppress(StorageError):  # absent or damaged
            if Network.load(path).fingerprint == network.fingerprint:
                return
        network.save(path)

    def _surrogates(self) -> Surrogates:
        """What was fitted; ConfigurationError when it is not of this technology and this folder's fit."""
        path, report = (self._made_by("fit-surrogates", name) for name in (SURROGATES, FIT))
        from spicetrain.surrogates.store import Surrogates, load_surrogates

        surrogates, kept = Surrogates.load(path), load_surrogates(path)[1]
        fit = read_json(report)
        try:
            fingerprint, key = fit["technology_fingerprint"], fit["surrogates"]["current_surface"]["key"]
        except (KeyError, TypeError) as error:
            raise StorageError(
                f"{report} is not what a fit writes ({error!r}). {self._again('fit-surrogates')}"
            ) from error
        if fingerprint != self.technology.fingerprint:
            raise ConfigurationError(
                f"{path} was fitted for another technology than {self.technology.name!r} as it is now: its file or its "
                "library has changed since, or another one is named. Characterize and fit again, or name that one."
            )
        if kept["current_surface"].get("key") != key:
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
        inputs = {"technology": self.technology.fingerprint} | (inputs or {})
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
