"""A crossbar with wires as its ends see it: the exact mesh against a dense network, the trainer's form against both."""

from __future__ import annotations

from itertools import product
from typing import get_args

import numpy as np
import pytest
import torch
from dense_wires import dense_ports
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.mesh import Mesh
from spicetrain.array.mesh_ports import mesh_ports
from spicetrain.array.wired import EXACTLY, row_wires_of
from spicetrain.array.wired_ports import Ports, ports, ports_correction
from spicetrain.array.wires import Place, Segments

SHAPES = [(1, 1), (1, 7), (5, 3), (20, 3)]
PLACES = list(product(get_args(Place), repeat=2))


def conductances(rows: int, columns: int, seed: int = 0) -> Conductances:
    rng = np.random.default_rng(rows + 100 * columns + seed)
    shapes = ((rows, columns), (rows, columns), (columns,), (columns,))
    return Conductances(*(torch.tensor(np.exp(rng.uniform(np.log(1.2e-7), np.log(7.9e-6), s))) for s in shapes))


def segments(driven: Place = "one end", sensed: Place = "one end", scale: float = 1.0) -> Segments:
    return Segments(3000.0 * scale, 5000.0 * scale, 700.0 * scale, driven, sensed)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("driven", "sensed"), PLACES)
def test_the_mesh_is_the_dense_network(shape: tuple[int, int], driven: Place, sensed: Place) -> None:
    g, wires = row_wires_of(conductances(*shape)).numpy(), segments(driven, sensed)
    found, expected = mesh_ports(Mesh(g, wires), rows=True), dense_ports(g, wires)
    for name in ("B", "Y", "A"):
        array = getattr(expected, name)
        np.testing.assert_allclose(getattr(found, name), array, rtol=0, atol=1e-9 * np.abs(array).max(), err_msg=name)
    assert found.reach == pytest.approx(expected.reach, rel=1e-9)
    assert 0.5 < found.reach <= len(g)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("driven", "sensed"), [("one end", "one end"), ("both ends", "middle"), ("middle", "both ends")]
)
def test_with_its_correction_the_fast_form_is_the_mesh(shape: tuple[int, int], driven: Place, sensed: Place) -> None:
    """Alone it is near, from another crossbar's correction nearer."""
    g, wires = conductances(*shape), segments(driven, sensed, scale=0.1)
    expected = dense_ports(row_wires_of(g).numpy(), wires)

    def off(found: Ports) -> float:
        at_rows = torch.diag(found.own) + (0 if found.between is None else found.between)
        pairs = ((found.B, expected.B), (found.Y, expected.Y), (at_rows.diagonal(), expected.A.diagonal()))
        return max(float(np.abs(a.numpy() - b).max() / np.abs(b).max()) for a, b in pairs)

    exact = ports(g, wires, ports_correction(g, wires, driven=True, near=EXACTLY))
    assert exact.between is not None
    np.testing.assert_allclose(exact.between.numpy(), expected.A - np.diag(np.diag(expected.A)), rtol=0, atol=1e-15)
    moved = Conductances(*(value * (1 + 0.1 * torch.rand_like(value)) for value in g))
    nearly = ports(g, wires, ports_correction(moved, wires, driven=True))
    assert off(exact) < 1e-9 < off(nearly) < 0.3 * off(ports(g, wires)) < 0.02


def test_gradients_of_the_fast_form() -> None:
    scaled, wires = [(value * 1e6).requires_grad_() for value in conductances(3, 2)], segments()

    def found(*g: Tensor) -> tuple[Tensor, ...]:
        at = ports(Conductances(*(value * 1e-6 for value in g)), wires)
        return tuple(1e6 * value for value in (at.B, at.Y, at.own))

    assert torch.autograd.gradcheck(found, scaled, atol=1e-7, rtol=1e-5)


def test_wires_that_hardly_resist_are_none() -> None:
    g = conductances(5, 3)
    at = ports(g, Segments(1e-3, 1e-3, 1e-3), ports_correction(g, Segments(1e-3, 1e-3, 1e-3), driven=True))
    torch.testing.assert_close(at.B, row_wires_of(g), rtol=1e-6, atol=0)
    torch.testing.assert_close(at.Y, torch.diag(g.column_sum()), rtol=1e-6, atol=1e-12)
    assert at.reach == pytest.approx(12, rel=1e-6)
