"""The bicubic table of the inverter's currents against the surface it is made of, in float64."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from numpy.polynomial.polynomial import polyval2d
from torch import Tensor

from spicetrain.inverter.surrogates.current_surface import (
    CurrentSurface,
    Mismatch,
    inverter_current,
    transistor_currents,
)
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.hermite import HermiteTables, hermite_inverter, hermite_transistors
from spicetrain.inverter.training.tabulated import Current
from spicetrain.technology import Technology

from .circuits import fitted_surface, fitted_surrogates, shifted_surface


def points(surface: CurrentSurface, count: int = 2000) -> tuple[Tensor, Tensor]:
    v = np.random.default_rng(0).uniform(surface.vss_V, surface.vdd_V, (2, count, 1))
    return torch.from_numpy(v[0]), torch.from_numpy(v[1])


def test_it_is_nearer_to_the_surface_than_the_surface_in_float32() -> None:
    """Volts by which a node would be off that a load of 2 uS holds as well."""
    exact = fitted_surface().to(torch.float64)
    v_in, v_out = points(exact)
    i, di_in, di_out = inverter_current(exact, v_in, v_out)
    off_V = {}
    currents: dict[str, Current] = {
        "table": hermite_inverter(exact),
        "MLP": partial(inverter_current, exact.to(torch.float32)),
    }
    for name, current in currents.items():
        found = current(v_in.float(), v_out.float())
        off_V[name] = float(((found[0].double() - i).abs() / (di_out.abs() + 2e-6)).mean())
        slopes = zip(found[1:], (di_in, di_out), strict=True)
        assert all(float((of - exactly).abs().max() / exactly.abs().max()) < 1e-3 for of, exactly in slopes)
    assert 0 < off_V["table"] < off_V["MLP"] < 1e-6


def test_transistors_with_mismatch() -> None:
    surface = shifted_surface().to(torch.float64)
    v_in, v_out = (v[:, 0].view(2, 10, 100) for v in points(surface))
    random = np.random.default_rng(1)
    shift = torch.from_numpy(random.normal(0, 0.02, (2, 2, 1, 100)))
    factor = torch.from_numpy(random.uniform(0.8, 1.2, (2, 2, 1, 100)))
    table = hermite_transistors(surface)
    for mismatch in (Mismatch(shift), Mismatch(shift, factor)):
        single = Mismatch(mismatch.shift.float(), None if mismatch.factor is None else factor.float())
        expected = transistor_currents(surface, v_in, v_out, mismatch)
        found = table(v_in.float(), v_out.float(), single)
        for of, exactly in zip((*found[0], *found[1]), (*expected[0], *expected[1]), strict=True):
            assert of.shape == exactly.shape
            torch.testing.assert_close(of.double(), exactly, rtol=0, atol=1e-3 * float(exactly.abs().max()))
        i = inverter_current(surface, v_in, v_out, mismatch)[0]
        torch.testing.assert_close(
            table.current(v_in.float(), v_out.float(), single)[0].double(), i, rtol=1e-4, atol=1e-10
        )


@pytest.mark.parametrize("cells", [(1, 1), (2, 3)])
def test_a_cell_is_its_polynomial_and_beyond_the_table_a_straight_line(cells: tuple[int, int]) -> None:
    c = np.random.default_rng(0).normal(size=(1, *cells, 16)).astype(np.float32)
    tables = HermiteTables(c, (-1.0, 2.0), (0.5, 0.25))

    def at(x: float, y: float) -> list[float]:
        """In cells from the lowest corner."""
        v = torch.tensor([[-1.0 + 0.5 * x]]), torch.tensor([2.0 + 0.25 * y])
        return [float(of) for of in tables(*v)]

    last = c[0, -1, -1].reshape(4, 4).T
    x, y = 0.3, 0.6
    expected = polyval2d(x, y, last), polyval2d(x, y, np.arange(1, 4)[:, None] * last[1:]) / 0.5
    found = at(cells[0] - 1 + x, cells[1] - 1 + y)
    np.testing.assert_allclose(found[:2], expected, rtol=1e-4)
    edge, beyond = at(cells[0], cells[1] - 0.5), at(cells[0] + 2, cells[1] - 0.5)
    np.testing.assert_allclose(beyond[0], edge[0] + 1.0 * edge[1], rtol=1e-4)
    np.testing.assert_allclose(beyond[1:], edge[1:], rtol=1e-4)


def test_a_circuit_takes_it_where_float32_is_enough(ptm90: Technology) -> None:
    surrogates = fitted_surrogates()
    v_in, v_out = torch.tensor([[0.01]], dtype=torch.float64), torch.tensor([[-0.02]], dtype=torch.float64)
    single, exact = (FittedCircuit(ptm90, surrogates, dtype).inverters for dtype in (torch.float32, torch.float64))
    assert isinstance(single.current, type(hermite_inverter(fitted_surface().to(torch.float64))))
    torch.testing.assert_close(
        exact.current(v_in, v_out), inverter_current(surrogates.current_surface.to(torch.float64), v_in, v_out)
    )
    assert single.coarse is not single.current
