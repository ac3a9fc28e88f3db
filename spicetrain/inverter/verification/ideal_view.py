"""An inverter-based network as the closed formula that the method `ideal` has of it, and by how much its own method
answers otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from spicetrain.array.crossbar import Crossbar
from spicetrain.datasets import Dataset
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.definition import own_settings
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.newton import EXACT
from spicetrain.rails import Rails
from spicetrain.technology import Technology

Maps = list[tuple[NDArray[np.float64], NDArray[np.float64]]]


@dataclass(frozen=True)
class IdealView:
    """maps    by crossbar (weights, bias [columns]): columns from mid-rail in half swings, of inputs in 0..1 [rows,
            columns], then of what inverters answer, first all v_n, then all v_p, [2 rows, columns]
    gain    of an inverter, which answers -tanh(gain a)
    method  of the network itself; differing_V, differing_classes  by how much it answers otherwise, on so many test
            images: root of the mean square of the outputs, share of them (None: there are no classes)
    """

    maps: Maps
    gain: float
    rails: Rails
    method: str
    images: int
    differing_V: float
    differing_classes: float | None


def ideal_view(network: Network, technology: Technology, surrogates: Surrogates, dataset: Dataset) -> IdealView:
    """ConfigurationError when devices are not ohmic: their columns are no linear maps."""
    rails, device = technology.rails, technology.memristor
    if device.sinh_between(rails) != 0:
        raise ConfigurationError(
            f"ONNX is of crossbars as linear maps, and devices of memristor.form = {device.form!r} bend between the "
            "rails. `--to subckt` writes the network with them, `--to csv` what they are programmed to."
        )
    circuit = FittedCircuit(technology, surrogates, torch.float64, tolerance=EXACT)
    method, inputs = str(network.about["method"]), dataset.test_inputs
    ideal, own = (
        predict(network, inputs, circuit, name, own_settings(network.about) if name == method else None).outputs.numpy()
        for name in ("ideal", method)
    )
    return IdealView(
        maps=[_map(box, k, network.encoding == "bipolar") for k, box in enumerate(network.crossbars)],
        gain=circuit.threshold.gain,
        rails=rails,
        method=method,
        images=len(inputs),
        differing_V=float(np.sqrt(np.mean((ideal - own) ** 2))),
        differing_classes=None if dataset.targets else float((ideal.argmax(1) != own.argmax(1)).mean()),
    )


def _map(box: Crossbar, k: int, bipolar: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    total = box.pos.sum(0) + box.neg.sum(0) + box.bias_pos + box.bias_neg
    bias = (box.bias_pos - box.bias_neg) / total
    if k:
        return np.vstack([box.pos, box.neg]) / total, bias
    weights = (box.pos - box.neg) / total
    return (2 * weights, bias - weights.sum(0)) if bipolar else (weights, bias)
