"""Trained network -> netlist -> ngspice -> figures."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spicetrain.datasets import Dataset
from spicetrain.errors import ConfigurationError, StorageError
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.circuit import Circuit
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.stage import Tolerance
from spicetrain.inverter.training.voltages import LayerVoltages
from spicetrain.inverter.verification.energy import VERSION as ENERGY_VERSION
from spicetrain.inverter.verification.energy import Energy, measure_energy, require_energy
from spicetrain.inverter.verification.figures import compare, require_within
from spicetrain.inverter.verification.settings import EnergySettings, VerificationSettings
from spicetrain.inverter.verification.simulate_network import simulate_network
from spicetrain.spice.ngspice import Ngspice
from spicetrain.storage import content_hash, read_json, sha256_of_file, write_atomic, write_json
from spicetrain.technology import Technology

# Far below what is compared: Newton goes on until a step of a nanovolt.
EXACT = Tolerance(step_V=1e-9, iterations=30)

_TRANSIENT = ("transient.parquet", "waveforms.parquet")

VERSION = 1
"""Part of the key by which a finished verification is recognised: raise it when its figures change."""


def verify(
    network_file: Path,
    technology: Technology,
    surrogates: Surrogates,
    dataset: Dataset,
    settings: VerificationSettings,
    ngspice: Ngspice,
    folder: Path,
    energy: EnergySettings | None = None,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
) -> dict[str, Any]:
    """Simulate the network in ngspice and compare it with its own method's prediction; then, if asked, in time.

    energy  None, or with no images: leaves out the transient
    folder  gets verification.parquet (a row an image: index, label, outputs of model and SPICE in volts), with
            `hidden` hidden.parquet (inner nodes), with `energy` transient.parquet (a row an image) and
            waveforms.parquet (of the first images), and summary.json, which is also returned

    Raises SimulationError, VerificationError (after everything is written), ConfigurationError, StorageError.
    """
    started = time.perf_counter()
    network, energy = Network.load(network_file), energy or EnergySettings()
    _require_fit(network, technology, dataset, settings)
    require_energy(energy, dataset, technology)
    inputs, labels = dataset.test_inputs[: settings.images], dataset.test_labels[: settings.images]
    scratch = folder / ".verification"
    common: Any = {"workers": workers, "executor": executor}
    spice = simulate_network(
        network_file, technology, inputs, settings.netlist, ngspice, scratch, hidden=settings.hidden, **common
    )
    phax_load_S = network.about.get("phax_load_S", 0.0)
    circuit = Circuit(technology, surrogates, torch.float64, tolerance=EXACT, phax_load_S=phax_load_S)
    model_V = named_voltages(predict(network, inputs, circuit, network.about["method"]))
    outputs = [f"o_{j}" for j in range(network.layers[-1])]
    model_out = np.stack([model_V[node] for node in outputs], 1)
    spice_out = spice.voltages[:, : len(outputs)]
    summary: dict[str, Any] = {
        **{key: network.about[key] for key in ("system", "method", "dataset", "technology")},
        "layers": list(network.layers),
        "netlist": settings.netlist,
        **compare(model_out, spice_out, labels),
        "solver_unconverged": circuit.effort.unconverged,
        "seconds_ngspice": spice.seconds_ngspice,
        "ngspice_version": ngspice.version,
        "key": _key(network_file, technology, surrogates, dataset, settings, ngspice, energy),
    }
    if settings.flat_images and settings.netlist != "flat":
        some = inputs[: settings.flat_images]
        flat = simulate_network(network_file, technology, some, "flat", ngspice, scratch, **common)
        summary["flat"] = {
            "images": len(some),
            "difference_max_V": float(np.abs(flat.voltages - spice_out[: len(some)]).max()),
            "seconds_ngspice": flat.seconds_ngspice,
        }
    measured: Energy | None = None
    if energy.images:
        some = dataset.test_inputs[: energy.images]
        measured = measure_energy(network_file, technology, some, energy, ngspice, scratch, **common)
        summary["energy"] = measured.figures
    _write_tables(folder, labels, outputs, spice.nodes, spice.voltages, model_V)
    _write_transient(folder, dataset.test_labels, measured)
    summary["seconds_total"] = time.perf_counter() - started
    write_json(folder / "summary.json", summary)
    shutil.rmtree(scratch, ignore_errors=True)
    require_within(summary, settings)
    return summary


def kept_verification(
    network_file: Path,
    technology: Technology,
    surrogates: Surrogates,
    dataset: Dataset,
    settings: VerificationSettings,
    ngspice: Ngspice,
    folder: Path,
    energy: EnergySettings | None = None,
) -> dict[str, Any] | None:
    """The summary in `folder` when a verification of these very inputs wrote it and its tables; its figures are not
    judged again. None otherwise, also when it is damaged."""
    energy = energy or EnergySettings()
    tables = ["verification.parquet", *(["hidden.parquet"] if settings.hidden else [])]
    tables += _TRANSIENT if energy.images else []
    if not all((folder / name).is_file() for name in tables):
        return None
    try:
        summary = read_json(folder / "summary.json")
    except StorageError:
        return None
    key = _key(network_file, technology, surrogates, dataset, settings, ngspice, energy)
    return summary if isinstance(summary, dict) and summary.get("key") == key else None


def _key(
    network_file: Path,
    technology: Technology,
    surrogates: Surrogates,
    dataset: Dataset,
    settings: VerificationSettings,
    ngspice: Ngspice,
    energy: EnergySettings,
) -> str:
    """Of everything the figures depend on."""
    chosen = settings.model_dump(include={"images", "netlist", "flat_images", "hidden"})
    in_time = (ENERGY_VERSION, energy.model_dump()) if energy.images else ()
    return content_hash(
        VERSION, sha256_of_file(network_file), technology.fingerprint, surrogates.fingerprint, dataset.name, chosen,
        ngspice.version, *in_time,
    )  # fmt: skip


def named_voltages(layers: list[LayerVoltages]) -> dict[str, NDArray]:
    """Voltages by the netlist's node names (c0_3, n0_3, p0_3, o_2), each [images]."""
    named: dict[str, NDArray] = {}
    for index, layer in enumerate(layers):
        kinds = {"c": layer.v_col} | ({"o": layer.v_n} if layer.v_p is None else {"n": layer.v_n, "p": layer.v_p})
        for kind, voltages in kinds.items():
            prefix = "o" if kind == "o" else f"{kind}{index}"
            named |= {f"{prefix}_{j}": column for j, column in enumerate(voltages.numpy().T)}
    return named


