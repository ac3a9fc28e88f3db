"""Trainings for several operating conditions: the circuit of each against ngspice, which are met, what is refused."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench import plan_of, simulator
from interrupted import interrupt_at, metrics

from spicetrain.datasets import load_dataset
from spicetrain.errors import ArchitectureMismatch, ConfigurationError, TechnologyError
from spicetrain.inverter.characterization.current_surface import CurrentSurfacePlan, ShiftedSurfacePlan
from spicetrain.inverter.definition import NetworkSettings, TrainingSettings
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training import loop as inverter_loop
from spicetrain.inverter.training.conditions import ConditionDraws, FittedCondition, training_conditions
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import TrainableNetwork
from spicetrain.inverter.training.variation import TrainingDraws, training_statistics
from spicetrain.inverter.verification.fitting import Fitting
from spicetrain.inverter.verification.simulate_network import simulate_network
from spicetrain.operating import ConditionSet, TrainingConditions, conditions_in
from spicetrain.rails import Rails
from spicetrain.runfolder import RunFolder
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.technology import Technology, load_technology
from spicetrain.training import loop

from .circuits import EXACT, SETTINGS

pytestmark = pytest.mark.xdist_group("conditions")  # what its tests share is made once

SHAPE = NetworkSettings(layers=(4, 3, 3), encoding="bipolar", inverter_sizes=(2.0, 1.0), ground_ohm=1e6)
STEPS = 3  # 120 flowers in batches of 40
ASKED = {"corners": ["tt", "sf"], "temperatures_C": [85], "vdd_scales": [0.9, 1]}
COARSE = SurrogateSettings(hidden=(6,), points=400, iterations=20, starts=1)
_kept: list[tempfile.TemporaryDirectory] = []


@cache
def with_corners() -> Technology:
    """ptm90 between 0 and 0.5 V, and a corner whose nMOS switches 40 mV earlier and whose pMOS 40 mV later."""
    root = tempfile.TemporaryDirectory(prefix="spicetrain-corners-")
    _kept.append(root)  # until Python exits
    ptm90 = load_technology("ptm90")
    text = ptm90.library.read_text()
    skewed = text.replace("vth0=0.397", "vth0=0.357").replace("vth0=-0.339", "vth0=-0.379")
    assert skewed.count("vth0=0.357") == skewed.count("vth0=-0.379") == 1
    sections = (f".lib {name}\n{models}\n.endl\n" for name, models in (("typical", text), ("skewed", skewed)))
    (Path(root.name) / "ptm90.lib").write_text("* with corners\n" + "".join(sections))
    transistors = ptm90.transistors.model_copy(update={"section": "typical"})
    corners, rails = {"tt": "typical", "sf": "skewed"}, Rails(vdd_V=0.5, vss_V=0.0)
    return ptm90.changed(transistors=transistors, corners=corners, rails=rails, folder=Path(root.name))


def settings(**changes: Any) -> TrainingSettings:
    values = {"epochs": 2, "batch_size": 40, "learning_rate": 0.05, "logit_V": 0.02, "device": "cpu", "threads": 1}
    asked = {"conditions": {**ASKED, "per_minibatch": 2, **changes.pop("conditions", {})}} | changes
    return TrainingSettings.model_validate(values | asked)


Fits = tuple[Surrogates, list[FittedCondition]]


def fitted(plan: dict[str, Any], how: SurrogateSettings, asked: dict[str, Any]) -> Fits:
    """Of the nominal circuit, and under all conditions."""
    technology = with_corners()
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICETRAIN_CACHE", f"{name}/cache")
        fitting = Fitting(plan_of(**plan), how, 60.0, RunFolder(Path(name)))
        others = training_conditions(settings(conditions=asked), technology)
        fits = [FittedCondition(one, fitting.under(one, simulator())) for one in others]
        nominal = Fitting(plan_of(**plan), how, 60.0, RunFolder(Path(name) / "nominal"))
        return nominal.under(conditions_in(technology, ConditionSet())[0], simulator()), fits


@cache
def coarse() -> Fits:
    beyond = ShiftedSurfacePlan(points=21, beyond_V=0.1)
    return fitted({"current_surface": CurrentSurfacePlan(points=21), "shifted_surface": beyond}, COARSE, {})


def train(folder: Path, **changes: Any) -> Network:
    asked, (nominal, fits) = settings(**changes), coarse()
    fits = fits if asked.conditions else []
    iris = load_dataset("iris")
    return inverter_loop.train(SHAPE, asked, iris, with_corners(), nominal, folder, fitted=fits)


def conductances(network: Network) -> np.ndarray:
    return np.concatenate([value.ravel() for box in network.crossbars for value in vars(box).values()])


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in metrics(folder)]


NONE: dict[str, Any] = {"corners": None, "temperatures_C": None, "vdd_scales": []}


def test_the_model_under_a_condition_is_the_deck_under_it() -> None:
    """Another corner, temperature and supply, about a middle that is not 0 V: to microvolts."""
    asked = {"corners": ["sf"], "temperatures_C": [85], "vdd_scales": [0.9]}
    nominal, fits = fitted({"current_surface": CurrentSurfacePlan(points=61)}, SETTINGS, asked)
    rails = fits[0].condition.technology.rails
    assert (rails.vdd_V, rails.vss_V) == pytest.approx((0.475, 0.025))
    circuits = [FittedCircuit(with_corners(), nominal, torch.float64, tolerance=EXACT)]
    circuits.append(FittedCircuit(fits[0].condition.technology, fits[0].surrogates, torch.float64, tolerance=EXACT))
    model = TrainableNetwork(SHAPE, settings(seed=3), circuits[0], circuits[1:])
    inputs, network = load_dataset("iris").test_inputs[:12], model.network({"method": "kcl"})
    found = []
    for under, technology in enumerate((with_corners(), fits[0].condition.technology)):
        prediction = model.voltages(torch.from_numpy(inputs).double(), under=under)
        spice = simulate_network(network, technology, inputs, "flat", simulator(), power=True)
        assert np.abs(prediction.outputs.detach().numpy() - spice.voltages).max() < 20e-6
        # The rails feed the first crossbar's bias rows, too, in a flat deck: what the model counts is without them.
        reduced = simulate_network(network, technology, inputs, "reduced", simulator(), power=True)
        assert reduced.power_W is not None and spice.power_W is not None
        power = model.rail_power(prediction.layers, under).detach().numpy()
        assert power == pytest.approx(reduced.power_W, rel=1e-3) and (spice.power_W > reduced.power_W).all()
        found.append(spice.voltages)
    assert np.abs(found[0] - found[1]).mean() > 0.05  # conditions that differ


def test_without_conditions_a_training_is_what_it_was(tmp_path: Path) -> None:
    plain = TrainingSettings.model_validate({"method": "kcl"})
    assert "conditions" not in plain.trained_as() and "conditions" in settings().trained_as()
    assert not {"conditions", "conditions_surrogates"} & train(tmp_path / "none", conditions=NONE).about.keys()
    # Nothing was drawn for it: chips and images of the first epoch are those of a training that begins later.
    variation = {"programming": 0.1}
    train(tmp_path / "chips", conditions=NONE, variation=variation)
    train(tmp_path / "later", conditions={"after_epochs": 1}, variation=variation)
    assert losses(tmp_path / "later")[0] == losses(tmp_path / "chips")[0]
    assert losses(tmp_path / "later")[1] != losses(tmp_path / "chips")[1]


def test_the_same_seed_meets_the_same_conditions(tmp_path: Path) -> None:
    one, again, other = (train(tmp_path / str(k), seed=seed) for k, seed in enumerate((0, 0, 1)))
    assert np.array_equal(conductances(one), conductances(again)) and losses(tmp_path / "0") == losses(tmp_path / "1")
    assert losses(tmp_path / "0") != losses(tmp_path / "2")
    assert not np.array_equal(conductances(one), conductances(other))
    of_fits = one.about["conditions_surrogates"]
    assert list(of_fits) == ["tt_85C_0.9x", "tt_85C_1x", "sf_85C_0.9x", "sf_85C_1x"]
    assert len(set(of_fits.values())) == 4
    for line in metrics(tmp_path / "0"):
        assert 0 <= line["conditions_min"] <= line["conditions_mean"] <= 1


def test_every_condition_is_met_with_its_share() -> None:
    def drawn(seed: int, share: float = 0.25) -> np.ndarray:
        random, draws = torch.Generator().manual_seed(seed), ConditionDraws(3, share)
        return np.array([draws.draw(random) for _ in range(2000)])

    shares = np.bincount(drawn(0), minlength=4) / 2000
    assert shares == pytest.approx([0.25] * 4, abs=0.04)
    assert np.array_equal(drawn(0), drawn(0)) and not np.array_equal(drawn(0), drawn(1))
    assert set(drawn(0, 0.0)) == {1, 2, 3}


def test_an_interrupted_one_goes_on_to_the_same_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt_at(patch, loop, STEPS + 2)  # in the middle of the second epoch
        train(tmp_path / "broken")
    resumed = train(tmp_path / "broken")
    assert np.array_equal(conductances(whole), conductances(resumed))


def test_a_checkpoint_is_of_its_conditions(tmp_path: Path) -> None:
    train(tmp_path)
    for changes in (NONE, {"nominal_share": 0.5}, {"per_minibatch": 1}):
        with pytest.raises(ArchitectureMismatch, match="conditions"):
            train(tmp_path, conditions=changes)


def test_chips_vary_under_every_condition() -> None:
    nominal, fits = coarse()
    asked = settings(variation={"mismatch": 1.0, "programming": 0.1}, sizing="neuron", power_weight_per_W=100.0)
    circuits = [one.circuit(torch.float64, torch.device("cpu")) for one in fits]
    model = TrainableNetwork(SHAPE, asked, FittedCircuit(with_corners(), nominal, torch.float64), circuits)
    draws = TrainingDraws(with_corners(), training_statistics(asked, with_corners()))
    inputs = torch.from_numpy(load_dataset("iris").train_inputs[:20]).double()
    found = [model.voltages(inputs, drawn=(draws, torch.Generator().manual_seed(0)), under=under) for under in range(5)]
    for one in found[1:]:
        assert float((one.outputs - found[0].outputs).detach().abs().mean()) > 1e-3
    (found[3].outputs.sum() + model.rail_power(found[3].layers, 3).sum()).backward()
    for name, parameter in model.named_parameters():
        assert not parameter.requires_grad or bool(parameter.grad.isfinite().all()), name  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "ideal"}, "asked of the method 'ideal'.*Methods that do: kcl"),
        ({"forward": "spice"}, "forward = 'spice'"),
        ({"sizing": "erim"}, "sizing = 'erim'"),
        ({"conditions": {"corners": ["tt"], "temperatures_C": [27], "vdd_scales": [1]}}, "besides the nominal one"),
    ],
)
def test_what_cannot_be_trained_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        training_conditions(settings(**changes), with_corners())


def test_a_corner_that_is_not_there_and_fits_that_are_not(tmp_path: Path) -> None:
    with pytest.raises(TechnologyError, match="no corner 'ff'"):
        training_conditions(settings(conditions={"corners": ["ff"]}), with_corners())
    iris, (nominal, fits) = load_dataset("iris"), coarse()
    with pytest.raises(ConfigurationError, match="tt_85C_0.9x.*given fits of sf_85C_1x"):
        inverter_loop.train(SHAPE, settings(), iris, with_corners(), nominal, tmp_path, fitted=fits[3:])
    assert not TrainingConditions() and TrainingConditions(temperatures_C=(0,))
