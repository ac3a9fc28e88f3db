"""What was asked of fitted things outside the domain they were measured in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Extrapolation:
    """Values outside a measured domain, by the name of what was asked.

    count     how many
    farthest  by how much the farthest, in the domain's unit
    """

    count: Mapping[str, int] = field(default_factory=dict)
    farthest: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: Extrapolation) -> Extrapolation:
        """Of both together."""
        if not other.count:
            return self
        names = dict.fromkeys([*self.count, *other.count])
        return Extrapolation(
            {name: self.count.get(name, 0) + other.count.get(name, 0) for name in names},
            {name: max(self.farthest.get(name, 0.0), other.farthest.get(name, 0.0)) for name in names},
        )

    def __bool__(self) -> bool:
        return bool(self.count)

    def __str__(self) -> str:
        return "; ".join(
            f"{name}: {count} values, by up to {self.farthest[name]:.3g}" for name, count in self.count.items()
        )


NONE = Extrapolation()
_SLACK = 1e-6  # of a domain's width: float32 has no more of its ends


@torch.no_grad()
def outside(name: str, values: Tensor, domain: tuple[float, float]) -> Extrapolation:
    """Those of `values`, any shape, that are outside `domain` (lowest, highest); what is not finite counts, too."""
    if not values.numel():
        return NONE
    low, high = domain
    slack = _SLACK * (high - low)
    smallest, largest = torch.aminmax(values)
    if low - slack <= float(smallest) and float(largest) <= high + slack:
        return NONE
    excess = torch.maximum(low - values, values - high)
    asked = excess[~(excess <= slack)]
    return Extrapolation({name: len(asked)}, {name: float(asked.nan_to_num(torch.inf).max())})
