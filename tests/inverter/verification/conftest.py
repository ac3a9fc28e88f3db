"""The measured inverter of the training tests, and small networks as a training makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from inverter.training.circuits import fitted_surface, random_network, shifted_surface
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.technology import Technology


@pytest.fixture(scope="session")
def surface() -> CurrentSurface:
    return fitted_surface()


@pytest.fixture
def trained(ptm90: Technology) -> Callable[..., Network]:
    """Random conductances, with the provenance that a training gives."""

    def network(*layers: int, **about: object) -> Network:
        origin = {
            "system": "inverter",
            "method": "kcl",
            "dataset": "iris",
            "technology": ptm90.name,
            "technology_fingerprint": ptm90.fingerprint,
        }
        return replace(random_network(ptm90, *layers, encoding="bipolar"), about=origin | about)

    return network


@pytest.fixture(scope="session")
def beyond() -> CurrentSurface:
    """Its gates may be shifted beyond the rails."""
    return shifted_surface()
