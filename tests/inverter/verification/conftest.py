"""The measured inverter of the training tests, and small trained-looking networks on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from inverter.training.circuits import fitted_surface, random_network
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.technology import Technology


@pytest.fixture(scope="session")
def surface() -> CurrentSurface:
    return fitted_surface()


@pytest.fixture
def network_file(ptm90: Technology, tmp_path: Path) -> Callable[..., Path]:
    """Writes a network of random conductances as training would."""

    def write(*layers: int, **about: str) -> Path:
        origin = {
            "system": "inverter",
            "method": "kcl",
            "dataset": "iris",
            "technology": ptm90.name,
            "technology_fingerprint": ptm90.fingerprint,
        }
        path = tmp_path / "network.safetensors"
        replace(random_network(ptm90, *layers, encoding="bipolar"), about=origin | about).save(path)
        return path

    return write
