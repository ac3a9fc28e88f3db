"""Trained network -> netlist -> ngspice -> figures."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spicetrain.datasets import Dataset
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.definition import CalibrationSettings, EnergySettings, VerificationSettings, own_settings
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.goal import Regression
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.newton import EXACT
from spicetrain.inverter.training.voltages import Prediction, named_voltages
from spicetrain.inverter.verification.area import area_of
from spicetrain.inverter.verification.chips import WORST, Population, forget_chips, verify_chips
from spicetrain.inverter.verification.energy import ENERGY, Energy, measure_energy, require_energy, require_energy_size
from spicetrain.inverter.verification.figures import compare, output_errors
from spicetrain.inverter.verification.fitting import Fitting
from spicetrain.inverter.verification.grid import TABLE, Grid, forget_grid, verify_grid
from spicetrain.inverter.verification.near_model import simulate_near
from spicetrain.inverter.verification.regression import regression_figures, require_task
from spicetrain.inverter.verification.simulate_network import SimulatedVoltages, simulate_network
from spicetrain.inverter.verification.summary import FlatFigures, GridFigures, InverterSummary
from spicetrain.inverter.verification.tables import HIDDEN, TRANSIENT, write_tables, write_transient
from spicetrain.keyed import Recipe, cached_json
from spicetrain.netlists.cells import Form
from spicetrain.netlists.forms import CHECK_S, form_of, require_size, too_large
from spicetrain.runfolder import SUMMARY, VERIFICATION, WAVEFORMS, RunFolder
from spicetrain.spice.simulator import Simulator
from spicetrain.storage import write_json
from spicetrain.training.common import device_of
from spicetrain.variation import require_statistics
from spicetrain.verification.chips import CHIPS, ChipFigures, chip_images, conditions_asked, numbers
from spicetrain.verification.conditions import Conditions

_VERIFICATION = Recipe("verification", 2)


@dataclass(frozen=True)
class Verification:
    """A verification as it is asked for: of which network, as which circuit, on which images.

    surrogates  by which the network's own method predicts, of the technology it was trained in
    energy      with images: energy and delay are measured in time, too
    fitting     how the inverter is fitted under the conditions of settings.grid
    device      of the chips' model, as in TrainingSettings
    """

    network: Network
    conditions: Conditions
    surrogates: Surrogates
    dataset: Dataset
    settings: VerificationSettings
    energy: EnergySettings = field(default_factory=EnergySettings)
    fitting: Fitting | None = None
    device: str = "cpu"

    @cached_property
    def method(self) -> str:
        return str(self.network.about["method"])

    @property
    def inputs(self) -> NDArray[np.float32]:
        return self.dataset.test_inputs[: self.settings.images]

    @property
    def labels(self) -> NDArray[np.int64]:
        return self.dataset.test_labels[: self.settings.images]

    @property
    def tables(self) -> list[str]:
        """Names of the files that it writes besides the summary."""
        hidden = [HIDDEN] if self.settings.hidden else []
        chips = [CHIPS, WORST] if self.settings.chips else []
        grid = [TABLE] if self.settings.grid else []
        return [VERIFICATION, *hidden, *chips, *grid, *([TRANSIENT, WAVEFORMS] if self.energy.images else [])]

    def key(self, simulator: Simulator) -> str:
        """Of everything that the figures depend on."""
        further: dict[str, Any] = {"chips": self._population_key()} if self.settings.chips else {}
        further |= {"grid": self.grid.key(simulator)} if self.settings.grid else {}
        pitch_m = self.conditions.simulated.memristor.pitch_m  # in no fingerprint: only areas depend on it
        further |= {} if pitch_m is None else {"pitch_m": pitch_m}
        return _VERIFICATION.key(
            network=self.network, simulated=self.conditions.simulated, surrogates=self.surrogates, dataset=self.dataset,
            chosen=self.settings.model_dump(include={"images", "hidden"})
            | {"netlist": self.form, "flat_images": self.flat_images(simulator)},
            energy=[ENERGY.version, self.energy] if self.energy.images else None, ngspice=simulator.version, **further,
        )  # fmt: skip

    @property
    def form(self) -> Form:
        """Of the netlist."""
        return form_of(self.conditions.simulated, self.settings.netlist)

    def flat_left_out(self, simulator: Simulator) -> str | None:
        """Why no image is simulated flat, although some are asked for; None where they are, or none is."""
        if not self.settings.flat_images or self.form == "flat":
            return None
        return too_large("flat", self.conditions.simulated, self.network.layers, simulator.ngspice, CHECK_S)

    def flat_images(self, simulator: Simulator) -> int:
        """How many images are simulated flat besides."""
        return 0 if self.form == "flat" or self.flat_left_out(simulator) else self.settings.flat_images

    def _population_key(self) -> list[Any]:
        chosen = self.settings.model_dump(include={"chips_simulated", "chips_sources", "yield_accuracy"})
        conditions = conditions_asked(self.settings, self.conditions.modelled)
        named = {name: statistics.facts() for name, statistics in conditions.items()}
        return [self.population.key(numbers(self.settings)), chosen, named]

    @cached_property
    def population(self) -> Population:
        """The chips that are asked for. ConfigurationError when nothing varies from one to the next."""
        technology, images = self.conditions.modelled, chip_images(self.settings, len(self.dataset.test_inputs))
        statistics = require_statistics(technology, self.settings.variation)
        inputs, labels = self.dataset.test_inputs[:images], self.dataset.test_labels[:images]
        device = device_of(self.device)
        return Population(self.network, self.conditions, self.surrogates, statistics, inputs, labels, device)

    @cached_property
    def grid(self) -> Grid:
        """The conditions that are asked for, ConfigurationError when it is not said how to fit under them."""
        if self.fitting is None:
            raise ConfigurationError(
                "verification.grid is asked for, but this Verification was not told how to fit the inverter under its "
                "conditions: give it fitting=, or call Run.verify, which does."
            )
        technology, shown = self.conditions.modelled, (self.dataset, self.inputs, self.labels)
        return Grid(self.network, technology, self.fitting, *shown, self.settings, self.energy)

    def require(self) -> None:
        """ConfigurationError, ArchitectureMismatch: what cannot be verified."""
        self.network.require_layers(
            (self.dataset.test_inputs.shape[1], *self.network.layers[1:-1], len(self.dataset.outputs)),
            "network.safetensors",
        )
        require_task(self.settings, self.dataset)
        require_images(self.settings, self.dataset)
        require_energy(self.energy, self.dataset, self.conditions.simulated)
        _ = self.form  # that there is such a netlist
        if self.settings.chips:
            _ = self.population  # that there is one
        if self.settings.grid:
            _ = self.grid.conditions  # likewise

    def goals(self) -> tuple[Regression, Regression] | None:
        """Of a regression: how outputs are read at the model's rails, and at those that are simulated."""
        targets, both = self.dataset.targets, (self.conditions.modelled, self.conditions.simulated)
        if targets is None:
            return None
        modelled, simulated = (Regression(technology.rails, targets) for technology in both)
        return modelled, simulated

    def judged(self, model_V: NDArray, spice_V: NDArray) -> dict[str, Any]:
        """The figures of outputs [images, outputs], by the dataset's task."""
        if (goals := self.goals()) is None:
            return compare(model_V, spice_V, self.labels)
        none = dict.fromkeys(("accuracy_model", "accuracy_spice", "agreement"))
        found = regression_figures(*goals, model_V, spice_V, self.labels)
        return {"images": len(self.labels), **none, **output_errors(model_V, spice_V), "regression": found}

    def wanted(self, images: int | None = None) -> dict[str, NDArray]:
        """Of the images (None: those verified), columns of a table: label, or wanted_<target>."""
        labels = self.dataset.test_labels[: self.settings.images if images is None else images]
        targets = self.dataset.targets
        if targets is None:
            return {"label": labels}
        return {f"wanted_{name}": column for name, column in zip(targets.names, labels.T, strict=True)}

    def read(self, model_V: NDArray, spice_V: NDArray) -> dict[str, NDArray]:
        """Of a regression, columns of a table: the outputs in the targets' units, model_<target>, spice_<target>."""
        if (goals := self.goals()) is None:
            return {}
        read = {"model": goals[0].read(model_V), "spice": goals[1].read(spice_V)}
        return {
            f"{kind}_{name}": column
            for kind, values in read.items()
            for name, column in zip(goals[0].targets.names, values.T, strict=True)
        }

    def predict(self) -> Prediction:
        """As the network's own method has it, in float64, in the technology it was trained in."""
        circuit = FittedCircuit(self.conditions.modelled, self.surrogates, torch.float64, tolerance=EXACT)
        return predict(self.network, self.inputs, circuit, self.method, own_settings(self.network.about))


