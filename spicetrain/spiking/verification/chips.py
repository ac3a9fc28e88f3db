"""Chips of a spiking network: all of them in the circuit's model, the first ones in ngspice, spike for spike."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicetrain.draw import Draw
from spicetrain.keyed import Recipe
from spicetrain.netlists.cells import Form
from spicetrain.spice.simulator import Simulator
from spicetrain.spiking.chip import ChipLaw, SpikingChip, drawn
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.definition import SpikingVerificationSettings
from spicetrain.spiking.inputs import Inputs, unpacked
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.drawn import deviations_of
from spicetrain.spiking.training.predict import predict
from spicetrain.spiking.verification.figures import Layer, classes, compare_spikes, tie_rate
from spicetrain.spiking.verification.images import Presented, simulate_images
from spicetrain.spiking.verification.netlist import Netlist
from spicetrain.technology import Technology
from spicetrain.variation import Statistics
from spicetrain.verification.chips import ChipFigures, evaluate_chips, figures_of, numbers, sources_of

if TYPE_CHECKING:
    import pandas as pd

_CHIPS = Recipe("spiking chips", 1)
_IMAGES_A_PIECE = 500  # seconds, so that little is lost with it


@dataclass(frozen=True)
class ChipModel:
    """The circuit's model of a network's chips, and what they are shown; small enough to be sent to a worker.

    law      what shifts of its transistors do to a chip; None: neurons do not vary
    sources  those of what varies that are also taken alone
    packed   input spikes [images, steps, rows], see `inputs.packed`
    """

    network: SpikingNetwork
    circuit: SpikingCircuit
    technology: Technology
    laws: SpikingLaws
    statistics: Statistics
    law: ChipLaw | None
    sources: tuple[str, ...]
    packed: NDArray
    labels: NDArray[np.int64]

    @property
    def spikes(self) -> Inputs:
        return unpacked(self.packed, self.network.layers[0])

    def first(self, images: int | None) -> ChipModel:
        """The same, shown the first so many images; None: all of them."""
        return replace(self, packed=self.packed[:images], labels=self.labels[:images])

    def chip(self, number: int, source: str | None = None) -> SpikingChip:
        """Chip `number`; with one source, what it would be if nothing else varied."""
        statistics = self.statistics if source is None else self.statistics.only(source)
        return drawn(self.network, self.circuit, self.technology, statistics, Draw(number))

    def answers(self, chip: SpikingChip) -> list[Layer]:
        """(spikes, membranes), by layer, see `predict`."""
        deviations = None if self.law is None else deviations_of(chip, self.law)
        return predict(
            chip.network, self.spikes, self.circuit, self.laws, deviations=deviations, technology=self.technology
        )

    def accuracy(self, chip: SpikingChip) -> float:
        return float(np.mean(classes(self.answers(chip), self.network) == self.labels))

    def key(self, chips: Sequence[int]) -> str:
        return _CHIPS.key(
            network=self.network, circuit=self.circuit, technology=self.technology, laws=self.laws,
            statistics=self.statistics.facts(), law=None if self.law is None else self.law.facts,
            sources=self.sources, spikes=self.packed, labels=self.labels, chips=list(chips),
        )  # fmt: skip


def evaluate(model: ChipModel, simulator: Simulator, chips: Sequence[int]) -> dict[str, ArrayLike]:
    """Accuracies of the chips [chips]: `all`, and by source alone."""
    if not model.statistics.draws:  # all chips are the same one
        return {"all": [model.accuracy(model.chip(chips[0]))] * len(chips)}
    found: dict[str, ArrayLike] = {"all": [model.accuracy(model.chip(number)) for number in chips]}
    return found | {
        source: [model.accuracy(model.chip(number, source)) for number in chips] for source in model.sources
    }


@dataclass(frozen=True)
class SimulatedAs:
    """What ngspice gets: the circuit and the technology under the verification's conditions."""

    circuit: SpikingCircuit
    technology: Technology
    form: Form


