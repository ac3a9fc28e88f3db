"""The ideal method against a numpy formula; its one constant against a VTC measured by ngspice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spicetrain.array.conductances import Conductances
from spicetrain.inverter.netlists.cells import add_inverter, new_circuit
from spicetrain.inverter.network import encode
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.ideal import ideal_voltages
from spicetrain.netlists.cells import text_of
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology

from .circuits import random_network


@pytest.mark.parametrize("layers", [(4, 3), (4, 3, 2), (3, 5, 1, 4)])
def test_every_inverter_is_a_tanh_that_no_load_moves(
    layers: tuple[int, ...], ptm90: Technology, made_up: Technology
) -> None:
    gain = 6.5
    for technology in (ptm90, made_up):
        rails, network = technology.rails, random_network(technology, *layers)
        inputs = np.random.default_rng(0).random((5, layers[0]))

        def invert(v: np.ndarray, low: float = rails.vss_V, high: float = rails.vdd_V) -> np.ndarray:
            half = (high - low) / 2
            return (high + low) / 2 + half * np.tanh(-gain * (v - (high + low) / 2) / half)

        rows = encode(inputs, "unipolar", rails)
        expected = []
        for box in network.crossbars:
            total = box.pos.sum(0) + box.neg.sum(0) + box.bias_pos + box.bias_neg
            v_col = rows[0] @ box.pos + rows[1] @ box.neg + box.bias_pos * rails.vdd_V + box.bias_neg * rails.vss_V
            rows = (invert(v_col / total), invert(invert(v_col / total)))
            expected.append((v_col / total, *rows))
        crossbars = [Conductances.of(box, torch.float64) for box in network.crossbars]
        sizes = [torch.from_numpy(size) for size in network.sizes]
        signal = torch.from_numpy(rows_signal(inputs, technology))
        found = ideal_voltages(crossbars, sizes, signal, technology, gain).layers
        assert found[-1].v_p is None
        for layer, (v_col, v_n, v_p) in zip(found, expected, strict=True):
            np.testing.assert_allclose(layer.v_col, v_col, atol=1e-13)
            np.testing.assert_allclose(layer.v_n, v_n, atol=1e-12)
            if layer.v_p is not None:
                np.testing.assert_allclose(layer.v_p, v_p, atol=1e-12)


def rows_signal(inputs: np.ndarray, technology: Technology) -> np.ndarray:
    return encode(inputs, "unipolar", technology.rails)[0] - technology.rails.mid_V


def test_the_gain_is_the_slope_of_the_measured_vtc(ptm90: Technology, circuit: FittedCircuit, ngspice: Ngspice) -> None:
    bench = new_circuit(ptm90)
    bench.V("in", "v_in", bench.gnd, 0.0)
    add_inverter(bench, "unit", "v_in", "v_out", 1)
    deck = Deck(text_of(bench), ".dc vin -0.01 0.01 0.0001", ("v(v_out)",), 201, temperature_C=ptm90.temperature_C)
    v_out = simulate(deck, ngspice).values["v(v_out)"]
    at_mid_rail = int(np.abs(v_out).argmin())
    slope = (v_out[at_mid_rail + 1] - v_out[at_mid_rail - 1]) / 0.0002
    assert circuit.threshold.gain == pytest.approx(-slope, rel=3e-3)
    assert circuit.threshold.gain > 2
