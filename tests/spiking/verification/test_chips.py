"""Chips of a small network: figures by hand, resumed, kept, refused, judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spicetrain.draw import Draw
from spicetrain.errors import ConfigurationError
from spicetrain.schema import parse
from spicetrain.spiking.chip import SpikingChip, drawn
from spicetrain.spiking.definition import SpikingVerificationSettings
from spicetrain.spiking.verification.chips import ChipModel
from spicetrain.spiking.verification.figures import classes
from spiking.verification.verifier import DEPTH, Verifier

Make = Callable[..., Verifier]
CHIPS: dict[str, Any] = {"images": 1, "flat_images": 0, "waveform_images": 0, "chips": 3, "chips_images": 4}


def test_figures_are_those_of_the_rows_and_these_of_single_chips(verifier: Make) -> None:
    verify = verifier(4, 5, 3, method="regular", beta=0.9, regular_thresholds_V=[0.05, 0.05])
    figures = verify(chips_simulated=2, chips_first=5, yield_accuracy=0.5, **CHIPS).chips
    table = verify.table("chips")
    assert figures is not None and table["chip"].tolist() == [5, 6, 7]
    assert (figures.count, figures.simulated, figures.images, figures.first) == (3, 2, 4, 5)
    assert figures.accuracy_mean == pytest.approx(table["accuracy_model"].mean())
    assert figures.yield_ == pytest.approx((table["accuracy_model"] >= 0.5).mean())
    assert set(figures.by_source) == {"mismatch", "programming"}
    assert figures.by_source["mismatch"].accuracy_min == table["accuracy_mismatch"].min()
    assert table["spike_agreement"].isna().tolist() == [False, False, True]
    assert figures.simulated_spike_agreement == pytest.approx(table["spike_agreement"].mean())
    model = verify.asked(**CHIPS).chips(verify.simulator)
    assert model is not None
    one = model.answers(model.chip(6))
    assert float(np.mean(classes(one, model.network) == model.labels)) == table["accuracy_model"][1]
    own = drawn(verify.network, verify.circuit, verify.technology, model.statistics, Draw(6))
    assert own.network.fingerprint == model.chip(6).network.fingerprint
    assert figures.nominal == model.accuracy(SpikingChip(verify.network))


def test_a_verification_has_chips_of_them(verifier: Make) -> None:
    """Model and ngspice spike alike on a chip whose thresholds are off by a quarter; a common shift is a condition."""
    verify = verifier(4, 5, 3, method="regular", beta=0.9, regular_thresholds_V=[0.05, 0.05])
    nothing: dict[str, Any] = {"mismatch": 0.0, "programming": 0.0}
    half = nothing | {"threshold_scale": 0.5}
    summary = verify(
        images=1, waveform_images=0, chips=2, chips_simulated=1, chips_images=6,
        variation=nothing | {"threshold_sigma_V": 0.01}, chips_conditions={"half": half},
    )  # fmt: skip
    assert summary.chips is not None
    assert summary.chips.simulated_spike_agreement is not None and summary.chips.simulated_spike_agreement > 0.9
    assert summary.chips.variation["threshold_sigma_V"] == 0.01
    table = verify.table("chips")
    assert table["accuracy_half"].nunique() == 1
    half_again = summary.chips.by_condition["half"]
    assert half_again.simulated == 0 and half_again.variation is not None
    assert half_again.variation["threshold_scale"] == 0.5


def test_chips_of_conditions_are_simulated_too(verifier: Make) -> None:
    """As those of a verification that has the condition as its variation; of chips that are all alike, one."""
    nothing: dict[str, Any] = {"mismatch": 0.0, "programming": 0.0}
    sigma = nothing | {"threshold_sigma_V": 0.01}
    verify = verifier(4, 5, 3, method="circuit")
    more: dict[str, Any] = {"chips": 3, "chips_images": 6, "chips_simulated_images": 2, "images": 1, "flat_images": 0}
    conditions = {"sigma": sigma, "half": nothing | {"threshold_scale": 0.5}}
    both = verify(conditions_simulated=2, chips_conditions=conditions, **more).chips
    alone = verify(chips_simulated=2, variation=sigma, **more).chips
    assert both is not None and alone is not None and both.simulated == 0 and alone.simulated_images == 2
    found = both.by_condition["sigma"]
    assert (found.simulated, both.by_condition["half"].simulated) == (2, 1)
    for key in ("simulated_accuracy_mean", "simulated_agreement", "simulated_tie_rate"):
        assert getattr(found, key) == getattr(alone, key) is not None
        assert 0 <= getattr(found, key) <= 1
    assert found.simulated_energy_J == pytest.approx(alone.simulated_energy_J)
    with pytest.raises(ConfigurationError, match="conditions_simulated = 4"):
        parse(SpikingVerificationSettings, more | {"conditions_simulated": 4}, "here")


def test_each_source_has_a_column_of_its_own(verifier: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accuracies of a few images are alike; here each chip's is another number."""

    def told_apart(self: ChipModel, chip: SpikingChip) -> float:
        trips = sum(float(np.abs(one.nmos.shift_V).sum()) for one in chip.shifts or ())
        return (int(chip.network.fingerprint[:8], 16) / 2**32 + trips) % 1

    monkeypatch.setattr(ChipModel, "accuracy", told_apart)
    verify = verifier()
    figures, table = verify(**CHIPS).chips, verify.table("chips")
    model = verify.asked(**CHIPS).chips(verify.simulator)
    assert model is not None and figures is not None
    for column, source in (("model", None), ("mismatch", "mismatch"), ("programming", "programming")):
        wanted = [model.accuracy(model.chip(number, source)) for number in (0, 1, 2)]
        assert table[f"accuracy_{column}"].tolist() == wanted
    assert figures.by_source["programming"].accuracy_mean == pytest.approx(table["accuracy_programming"].mean())


