"""A regression in ngspice: its outputs against the targets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spicetrain.datasets import Dataset
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.definition import VerificationSettings
from spicetrain.inverter.training.goal import Regression, r2, rms
from spicetrain.inverter.verification.summary import OutputFigures, RegressionFigures
from spicetrain.rails import Rails


def regression_figures(
    model: Regression, simulated: Regression, model_V: NDArray, spice_V: NDArray, wanted: NDArray
) -> RegressionFigures:
    """Of outputs [images, outputs] in volts and targets [images, outputs] in their own units, each read between the
    rails that it was predicted or simulated at."""
    found = {"model": model.read(model_V), "spice": simulated.read(spice_V)}
    columns = {f"r2_{name}": r2(wanted, values) for name, values in found.items()}
    columns |= {f"rms_{name}": rms(wanted, values) for name, values in found.items()}
    targets = model.targets
    columns |= {"low": np.array(targets.low), "high": np.array(targets.high)}
    columns |= {f"{end}_V": _volts(model.rails, sign * targets.share, len(targets.names)) for end, sign in _ENDS}
    outputs = {
        name: OutputFigures(**{key: float(values[j]) for key, values in columns.items()})
        for j, name in enumerate(targets.names)
    }
    means = {key: float(columns[key].mean()) for key in ("r2_model", "r2_spice")}
    return RegressionFigures(**means, outputs=outputs)


_ENDS = (("low", -1), ("high", 1))


def _volts(rails: Rails, share: float, number: int) -> NDArray[np.float64]:
    return np.full(number, rails.mid_V + share * rails.half_swing_V)


def require_task(settings: VerificationSettings, dataset: Dataset) -> None:
    """ConfigurationError for what is asked of a class where numbers are learnt, or of numbers where a class is."""
    if dataset.targets is None:
        if settings.r2_min is not None:
            raise ConfigurationError(
                f"verification.r2_min = {settings.r2_min:g} is of a regression, and {dataset.name} is learnt by its "
                "classes: give verification.accuracy_min, or a target ([dataset] target)."
            )
        return
    asked = {
        "accuracy_min": settings.accuracy_min is not None,
        "agreement_min": settings.agreement_min is not None,
        "chips": settings.chips > 0,
        "grid": bool(settings.grid),
    }
    if given := [name for name, is_asked in asked.items() if is_asked]:
        raise ConfigurationError(
            f"verification.{given[0]} counts right classes, and {dataset.name} is a regression (targets "
            f"{', '.join(dataset.outputs)}): it is judged by verification.r2_min, of the nominal circuit or under one "
            "condition ([verification.conditions])."
        )
