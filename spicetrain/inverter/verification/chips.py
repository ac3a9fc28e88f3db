"""The same network on many chips: all of them in the kcl model, the first few in ngspice as well, image for image.

The model is kcl's, whatever method trained the network: it is the one that agrees with ngspice on a chip whose errors
are known, and a chip must not look good because a method does not see what ails it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from spicetrain.draw import Draw
from spicetrain.inverter.chip import Chip, chip_of
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.many_chips import AT_ONCE, outputs_of_chips, takes_many
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.newton import EXACT, tolerance_on
from spicetrain.inverter.training.voltages import Prediction, named_voltages
from spicetrain.inverter.verification.figures import compare
from spicetrain.inverter.verification.near_model import simulate_near
from spicetrain.inverter.verification.simulate_network import simulate_network
from spicetrain.keyed import Recipe
from spicetrain.netlists.cells import Form
from spicetrain.runfolder import RunFolder
from spicetrain.spice.simulator import Simulator
from spicetrain.storage import write_atomic
from spicetrain.surrogates.extrapolation import outside
from spicetrain.technology import Technology
from spicetrain.training.common import at_most_threads
from spicetrain.variation import NOTHING, Statistics
from spicetrain.verification.chips import (
    ChipFigures,
    conditions_asked,
    evaluate_chips,
    figures_of,
    numbers,
    sources_of,
    write_chips,
)
from spicetrain.verification.conditions import Conditions
from spicetrain.verification.settings import VerificationBase

CHIPS_RECIPE = Recipe("chips", 1)
WORST = "chips-worst.parquet"

PIECE = 10  # chips; of 1,000 images of 784-100-10 some seconds


@dataclass(frozen=True)
class Population:
    """A network that was programmed into many chips. It can be sent to a worker.

    inputs, labels  [images, rows] in 0..1, [images]
    device          of the model's predictions; on another than the CPU many chips are predicted at once
    """

    network: Network
    conditions: Conditions
    surrogates: Surrogates
    statistics: Statistics
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    device: torch.device = torch.device("cpu")

    @property
    def technology(self) -> Technology:
        """Of the model."""
        return self.conditions.modelled

    def chip(self, number: int) -> Chip:
        return chip_of(self.network, self.technology, self.statistics, Draw(number))

    def key(self, chips: Sequence[int]) -> str:
        """Of everything that the accuracies of these chips depend on."""
        return CHIPS_RECIPE.key(population=self, chips=list(chips))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all of it."""
        return Recipe("population").key(
            network=self.network, technology=self.technology, simulated=self.conditions.simulated,
            surrogates=[self.surrogates, _shifted(self.surrogates)], statistics=self.statistics.facts(),
            inputs=self.inputs, labels=self.labels,
        )  # fmt: skip

    def outputs(self, chip: Chip, *, exact: bool = False) -> NDArray[np.float64]:
        """Of a chip in the model, [images, outputs] volts; exact: in float64, to the last nanovolt."""
        return self.prediction(chip, exact=exact).outputs.double().numpy()

    def prediction(self, chip: Chip, *, exact: bool = False) -> Prediction:
        """Likewise, of every node."""
        circuit = self._exact if exact else self.circuit
        return predict(chip.network, self.inputs, circuit, "kcl", mismatch=chip.mismatch)

    def accuracy(self, chip: Chip) -> float:
        """Of a chip in the model."""
        return self._right(self.outputs(chip))

    def accuracies(self, chips: Sequence[Chip]) -> list[float]:
        """Of each."""
        if self.device.type == "cpu" or not takes_many(self.circuit):
            return [self.accuracy(chip) for chip in chips]
        return [self._right(outputs) for outputs in outputs_of_chips(chips, self.inputs, self.circuit)]

    def _right(self, outputs: NDArray[np.float64]) -> float:
        return float(np.mean(outputs.argmax(1) == self.labels))

    def simulated(self, chip: Chip, form: Form, simulator: Simulator, flat_images: int = 0) -> dict[str, Any]:
        """Figures of a chip in ngspice against the model, see `compare`; seconds of ngspice; of the first flat_images
        the largest difference between `form` and a flat netlist."""
        simulate = partial(simulate_network, chip.network, self.conditions.simulated, mismatch=chip.mismatch)
        model = self.prediction(chip, exact=True)
        spice = simulate_near(
            chip.network, self.conditions.simulated, self.inputs, form, simulator,
            model_V=named_voltages(model.layers), mismatch=chip.mismatch,
        )  # fmt: skip
        figures = compare(model.outputs.numpy(), spice.voltages, self.labels)
        figures["seconds"] = spice.seconds_ngspice
        if flat_images:
            flat = simulate(inputs=self.inputs[:flat_images], form="flat", simulator=simulator)
            figures["flat_max_V"] = float(np.abs(flat.voltages - spice.voltages[:flat_images]).max())
        return figures

    @cached_property
    def _exact(self) -> FittedCircuit:
        return FittedCircuit(self.technology, self.surrogates, torch.float64, tolerance=EXACT)

    @cached_property
    def circuit(self) -> FittedCircuit:
        """In float32."""
        return FittedCircuit(self.technology, self.surrogates, torch.float32, self.device, tolerance_on(self.device))

    def __getstate__(self) -> dict[str, Any]:
        """Without what is built from the rest: tables of the surface are large, and functions cannot be sent."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def accuracies(population: Population, simulator: Simulator, chips: Sequence[int]) -> dict[str, ArrayLike]:
    """Per chip: accuracy; extrapolated (gates shifted out of the measured domain). For a worker, in float32."""
    with at_most_threads(simulator.cores):
        built = [population.chip(number) for number in chips]
        extrapolated = [_extrapolated(population, chip) for chip in built]
        return {"accuracy": population.accuracies(built), "extrapolated": extrapolated}


def verify_chips(
    population: Population,
    settings: VerificationBase,
    form: Form,
    simulator: Simulator,
    files: RunFolder,
    *,
    flat_images: int = 0,
) -> ChipFigures:
    """The chips that the settings ask for. `files` gets chips.parquet and, of the worst one, chips-worst.parquet.

    flat_images  of the first chip that are simulated flat besides

    Raises SimulationError, StorageError; ConfigurationError when the shifted surface is not fitted.
    """
    started, chips = time.perf_counter(), numbers(settings)
    found = _evaluate(population, simulator, chips, "chips")
    accuracy = found["accuracy"]
    sources = population.statistics.sources if settings.chips_sources else ()
    by_source = {}
    for source in sources if len(sources) > 1 else ():
        alone = replace(population, statistics=population.statistics.only(source))
        by_source[source] = _evaluate(alone, simulator, chips, f"chips, {source}")["accuracy"]
    by_condition = {}
    for name, statistics in conditions_asked(settings, population.technology).items():
        other = replace(population, statistics=statistics)
        by_condition[name] = _evaluate(other, simulator, chips, f"chips, {name}")["accuracy"]
    nominal = replace(population, statistics=NOTHING)
    right = nominal.accuracy(nominal.chip(0))
    seconds_model = time.perf_counter() - started
    first = enumerate(population.chip(number) for number in chips[: settings.chips_simulated])
    simulated = [population.simulated(chip, form, simulator, 0 if rank else flat_images) for rank, chip in first]
    frame = pd.DataFrame({"chip": list(chips), "accuracy_model": accuracy})
    for name, values in (by_source | by_condition).items():
        frame[f"accuracy_{name}"] = values
    columns = ["accuracy_spice", "agreement", "error_mean_V", "error_max_V"]
    write_chips(files, frame.join(pd.DataFrame(simulated, columns=columns)))
    figures = figures_of(accuracy, chips, settings.yield_accuracy)
    _write_worst(files, population, figures["worst"])
    return ChipFigures(
        **figures,
        simulated=len(simulated),
        images=len(population.labels),
        nominal=right,
        by_source=sources_of(by_source),
        by_condition=sources_of(by_condition),
        **_of_simulated(simulated),
        extrapolated=int(found["extrapolated"].sum()),
        variation=population.statistics.facts(),
        seconds_model=seconds_model,
        seconds_ngspice=float(sum(one["seconds"] for one in simulated)),
    )


def forget_chips(files: RunFolder) -> None:
    """Without chips, the tables of an earlier verification go."""
    write_chips(files, None)
    (files / WORST).unlink(missing_ok=True)


def _evaluate(population: Population, simulator: Simulator, chips: range, what: str) -> dict[str, NDArray]:
    evaluate, images = partial(accuracies, population), len(population.labels)
    size = max(1, min(PIECE, -(-len(chips) // simulator.cores)))
    if population.device.type != "cpu":  # there is one of it, whatever the cores
        simulator, size = simulator.changed(workers=1, executor=None), max(PIECE, AT_ONCE // images)
    return evaluate_chips(simulator, chips, evaluate, population.key, what, images=images, size=size)


def _of_simulated(simulated: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if not simulated:
        return {}
    return {
        "simulated_accuracy_mean": float(np.mean([one["accuracy_spice"] for one in simulated])),
        "simulated_agreement": float(np.mean([one["agreement"] for one in simulated])),
        "simulated_error_mean_V": float(np.mean([one["error_mean_V"] for one in simulated])),
        "simulated_error_max_V": float(np.max([one["error_max_V"] for one in simulated])),
        "simulated_flat_max_V": simulated[0].get("flat_max_V"),
    }


def _extrapolated(population: Population, chip: Chip) -> int:
    """Transistors whose gates can leave the measured domain, their inverter's input being between the rails."""
    surface, rails = population.surrogates.shifted_surface, population.technology.rails
    if chip.mismatch is None or surface is None:
        return 0
    low, high = surface.domain_V[0]
    shifts = torch.cat([torch.from_numpy(layer.shift).reshape(-1) for layer in chip.mismatch])
    return sum(outside("shift", shifts, (rails.vdd_V - high, rails.vss_V - low)).count.values())


def _write_worst(files: RunFolder, population: Population, number: int) -> None:
    outputs = population.outputs(population.chip(number))
    columns = {f"model_o_{j}_V": values for j, values in enumerate(outputs.T)}
    frame = pd.DataFrame({"chip": number, "image": np.arange(len(outputs)), "label": population.labels} | columns)
    with write_atomic(files / WORST) as temporary:
        frame.to_parquet(temporary, index=False)


def _shifted(surrogates: Surrogates) -> str | None:
    """Fingerprint of the surface that only chips need."""
    surface = surrogates.shifted_surface
    return None if surface is None else replace(surrogates, current_surface=surface).fingerprint
