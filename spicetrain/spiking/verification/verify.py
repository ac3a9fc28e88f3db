"""Trained spiking network -> netlist -> ngspice -> figures: the same input spikes through the model and the circuit."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from spicetrain.datasets import Dataset
from spicetrain.errors import ConfigurationError
from spicetrain.keyed import Recipe, cached_json
from spicetrain.netlists.cells import Form
from spicetrain.netlists.forms import CHECK_S, form_of
from spicetrain.operating import scaled
from spicetrain.runfolder import SUMMARY, VERIFICATION, WAVEFORMS, RunFolder
from spicetrain.spice.simulator import Simulator
from spicetrain.spiking.characterization.chip_law import chip_law
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.definition import SpikingNetworkSettings, SpikingVerificationSettings
from spicetrain.spiking.inputs import Inputs, packed
from spicetrain.spiking.netlists.forms import require_finishes, require_form, too_long
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.encoding import encode, load_spikes, require_encoder
from spicetrain.spiking.training.predict import predict
from spicetrain.spiking.verification.area import area_of
from spicetrain.spiking.verification.chips import ChipModel, SimulatedAs, verify_chips
from spicetrain.spiking.verification.figures import Layer, accuracies, classes, compare_spikes, errors, mismatches
from spicetrain.spiking.verification.images import Presented, SimulatedImages, simulate_images
from spicetrain.spiking.verification.netlist import Netlist
from spicetrain.spiking.verification.operating import LawsUnder, operating_figures
from spicetrain.spiking.verification.spikes_file import SPIKES, write_spikes
from spicetrain.spiking.verification.summary import FlatFigures, OperatingFigures, SpikingSummary
from spicetrain.spiking.verification.tables import drawn_neurons, write_images, write_waveforms
from spicetrain.storage import sha256_of_file, write_json
from spicetrain.technology import Technology
from spicetrain.verification.chips import CHIPS, chip_images, conditions_asked, statistics_asked, write_chips
from spicetrain.verification.conditions import Conditions, conditions_of

_VERIFICATION = Recipe("spiking verification", 3)


@dataclass(frozen=True)
class SpikingVerification:
    """A verification as it is asked for: of which network, as which circuit, on which images.

    circuit  as it is modelled; under other conditions its rails are scaled about rest
    laws     of that circuit, by which the model predicts
    laws_under  measures and fits those of the circuit under an operating condition; None: there is no model of it there
    shape    how images become spikes
    """

    network: SpikingNetwork
    circuit: SpikingCircuit
    conditions: Conditions
    laws: SpikingLaws
    dataset: Dataset
    shape: SpikingNetworkSettings
    settings: SpikingVerificationSettings
    laws_under: LawsUnder | None = None

    @cached_property
    def simulated_circuit(self) -> SpikingCircuit:
        factor, circuit = self.conditions.vdd_scale, self.circuit
        return circuit if factor == 1 else circuit.between(scaled(circuit.rails, factor, circuit.rest_V))

    @cached_property
    def netlist(self) -> Netlist:
        return Netlist.of(self.network, self.simulated_circuit, self.conditions.simulated, self.laws)

    @property
    def form(self) -> Form:
        """Of the netlist."""
        return form_of(self.conditions.simulated, self.settings.netlist)

    def flat_left_out(self, simulator: Simulator) -> str | None:
        """Why no image is simulated flat, although some are asked for; None where they are, or none is."""
        if not self.settings.flat_images or self.form == "flat":
            return None
        simulated, layers = self.conditions.simulated, self.network.layers
        return too_long("flat", simulated, layers, self.shape.steps, simulator.ngspice, CHECK_S)

    @property
    def labels(self) -> NDArray[np.int64]:
        return self.dataset.test_labels[: self.settings.images]

    @cached_property
    def spikes(self) -> Inputs:
        """Of the inputs, [images, steps, rows]. DatasetError when a file of them does not fit."""
        return self._spikes(self.settings.images)

    def _spikes(self, images: int) -> Inputs:
        if self.settings.spikes is not None:
            return _from_file(self.settings.spikes, images, self.shape)
        return encode(self.dataset.test_inputs[:images], self.shape, self.shape.encoder_seed)

    def chips(self, simulator: Simulator) -> ChipModel | None:
        """What is asked about chips; None: nothing."""
        statistics = statistics_asked(self.settings, self.conditions.modelled)
        if statistics is None:
            return None
        images = chip_images(self.settings, len(self.dataset.test_inputs))
        alone = statistics.sources if self.settings.chips_sources and len(statistics.sources) > 1 else ()
        return ChipModel(
            self.network, self.circuit, self.conditions.modelled, self.laws, statistics,
            chip_law(self.circuit, self.conditions.modelled, statistics, simulator), alone,
            packed(self._spikes(images)), self.dataset.test_labels[:images],
        )  # fmt: skip

    def under_conditions(self, model: ChipModel, simulator: Simulator) -> dict[str, ChipModel]:
        """The same chips under further variations, by name."""
        technology = self.conditions.modelled
        return {
            name: replace(
                model,
                statistics=statistics,
                law=chip_law(self.circuit, technology, statistics, simulator),
                sources=(),
            )
            for name, statistics in conditions_asked(self.settings, technology).items()
        }

    @property
    def tables(self) -> list[str]:
        """Names of the files that it writes besides the summary."""
        more = (*((WAVEFORMS,) if self.settings.waveform_images else ()), *((CHIPS,) if self.settings.chips else ()))
        return [VERIFICATION, SPIKES, *more]

    def key(self, simulator: Simulator) -> str:
        """Of everything that the figures depend on."""
        spikes = None if self.settings.spikes is None else sha256_of_file(self.settings.spikes)
        return _VERIFICATION.key(
            netlist=self.netlist, circuit=self.circuit, dataset=self.dataset, shape=self.shape, spikes=spikes,
            chosen=self.settings.model_dump(include={"images", "waveform_images"})
            | {"netlist": self.form, "flat_images": 0 if self.flat_left_out(simulator) else self.settings.flat_images},
            ngspice=simulator.version, **self._chips_asked(), **self._further_asked(),
        )  # fmt: skip

    def _chips_asked(self) -> dict[str, Any]:
        """Of the key: nothing without chips, as before there were any."""
        statistics = statistics_asked(self.settings, self.conditions.modelled)
        if statistics is None:
            return {}
        names = {"chips", "chips_simulated", "chips_first", "chips_images", "chips_sources", "yield_accuracy"}
        conditions = conditions_asked(self.settings, self.conditions.modelled)
        named = {name: one.facts() for name, one in conditions.items()}
        return {"chips": self.settings.model_dump(include=names), "variation": [statistics.facts(), named]}

    def _further_asked(self) -> dict[str, Any]:
        """Of the key."""
        found = self.settings.further
        pitch_m, per_m2 = self.conditions.simulated.memristor.pitch_m, self.circuit.neuron.capacitor_F_per_m2
        sizes = {"pitch_m": pitch_m, "capacitor_F_per_m2": per_m2}  # in no fingerprint: only areas depend on them
        asked = {"further": found} if found else {}
        return asked | {name: value for name, value in sizes.items() if value is not None}

    def under(self, name: str) -> Self:
        """The same under one of the operating conditions. ConfigurationError, TechnologyError: there is no such
        circuit."""
        settings, modelled = self.settings, self.conditions.modelled
        images = min(settings.operating_images, len(self.dataset.test_inputs))
        conditions = conditions_of(modelled, settings.operating[name])
        return replace(self, conditions=conditions, settings=settings.model_copy(update={"images": images}))

    def require(self) -> None:
        """ArchitectureMismatch, ConfigurationError, DatasetError: what cannot be verified."""
        self.network.require_layers(self.shape.layers, "network.safetensors")
        widths = (self.dataset.test_inputs.shape[1], *self.network.layers[1:-1], len(self.dataset.outputs))
        self.network.require_layers(widths, "network.safetensors")
        if self.network.about.get("circuit_fingerprint") != self.circuit.fingerprint:
            raise ConfigurationError(
                f"The network was trained for circuit {self.network.about.get('circuit')!r} as it was then; "
                f"{self.circuit.name!r} as it is now differs. Train again, or verify with the circuit it was trained "
                "for."
            )
        require_encoder(self.shape, self.simulated_circuit)
        require_form(self.form, self.simulated_circuit, self.conditions.simulated)
        require_spiking_verification(self.settings, self.dataset, self.shape, self.conditions.modelled)
        for name in self.settings.operating:
            one = self.under(name)
            require_form(one.form, one.simulated_circuit, one.conditions.simulated)


def verify_spiking(asked: SpikingVerification, simulator: Simulator, files: RunFolder) -> SpikingSummary:
    """Simulate the network in ngspice, one image a transient, and compare spikes and membranes with the circuit model,
    classes also with the method's own model.

    files  gets verification.parquet, waveforms.parquet, spikes.npz (see `tables`, `spikes_file`) and summary.json,
           which is also returned; its figures are those of `accuracies`, `compare_spikes` and `energy_by_supply`

    Raises SimulationError, ConfigurationError, ArchitectureMismatch, DatasetError (a spike file that does not fit),
    StorageError.
    """
    started = time.perf_counter()
    asked.require()
    require_finishes(
        asked.form, asked.conditions.simulated, asked.network.layers, asked.shape.steps, simulator.ngspice,
        simulator.timeout_s,
    )  # fmt: skip
    network, circuit, settings, inputs = asked.network, asked.circuit, asked.settings, asked.spikes
    model = predict(network, inputs, circuit, asked.laws, technology=asked.conditions.modelled)
    method = network.about["method"]
    own = model if method == "circuit" else predict(network, inputs, circuit, asked.laws, method)
    shown = range(min(settings.waveform_images, len(inputs)))
    drawn = [drawn_neurons(model, image, network.integrator) for image in shown]
    images = [Presented(spikes, drawn[k] if k < len(drawn) else ()) for k, spikes in enumerate(inputs)]
    spice = simulate_images(asked.netlist, asked.form, images, simulator)
    flat, flat_left_out = None, asked.flat_left_out(simulator)
    if settings.flat_images and asked.form != "flat" and flat_left_out is None:
        flat_images = [Presented(image.spikes) for image in images[: settings.flat_images]]
        flat = _flat(simulate_images(asked.netlist, "flat", flat_images, simulator), spice)
    of_chips = asked.chips(simulator)
    chips, frame = (None, None)
    if of_chips is not None:
        simulated_as = SimulatedAs(asked.simulated_circuit, asked.conditions.simulated, asked.form)
        further = asked.under_conditions(of_chips, simulator)
        chips, frame = verify_chips(of_chips, further, simulated_as, settings, simulator)
    write_chips(files, frame)
    write_images(files.folder, asked.labels, own, model, spice, network)
    write_waveforms(files.folder, drawn, spice)
    write_spikes(files.folder, inputs, model, spice.layers)
    threshold_V = network.thresholds_V[0] - circuit.rest_V
    figures: dict[str, Any] = {
        **{key: network.about[key] for key in ("method", "dataset", "technology")},
        **asked.conditions.recorded(network.about, circuit.rails, asked.simulated_circuit.rails),
        "circuit": circuit.name,
        "array": circuit.array,
        "threshold_share": threshold_V / (circuit.rails.vdd_V - circuit.rest_V),
        "threshold_V": threshold_V,
        "layers": network.layers,
        "steps": asked.shape.steps,
        "readout": network.about.get("readout", "counts"),
        "netlist": asked.form,
        **accuracies(own, model, spice.layers, asked.labels, network),
        **compare_spikes(model, spice.layers, integrator=network.integrator),
        "spikes_per_image_input": float(inputs.sum((1, 2)).mean()) if inputs.dtype == np.bool_ else None,
        **_energy(spice),
        "flat": flat,
        "flat_left_out": flat_left_out,
        "chips": chips,
        **_on_more_images(asked),
        "area": area_of(network, asked.simulated_circuit, asked.conditions.simulated),
        "operating": {name: _operating(asked, name, simulator) for name in settings.operating},
        "seconds_ngspice": float(spice.seconds.sum()),
        "seconds_per_image": float(spice.seconds.mean()),
        "seconds_total": time.perf_counter() - started,
        "ngspice_version": simulator.version,
        "key": asked.key(simulator),
    }
    summary = SpikingSummary(**figures)
    write_json(files / SUMMARY, summary.to_json())
    if simulator.scratch is not None:
        shutil.rmtree(simulator.scratch, ignore_errors=True)
    return summary


def cached_spiking_verification(
    asked: SpikingVerification, simulator: Simulator, files: RunFolder
) -> SpikingSummary | None:
    """The summary in `files` when a verification of these very inputs wrote it and its tables; its figures are not
    judged again. None otherwise, also when it is damaged."""
    if asked.settings.spikes is not None and not asked.settings.spikes.is_file():
        return None
    tables = [files / name for name in asked.tables]
    return SpikingSummary.of(cached_json(files / SUMMARY, asked.key(simulator), tables))


def require_spiking_verification(
    settings: SpikingVerificationSettings, dataset: Dataset, shape: SpikingNetworkSettings, technology: Technology
) -> None:
    """ConfigurationError when there are not so many test images, or chips are asked for and nothing varies from one to
    the next; DatasetError when the spike file does not fit."""
    images = max(settings.images, chip_images(settings, len(dataset.test_inputs)) if settings.chips else 0)
    images = max(images, settings.model_images)
    if statistics_asked(settings, technology) is not None:
        conditions_asked(settings, technology)
    if settings.model_images > len(dataset.test_inputs):
        raise ConfigurationError(
            f"verification.model_images = {settings.model_images}, but {dataset.name} has {len(dataset.test_inputs)} "
            "test images."
        )
    if settings.images > len(dataset.test_inputs):
        raise ConfigurationError(
            f"verification.images = {settings.images}, but {dataset.name} has {len(dataset.test_inputs)} test images."
        )
    if settings.spikes is not None:
        _from_file(settings.spikes, images, shape)


def _from_file(path: Path, images: int, shape: SpikingNetworkSettings) -> Inputs:
    return load_spikes(path, images, shape.steps, shape.layers[0], direct=shape.encoder == "direct")


def _on_more_images(asked: SpikingVerification) -> dict[str, Any]:
    """Accuracies of the models alone; nothing where none are asked for."""
    images, network = asked.settings.model_images, asked.network
    if not images:
        return {}
    spikes, labels = asked._spikes(images), asked.dataset.test_labels[:images]
    model = predict(network, spikes, asked.circuit, asked.laws, technology=asked.conditions.modelled)
    method = network.about["method"]
    own = model if method == "circuit" else predict(network, spikes, asked.circuit, asked.laws, method)
    figures = accuracies(own, model, model, labels, network)
    return {
        "model_images": images,
        "accuracy_model_all": figures["accuracy_model"],
        "accuracy_circuit_model_all": figures["accuracy_circuit_model"],
    }


def _operating(asked: SpikingVerification, name: str, simulator: Simulator) -> OperatingFigures:
    one, network, alone = asked.under(name), asked.network, asked.settings.model_images
    nominal = predict(network, one.spikes, one.circuit, one.laws, technology=one.conditions.modelled)
    presented, technology = list(one.spikes), one.conditions.simulated
    if one.laws_under is None or not one.settings.operating_laws:
        return operating_figures(one.netlist, one.form, presented, one.labels, simulator, nominal, None)
    laws = one.laws_under(name, technology, one.simulated_circuit)
    netlist = Netlist.of(network, one.simulated_circuit, technology, laws)  # cells of a 1t1r as they are there
    every = one._spikes(max(len(presented), alone))
    model = predict(network, every, one.simulated_circuit, laws, technology=technology)
    there = _first(model, len(presented))
    figures = operating_figures(netlist, one.form, presented, one.labels, simulator, nominal, there)
    if not alone:
        return figures
    accuracy = float(np.mean(classes(_first(model, alone), network) == one.dataset.test_labels[:alone]))
    return figures.model_copy(update={"model_images": alone, "accuracy_model": accuracy})


def _first(layers: Sequence[Layer], images: int) -> list[Layer]:
    return [(spikes[:images], v[:images]) for spikes, v in layers]


def _energy(spice: SimulatedImages) -> dict[str, Any]:
    """Means over the images."""
    by_supply = {supply: float(joule.mean()) for supply, joule in spice.energy_J.items()}
    return {"energy_per_inference_J": spice.mean_energy_J, "energy_by_supply_J": by_supply}


def _flat(flat: SimulatedImages, reduced: SimulatedImages) -> FlatFigures:
    """Flat against the same images in the reduced form: membranes at every latch, of neurons that fire as well."""
    images = len(flat.kept)
    same = _first(reduced.layers, images)
    differing = mismatches(flat.layers, same)
    return FlatFigures(
        images=images,
        same_spikes=not differing.any(),
        spike_mismatches=int(differing.sum()),
        membrane_difference_max_V=max(float(np.abs(error).max()) for error in errors(flat.layers, same)),
        **_energy(flat),
        energy_per_inference_reduced_J=float(reduced.total_energy_J[:images].mean()),
        seconds_ngspice=float(flat.seconds.sum()),
    )
