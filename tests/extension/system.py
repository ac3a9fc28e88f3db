"""A system: one crossbar, its columns read as they stand open; the highest one is the class.

All its rooms in one file, on the kits that both shipped systems stand on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from spicetrain.array.conductances import Conductances
from spicetrain.array.crossbar import Crossbar
from spicetrain.array.layered import Layered, crossbars_in, load_stored, stored_crossbars
from spicetrain.array.netlist import add_crossbar
from spicetrain.characterization.characterize import characterize
from spicetrain.characterization.memristor_iv import MEMRISTOR_IV
from spicetrain.characterization.plan import Plan
from spicetrain.characterization.sweep import Subject
from spicetrain.experiment import Experiment
from spicetrain.keyed import Recipe, cached_json
from spicetrain.netlists.cells import VDD, VSS, Form, models_only, text_of
from spicetrain.netlists.index_source import add_index, add_lookup, sweep
from spicetrain.registry import Registry
from spicetrain.report.blocks import Block, Paragraph, Section
from spicetrain.report.conductances import conductances_section
from spicetrain.report.page import Page
from spicetrain.runfolder import FIT, SUMMARY, SURROGATES
from spicetrain.runfolder import TABLES as TABLES_FOLDER
from spicetrain.schema import Definition
from spicetrain.spice.deck import Deck
from spicetrain.storage import sha256_of_file, write_atomic, write_json
from spicetrain.system import Bench, System
from spicetrain.technology import Technology
from spicetrain.training.checkpoint import Identity
from spicetrain.training.common import Part, parts_of, require_dataset
from spicetrain.training.loop import Task, train_epochs
from spicetrain.training.settings import LoopSettings, NoSettings
from spicetrain.verification.conditions import conditions_of
from spicetrain.verification.limits import Limit, require
from spicetrain.verification.pieces import Piece, run_pieces
from spicetrain.verification.settings import VerificationBase
from spicetrain.verification.summary import Summary

FORMAT = "open-columns-1"


@dataclass(frozen=True)
class OhmsLaw:
    """The one method."""

    settings: type[Definition] = NoSettings


METHODS: Registry[OhmsLaw] = Registry("method", {"ohm": OhmsLaw()})


class OpenSettings(LoopSettings):
    methods: ClassVar[Registry[Any]] = METHODS
    method: Annotated[str, METHODS.validator()] = "ohm"
    logit_V: float = Field(default=0.02, gt=0)


class OpenNetwork(Definition):
    layers: tuple[int, int]


class OpenExperiment(Experiment):
    system: Literal["open-columns"] = "open-columns"
    network: OpenNetwork
    training: OpenSettings = Field(default_factory=OpenSettings)
    verification: VerificationBase = Field(default_factory=VerificationBase)


@dataclass(frozen=True)
class OpenCrossbar(Layered):
    crossbars: tuple[Crossbar, ...]
    about: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        return Recipe(FORMAT).key(crossbars=stored_crossbars(self.crossbars), about=self.about)

    def save(self, path: Path) -> None:
        with write_atomic(path) as temporary:
            save_file(stored_crossbars(self.crossbars), temporary, {"format": FORMAT, "about": json.dumps(self.about)})


class OpenSummary(Summary):
    system: Literal["open-columns"] = "open-columns"
    error_max_V: float


class OpenTask(Task):
    def __init__(self, technology: Technology, shape: tuple[int, int], settings: OpenSettings, identity: Identity):
        self.technology, self.settings, self.identity = technology, settings, identity
        self.title = "train open columns"
        thetas = [torch.zeros(shape), torch.zeros(shape), torch.zeros(shape[1]), torch.zeros(shape[1])]
        self.thetas = [nn.Parameter(theta) for theta in thetas]
        self.model = nn.ParameterList(self.thetas)
        self.parts: dict[str, Part] = {}

    def conductances(self) -> Conductances:
        device = self.technology.memristor
        span = device.g_max_S - device.g_min_S
        return Conductances(*(device.g_min_S + span * torch.sigmoid(theta) for theta in self.thetas))

    def columns(self, inputs: Tensor) -> Tensor:
        rails = self.technology.rails
        return self.conductances().open_columns(rails.half_swing_V * inputs, rails)

    def loss(self, images: Tensor, labels: Tensor, random: torch.Generator) -> Tensor:
        return cross_entropy(self.columns(images) / self.settings.logit_V, labels)

    def accuracies(self) -> dict[str, float]:
        inputs, labels = self.parts["test"]
        return {"accuracy_test": float((self.columns(inputs).argmax(1) == labels).float().mean())}


def deck_of(network: OpenCrossbar, technology: Technology, inputs: Any) -> Deck:
    circuit, rails = models_only(technology), technology.rails
    circuit.V(VDD, VDD, circuit.gnd, rails.vdd_V)
    circuit.V(VSS, VSS, circuit.gnd, rails.vss_V)
    add_index(circuit)
    box, signal = network.crossbars[0], rails.half_swing_V * np.asarray(inputs, np.float64)
    pairs = [(f"x{i}_p", f"x{i}_n") for i in range(box.rows)]
    for pair, x in zip(pairs, signal.T, strict=True):
        for node, v in zip(pair, (rails.mid_V + x, rails.mid_V - x), strict=True):
            add_lookup(circuit, node, v)
    add_crossbar(circuit, 0, box, pairs, (VDD, VSS), technology.memristor)
    saves = tuple(f"v(c0_{j})" for j in range(box.columns))
    count, T_C = len(inputs), technology.temperature_C
    return Deck(text_of(circuit), sweep(count), saves, points=count, temperature_C=T_C)


class OpenColumns(System):
    name = "open-columns"
    definition = OpenExperiment
    tables = {"memristor_iv": MEMRISTOR_IV}
    summary = OpenSummary
    metrics = ("epoch", "loss", "seconds")
    first_fit = "memristor"

    def require(self, bench: Bench) -> None:
        training = bench.experiment.training
        require_dataset(bench.experiment.network.layers, training.augmentation, training.validation, bench.dataset)

    def characterize(self, bench: Bench, plan: Plan) -> dict[str, Path]:
        return characterize(Subject(bench.technology), plan, bench.simulator, bench.files / TABLES_FOLDER)

    def fit(self, bench: Bench) -> dict[str, Any]:
        key = sha256_of_file(bench.files / TABLES_FOLDER / "memristor_iv.parquet")
        save_file({"nothing": np.zeros(1)}, bench.files / SURROGATES, {"key": key})
        fit = {"technology_fingerprint": bench.technology.fingerprint, "surrogates": {"memristor": {"key": key}}}
        write_json(bench.files / FIT, fit)
        return fit

    def load_surrogates(self, path: Path) -> tuple[None, dict[str, Any]]:
        return None, {"memristor": {"key": load_key(path)}}

    def train(self, bench: Bench, surrogates: None, simulate: None) -> OpenCrossbar:
        settings, dataset = bench.experiment.training, bench.dataset
        identity = Identity({"technology": bench.technology.fingerprint, **settings.trained_as()})
        task = OpenTask(bench.technology, bench.experiment.network.layers, settings, identity)
        task.parts = parts_of(dataset, settings.validation, torch.device("cpu"))
        train_epochs(task, settings, task.parts.pop("train"), dataset.image_shape, bench.files.folder)
        values = (value.detach().double().numpy() for value in task.conductances())
        about = {"method": "ohm", "dataset": dataset.name, "technology": bench.technology.name}
        about["technology_fingerprint"] = bench.technology.fingerprint
        return OpenCrossbar((Crossbar(*values),), about)

    def load_network(self, path: Path) -> OpenCrossbar:
        return load_stored(
            path, FORMAT, lambda tensors, header: OpenCrossbar(crossbars_in(tensors), json.loads(header["about"]))
        )

    def plain_form(self, bench: Bench) -> Form:
        return "flat"

    def deck(self, bench: Bench, network: OpenCrossbar, image: int, form: Form) -> str:
        return deck_of(network, bench.technology, bench.dataset.test_inputs[image : image + 1]).text()

    def _key(self, bench: Bench, network: OpenCrossbar) -> str:
        inputs = {"network": network, "technology": bench.technology, "dataset": bench.dataset}
        return Recipe("open columns").key(**inputs, images=bench.experiment.verification.images)

    def verify(self, bench: Bench, network: OpenCrossbar, surrogates: None) -> OpenSummary:
        settings, dataset = bench.experiment.verification, bench.dataset
        conditions = conditions_of(bench.technology, settings.conditions)
        inputs, labels = dataset.test_inputs[: settings.images], dataset.test_labels[: settings.images]

        def simulate(simulator: Any, part: Any) -> dict[str, Any]:
            answer = simulator.simulate(deck_of(network, conditions.simulated, part))
            return {"v": np.stack([answer.values[f"v(c0_{j})"] for j in range(network.layers[-1])], 1)}

        key = self._key(bench, network)
        (found,) = run_pieces(bench.simulator.changed(workers=1), simulate, [Piece(inputs, key, len(inputs))], "verify")
        spice_V, rails = found["v"], conditions.modelled.rails
        signal = rails.half_swing_V * inputs.astype(np.float64)
        box = network.crossbars[0]
        model_V = box.open_column_voltage(rails.mid_V + signal, rails.mid_V - signal, rails)
        figures: dict[str, Any] = conditions.recorded(network.about)
        summary = OpenSummary(
            method="ohm", dataset=dataset.name, technology=bench.technology.name, layers=network.layers, netlist="flat",
            images=len(inputs), accuracy_model=float((model_V.argmax(1) == labels).mean()),
            accuracy_spice=float((spice_V.argmax(1) == labels).mean()),
            agreement=float((spice_V.argmax(1) == model_V.argmax(1)).mean()),
            error_max_V=float(np.abs(spice_V - model_V).max()), seconds_ngspice=0.0, seconds_total=0.0,
            ngspice_version=bench.simulator.version, key=key, **figures,
        )  # fmt: skip
        write_json(bench.files / SUMMARY, summary.to_json())
        return summary

    def cached_verification(self, bench: Bench, network: OpenCrossbar, surrogates: None) -> OpenSummary | None:
        content = cached_json(bench.files / SUMMARY, self._key(bench, network))
        return None if content is None else OpenSummary.model_validate(content)

    def require_within(self, experiment: OpenExperiment, summary: OpenSummary) -> None:
        asked = experiment.verification.accuracy_min
        require([Limit("accuracy_spice", summary.accuracy_spice, asked, "at least", summary.images)])

    def summary_rows(self, summary: OpenSummary) -> tuple[str, list[tuple[str, str]]]:
        return "open columns", [("accuracy, SPICE", f"{summary.accuracy_spice:.2%}")]

    def result(self, summary: OpenSummary, verify: str) -> list[Block]:
        return [Paragraph(f"{summary.accuracy_spice:.2%} of {summary.images} images, by open columns.")]

    def sections(self, page: Page) -> list[Section]:
        return [conductances_section(page)]


def load_key(path: Path) -> str:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as stored:
        return str(stored.metadata()["key"])


SYSTEM = OpenColumns()
