"""Signed synapses as conductances."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spicetrain.array.devices.ohmic import Ohmic
from spicetrain.spiking.training.parameters import SynapseParameters, programmed

MEMRISTOR = Ohmic(g_min_S=1e-7, g_max_S=9e-7)


def parameters(synapses: list[list[float]]) -> SynapseParameters:
    made = SynapseParameters(len(synapses) - 1, len(synapses[0]), torch.Generator())
    made.synapses.data = torch.tensor(synapses, dtype=torch.float64)
    return made


def test_a_synapse_raises_one_device_of_its_pair() -> None:
    g = parameters([[0.5, -0.25], [1.0, 0.0], [-1.0, 0.125]]).conductances(MEMRISTOR)
    np.testing.assert_allclose(g.pos.detach(), [[5e-7, 1e-7], [9e-7, 1e-7]])
    np.testing.assert_allclose(g.neg.detach(), [[1e-7, 3e-7], [1e-7, 1e-7]])
    np.testing.assert_allclose(g.bias_pos.detach(), [1e-7, 2e-7])
    np.testing.assert_allclose(g.bias_neg.detach(), [9e-7, 1e-7])


def test_every_synapse_has_a_gradient() -> None:
    """That of the device that carries it: the difference of the two is linear in it."""
    made = parameters([[0.5, -0.25], [0.9, -0.01], [-0.8, 0.125]])
    g = made.conductances(MEMRISTOR)
    ((g.pos - g.neg).sum() + (g.bias_pos - g.bias_neg).sum()).backward()
    torch.testing.assert_close(made.synapses.grad, torch.full((3, 2), 8e-7, dtype=torch.float64))


def test_a_synapse_stays_where_the_device_can_follow() -> None:
    made = parameters([[1.5, -1.25], [0.5, -0.5], [-3.0, 3.0]])
    made.project()
    assert made.synapses.tolist() == [[1.0, -1.0], [0.5, -0.5], [-1.0, 1.0]]


@pytest.mark.parametrize("rows, columns", [(1, 1), (5, 3), (784, 10)])
def test_what_is_programmed_lies_in_the_range_of_the_device(rows: int, columns: int) -> None:
    made = SynapseParameters(rows, columns, torch.Generator().manual_seed(1))
    made.synapses.data *= 10
    made.project()
    crossbar = programmed(made.conductances(MEMRISTOR), MEMRISTOR)
    assert (crossbar.rows, crossbar.columns) == (rows, columns)
    for value in vars(crossbar).values():
        assert value.dtype == np.float64
        assert MEMRISTOR.g_min_S <= value.min() and value.max() <= MEMRISTOR.g_max_S
