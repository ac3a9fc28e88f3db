"""ERIM-style sizing: the fewest fingers whose transfer curve its load leaves nearly as it was.

After IEEE TCAS-I 2021 (10.1109/TCSI.2021.3084867). Our reading: the threshold is where v_out = v_in; an inverter is
large enough when the slope of its loaded curve there keeps a share of the unloaded slope, and the threshold has not
moved far. With a load g to mid-rail, one finger's threshold v and slope are

    I(v, v) = g (v - mid)          dv_out/dv_in = -I_in / (I_out - g),  I_in, I_out the derivatives of I(v_in, v_out)

and m fingers under g behave as one under g / m, so one largest load per finger decides for every load.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spicetrain.errors import ConfigurationError
from spicetrain.inverter.training.inverters import Inverters

_BISECTIONS, _GRID, _REFINEMENTS = 50, 200, 6


def needed_fingers(load_S: Tensor, largest_S: float) -> Tensor:
    """Fingers of the smallest inverters that carry the loads `load_S`, siemens to mid-rail: whole numbers, at least 1,
    in float64, shaped like `load_S`.

    largest_S  what one finger carries: see `largest_load_per_finger`
    """
    return torch.ceil(load_S.double() / largest_S * (1 - 1e-12)).clamp(min=1)  # exactly m times it is carried by m


@torch.no_grad()
def largest_load_per_finger(inverters: Inverters, slope_share: float, threshold_V: float) -> float:
    """The load of one finger, siemens, at which the first of the two bounds is reached (1 S when none is).

    ConfigurationError when a bound allows no load at all.
    """
    if not (slope_share < 1 and threshold_V > 0):
        raise ConfigurationError(
            f"slope_share = {slope_share:g}, threshold_V = {threshold_V:g}: any load costs slope and may move the "
            "threshold. Give a share below 1 and a threshold above 0 V."
        )
    threshold_0, slope_0 = _threshold_and_slope(inverters, torch.zeros(1, dtype=torch.float64))
    loads = torch.cat([torch.zeros(1), torch.logspace(-12, 0, _GRID)]).double()
    for _ in range(_REFINEMENTS):
        threshold, slope = _threshold_and_slope(inverters, loads)
        broken = ~((slope >= slope_share * slope_0) & ((threshold - threshold_0).abs() <= threshold_V))
        if not broken.any():
            return float(loads[-1])
        first = int(broken.int().argmax())
        loads = torch.linspace(float(loads[first - 1]), float(loads[first]), _GRID, dtype=torch.float64)
    return float(loads[0])


def _threshold_and_slope(inverters: Inverters, load_S: Tensor) -> tuple[Tensor, Tensor]:
    """(v where v_out = v_in in V, -dv_out/dv_in there) of one finger with `load_S` to mid-rail, [loads] each."""
    low, high = torch.full_like(load_S, inverters.low), torch.full_like(load_S, inverters.high)
    mid = (inverters.low + inverters.high) / 2
    for _ in range(_BISECTIONS):  # the current into the node falls with v
        v = (low + high) / 2
        i, di_in, di_out = inverters.current(v, v)
        rises = i > load_S * (v - mid)
        low, high = torch.where(rises, v, low), torch.where(rises, high, v)
    return v, di_in / (di_out - load_S)
