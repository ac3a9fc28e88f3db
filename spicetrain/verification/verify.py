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
from spicetrain.network import Network
from spicetrain.spice.ngspice import Ngspice
from spicetrain.storage import content_hash, read_json, sha256_of_file, write_atomic, write_json
from spicetrain.surrogates.store import Surrogates
from spicetrain.technology import Technology
from spicetrain.training.circuit import Circuit
from spicetrain.training.model import predict
from spicetrain.training.stage import Tolerance
from spicetrain.training.voltages import LayerVoltages
from spicetrain.verification.figures import compare, require_within
from spicetrain.verification.settings import VerificationSettings
from spicetrain.verification.simulate_network import simulate_network

# Far below what is compared: Newton goes on until a step of a nanovolt.
EXACT = Tolerance(step_V=1e-9, iterations=30)

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
    *,
    workers: int | None = None,
    executor: Executor | None = None,
) -> dict[str, Any]:
    """Simulate the network in ngspice and compare it with its own method's prediction.

    folder  gets verification.parquet (a row an image: index, label, outputs of model and SPICE in volts), with
            `hidden` hidden.parquet (inner nodes), and summary.json, which is also returned

    Raises SimulationError, VerificationError (after everything is written), ConfigurationError, StorageError.
    """
    started = time.perf_counter()
    network = Network.load(network_file)
    _require_fit(network, technology, dataset, settings)
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
        "key": _key(network_file, technology, surrogates, dataset, settings, ngspice),
    }
    if settings.flat_images and settings.netlist != "flat":
        some = inputs[: settings.flat_images]
        flat = simulate_network(network_file, technology, some, "flat", ngspice, scratch, **common)
        summary["flat"] = {
            "images": len(some),
            "difference_max_V": float(np.abs(flat.voltages - spice_out[: len(some)]).max()),
            "seconds_ngspice": flat.seconds_ngspice,
        }
    _write_tables(folder, labels, outputs, spice.nodes, spice.voltages, model_V)
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
) -> dict[str, Any] | None:
    """The summary in `folder` when a verification of these very inputs wrote it and its tables; its figures are not
    judged again. None otherwise, also when it is damaged."""
    tables = ["verification.parquet", *(["hidden.parquet"] if settings.hidden else [])]
    if not all((folder / name).is_file() for name in tables):
        return None
    try:
        summary = read_json(folder / "summary.json")
    except StorageError:
        return None
    key = _key(network_file, technology, surrogates, dataset, settings, ngspice)
    return summary if isinstance(summary, dict) and summary.get("key") == key else None


def _key(
    network_file: Path,
    technology: Technology,
    surrogates: Surrogates,
    dataset: Dataset,
    settings: VerificationSettings,
    ngspice: Ngspice,
) -> str:
    """Of everything the figures depend on."""
    chosen = settings.model_dump(include={"images", "netlist", "flat_images", "hidden"})
    return content_hash(
        VERSION, sha256_of_file(network_file), technology.fingerprint, surrogates.fingerprint, dataset.name, chosen,
        ngspice.version,
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
