"""The measured inverter, and the circuit as float64 sees it."""

from __future__ import annotations

import pytest
import torch

from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.inverters import Inverters, inverters_of, mismatched_inverters_of
from spicetrain.technology import Technology

from .circuits import EXACT, fitted_surface, fitted_surrogates, shifted_surface


@pytest.fixture(scope="session")
def surface() -> CurrentSurface:
    return fitted_surface()


@pytest.fixture(scope="session")
def inverters(surface: CurrentSurface) -> Inverters:
    return inverters_of(surface)


@pytest.fixture(scope="session")
def beyond() -> CurrentSurface:
    """Its gates may be shifted beyond the rails."""
    return shifted_surface()


@pytest.fixture(scope="session")
def mismatched(beyond: CurrentSurface) -> Inverters:
    return mismatched_inverters_of(beyond)


@pytest.fixture(scope="session")
def surrogates() -> Surrogates:
    """The loaded VTC and the effective load too."""
    return fitted_surrogates()


@pytest.fixture
def circuit(ptm90: Technology, surface: CurrentSurface) -> FittedCircuit:
    return FittedCircuit(ptm90, Surrogates(surface), torch.float64, tolerance=EXACT)
