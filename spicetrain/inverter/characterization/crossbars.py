"""The crossbars whose load is measured, and the voltages at their rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, model_validator

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.device import Device
from spicetrain.characterization.plan import PlanSection
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.network import Network
from spicetrain.rails import Rails
from spicetrain.storage import sha256_of_file
from spicetrain.technology import Technology

Distribution = Literal["uniform", "log_uniform", "sparse"]
_SPARSE_AT_MINIMUM = 0.9


class EffectiveLoadPlan(PlanSection):
    """What row drivers see: random crossbars, and those of trained networks from the second on.

    shapes         [row pairs, columns]
    distributions  of the conductances over the device's range
    crossbars      random crossbars for each shape and distribution
    samples        sets of random row voltages for each crossbar
    trained        network files, absolute or relative to the plan
    """

    shapes: tuple[tuple[PositiveInt, PositiveInt], ...] = ((5, 3), (16, 8), (64, 10), (100, 10))
    distributions: tuple[Distribution, ...] = ("uniform", "log_uniform", "sparse")
    crossbars: PositiveInt = 2
    samples: PositiveInt = 4
    seed: int = Field(default=1, ge=0)
    trained: tuple[Path, ...] = ()

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.trained and not (self.shapes and self.distributions):
            raise ValueError("no crossbar: give shapes and distributions, or trained networks")
        return self

    def resolved(self, folder: Path) -> Self:
        trained = tuple(folder / path.expanduser() for path in self.trained)
        for path in trained:
            if not path.is_file():
                raise ConfigurationError(
                    f"effective_load.trained names {path}, which is not a file. The path is relative to the plan; it "
                    "should be the network.safetensors of a run."
                )
        return self.model_copy(update={"trained": trained})

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"trained": [sha256_of_file(path) for path in self.trained]}


@dataclass(frozen=True)
class Specimen:
    """A crossbar and its rows' voltages, v_rows [samples, rows, 2] (positive and negative row), volts."""

    number: int
    origin: str  # "random" or "trained"
    distribution: str  # of a random crossbar, else the network's name
    crossbar: Crossbar
    v_rows: NDArray[np.float64]

    @property
    def drivers(self) -> int:
        return 2 * self.crossbar.rows

    @property
    def points(self) -> int:
        """Of each sample, the row voltages themselves, and with each row in turn moved."""
        return len(self.v_rows) * (1 + self.drivers)


def specimens(plan: EffectiveLoadPlan, technology: Technology) -> list[Specimen]:
    """All crossbars of a plan. StorageError when a trained network cannot be read."""
    named: list[tuple[str, str, Crossbar]] = []
    rng = np.random.default_rng(plan.seed)
    for rows, columns in plan.shapes:
        for distribution in plan.distributions:
            for _ in range(plan.crossbars):
                crossbar = random_crossbar(rng, rows, columns, distribution, technology.memristor)
                named.append(("random", distribution, crossbar))
    for path in plan.trained:
        named += [("trained", path.stem, crossbar) for crossbar in Network.load(path).crossbars[1:]]
    return [
        Specimen(number, *entry, random_rows(rng, plan.samples, entry[2].rows, technology.rails))
        for number, entry in enumerate(named)
    ]


def random_crossbar(
    rng: np.random.Generator, rows: int, columns: int, distribution: Distribution, memristor: Device
) -> Crossbar:
    """Conductances drawn over the device's range."""
    shapes = ((rows, columns), (rows, columns), (columns,), (columns,))
    return Crossbar(*(_conductances(rng, shape, distribution, memristor) for shape in shapes))


def _conductances(
    rng: np.random.Generator, shape: tuple[int, ...], distribution: Distribution, memristor: Device
) -> NDArray[np.float64]:
    g_min, g_max = memristor.g_min_S, memristor.g_max_S
    if distribution == "log_uniform":
        return np.exp(rng.uniform(np.log(g_min), np.log(g_max), shape))
    g = rng.uniform(g_min, g_max, shape)
    if distribution == "sparse":
        g[rng.random(shape) < _SPARSE_AT_MINIMUM] = g_min
    return g


def random_rows(rng: np.random.Generator, samples: int, rows: int, rails: Rails) -> NDArray[np.float64]:
    """Row voltages [samples, rows, 2] within the rails.

    Each sample has its own beta distribution: near the rails, as behind saturated inverters, or near the
    middle; high, or low.
    """
    a, b = np.exp(rng.uniform(-1.5, 1.5, (2, samples, 1, 1)))
    return rails.vss_V + (rails.vdd_V - rails.vss_V) * rng.beta(a, b, (samples, rows, 2))
