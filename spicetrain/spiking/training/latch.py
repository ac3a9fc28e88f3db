"""By how much beyond its threshold a neuron trips: its inverter answers late, and the latch takes the answer early."""

from __future__ import annotations

import math

from torch import Tensor

from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.membrane import current, steepness


def late_V(slope: Tensor, rate: Tensor, fitted: FittedSpikingCircuit) -> Tensor:
    """Of a membrane that moves with `slope`, V/s, which changes at `rate`, 1/s; beyond the slopes that were measured
    along the tangent."""
    laws = fitted.laws
    low, high = laws.domains.get("slope", (-math.inf, math.inf))
    held = slope.clamp(low, high)
    ramp, bend = laws.trip.tolist(), laws.trip_bend.tolist()
    answered = current(held, ramp) + steepness(held, ramp) * (slope - held) + rate * current(held, bend)
    return answered + fitted.circuit.clock.latch_early_s * slope


def simple_delay(fitted: FittedSpikingCircuit) -> tuple[float, float]:
    """(volts, seconds) of the straight line of the slope that `late_V` is where a membrane stands still, and does not
    bend: a tenth of the operations."""
    offset_V, delay_s = fitted.laws.trip[:2].tolist()
    return offset_V, delay_s + fitted.circuit.clock.latch_early_s
