"""Trained spiking network -> netlist -> ngspice -> figures: the same input spikes through the model and the circuit."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.datasets import Dataset
from spicetrain.errors import ConfigurationError, StorageError
from spicetrain.inverter.netlists.network import Form
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.laws import SpikingLaws
from spicetrain.spiking.training.encoding import encode, load_spikes
from spicetrain.spiking.training.predict import predict
from spicetrain.spiking.training.settings import SpikingNetworkSettings
from spicetrain.spiking.verification.figures import (
    Layer,
    accuracies,
    compare_spikes,
    errors,
    mismatches,
    require_within,
)
from spicetrain.spiking.verification.images import Piece, SimulatedImages, simulate_images
from spicetrain.spiking.verification.netlist import Netlist
from spicetrain.spiking.verification.settings import SpikingVerificationSettings
from spicetrain.spiking.verification.spikes_file import SPIKES, write_spikes
from spicetrain.spiking.verification.tables import VERIFICATION, WAVEFORMS, drawn_neurons, write_images, write_waveforms
from spicetrain.storage import content_hash, read_json, sha256_of_file, write_atomic, write_json
from spicetrain.technology import Technology

__all__ = [
    "kept_spiking_verification",
    "require_spiking_verification",
    "require_within",
    "verify_spiking",
    "write_spiking_deck",
]

VERSION = 1
"""Part of the key by which a finished verification is recognised: raise it when its figures change."""


def verify_spiking(
    network_file: Path,
    circuit: SpikingCircuit,
    technology: Technology,
    laws: SpikingLaws,
    dataset: Dataset,
    shape: SpikingNetworkSettings,
    settings: SpikingVerificationSettings,
    ngspice: Ngspice,
    folder: Path,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
) -> dict[str, Any]:
    """Simulate the network in ngspice, one image a transient, and compare spikes and membranes with the circuit model,
    classes also with the method's own model.

    folder  gets verification.parquet, waveforms.parquet, spikes.npz (see `spiking_tables`, `spikes_file`) and
            summary.json, which is also returned; its figures are those of `accuracies`, `compare_spikes` and
            `energy_by_supply`

    Raises SimulationError, VerificationError (after everything is written), ConfigurationError, ArchitectureMismatch,
    DatasetError (a spike file that does not fit), StorageError.
    """
    started = time.perf_counter()
    netlist = Netlist.of(network_file, circuit, technology, laws)
    network = netlist.network
    _require_fit(network, circuit, technology, dataset, shape)
    require_spiking_verification(settings, dataset, shape)
    labels, inputs = dataset.test_labels[: settings.images], _input_spikes(dataset, shape, settings)
    model = predict(network, inputs, circuit, laws, model="circuit")
    method = network.about["method"]
    own = model if method == "circuit" else predict(network, inputs, circuit, laws, model=method)
    drawn = [drawn_neurons(model, image) for image in range(min(settings.waveform_images, len(inputs)))]
    pieces = [Piece(spikes, drawn[k] if k < len(drawn) else ()) for k, spikes in enumerate(inputs)]
    run = partial(
        simulate_images, netlist, ngspice=ngspice, scratch=folder / ".verification", workers=workers, executor=executor
    )
    spice = run(settings.netlist, pieces)
    summary: dict[str, Any] = {
        **{key: network.about[key] for key in ("system", "method", "dataset", "technology")},
        "circuit": circuit.name,
        "array": circuit.array,
        "threshold_share": (network.thresholds_V[0] - circuit.rest_V) / (circuit.rails.vdd_V - circuit.rest_V),
        "layers": list(network.layers),
        "steps": shape.steps,
        "netlist": settings.netlist,
        **accuracies(own, model, spice.layers, labels),
        **compare_spikes(model, spice.layers),
        "spikes_per_image_input": float(inputs.sum((1, 2)).mean()),
        **_energy(spice),
        "seconds_ngspice": float(spice.seconds.sum()),
        "seconds_per_image": float(spice.seconds.mean()),
        "ngspice_version": ngspice.version,
        "key": _key(network_file, circuit, technology, laws, dataset, shape, settings, ngspice),
    }
    if settings.flat_images and settings.netlist != "flat":
        flat = run("flat", [Piece(piece.spikes) for piece in pieces[: settings.flat_images]])
        summary["flat"] = _flat(flat, spice)
    write_images(folder, labels, own, model, spice)
    write_waveforms(folder, drawn, spice)
    write_spikes(folder, inputs, model, spice.layers)
    summary["seconds_total"] = time.perf_counter() - started
    write_json(folder / "summary.json", summary)
    shutil.rmtree(folder / ".verification", ignore_errors=True)
    require_within(summary, settings)
    return summary


def kept_spiking_verification(
    network_file: Path,
    circuit: SpikingCircuit,
    technology: Technology,
    laws: SpikingLaws,
    dataset: Dataset,
    shape: SpikingNetworkSettings,
    settings: SpikingVerificationSettings,
    ngspice: Ngspice,
    folder: Path,
) -> dict[str, Any] | None:
    """The summary in `folder` when a verification of these very inputs wrote it and its tables; its figures are not
    judged again. None otherwise, also when it is damaged."""
    tables = [VERIFICATION, SPIKES, *([WAVEFORMS] if settings.waveform_images else [])]
    if not all((folder / name).is_file() for name in tables):
        return None
    try:
        summary = read_json(folder / "summary.json")
        key = _key(network_file, circuit, technology, laws, dataset, shape, settings, ngspice)
    except (StorageError, OSError):
        return None
    return summary if isinstance(summary, dict) and summary.get("key") == key else None


def require_spiking_verification(
    settings: SpikingVerificationSettings, dataset: Dataset, shape: SpikingNetworkSettings
) -> None:
    """ConfigurationError when there are not so many test images, DatasetError when the spike file does not fit."""
    if settings.images > len(dataset.test_inputs):
        raise ConfigurationError(
            f"verification.images = {settings.images}, but {dataset.name} has {len(dataset.test_inputs)} test images."
        )
    if settings.spikes is not None:
        load_spikes(settings.spikes, settings.images, shape.steps, shape.layers[0])


def write_spiking_deck(
    network_file: Path,
    circuit: SpikingCircuit,
    technology: Technology,
    laws: SpikingLaws,
    dataset: Dataset,
    shape: SpikingNetworkSettings,
    image: int,
    form: Form,
    path: Path,
) -> None:
    """The deck of one test image, for plain ngspice. Raises what `verify_spiking` raises before it simulates."""
    netlist = Netlist.of(network_file, circuit, technology, laws)
    _require_fit(netlist.network, circuit, technology, dataset, shape)
    spikes = encode(dataset.test_inputs[image : image + 1], shape, shape.encoder_seed, first=image)[0]
    with write_atomic(path) as temporary:
        temporary.write_text(netlist.deck(spikes, form).text())


def _input_spikes(
    dataset: Dataset, shape: SpikingNetworkSettings, settings: SpikingVerificationSettings
) -> NDArray[np.bool_]:
    """[images, steps, rows]."""
    if settings.spikes is not None:
        return load_spikes(settings.spikes, settings.images, shape.steps, shape.layers[0])
    return encode(dataset.test_inputs[: settings.images], shape, shape.encoder_seed)


def _energy(spice: SimulatedImages) -> dict[str, Any]:
    """Means over the images."""
    by_supply = {supply: float(joule.mean()) for supply, joule in spice.energy_J.items()}
    return {"energy_per_inference_J": sum(by_supply.values()), "energy_by_supply_J": by_supply}


def _flat(flat: SimulatedImages, reduced: SimulatedImages) -> dict[str, Any]:
    """Flat against the same images in the reduced form: membranes at every latch, of neurons that fire as well."""
    images = len(flat.kept)
    same: Sequence[Layer] = [(spikes[:images], v[:images]) for spikes, v in reduced.layers]
    differing = mismatches(flat.layers, same)
    return {
        "images": images,
        "same_spikes": not differing.any(),
        "spike_mismatches": int(differing.sum()),
        "membrane_difference_max_V": max(float(np.abs(error).max()) for error in errors(flat.layers, same)),
        **_energy(flat),
        "energy_per_inference_reduced_J": float(sum(joule[:images].mean() for joule in reduced.energy_J.values())),
        "seconds_ngspice": float(flat.seconds.sum()),
    }


def _key(
    network_file: Path,
    circuit: SpikingCircuit,
    technology: Technology,
    laws: SpikingLaws,
    dataset: Dataset,
    shape: SpikingNetworkSettings,
    settings: SpikingVerificationSettings,
    ngspice: Ngspice,
) -> str:
    """Of everything the figures depend on."""
    chosen = settings.model_dump(include={"images", "netlist", "flat_images", "waveform_images"})
    spikes = None if settings.spikes is None else sha256_of_file(settings.spikes)
    return content_hash(
        VERSION, sha256_of_file(network_file), circuit.fingerprint, technology.fingerprint, laws.fingerprint,
        dataset.name, shape.model_dump(mode="json"), chosen, spikes, ngspice.version,
    )  # fmt: skip


def _require_fit(
    network: SpikingNetwork,
    circuit: SpikingCircuit,
    technology: Technology,
    dataset: Dataset,
    shape: SpikingNetworkSettings,
) -> None:
    for what, found in (("technology", technology), ("circuit", circuit)):
        if network.about.get(f"{what}_fingerprint") != found.fingerprint:
            raise ConfigurationError(
                f"The network was trained for {what} {network.about.get(what)!r} as it was then; {found.name!r} as it "
                f"is now differs. Train again, or verify with the {what} it was trained for."
            )
    network.require_layers(shape.layers, "network.safetensors")
    network.require_layers(
        (dataset.test_inputs.shape[1], *network.layers[1:-1], len(dataset.classes)), "network.safetensors"
    )