def verify(asked: Verification, simulator: Simulator, files: RunFolder) -> InverterSummary:
    """Simulate the network in ngspice and compare it with its own method's prediction; then, if asked, in time.

    files  gets verification.parquet (a row an image: index, label, outputs of model and SPICE in volts), with
           `hidden` hidden.parquet (inner nodes), with `energy` transient.parquet (a row an image) and
           waveforms.parquet (of the first images), and summary.json, which is also returned

    Raises SimulationError, ConfigurationError, StorageError.
    """
    started = time.perf_counter()
    asked.require()
    require_size(asked.form, asked.conditions.simulated, asked.network.layers, simulator.ngspice, simulator.timeout_s)
    require_energy_size(asked.energy, asked.conditions.simulated, asked.network.layers, simulator)
    network, settings, technology = asked.network, asked.settings, asked.conditions.simulated
    simulate = partial(simulate_network, network, technology, simulator=simulator)
    prediction = asked.predict()
    model_V, outputs = named_voltages(prediction.layers), [f"o_{j}" for j in range(network.layers[-1])]
    near = partial(simulate_near, network, technology, simulator=simulator, model_V=model_V)
    spice = near(asked.inputs, asked.form, hidden=settings.hidden)
    spice_out = spice.voltages[:, : len(outputs)]
    flat, flat_left_out = None, asked.flat_left_out(simulator)
    if flat_images := asked.flat_images(simulator):
        flat = _flat(simulate(asked.inputs[:flat_images], "flat"), spice_out)
    energy: Energy | None = None
    if asked.energy.images:
        presented = asked.dataset.test_inputs[: asked.energy.images]
        energy = measure_energy(network, technology, presented, asked.energy, simulator)
    chips: ChipFigures | None = None
    if settings.chips:
        chips = verify_chips(asked.population, settings, asked.form, simulator, files, flat_images=flat_images)
    else:
        forget_chips(files)
    grid: GridFigures | None = None
    if settings.grid:
        grid = verify_grid(asked.grid, simulator, files)
    else:
        forget_grid(files)
    model_out = np.stack([model_V[node] for node in outputs], 1)
    write_tables(files, asked.wanted(), asked.read(model_out, spice_out), outputs, spice, model_V)
    write_transient(files, asked.wanted(asked.energy.images), energy)
    figures: dict[str, Any] = {
        **{key: network.about[key] for key in ("method", "dataset", "technology")},
        "layers": network.layers,
        "netlist": asked.form,
        **asked.judged(model_out, spice_out),
        **asked.conditions.recorded(network.about),
        "swing_V": 2 * technology.rails.half_swing_V,
        "solver_unconverged": prediction.convergence.unconverged,
        "extrapolated": dict(prediction.extrapolation.count),
        "flat": flat,
        "flat_left_out": flat_left_out,
        "energy": None if energy is None else energy.figures,
        "chips": chips,
        "grid": grid,
        "area": area_of(network, technology),
        "seconds_ngspice": spice.seconds_ngspice,
        "seconds_total": time.perf_counter() - started,
        "ngspice_version": simulator.version,
        "key": asked.key(simulator),
    }
    summary = InverterSummary(**figures)
    write_json(files / SUMMARY, summary.to_json())
    if simulator.scratch is not None:
        shutil.rmtree(simulator.scratch, ignore_errors=True)
    return summary


def cached_verification(asked: Verification, simulator: Simulator, files: RunFolder) -> InverterSummary | None:
    """The summary in `files` when a verification of these very inputs wrote it and its tables; its figures are not
    judged again. None otherwise, also when it is damaged."""
    tables = [files / name for name in asked.tables]
    return InverterSummary.of(cached_json(files / SUMMARY, asked.key(simulator), tables))


def require_images(
    settings: VerificationSettings | CalibrationSettings, dataset: Dataset, table: str = "verification"
) -> None:
    """ConfigurationError when there are not so many test images."""
    if settings.images > len(dataset.test_inputs):
        raise ConfigurationError(
            f"{table}.images = {settings.images}, but {dataset.name} has {len(dataset.test_inputs)} test images."
        )


def _flat(flat: SimulatedVoltages, reduced_V: NDArray) -> FlatFigures:
    images = len(flat.voltages)
    return FlatFigures(
        images=images,
        difference_max_V=float(np.abs(flat.voltages - reduced_V[:images]).max()),
        seconds_ngspice=flat.seconds_ngspice,
    )
