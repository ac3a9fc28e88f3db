"""Thresholds that vary by themselves: in ngspice, in the model, in training, and refused where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from bench import simulator

from spicetrain.array.conductances import Conductances
from spicetrain.array.variation import ArrayStatistics, Relative
from spicetrain.characterization.sweep import swept
from spicetrain.cli import main
from spicetrain.draw import Draw
from spicetrain.errors import ConfigurationError
from spicetrain.netlists.cells import VSS, text_of
from spicetrain.schema import parse
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spiking.characterization.chip_law import chip_law
from spicetrain.spiking.chip import COMMON_SHIFT, NOMINAL, drawn
from spicetrain.spiking.circuit import load_circuit
from spicetrain.spiking.netlists.cells import add_membrane_transistors, add_threshold_supplies, new_spiking_circuit
from spicetrain.spiking.training.drawn import TrainingChips, deviations_of
from spicetrain.technology import Technology
from spicetrain.training.settings import LoopSettings
from spicetrain.variation import Statistics, TrainingVariation, VariationSettings, statistics_of
from spiking.training.simple import random_crossbar
from spiking.training.test_loop import Trainer
from spiking.verification.nets import random_spiking_network, small_circuit

SIGMA_V = 0.005
ALONE = Statistics(threshold_sigma_V=SIGMA_V)


@pytest.mark.parametrize("mismatch", [False, True])
def test_in_ngspice_a_neuron_trips_by_so_much_later(mismatch: bool, ptm90: Technology, ngspice: Ngspice) -> None:
    """Exactly, and whatever its transistors do besides; the same chip without it is the reference."""
    circuit, neurons = load_circuit("lif-1r"), 6
    statistics = Statistics(ptm90.mismatch if mismatch else None, threshold_sigma_V=0.02)
    network = random_spiking_network(ptm90, circuit, 1, neurons)
    both = drawn(network, circuit, ptm90, statistics, Draw(3))
    without = drawn(network, circuit, ptm90, Statistics(statistics.mismatch), Draw(3))
    assert both.shifts is not None and (without.shifts is not None) == mismatch
    deck, threshold_V = new_spiking_circuit(circuit, ptm90, 0), circuit.threshold_V(0)
    add_threshold_supplies(deck, 0, threshold_V, circuit)
    for j in range(2 * neurons):
        chip = both if j < neurons else without
        one = None if chip.shifts is None else chip.shifts[0].of(j % neurons)
        add_membrane_transistors(deck, 0, str(j), VSS, circuit, ptm90, shifts=one)
        deck.V(f"m{j}", f"m{j}", "m", 0.0)
    deck.V("m", "m", deck.gnd, 0.0)
    v, options = np.linspace(threshold_V - 0.09, threshold_V + 0.09, 1801), {"reltol": 1e-8, "vntol": 1e-11}
    saves = tuple(f"v(q{j})" for j in range(2 * neurons))
    values = simulator(ngspice).simulate(
        Deck(text_of(deck), f".dc {swept('vm', v)}", saves, len(v), temperature_C=27.0, options=options)
    ).values  # fmt: skip
    trips = np.array([np.interp(-threshold_V, -values[name], v) for name in saves])
    higher_V = 0.02 * Draw(3).normal("threshold 0", (neurons,))
    np.testing.assert_allclose(trips[:neurons] - trips[neurons:], higher_V, atol=2e-6)
    law = chip_law(circuit, ptm90, statistics, simulator(ngspice))
    assert law is not None
    deviation = deviations_of(both, law)
    assert deviation is not None
    off = deviation[0].trip_V.numpy() - (0 if without.shifts is None else law.trip_V(without.shifts[0]))
    np.testing.assert_allclose(off, higher_V, atol=1e-12)


def test_nothing_is_measured_where_only_thresholds_vary(ptm90: Technology) -> None:
    """Without an ngspice at all; leaks stay as they are, and a 1t1r's cells."""
    circuit = load_circuit("lif-1t1r")
    law = chip_law(circuit, ptm90, ALONE, None)  # type: ignore[arg-type]
    assert law is COMMON_SHIFT
    chip = drawn(random_spiking_network(ptm90, circuit, 3, 4000, 2), circuit, ptm90, ALONE, Draw(1))
    deviation = deviations_of(chip, law)
    assert deviation is not None and chip.access is None and deviation[0].cells is None
    assert float(deviation[0].trip_V.std()) == pytest.approx(SIGMA_V, rel=0.04)
    assert torch.equal(deviation[0].leak_factor, torch.ones(4000, dtype=torch.float64))
    other = drawn(random_spiking_network(ptm90, circuit, 3, 4000, 2), circuit, ptm90, ALONE, Draw(2))
    assert other.shifts is not None and chip.shifts is not None
    assert abs(np.corrcoef(chip.shifts[0].nmos.shift_V, other.shifts[0].nmos.shift_V)[0, 1]) < 0.06


