"""`--quick`: a short form of an experiment, to see all of it work in seconds. Its figures mean little.

    images     at most 2,000 to train on and 500 to test on, in minibatches of at most 64; some in ngspice (what the
               system says), none flat, two chips, none of them simulated, no grid of conditions, no transients
    epochs     a tenth, two at least; so of what begins or ends after some epochs
    fits       coarser tables, smaller NNs, fewer steps
    gates      what must be "at least": half of what is asked; "at most": ten times. Where nothing is asked, which is
               where a method claims something: what the system says

The network, the circuit and the method stay. All of it are settings, which experiment.toml states; a flag counts more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from spicetrain.errors import ConfigurationError
from spicetrain.experiment import Experiment
from spicetrain.runfolder import RunFolder
from spicetrain.schema import parse
from spicetrain.systems import default_folder, system_of

Settings = TypeVar("Settings", bound=Experiment)

_SUFFIX = "-quick"
_TRAINED, _TESTED, _BATCH, _HIDDEN = 2000, 500, 64, 10
_AT_MOST: dict[str, dict[str, int]] = {
    "surrogates": {"points": 800, "iterations": 40, "load_iterations": 10, "starts": 1},
    "training": {"batch_size": _BATCH, "validation": 200},
    "verification": {
        "flat_images": 0, "chips": 2, "chips_simulated": 0, "conditions_simulated": 0, "chips_images": 50,
        "model_images": _TESTED,
    },
    "energy": {"images": 0},
}  # fmt: skip
_NONE: dict[str, tuple[str, ...]] = {"verification": ("grid", "operating", "chips_conditions")}


def quick_folder(target: str | Path) -> Path:
    """runs/<name>-quick. ConfigurationError for a run folder, which is what its experiment.toml says."""
    if RunFolder(Path(target).expanduser()).is_one:
        raise ConfigurationError(
            f"{target} is a run folder, and its experiment.toml says how much of everything it has: --quick is for a "
            "preset or a TOML. Name that, or leave --quick out."
        )
    folder = default_folder(target)
    return folder.with_name(folder.name + _SUFFIX)


def quick(experiment: Settings) -> Settings:
    """The short form."""
    content, system = experiment.model_dump(mode="json"), system_of(experiment)
    for name, most in {"train_images": _TRAINED, "test_images": _TESTED}.items():
        content["dataset"][name] = min(content["dataset"][name] or most, most)
    for table, limits in _AT_MOST.items():
        settings = content.get(table, {})
        settings |= {key: min(settings[key], most) for key, most in limits.items() if settings.get(key) is not None}
    for table, keys in _NONE.items():
        for key in keys:
            content[table].pop(key, None)
    content["surrogates"]["hidden"] = [min(width, _HIDDEN) for width in content["surrogates"]["hidden"]]
    _tenth(content["training"])
    plan = content["characterization"]
    plan["plan"] = system.quick_plans.get(plan["plan"], plan["plan"])
    _relax(content["verification"], dict(system.quick_gates))
    content["verification"]["images"] = min(content["verification"]["images"], system.quick_images)
    return parse(type(experiment), content, "--quick", strict=False)


def _tenth(training: dict[str, Any]) -> None:
    for key in ("epochs", "static_epochs"):
        if training.get(key):
            training[key] = max(training[key] // 10, 2 if key == "epochs" else 1)
    for key in ("variation", "conditions"):
        if training.get(key):
            training[key]["after_epochs"] //= 10


def _relax(verification: dict[str, Any], claimed: dict[str, float]) -> None:
    asked = {key: value for key, value in verification.items() if key.endswith(("_min", "_max"))}
    for key, value in asked.items():
        if value is None:
            verification[key] = claimed.get(key)
        else:
            verification[key] = value / 2 if key.endswith("_min") else min(value * 10, max(value, 1.0))