def _write_tables(
    folder: Path,
    labels: NDArray,
    outputs: list[str],
    nodes: tuple[str, ...],
    spice: NDArray,
    model: dict[str, NDArray],
) -> None:
    import pandas as pd

    by_node = dict(zip(nodes, spice.T, strict=True))
    identity = {"image": np.arange(len(labels)), "label": labels}
    tables = {"verification": outputs, "hidden": [node for node in nodes if node not in outputs]}
    for name, chosen in tables.items():
        path = folder / f"{name}.parquet"
        if not chosen:
            path.unlink(missing_ok=True)  # of an earlier verification that kept them
            continue
        columns = {f"model_{node}_V": model[node] for node in chosen} | {
            f"spice_{node}_V": by_node[node] for node in chosen
        }
        with write_atomic(path) as temporary:
            pd.DataFrame(identity | columns).to_parquet(temporary)


def _write_transient(folder: Path, labels: NDArray, energy: Energy | None) -> None:
    """Both tables; without an energy, those of an earlier verification go."""
    import pandas as pd

    if energy is None:
        for name in _TRANSIENT:
            (folder / name).unlink(missing_ok=True)
        return
    images = np.arange(len(energy.by_image["steps"]))
    waves = [
        {"image": np.full(len(wave.time_s), k), "time_s": wave.time_s, "power_W": wave.power_W}
        | {f"o_{j}_V": v for j, v in enumerate(wave.v_out_V.T)}
        for k, wave in enumerate(energy.waveforms)
    ]
    by_image = pd.DataFrame({"image": images, "label": labels[images], **energy.by_image})
    for name, table in zip(_TRANSIENT, (by_image, pd.concat(map(pd.DataFrame, waves))), strict=True):
        with write_atomic(folder / name) as temporary:
            table.to_parquet(temporary, index=False)


def _require_fit(network: Network, technology: Technology, dataset: Dataset, settings: VerificationSettings) -> None:
    about = network.about
    if about.get("technology_fingerprint") != technology.fingerprint:
        raise ConfigurationError(
            f"The network was trained for technology {about.get('technology')!r} as it was then; "
            f"{technology.name!r} as it is now differs. Train again, or verify with the technology it was trained for."
        )
    network.require_layers(
        (dataset.test_inputs.shape[1], *network.layers[1:-1], len(dataset.classes)), "network.safetensors"
    )
    require_images(settings, dataset)


def require_images(settings: VerificationSettings, dataset: Dataset) -> None:
    """ConfigurationError when there are not so many test images."""
    if settings.images > len(dataset.test_inputs):
        raise ConfigurationError(
            f"verification.images = {settings.images}, but {dataset.name} has {len(dataset.test_inputs)} test images."
        )
