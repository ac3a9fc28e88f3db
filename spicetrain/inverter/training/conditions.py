"""Training for several operating conditions: every minibatch meets the circuit of some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from spicetrain.errors import ConfigurationError
from spicetrain.inverter.definition import TrainingSettings
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.newton import tolerance_on
from spicetrain.operating import Condition, conditions_in
from spicetrain.technology import Technology


@dataclass(frozen=True)
class FittedCondition:
    """A condition, and what was fitted of the inverter under it."""

    condition: Condition
    surrogates: Surrogates

    def circuit(self, dtype: torch.dtype, device: torch.device) -> FittedCircuit:
        return FittedCircuit(self.condition.technology, self.surrogates, dtype, device, tolerance_on(device))


@dataclass(frozen=True)
class ConditionDraws:
    """others         how many conditions there are besides the nominal one
    nominal_share  of the draws"""

    others: int
    nominal_share: float

    def draw(self, random: torch.Generator) -> int:
        """0: the nominal one, with its share; 1 .. others: each as often."""
        nominal = float(torch.rand((), generator=random)) < self.nominal_share
        other = int(torch.randint(self.others, (), generator=random))  # drawn in any case: all draws cost the same
        return 0 if nominal else 1 + other


def training_conditions(settings: TrainingSettings, technology: Technology) -> list[Condition]:
    """The conditions besides the nominal one that a training asks for. ConfigurationError: of a method that does not
    know the circuit, of forward passes in ngspice, of a sizing by the nominal circuit's rule, or of no other condition
    than the nominal one. TechnologyError: a corner that there is not."""
    asked = settings.conditions
    if not asked:
        return []
    if not METHODS[settings.method].knows_circuit:
        able = ", ".join(name for name in METHODS if METHODS[name].knows_circuit)
        raise ConfigurationError(
            f"training.conditions is asked of the method {settings.method!r}, which does not predict what a circuit "
            f"under other conditions gives. Methods that do: {able}."
        )
    if settings.forward == "spice":
        raise ConfigurationError(
            "training.conditions with training.forward = 'spice': ngspice simulates the nominal circuit there. Leave "
            "one of them out."
        )
    if settings.sizing == "erim":
        raise ConfigurationError(
            "training.conditions with training.sizing = 'erim': its rule is of the nominal circuit, and a load that is "
            "carried there may be too heavy in another corner. Other sizings see every condition."
        )
    others = [one for one in conditions_in(technology, asked) if not one.nominal]
    if not others:
        raise ConfigurationError(
            f"training.conditions names no condition of {technology.name!r} besides the nominal one. Give further "
            "corners, temperatures_C or vdd_scales, or leave the table out."
        )
    return others


def require_fitted(wanted: Sequence[Condition], fitted: Sequence[FittedCondition]) -> None:
    """ConfigurationError when what is to be trained for was not handed over, one for one."""
    names = [[one.name for one in wanted], [one.condition.name for one in fitted]]
    if names[0] != names[1]:
        raise ConfigurationError(
            f"training.conditions asks for {', '.join(names[0]) or 'none'}, and train() was given fits of "
            f"{', '.join(names[1]) or 'none'}: give it fitted=, as verification.fitting makes them, or call "
            "Run.train, which does."
        )