def test_an_interrupted_one_goes_on(verifier: Make) -> None:
    verify = verifier()
    # One of the chip law, the layers of one nominal image, of the chip's second image the last layer.
    verify.counted(interrupt_at=1 + 3 * DEPTH)
    with pytest.raises(KeyboardInterrupt):
        verify(chips_simulated=1, **CHIPS)
    rest = verify.counted()
    summary = verify(chips_simulated=1, **CHIPS)
    assert rest.calls == 1 + 3 * DEPTH
    assert verify.kept(chips_simulated=1, **CHIPS) == summary


def test_the_key_depends_on_chips_only_when_there_are_some(verifier: Make) -> None:
    verify = verifier()

    def key(**changes: Any) -> str:
        return verify.asked(**changes).key(verify.simulator)

    assert key() == key(chips_images=2, yield_accuracy=0.1, variation={"mismatch": 0.5})
    asked = [
        key(chips=2), key(chips=3), key(chips=2, chips_simulated=1), key(chips=2, chips_first=1), key(),
        key(chips=2, variation={"mismatch": 0.5}), key(chips=2, chips_images=2), key(chips=2, yield_accuracy=0.1),
    ]  # fmt: skip
    assert len(set(asked)) == len(asked)


def test_chips_that_are_no_longer_asked_for_go(verifier: Make) -> None:
    verify = verifier()
    assert verify(**CHIPS).chips is not None and len(verify.table("chips")) == 3
    assert verify(**(CHIPS | {"chips": 0})).chips is None
    assert not (verify.folder / "chips.parquet").exists()


def test_what_cannot_be_asked_is_refused_before_ngspice_runs(verifier: Make) -> None:
    verify = verifier()
    answer = verify.counted()
    nothing = {"mismatch": 0.0, "programming": 0.0}
    with pytest.raises(ConfigurationError, match="nothing varies"):
        verify(variation=nothing, **CHIPS)
    with pytest.raises(ConfigurationError, match="chips_images = 31"):
        verify(**(CHIPS | {"chips_images": 31}))
    verify.technology = verify.technology.changed(mismatch=None)
    with pytest.raises(ConfigurationError, match="no statistics of its transistors"):
        verify(variation={"mismatch": 1.0}, **CHIPS)
    assert answer.calls == 0


def test_a_claim_about_spikes_is_one_about_chips(verifier: Make) -> None:
    from spicetrain.errors import VerificationError
    from spicetrain.spiking.verification.figures import require_within

    summary = verifier()(chips_simulated=1, **CHIPS)
    assert summary.chips is not None
    off = summary.model_copy(
        update={"spike_agreement": 1.0, "chips": summary.chips.model_copy(update={"simulated_spike_agreement": 0.5})}
    )
    with pytest.raises(VerificationError, match=r"chips.simulated_spike_agreement = 0.5"):
        require_within(off, SpikingVerificationSettings(membrane_rms_max=10, agreement_min=0))
    good = off.model_copy(update={"chips": summary.chips.model_copy(update={"simulated_spike_agreement": 1.0})})
    require_within(good, SpikingVerificationSettings(membrane_rms_max=10, agreement_min=0))
