"""Reading a run folder: every artefact is whole, absent, or a StorageError."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spicetrain.errors import ConfigurationError, StorageError
from spicetrain.experiment import DEFINITION, MANIFEST, NETWORK, SUMMARY, Experiment, load_experiment
from spicetrain.inverter.network import Network
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.storage import read_json

if TYPE_CHECKING:
    import pandas as pd

_SUMMARY_KEYS = {
    "inverter": (
        "method", "dataset", "technology", "layers", "netlist", "images", "accuracy_model", "accuracy_spice",
        "agreement", "error_mean_V", "error_rms_V", "error_max_V", "solver_unconverged", "seconds_ngspice",
        "seconds_total", "ngspice_version",
    ),
    "spiking": (
        "method", "dataset", "technology", "circuit", "array", "layers", "steps", "netlist", "images",
        "accuracy_model", "accuracy_circuit_model", "accuracy_spice", "agreement", "spike_agreement",
        "spike_agreement_by_layer", "membrane_rms_V", "membrane_rms_V_by_layer", "membrane_max_V", "before_mismatch",
        "spikes_per_image_input", "spikes_per_image_model", "spikes_per_image_spice", "energy_per_inference_J",
        "energy_by_supply_J", "seconds_ngspice", "seconds_per_image", "seconds_total", "ngspice_version",
    ),
}  # fmt: skip
_METRIC_KEYS = {
    "inverter": ("epoch", "loss", "learning_rate", "solver_step_V", "solver_unconverged", "seconds"),
    "spiking": ("epoch", "loss", "learning_rate", "spike_rates", "beyond_laws", "seconds"),
}


@dataclass(frozen=True)
class RunFolder:
    """A run folder's content, read when asked for; None stands for what is not there yet.

    Raises ConfigurationError when the folder is no run folder, StorageError for whatever is damaged.
    """

    folder: Path

    def __post_init__(self) -> None:
        if not (self.folder / DEFINITION).is_file():
            raise ConfigurationError(
                f"{self.folder} is not a run folder: it has no {DEFINITION}. Name the folder that a spicetrain command "
                "wrote to (runs/<name> unless you chose another)."
            )

    def path(self, name: str) -> Path | None:
        """The artefact's path when it is there."""
        path = self.folder / name
        return path if path.is_file() else None

    def command(self, verb: str) -> str:
        return f"spicetrain {verb} {self.folder}"

    @cached_property
    def experiment(self) -> Experiment:
        return load_experiment(self.folder)

    @property
    def system(self) -> str:
        return self.experiment.system

    @cached_property
    def definition(self) -> str:
        """experiment.toml, verbatim."""
        try:
            return (self.folder / DEFINITION).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise StorageError(f"Cannot read {self.folder / DEFINITION}: {error}.") from error

    @cached_property
    def summary(self) -> dict[str, Any] | None:
        return self._json(SUMMARY, _SUMMARY_KEYS[self.system], "verify")

    @cached_property
    def manifest(self) -> dict[str, Any] | None:
        return self._json(MANIFEST, ("rooms",), "run")

    @cached_property
    def surrogates(self) -> dict[str, Any] | None:
        return self._json("surrogates.json", ("surrogates",), "fit-surrogates")

    @cached_property
    def network(self) -> Network | SpikingNetwork | None:
        path, kind = self.path(NETWORK), SpikingNetwork if self.system == "spiking" else Network
        return None if path is None else kind.load(path)

    @cached_property
    def metrics(self) -> list[dict[str, Any]] | None:
        """metrics.jsonl, a dictionary an epoch. A last line cut off by a kill does not count."""
        path = self.path("metrics.jsonl")
        if path is None:
            return None
        try:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = [line for line in lines if line.strip() and line.endswith("\n")]
            epochs = [json.loads(line) for line in whole]
        except (OSError, ValueError) as error:
            raise StorageError(_damaged(path, str(error), "train")) from error
        for epoch in epochs:
            _require(path, epoch, _METRIC_KEYS[self.system], "train")
        return epochs or None

    @cached_property
    def verification(self) -> pd.DataFrame | None:
        """A row an image: image, label, model_o_<j>_V, spice_o_<j>_V."""
        frame = self.frame("verification", ("image", "label"))
        if frame is not None:
            classes = len([name for name in frame if str(name).startswith("spice_o_")])
            outputs = [f"{kind}_o_{j}_V" for kind in ("model", "spice") for j in range(max(classes, 1))]
            _require(self.folder / "verification.parquet", frame.columns, outputs, "verify")
        return frame

    def frame(self, name: str, columns: Iterable[str]) -> pd.DataFrame | None:
        """A table of the verification that has these columns."""
        import pandas as pd
        import pyarrow as pa

        path = self.path(f"{name}.parquet")
        if path is None:
            return None
        try:
            frame = pd.read_parquet(path)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise StorageError(_damaged(path, str(error), "verify")) from error
        _require(path, frame.columns, columns, "verify")
        return frame

    def table(self, name: str, columns: Iterable[str]) -> pd.DataFrame | None:
        """A characterization table that has these columns."""
        from spicetrain.characterization.table import read_table

        path = self.path(f"characterization/{name}.parquet")
        if path is None:
            return None
        frame = read_table(path)
        _require(path, frame.columns, columns, "characterize")
        return frame

    def _json(self, name: str, keys: Iterable[str], verb: str) -> dict[str, Any] | None:
        path = self.path(name)
        if path is None:
            return None
        content = read_json(path)
        _require(path, content, keys, verb)
        return content


def _require(path: Path, content: Any, keys: Iterable[str], verb: str) -> None:
    there = set() if content is None or isinstance(content, str | int | float) else set(content)
    if missing := [key for key in keys if key not in there]:
        raise StorageError(_damaged(path, f"it lacks {', '.join(missing)}", verb))


def _damaged(path: Path, what: str, verb: str) -> str:
    return (
        f"{path} cannot be used for the report: {what}. It was edited, cut short or written by another version: "
        f"restore it, or remove it and run `spicetrain {verb} {path.parent}` again."
    )
