"""Chips: the same network on many, each with what varies drawn for it; what a verification says of all of them.

chips.parquet  a row a chip: chip, accuracy_model; accuracy_<source>, when that source varies alone; of a simulated chip
               accuracy_spice and agreement, and what its system compares (error_mean_V, error_max_V, spike_agreement)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ConfigDict, Field

from spicetrain.errors import ConfigurationError
from spicetrain.runfolder import RunFolder
from spicetrain.spice.simulator import Simulator
from spicetrain.storage import write_atomic
from spicetrain.technology import Technology
from spicetrain.variation import Statistics, require_statistics
from spicetrain.verification.limits import Limit
from spicetrain.verification.pieces import Piece, run_pieces
from spicetrain.verification.settings import VerificationBase
from spicetrain.verification.summary import Record

if TYPE_CHECKING:
    import pandas as pd

CHIPS = "chips.parquet"

_YIELD = "a network that was not trained for chips that vary ([training.variation]), or inverters too small"
_AGREEMENT = "a surface fitted too coarsely beyond the rails, or gates that mismatch shifts out of its domain"

Evaluate = Callable[[Simulator, Sequence[int]], dict[str, ArrayLike]]


class SourceFigures(Record):
    """Accuracy over the same chips when one source varies alone, or under another variation.

    variation    what varied, of another variation
    simulated_*  means over its first chips in ngspice, where some of them were simulated
    """

    accuracy_mean: float
    accuracy_min: float
    variation: dict[str, Any] | None = None
    simulated: int = 0
    simulated_accuracy_mean: float | None = None
    simulated_agreement: float | None = None
    simulated_tie_rate: float | None = None
    simulated_energy_J: float | None = None


class ChipFigures(Record):
    """count        chips in the model, from number `first` on; simulated: of them in ngspice
    nominal       accuracy on the same images when nothing varies
    accuracy_*    over chips, in the model: mean, standard deviation, what 10 % of them do not reach, the worst
    yield         share of the chips that reach yield_accuracy
    by_source     of every source that varies; by_condition: under further variations
    simulated_*   ngspice against the model on the same chips and images; volts over all outputs; flat_max: of the first
                  chip's first images, every device in the netlist against the form that all images have;
                  simulated_images: where they are fewer than those in the model
    variation     what varied
    """

    model_config = ConfigDict(populate_by_name=True)

    count: int
    first: int
    simulated: int
    images: int
    nominal: float
    accuracy_mean: float
    accuracy_std: float
    accuracy_p10: float
    accuracy_min: float
    worst: int
    yield_: float = Field(alias="yield")
    yield_accuracy: float
    by_source: dict[str, SourceFigures] = Field(default_factory=dict)
    by_condition: dict[str, SourceFigures] = Field(default_factory=dict)
    simulated_accuracy_mean: float | None = None
    simulated_agreement: float | None = None
    simulated_error_mean_V: float | None = None
    simulated_error_max_V: float | None = None
    simulated_flat_max_V: float | None = None
    simulated_spike_agreement: float | None = None
    simulated_tie_rate: float | None = None
    simulated_energy_J: float | None = None
    simulated_images: int | None = None
    extrapolated: int = 0
    variation: dict[str, Any]
    seconds_model: float
    seconds_ngspice: float


def statistics_asked(settings: VerificationBase, technology: Technology) -> Statistics | None:
    """What varies; None when no chips are asked for. ConfigurationError when then nothing does."""
    return require_statistics(technology, settings.variation) if settings.chips else None


def conditions_asked(settings: VerificationBase, technology: Technology) -> dict[str, Statistics]:
    """What varies under each further condition. ConfigurationError when nothing does."""
    return {name: require_statistics(technology, one) for name, one in settings.chips_conditions.items()}


def chip_images(settings: VerificationBase, available: int) -> int:
    """Test images for each chip; ConfigurationError when there are not so many."""
    images = settings.chips_images or settings.images
    if settings.chips and images > available:
        raise ConfigurationError(f"verification.chips_images = {images}, but there are {available} test images.")
    return images


def numbers(settings: VerificationBase) -> range:
    """Of all chips."""
    return range(settings.chips_first, settings.chips_first + settings.chips)


def evaluate_chips(
    simulator: Simulator, chips: Sequence[int], evaluate: Evaluate, key: Callable[[Sequence[int]], str], what: str,
    *, images: int, size: int,
) -> dict[str, NDArray]:  # fmt: skip
    """`evaluate` of all chips, `size` of them at a time, in parallel and resumable (see `run_pieces`); its arrays,
    [chips of the piece, ...] each, put together. `key`: hash of all that a piece's answer depends on."""
    groups = [chips[start : start + size] for start in range(0, len(chips), size)]
    pieces = [Piece(group, key(group), images * len(group)) for group in groups]
    done = run_pieces(simulator, evaluate, pieces, what)
    return {name: np.concatenate([arrays[name] for arrays in done]) for name in done[0]}


