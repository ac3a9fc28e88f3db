"""The verbs of spicetrain, as the command line and Python have them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from copy import copy
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import tomli_w

from spicetrain.errors import ConfigurationError, StorageError, VerificationError
from spicetrain.experiment import Experiment
from spicetrain.memory import give_back
from spicetrain.netlists.cells import Form
from spicetrain.progress import room, say
from spicetrain.provenance import origin
from spicetrain.runfolder import FIT, NETWORK, SCRATCH, SURROGATES, RunFolder
from spicetrain.spice.ngspice import find_ngspice
from spicetrain.spice.simulator import Simulator
from spicetrain.storage import read_json, sha256_of_file, write_atomic
from spicetrain.system import Network, System
from spicetrain.systems import default_folder, load_experiment, require_same_training, system_of

if TYPE_CHECKING:
    import pandas as pd

    from spicetrain.datasets import Dataset
    from spicetrain.verification.summary import Summary


class Run:
    """An experiment and the folder that holds everything of it. Each verb reads what the one before wrote.

    characterize, fit_surrogates and train keep a result that is there already, made from the same inputs; verify
    always simulates. A folder with trained work keeps its definition: only [verification] and [energy] may change,
    another training is refused and nothing is overwritten. What a verb needs and does not find is said before torch is
    loaded.

    experiment  or what `load_experiment` takes: a preset's name, the path of a TOML, a run folder
    ngspice     an executable (None: $SPICETRAIN_NGSPICE, else the one on the PATH), or a Simulator
    workers     processes at a time (None: one a core)
    executor    any concurrent.futures executor instead of processes of our own
    """

    def __init__(
        self,
        experiment: Experiment | str | Path,
        folder: str | Path,
        *,
        ngspice: str | Path | Simulator | None = None,
        workers: int | None = None,
        executor: Executor | None = None,
    ):
        if workers is not None and workers < 1:
            raise ConfigurationError(f"workers = {workers}: at least one process is needed.")
        if not isinstance(experiment, Experiment):
            experiment = load_experiment(experiment)
        self.experiment, self.files = experiment.with_absolute_paths(Path.cwd()), RunFolder(Path(folder))
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigurationError(f"{self.folder} is a file, not a run folder: choose another with --out.")
        self._ngspice, self._workers, self._executor = ngspice, workers, executor
        self.calibrating = False
        self.technology = experiment.load_technology()

    @classmethod
    def open(cls, target: str | Path, folder: str | Path | None = None, **options: Any) -> Self:
        """The run of a preset, a TOML or a run folder, in `folder` (None: runs/<name>, a run folder in itself).

        options  as of Run. ConfigurationError when `target` is no experiment.
        """
        experiment = load_experiment(target)
        return cls(experiment, default_folder(target) if folder is None else folder, **options)

    @property
    def folder(self) -> Path:
        return self.files.folder

    @property
    def definition(self) -> str:
        """The resolved experiment as TOML."""
        return tomli_w.dumps(self.experiment.model_dump(mode="json", exclude_none=True))

    @cached_property
    def simulator(self) -> Simulator:
        """NgspiceError when there is none that can be used."""
        if isinstance(self._ngspice, Simulator):
            return self._ngspice
        return Simulator(find_ngspice(self._ngspice), self._workers, self._executor)

    @cached_property
    def dataset(self) -> Dataset:
        dataset = self.experiment.dataset.load()
        for note in dataset.notes:
            say(note)
        return dataset

    @cached_property
    def system(self) -> System:
        """The rooms of the experiment's system."""
        return system_of(self.experiment)

    def characterize(self) -> dict[str, Path]:
        """Measure the technology: characterization/<table>.parquet, by table name."""
        from spicetrain.characterization.plan import load_plan

        asked, version = self.experiment.characterization, self.simulator.version
        plan = load_plan(asked.plan, self.system.tables)
        inputs = {"plan": plan.key(), "ngspice that characterized": str(version)}
        with self.room("characterize", inputs, ngspice=version), self._simulating(asked.timeout_s):
            return self.system.characterize(self, plan)

    def fit_surrogates(self) -> dict[str, Any]:
        """Fit the small NNs: surrogates.safetensors, surrogates.json (returned), plots."""
        with self.room("fit-surrogates", seed=self.experiment.surrogates.seed):
            return self.system.fit(self)

    def train(self) -> Network:
        """Train: network.safetensors, metrics.jsonl; with training.forward = "spice" every minibatch in ngspice."""
        settings = self.experiment.training
        version = {"ngspice": self.simulator.version} if self.system.trained_by_ngspice(self.experiment) else {}
        inputs = {f"{name} that trained": str(value) for name, value in version.items()}
        surrogates = self._surrogates_needed()
        inputs |= self.dataset.checksums
        behind = {"epochs_before": before} if (before := settings.epochs_before) else {}
        with (
            self.room("train", inputs, seed=settings.seed, device=settings.device, **version, **behind),
            self.system.solving(self) as simulate,
        ):
            network = self.system.train(self, surrogates, simulate)
            self._keep(network)
        return network

    def verify(self) -> Summary:
        """Simulate the trained network in ngspice: verification.parquet, summary.json (returned), network.cir; of the
        inverter system with [energy] images also transient.parquet and waveforms.parquet, of the spiking system
        spikes.npz and waveforms.parquet.

        VerificationError, after all is written, when a figure is outside what [verification] asks.
        """
        network, surrogates = self.network(), self._surrogates_needed()
        inputs, timeout_s = self.dataset.checksums, self.experiment.verification.timeout_s
        with (
            self.room("verify", inputs, ngspice=self.simulator.version),
            self._simulating(timeout_s, scratch=self.files / SCRATCH),
        ):
            self.netlist(0, self.system.plain_form(self))
            summary = self.system.verify(self, network, surrogates)
            self.system.require_within(self.experiment, summary)
            return summary

    def calibrate(self) -> pd.DataFrame:
        """Program the chips of [calibration] once more: a row each, added to calibration/chips.parquet, and a network
        file. ConfigurationError where the system has no calibration."""
        network, inputs = self.network(), self.dataset.checksums
        timeout_s, scratch = self.experiment.verification.timeout_s, self.files / SCRATCH
        bench = copy(self)
        bench.calibrating = True
        surrogates = bench._surrogates_needed()
        with (
            bench.room("calibrate", inputs, ngspice=bench.simulator.version),
            bench._simulating(timeout_s, scratch=scratch),
        ):
            rows = bench.system.calibrate(bench, network, surrogates)
        shutil.rmtree(scratch, ignore_errors=True)
        return rows

    def placement(self) -> pd.DataFrame:
        """The wires of the trained network placed in every way, in the model, a row each, the best first; nothing is
        written. ConfigurationError where there are no wires."""
        return self.system.placements(self, self.network(), self.surrogates())

    def verify_network(self, network: Network) -> Summary:
        """Simulate a network of one's own (`spicetrain.nn`) in ngspice, as `verify` does the run's own; the figures are
        not judged, and the run folder is left as it is."""
        with TemporaryDirectory() as folder, self._simulating(self.experiment.verification.timeout_s):
            bench = copy(self)
            bench.files = RunFolder(Path(folder))
            return self.system.verify(bench, network, self.surrogates())

    def netlist(self, image: int, form: Form = "flat") -> Path:
        """Write the deck of one test image for plain ngspice: network.cir or, flat, network-flat-<image>.cir."""
        network = self.network()
        self._require_image(image)
        path = self.files / ("network.cir" if form != "flat" else f"network-flat-{image}.cir")
        text = self.system.deck(self, network, image, form)
        with write_atomic(path) as temporary:
            temporary.write_text(text)
        return path

    def _require_image(self, image: int) -> None:
        images = len(self.dataset.test_inputs)
        if not 0 <= image < images:
            raise ConfigurationError(f"There is no test image {image}: {self.dataset.name} has 0 .. {images - 1}.")

    def export(self, to: str, out: str | Path | None = None, *, image: int = 0, dialect: str | None = None) -> Path:
        """Write the trained network as `to`, one of `spicetrain.exporting.EXPORTS`, into the file `out`; None: the run
        folder's of that format. ConfigurationError: an unknown format, or one that the system has not.

        image  the test image that the format shows, if it shows one
        dialect  of SPICE, one of `exporting.dialects.DIALECTS`, where the format is one; None: ngspice's
        """
        from spicetrain.exporting import EXPORTS, Export
        from spicetrain.exporting.dialects import DIALECTS

        form = EXPORTS[to]
        if dialect is not None:
            DIALECTS.require(dialect)
            if not form.dialects:
                raise ConfigurationError(f"--dialect is of `--to subckt`; {to!r} is no SPICE. Leave it out.")
        path = self.files / form.file if out is None else Path(out)
        if path.is_dir():
            raise ConfigurationError(f"{path} is a folder: name a file by --out, such as {path / form.file}.")
        network = self.network()
        self._require_image(image)
        form.write(Export(self, self.system, network, self.surrogates, image, dialect or "ngspice"), path)
        return path

    def report(self) -> Path:
        """Everything the folder holds so far on one page: report.html."""
        from spicetrain.pages import write_report

        return write_report(self.folder)

    def all(self) -> Summary:
        """characterize, fit_surrogates, train, verify, report; the verification's summary.

        A verification of the same inputs is kept; its figures are judged again.
        """
        self.require()
        with self.files.locked():
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

    def require(self) -> None:
        """What is missing or does not fit, before the work begins."""
        from spicetrain.characterization.plan import load_plan

        self.simulator  # noqa: B018
        load_plan(self.experiment.characterization.plan, self.system.tables)
        self.system.require(self)
        initial = getattr(self.experiment.training, "initial", None)
        if initial is not None:
            self.system.load_network(initial).require_layers(self.experiment.network.layers, str(initial))

    def verified(self) -> Summary:
        """`verify`, unless a verification of the same inputs is there: then its summary, judged again."""
        summary = self.system.cached_verification(self, self.network(), self.surrogates())
        if summary is None:
            return self.verify()
        self.system.require_within(self.experiment, summary)
        return summary

    def _keep(self, network: Network) -> None:
        """Write network.safetensors, unless it is this network already."""
        path = self.files / NETWORK
        with suppress(StorageError):  # absent or damaged
            if self.system.load_network(path).fingerprint == network.fingerprint:
                return
        network.save(path)

    def network(self) -> Network:
        """The trained network; ConfigurationError when there is none."""
        return self.system.load_network(self.files.made_by("train", NETWORK))

    def surrogates(self) -> Any:
        """What was fitted; ConfigurationError when it is not of this technology and this folder's fit."""
        path, report = (self.files.made_by("fit-surrogates", name) for name in (SURROGATES, FIT))
        surrogates, kept = self.system.load_surrogates(path)
        fit, first = read_json(report), self.system.first_fit
        again = self.files.again("fit-surrogates")
        try:
            fingerprint, key = fit["technology_fingerprint"], fit["surrogates"][first]["key"]
        except (KeyError, TypeError) as error:
            raise StorageError(f"{report} is not what a fit writes ({error!r}). {again}") from error
        if fingerprint != self.technology.fingerprint:
            raise ConfigurationError(
                f"{path} was fitted for another technology than {self.technology.name!r} as it is now: its file or its "
                "library has changed since, or another one is named. Characterize and fit again, or name that one; to "
                "simulate the network in another technology, name it in verification.conditions.technology."
            )
        if kept[first].get("key") != key:
            raise ConfigurationError(
                f"{path} is not of the fit that {report.name} describes: it was copied here, or a fit was interrupted. "
                + again
            )
        return surrogates

    def _surrogates_needed(self) -> Any:
        """What was fitted, and besides what is asked for only now: chips need more of the inverter than one does."""
        if self.system.lacks(self, self.surrogates()):
            self.characterize()
            self.fit_surrogates()
        return self.surrogates()

    @contextmanager
    def room(self, name: str, inputs: dict[str, str] | None = None, **details: Any) -> Iterator[None]:
        """Write the resolved experiment, do the work, and note in the manifest what it was done with."""
        technology = self.technology
        inputs = {"technology": technology.fingerprint} | self.system.inputs(self) | (inputs or {})
        made_with = self.files.manifest["inputs_sha256"]
        require_same_training(self.folder, self.experiment, now=inputs, then=made_with)
        made_of = {
            "name": technology.name,
            "fingerprint": technology.fingerprint,
            "library_sha256": sha256_of_file(technology.library),
        }
        with (
            self.files.locked(),
            room(name, self.folder),
            self.files.room(name, inputs, origin() | {"technology": made_of}, **details),
            self.files.defined(self.definition),
        ):
            yield
        give_back()

    @contextmanager
    def _simulating(self, timeout_s: float, **changes: Any) -> Iterator[None]:
        """The simulator with the settings of a room."""
        before = self.simulator
        self.simulator = before.changed(timeout_s=timeout_s, **changes)
        try:
            yield
        finally:
            self.simulator = before
