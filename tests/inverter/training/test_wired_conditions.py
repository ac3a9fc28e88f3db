"""Trainings for several conditions with wires: every circuit has the corrections of its own wires."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from spicetrain.array.wires import Segments, Wires
from spicetrain.inverter.definition import NetworkSettings, TrainingSettings
from spicetrain.inverter.training import model as module
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import TrainableNetwork, predict
from spicetrain.technology import Technology

from .circuits import EXACT

WIRES = Wires(row_ohm=2000.0, column_ohm=3000.0, tc_per_K=1e-2)
SHAPE = NetworkSettings(layers=(4, 3, 2), inverter_sizes=(2.0, 1.0))


def trainable(
    ptm90: Technology, circuit: FittedCircuit, *temperatures_C: float, method: str = "kcl"
) -> TrainableNetwork:
    """Between inverters that are the same at all temperatures, wires that are not."""
    circuits = [
        replace(circuit, technology=ptm90.changed(wires=WIRES, temperature_C=t), tolerance=EXACT)
        for t in temperatures_C
    ]
    settings = TrainingSettings.model_validate({"method": method, "seed": 3})
    return TrainableNetwork(SHAPE, settings, circuits[0], circuits[1:])


def test_each_circuit_is_corrected_for_its_own_wires(
    ptm90: Technology, circuit: FittedCircuit, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trainable(ptm90, circuit, 27.0, 127.0, 27.0)
    measured: list[Segments] = []
    beyond_fast = module.beyond_fast

    def counted(crossbars: list, segments: Segments, *others: Any, exactly: bool) -> list:
        measured.append(segments)
        return beyond_fast(crossbars, segments, *others, exactly=True)

    monkeypatch.setattr(module, "beyond_fast", counted)
    model.correct_wires()
    assert sorted(of.row_ohm for of in measured) == pytest.approx([2000.0, 4000.0])  # once for what is the same
    inputs = np.random.default_rng(0).random((5, 4))
    network = model.network({"method": "kcl"})
    outputs = []
    for under, one in enumerate(model.circuits):
        found = model.voltages(torch.from_numpy(inputs).to(one.dtype), under=under).layers
        exact = predict(network, inputs, one, "kcl").layers
        for layer, expected in zip(found, exact, strict=True):
            for name in ("v_col", "v_n"):
                off = (getattr(layer, name) - getattr(expected, name)).abs().max()
                assert float(off.detach()) < 1e-8, (under, name)
        outputs.append(exact[-1].v_n)
    assert float((outputs[0] - outputs[1]).abs().max()) > 1e-4
    assert float((outputs[0] - outputs[2]).abs().max()) == 0


def test_ideal_wires_and_methods_that_know_none_have_no_corrections(ptm90: Technology, circuit: FittedCircuit) -> None:
    blind = trainable(ptm90, circuit, 27.0, 127.0, method="ideal")
    plain = TrainableNetwork(SHAPE, TrainingSettings(), circuit)
    for model in (blind, plain):
        model.correct_wires()
        assert model.corrections is None
