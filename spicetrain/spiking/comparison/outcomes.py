"""What every cell of a comparison came to, nominally and under everything that was tried; a row each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from spicetrain.errors import StorageError
from spicetrain.report.units import percent, quantity
from spicetrain.runfolder import SUMMARY
from spicetrain.spiking.verification.summary import SpikingSummary
from spicetrain.storage import read_json

NOMINAL, CHIPS = "nominal", "chips"
_VARIES = (
    "mismatch", "beta", "programming", "levels", "stuck", "read_noise", "time_s",
    "threshold_sigma_V", "threshold_scale",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """A network in one circumstance; shares, volts, joules, None: not looked at.

    circumstance  "nominal"; what varies by [verification.variation], in words, or "chips" where it is much; the name
                  of a further variation, or of an operating condition
    sigma_V       of the thresholds, where they vary alone
    model_mean, model_worst  of the circuit's model, over chips; of the nominal chip both are its accuracy. Under an
                  operating condition by the laws that were measured there
    spice, ties, energy_J  in ngspice, over spice_images images of spice_chips chips
    """

    dataset: str
    cell: str
    seed: int
    array: str
    circumstance: str
    threshold_V: float | None
    sigma_V: float | None = None
    model_mean: float | None = None
    model_worst: float | None = None
    model_images: int | None = None
    spice: float | None = None
    spice_images: int | None = None
    spice_chips: int | None = None
    ties: float | None = None
    energy_J: float | None = None

    @property
    def varied(self) -> bool:
        return self.circumstance != NOMINAL


def outcomes(frame: pd.DataFrame, root: Path, dataset: str) -> list[Outcome]:
    """Of the verified cells of a dataset, folders below `root`."""
    found: list[Outcome] = []
    for row in frame[frame["dataset"] == dataset].itertuples():
        summary = _summary(root / str(row.folder) / SUMMARY)
        if summary is not None:
            shared: dict[str, Any] = {"dataset": dataset, "cell": str(row.cell), "seed": int(str(row.seed))}
            shared |= {"array": summary.array, "threshold_V": summary.threshold_V}
            found += [Outcome(**shared, **one) for one in _of(summary)]
    return found


def as_frame(found: Sequence[Outcome]) -> pd.DataFrame:
    return pd.DataFrame([asdict(one) for one in found])


def _summary(path: Path) -> SpikingSummary | None:
    try:
        return SpikingSummary.of(read_json(path)) if path.exists() else None
    except StorageError:
        return None  # a damaged one is told where its cell is read


def _of(summary: SpikingSummary) -> Iterator[dict[str, Any]]:
    alone = summary.model_images is not None
    accuracy = summary.accuracy_circuit_model_all if alone else summary.accuracy_circuit_model
    yield {
        "circumstance": NOMINAL, "model_mean": accuracy, "model_worst": accuracy,
        "model_images": summary.model_images if alone else summary.images,
        "spice": summary.accuracy_spice, "spice_images": summary.images, "spice_chips": 1,
        "ties": summary.tie_rate, "energy_J": summary.energy_per_inference_J,
    }  # fmt: skip
    chips = summary.chips
    if chips is not None:
        shown = {"model_images": chips.images, "spice_images": chips.simulated_images or chips.images}
        varied = chips.variation
        yield {"circumstance": in_words(varied), **shown, "sigma_V": sigma_alone(varied), **_figures(chips)}
        for name, one in chips.by_condition.items():
            yield {"circumstance": name, **shown, "sigma_V": sigma_alone(one.variation or {}), **_figures(one)}
    for name, there in summary.operating.items():
        yield {
            "circumstance": name, "model_mean": there.accuracy_model, "model_worst": there.accuracy_model,
            "model_images": there.model_images or there.images, "spice": there.accuracy_spice,
            "spice_images": there.images, "spice_chips": 1, "ties": there.tie_rate,
            "energy_J": there.energy_per_inference_J,
        }  # fmt: skip


def _figures(one: Any) -> dict[str, Any]:
    """Of ChipFigures or SourceFigures."""
    return {
        "model_mean": one.accuracy_mean,
        "model_worst": one.accuracy_min,
        "spice": one.simulated_accuracy_mean,
        "spice_chips": one.simulated,
        "ties": one.simulated_tie_rate,
        "energy_J": one.simulated_energy_J,
    }


def in_words(variation: Mapping[str, Any]) -> str:
    """What varies, by the facts of `Statistics`, where it is programming or thresholds alone; else "chips"."""
    varied = {key for key in _VARIES if variation.get(key)}
    if varied == {"threshold_sigma_V"}:
        return f"threshold sigma {quantity(variation['threshold_sigma_V'], 'V')}"
    if varied == {"programming"} and variation["programming"]["form"] == "relative":
        return f"programming {percent(variation['programming']['sigma'], 0)}"
    return CHIPS


def sigma_alone(variation: Mapping[str, Any]) -> float | None:
    """Of the thresholds, by the facts of `Statistics`; None where something else varies, or they do not."""
    varied = {key for key in _VARIES if variation.get(key)}
    return float(variation["threshold_sigma_V"]) if varied == {"threshold_sigma_V"} else None
