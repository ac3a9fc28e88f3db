"""Decks whose rows stand at levels, and whose outputs only integrate: closed forms, and form against form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spicetrain.array.wires import Wires
from spicetrain.errors import ConfigurationError
from spicetrain.netlists.cells import Form
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spiking.netlists.network import saved_vectors, spiking_deck
from spicetrain.technology import Technology
from spiking.netlists.test_deck import UNREACHED_V, circuit, random_network, random_spikes, run

WIRES = Wires(row_ohm=2000.0, column_ohm=3000.0, feed_ohm=500.0)
INTEGRATES = {"readout": "integrator"}


def levels(steps: int, rows: int) -> np.ndarray:
    return np.random.default_rng(steps * rows).random((steps, rows)).astype(np.float32)


@pytest.mark.parametrize("threshold_V", [UNREACHED_V, 0.005])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3)])
@pytest.mark.parametrize("form", ["reduced", "flat"])
def test_membranes_are_the_exponential_of_levels(
    shape: tuple[int, int], form: Form, threshold_V: float, ptm90: Technology, ngspice: Ngspice
) -> None:
    """Also far above the threshold, where all would fire: an integrator never does."""
    spiking = circuit("1r", capacitance_F=[2e-13], reset_fingers=[0.1])
    network, x = random_network(ptm90, (threshold_V,), *shape), levels(4, shape[0])
    network = replace(network, about=INTEGRATES)
    membranes, fired, _ = run(network, spiking, ptm90, x, form, ngspice)
    box, clock, rails = network.crossbars[0], spiking.clock, spiking.rails
    G = box.column_sum / 2e-13
    driven = (x @ box.pos + box.bias_pos) * rails.vdd_V + (x @ box.neg + box.bias_neg) * rails.vss_V
    on, off = clock.integrate_s - clock.edge_s / 2, clock.rest_s + clock.edge_s / 2
    v = np.zeros(shape[1])
    # Transistors at the membrane are 1 fF, and more where the inverter trips.
    rtol = 0.004 if threshold_V == UNREACHED_V else 0.02
    for k, drive in enumerate(driven / box.column_sum):
        v = drive + (v - drive) * np.exp(-G * on)
        np.testing.assert_allclose(membranes[0][k], v, rtol=rtol, atol=4e-4)
        v = v * np.exp(-G * off)
    assert np.ptp(membranes[0]) > 0.02
    assert fired[0].shape == (4, shape[1]) and not fired[0].any()


@pytest.mark.parametrize("layers", [(5, 3, 2), (7, 4, 3, 1)])
def test_flat_and_reduced_agree(layers: tuple[int, ...], ptm90: Technology, ngspice: Ngspice) -> None:
    spiking = circuit("1r", capacitance_F=[1e-13], reset_fingers=[0.3])
    network = replace(random_network(ptm90, (0.02,) * (len(layers) - 1), *layers), about=INTEGRATES)
    flat, reduced = (run(network, spiking, ptm90, levels(5, layers[0]), form, ngspice) for form in ("flat", "reduced"))
    last = len(layers) - 2
    for layer in range(last + 1):
        np.testing.assert_allclose(flat[0][layer], reduced[0][layer], rtol=0, atol=2e-5)
        np.testing.assert_array_equal(flat[1][layer], reduced[1][layer])
        assert flat[1][layer].any() == (layer < last)
    assert not any(name.startswith(f"v(s{last}_") for name in saved_vectors(network, spiking))


def test_mesh_and_every_segment_agree(ptm90: Technology, either_ngspice: Ngspice) -> None:
    technology = ptm90.changed(wires=WIRES)
    spiking = circuit("1r", capacitance_F=[1e-13], reset_fingers=[0.3])
    network = replace(random_network(ptm90, (0.02, 0.02), 5, 3, 2), about=INTEGRATES)
    x = levels(4, 5)
    flat, mesh = (run(network, spiking, technology, x, form, either_ngspice) for form in ("flat", "mesh"))
    for layer in range(2):
        np.testing.assert_allclose(flat[0][layer], mesh[0][layer], rtol=0, atol=2e-5)
        np.testing.assert_array_equal(flat[1][layer], mesh[1][layer])
    assert flat[1][0].any()
    assert np.abs(run(network, spiking, ptm90, x, "reduced", either_ngspice)[0][0] - mesh[0][0]).max() > 1e-4


def test_a_neuron_below_its_threshold_integrates_as_one_that_never_fires(ptm90: Technology, ngspice: Ngspice) -> None:
    """So the same hangs on both membranes, whatever becomes of the latch."""
    spiking = circuit("1r", capacitance_F=[2e-14], reset_fingers=[0.5])
    network, spikes = random_network(ptm90, (0.45,), 5, 3), random_spikes(4, 5)
    fires, integrates = (
        run(replace(network, about=about), spiking, ptm90, spikes, "flat", ngspice) for about in ({}, INTEGRATES)
    )
    assert not fires[1][0].any()
    np.testing.assert_allclose(fires[0][0], integrates[0][0], rtol=0, atol=1e-4)


def test_levels_of_other_rows_are_refused(ptm90: Technology) -> None:
    network = random_network(ptm90, (0.02,), 5, 3)
    with pytest.raises(ConfigurationError, match="only ideal sources at the rows of a 1r"):
        spiking_deck(network, circuit("1t1r"), ptm90, levels(3, 5), "flat")
    driven = circuit("1r").model_copy(update={"inputs": "driven"})
    with pytest.raises(ConfigurationError, match="driven inputs"):
        spiking_deck(network, driven, ptm90, levels(3, 5), "flat")
    # Spikes as numbers are spikes.
    spikes = random_spikes(3, 5)
    one, other = (spiking_deck(network, driven, ptm90, s, "flat").text() for s in (spikes, spikes.astype(float)))
    assert one == other