def test_one_source_of_several_is_what_it_is_with_the_others(ptm90: Technology) -> None:
    array = ArrayStatistics(programming=Relative(form="relative", sigma=0.1))
    every = Statistics(ptm90.mismatch, 1.0, array, None, 1.0, SIGMA_V, 0.5)
    assert every.sources == ("mismatch", "threshold", "threshold_scale", "programming")
    assert every.only("threshold") == Statistics(threshold_sigma_V=SIGMA_V)
    circuit = small_circuit()
    network = random_spiking_network(ptm90, circuit, 5, 3, 2)
    chips = {name: drawn(network, circuit, ptm90, every.only(name), Draw(7)) for name in every.sources}
    all_of_them = drawn(network, circuit, ptm90, every, Draw(7))
    mismatch, threshold = chips["mismatch"].shifts, chips["threshold"].shifts
    assert all_of_them.shifts is not None and mismatch is not None and threshold is not None
    for kind in ("nmos", "pmos", "leak"):
        together = getattr(all_of_them.shifts[1], kind).shift_V
        apart = getattr(mismatch[1], kind).shift_V + getattr(threshold[1], kind).shift_V
        np.testing.assert_allclose(together, apart, atol=1e-15)
    assert not threshold[1].leak.shift_V.any() and chips["threshold_scale"].shifts is None
    rest_V = circuit.rest_V
    for chip in (all_of_them, chips["threshold_scale"]):
        halved = [(v - rest_V) / 2 for v in network.thresholds_V]
        np.testing.assert_allclose(np.array(chip.network.thresholds_V) - rest_V, halved, rtol=1e-12)
    assert chips["programming"].network.thresholds_V == network.thresholds_V


def test_what_has_none_is_what_it_was(ptm90: Technology) -> None:
    """Of keys and identities, which are made of these."""
    assert not {"threshold_sigma_V", "threshold_scale"} & Statistics(ptm90.mismatch).facts().keys()
    assert ALONE.facts()["threshold_sigma_V"] == SIGMA_V and "threshold_scale" not in ALONE.facts()
    assert ALONE and ALONE.draws and not ALONE.transistors
    assert Statistics(threshold_scale=0.5) and not Statistics(threshold_scale=0.5).draws
    assert statistics_of(ptm90, VariationSettings(threshold_sigma_V=0.002)).threshold_sigma_V == 0.002
    assert "threshold_sigma_V" not in TrainingVariation(mismatch=1.0).trained_as()
    assert TrainingVariation(threshold_sigma_V=0.002).trained_as()["threshold_sigma_V"] == 0.002
    assert LoopSettings.model_fields["variation"].annotation is TrainingVariation


def test_training_draws_them_for_every_sample(ptm90: Technology) -> None:
    chips = TrainingChips(ArrayStatistics(), ptm90.memristor, (NOMINAL,), law=COMMON_SHIFT, threshold_sigma_V=SIGMA_V)
    g = Conductances.of(random_crossbar(ptm90.memristor, 3, 400), torch.float32)
    random = chips.drawn(torch.Generator().manual_seed(1))
    deviation = random.deviation(0, 60, g)
    assert deviation is not None and deviation.trip_V.shape == (60, 400)
    assert float(deviation.trip_V.std()) == pytest.approx(SIGMA_V, rel=0.02) == random.trip_sigma_V(0)
    assert bool((deviation.leak_factor == 1).all())


@pytest.mark.parametrize("method", ["circuit", "regular"])
def test_networks_are_trained_with_it_and_without_a_measured_law(
    method: str, ptm90: Technology, tmp_path: Path
) -> None:
    train = Trainer(ptm90)
    plain = train(tmp_path / "plain", method=method, epochs=1)
    noisy = train(tmp_path / "noisy", method=method, epochs=1, variation={"threshold_sigma_V": SIGMA_V})
    assert not np.array_equal(plain.crossbars[0].pos, noisy.crossbars[0].pos)
    assert noisy.about["varied"]["threshold_sigma_V"] == SIGMA_V and "varied" not in plain.about


def test_they_are_refused_where_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    for key in ("training.variation", "verification.variation", "calibration.variation"):
        assert main(["show", "iris-kcl", f"--{key}.threshold-sigma-V", "0.005"]) == 2
        told = capsys.readouterr()
        assert f"{key}.threshold_sigma_V is of spiking neurons" in " ".join((told.out + told.err).split())
    with pytest.raises(ConfigurationError, match="nothing is to draw"):
        parse(TrainingVariation, {"threshold_scale": 0.5}, "here")
