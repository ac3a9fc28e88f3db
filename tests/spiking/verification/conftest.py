"""Verifications of small networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench import simulator

from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.technology import Technology
from spiking.verification.nets import random_spiking_network, small_circuit
from spiking.verification.verifier import LAYERS, Verifier


@pytest.fixture
def verifier(ptm90: Technology, tmp_path: Path) -> Callable[..., Verifier]:
    def make(*layers: int, circuit: SpikingCircuit | None = None, seed: int = 0, **about: Any) -> Verifier:
        circuit, folder = circuit or small_circuit(), tmp_path / "run"
        network = random_spiking_network(ptm90, circuit, *(layers or LAYERS), seed=seed, **about)
        return Verifier(ptm90, simulator(scratch=folder / ".verification"), folder, circuit, network)

    return make