def verify_chips(
    model: ChipModel,
    further: Mapping[str, ChipModel],
    simulated_as: SimulatedAs,
    settings: SpikingVerificationSettings,
    simulator: Simulator,
) -> tuple[ChipFigures, pd.DataFrame]:
    """What `settings.chips` asks for: the figures, and a row a chip; `further`: the model under other variations.

    Finished chips, and images of simulated ones, are kept in the simulator's scratch folder. Raises SimulationError,
    StorageError; TechnologyError when the area of a gate is not known.
    """
    import pandas as pd

    began, chips = time.perf_counter(), numbers(settings)
    nominal = model.accuracy(SpikingChip(model.network))
    size, images = max(1, _IMAGES_A_PIECE // len(model.labels)), len(model.labels)
    accuracy, *of_conditions = (
        evaluate_chips(simulator, chips, partial(evaluate, one), one.key, what, images=images, size=size)
        for what, one in {"chips in the model": model, **further}.items()
    )
    by_condition = {name: found["all"] for name, found in zip(further, of_conditions, strict=True)}
    seconds = time.perf_counter() - began
    columns: dict[str, Any] = {"chip": list(chips), "accuracy_model": accuracy["all"]}
    columns |= {f"accuracy_{source}": accuracy[source] for source in model.sources}
    columns |= {f"accuracy_{name}": values for name, values in by_condition.items()}
    fewer = settings.chips_simulated_images
    rows, spent = _all_simulated(model.first(fewer), chips[: settings.chips_simulated], simulated_as, simulator)
    of_further = sources_of(by_condition)
    for name, one in further.items():
        some = chips[: settings.conditions_simulated if one.statistics.draws else min(1, settings.conditions_simulated)]
        found, ngspice_s = _all_simulated(one.first(fewer), some, simulated_as, simulator)
        told = {"variation": one.statistics.facts(), "simulated": len(some), **_means(found)}
        of_further[name] = of_further[name].model_copy(update=told)
        spent += ngspice_s
    frame = pd.DataFrame(columns)
    for name in rows[0] if rows else ():
        frame[name] = pd.Series([row[name] for row in rows], dtype=np.float64)
    means = {name: float(np.mean([row[name] for row in rows])) for name in (rows[0] if rows else ())}
    simulated_images = None if fewer is None or fewer >= images else fewer
    figures = ChipFigures(
        **figures_of(accuracy["all"], chips, settings.yield_accuracy),
        simulated=settings.chips_simulated,
        images=images,
        nominal=nominal,
        by_source=sources_of({source: accuracy[source] for source in model.sources}),
        by_condition=of_further,
        simulated_accuracy_mean=means.get("accuracy_spice"),
        simulated_agreement=means.get("agreement"),
        simulated_spike_agreement=means.get("spike_agreement"),
        simulated_tie_rate=means.get("tie_rate"),
        simulated_energy_J=means.get("energy_J"),
        simulated_images=simulated_images,
        variation=model.statistics.facts(),
        seconds_model=seconds,
        seconds_ngspice=spent,
    )
    return figures, frame


def _all_simulated(
    model: ChipModel, chips: Sequence[int], simulated_as: SimulatedAs, simulator: Simulator
) -> tuple[list[dict[str, float]], float]:
    """(a row a chip, seconds of ngspice)."""
    found = [_simulated(model, number, simulated_as, simulator) for number in chips]
    return [row for row, _ in found], sum(seconds for _, seconds in found)


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """As SourceFigures has them."""
    if not rows:
        return {}
    named = {"accuracy_mean": "accuracy_spice", **{name: name for name in ("agreement", "tie_rate", "energy_J")}}
    return {f"simulated_{title}": float(np.mean([row[key] for row in rows])) for title, key in named.items()}


def _simulated(
    model: ChipModel, number: int, simulated_as: SimulatedAs, simulator: Simulator
) -> tuple[dict[str, float], float]:
    """(one chip in ngspice against the model, seconds of ngspice)."""
    chip = model.chip(number)
    nominal = Netlist.of(chip.network, simulated_as.circuit, simulated_as.technology, model.laws)
    netlist = nominal.of_chip(chip, model.laws, model.law)
    images = [Presented(spikes) for spikes in model.spikes]
    spice = simulate_images(netlist, simulated_as.form, images, simulator)
    expected, found = model.answers(chip), spice.layers
    by_model, by_spice = (classes(layers, model.network) for layers in (expected, found))
    return {
        "tie_rate": tie_rate(found, model.network),
        "energy_J": spice.mean_energy_J,
        "accuracy_spice": float(np.mean(by_spice == model.labels)),
        "agreement": float(np.mean(by_model == by_spice)),
        "spike_agreement": compare_spikes(expected, found, integrator=model.network.integrator)["spike_agreement"],
    }, float(spice.seconds.sum())