def figures_of(accuracy: NDArray[np.float64], chips: Sequence[int], yield_accuracy: float) -> dict[str, Any]:
    """The figures of the accuracies [chips]."""
    return {
        "count": len(chips),
        "first": chips[0],
        "accuracy_mean": float(accuracy.mean()),
        "accuracy_std": float(accuracy.std(ddof=1)) if len(accuracy) > 1 else 0.0,
        "accuracy_p10": float(np.quantile(accuracy, 0.1)),
        "accuracy_min": float(accuracy.min()),
        "worst": int(chips[int(accuracy.argmin())]),
        "yield": float(np.mean(accuracy >= yield_accuracy)),
        "yield_accuracy": yield_accuracy,
    }


def sources_of(by_source: Mapping[str, NDArray[np.float64]]) -> dict[str, SourceFigures]:
    """Of the accuracies [chips] when one source varies alone."""
    return {
        name: SourceFigures(accuracy_mean=float(values.mean()), accuracy_min=float(values.min()))
        for name, values in by_source.items()
    }


def write_chips(files: RunFolder, frame: pd.DataFrame | None) -> None:
    """chips.parquet; without a frame, that of an earlier verification goes."""
    if frame is None:
        (files / CHIPS).unlink(missing_ok=True)
        return
    with write_atomic(files / CHIPS) as temporary:
        frame.to_parquet(temporary, index=False)


def limits_of(chips: ChipFigures | None, yield_min: float | None, agreement_min: float | None) -> list[Limit]:
    """What is asked of the chips; nothing where there are none."""
    if chips is None:
        return []
    images = chips.simulated * (chips.simulated_images or chips.images)
    return [
        Limit("chips.yield", chips.yield_, yield_min, "at least", chips.count, _YIELD, "chips"),
        Limit("chips.simulated_agreement", chips.simulated_agreement, agreement_min, "at least", images, _AGREEMENT),
    ]


def chips_rows(chips: ChipFigures) -> list[tuple[str, str]]:
    """For a terminal: rows (figure, value)."""
    rows = [
        (f"chips {chips.first} .. {chips.first + chips.count - 1}, mean (nominal)",
         f"{chips.accuracy_mean:.2%} ({chips.nominal:.2%})"),
        ("chips, std / 10 % below / worst",
         f"{chips.accuracy_std:.2%} / {chips.accuracy_p10:.2%} / {chips.accuracy_min:.2%}"),
        (f"yield at {chips.yield_accuracy:.1%}", f"{chips.yield_:.1%}"),
    ]  # fmt: skip
    rows += [
        (f"only {name.replace('_', ' ')}, mean / worst", f"{one.accuracy_mean:.2%} / {one.accuracy_min:.2%}")
        for name, one in chips.by_source.items()
    ]
    rows += [
        (f"{name}, mean / worst", f"{one.accuracy_mean:.2%} / {one.accuracy_min:.2%}")
        for name, one in chips.by_condition.items()
    ]
    if chips.simulated:
        rows.append((f"{chips.simulated} chips in SPICE, mean", f"{chips.simulated_accuracy_mean:.2%}"))
        rows.append(("chips, agreement", f"{chips.simulated_agreement:.2%}"))
        if chips.simulated_error_mean_V is not None and chips.simulated_error_max_V is not None:
            errors = f"{chips.simulated_error_mean_V * 1e6:.1f} / {chips.simulated_error_max_V * 1e6:.1f} uV"
            rows.append(("chips, output error, mean / max", errors))
        if chips.simulated_flat_max_V is not None:
            rows.append(("first chip, flat netlist, max", f"{chips.simulated_flat_max_V * 1e6:.4f} uV"))
        if chips.simulated_spike_agreement is not None:
            rows.append(("chips, spike agreement", f"{chips.simulated_spike_agreement:.3%}"))
    return rows
