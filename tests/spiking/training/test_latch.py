"""By how much beyond its threshold a neuron trips, against numpy and the latch of the netlist solved in time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.polynomial.polynomial import polyder, polyval
from scipy.integrate import solve_ivp

from spicetrain.array.conductances import Conductances
from spicetrain.spiking.circuit import LATCH_FOLLOWS_S
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.latch import late_V
from spicetrain.spiking.training.simple_columns import SimpleColumns

from .simple import lif, simple_laws

CIRCUIT = lif(capacitance_F=(1e-12,))
TRIP, BEND = np.array([1e-4, 2.5e-10, 2e-19, -1e-26]), np.array([0.0, -6e-20, 1e-27])
LAWS = replace(simple_laws(CIRCUIT), trip=TRIP, trip_bend=BEND, domains={"slope": (-3e7, 3e7)})
FITTED = FittedSpikingCircuit(CIRCUIT, LAWS, torch.float64)
EARLY_S = CIRCUIT.clock.latch_early_s


def test_within_what_was_measured_the_laws_beyond_it_the_tangent() -> None:
    slope, rate = np.array([[-9e7, -3e7, -1e6], [0.0, 2e7, 5e7]]), np.array([[-1e8], [-4e7]])
    held = slope.clip(-3e7, 3e7)
    expected = polyval(held, TRIP) + polyval(held, polyder(TRIP)) * (slope - held) + rate * polyval(held, BEND)
    found = late_V(torch.tensor(slope), torch.tensor(rate), FITTED)
    np.testing.assert_allclose(found, expected + EARLY_S * slope, rtol=1e-12)


def test_simple_columns_are_late_by_a_line() -> None:
    g = Conductances(*(torch.full(shape, 3e-6, dtype=torch.float64) for shape in ((5, 3), (5, 3), (3,), (3,))))
    spikes = (torch.arange(10.0, dtype=torch.float64) % 3 > 0).double().view(1, 2, 5)
    u = torch.tensor([[1e-3, -2e-3, 0.0], [0.0, 3e-3, 1e-3]], dtype=torch.float64)
    _, slope, late = SimpleColumns(spikes, g, 0, FITTED).integrate(u, 0)
    torch.testing.assert_close(late, TRIP[0] + (TRIP[1] + EARLY_S) * slope, rtol=1e-12, atol=0)
    assert slope.abs().max() > 1e4


@pytest.mark.parametrize("edge_s", [2e-11, 2e-10])
def test_the_latch_holds_a_ramp_as_it_was_so_long_before(edge_s: float) -> None:
    """h follows 1 V/s, ever more slowly while it closes: what it is behind at the end."""
    clock = CIRCUIT.clock.model_copy(update={"edge_s": edge_s})
    begin, end = -40 * LATCH_FOLLOWS_S - clock.closing_s, 0.0

    def rate(t: float, h: np.ndarray) -> np.ndarray:
        return (t - h) * min(1.0, -t / clock.closing_s) / LATCH_FOLLOWS_S

    held = solve_ivp(rate, (begin, end), [begin], method="LSODA", rtol=1e-10, atol=1e-18).y[0, -1]
    assert clock.latch_early_s == pytest.approx(-held, rel=1e-4)
