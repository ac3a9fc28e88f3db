"""An inverter where it switches: what mismatch of its transistors is at its input, to first order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spicetrain.inverter.surrogates.current_surface import CurrentSurface, Mismatch, transistor_currents
from spicetrain.rails import Rails


@dataclass(frozen=True)
class Threshold:
    """One inverter without a load, its output at mid-rail.

    gain     -dv_out/dv_in
    share_n  of the nMOS in the slope of the current; the pMOS has the rest
    volts    current over that slope: by so much a factor of a transistor's current moves the threshold
    """

    gain: float
    share_n: float
    volts: float

    def offsets(self, mismatch: Mismatch) -> tuple[Tensor, Tensor | None]:
        """At the columns, for v_n and v_p, [samples or 1, columns] volts: the second inverter's counts by 1 / gain, and
        the other way round."""
        n, p = mismatch.shift
        at_input = self.share_n * n + (1 - self.share_n) * p
        if mismatch.factor is not None:  # a stronger nMOS switches earlier
            at_input = at_input + self.volts * (mismatch.factor[1] - mismatch.factor[0])
        first = at_input[0]
        return first, first - at_input[1] / self.gain if len(at_input) > 1 else None


@torch.no_grad()
def threshold_of(surface: CurrentSurface, rails: Rails) -> Threshold:
    """Of a surface in float64."""
    mid = torch.full((1,), rails.mid_V, dtype=torch.float64)
    v_in = mid.clone()
    for _ in range(50):  # i_out(v_in, mid) falls monotonically with v_in
        n, p = transistor_currents(surface, v_in, mid)
        v_in = (v_in - (p[0] - n[0]) / (p[1] - n[1])).clamp(rails.vss_V, rails.vdd_V)
    slope = float(n[1] - p[1])
    return Threshold(float((p[1] - n[1]) / (p[2] - n[2])), float(n[1]) / slope, float(n[0]) / slope)
