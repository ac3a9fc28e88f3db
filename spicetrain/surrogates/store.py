"""The surrogates of one technology in one safetensors file; its header holds what is not a tensor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from spicetrain.errors import StorageError
from spicetrain.storage import content_hash, write_atomic
from spicetrain.surrogates.current_surface import CurrentSurface
from spicetrain.surrogates.effective_load import EffectiveLoad
from spicetrain.surrogates.loaded_vtc import LoadedVtc
from spicetrain.surrogates.tensors import rebuilt, taken_apart

FILE = "surrogates.safetensors"
FORMAT = "spicetrain-surrogates-1"

Surrogate = CurrentSurface | LoadedVtc | EffectiveLoad

_KINDS: dict[str, type[Surrogate]] = {
    "current_surface": CurrentSurface,
    "loaded_vtc": LoadedVtc,
    "effective_load": EffectiveLoad,
}
_NEXT_STEP = "Fit again: spicetrain fit-surrogates."


def save_surrogates(path: Path, surrogates: dict[str, Surrogate], reports: dict[str, Any]) -> None:
    """Write the surrogates by table name with a report on each, atomically. StorageError when that fails."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for name, surrogate in surrogates.items():
        more_tensors, more_plain = taken_apart(surrogate, name)
        tensors, plain = tensors | more_tensors, plain | more_plain
    header = {"format": FORMAT, "plain": json.dumps(plain), "reports": json.dumps(reports)}
    with write_atomic(path) as temporary:
        save_file(tensors, temporary, header)


def load_surrogates(path: Path) -> tuple[dict[str, Surrogate], dict[str, Any]]:
    """(surrogates, reports) by table name, float64 on the CPU. `path` is the file or its folder.

    StorageError: missing, damaged, or not ours.
    """
    path = path / FILE if path.is_dir() else path
    try:
        with safe_open(path, framework="pt") as stored:
            header = stored.metadata() or {}
            if header.get("format") != FORMAT:
                raise StorageError(f"{path} holds no surrogates (format {header.get('format')!r}). {_NEXT_STEP}")
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        plain, reports = json.loads(header["plain"]), json.loads(header["reports"])
        return {name: rebuilt(_KINDS[name], name, tensors, plain) for name in reports}, reports
    except FileNotFoundError as error:
        raise StorageError(f"There are no surrogates at {path}. {_NEXT_STEP}") from error
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise StorageError(f"Cannot read the surrogates {path}: {error}. The file is damaged. {_NEXT_STEP}") from error


@dataclass(frozen=True)
class Surrogates:
    """What was fitted of one technology. The load-free methods need the current surface alone."""

    current_surface: CurrentSurface
    loaded_vtc: LoadedVtc | None = None
    effective_load: EffectiveLoad | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what all of them compute."""
        tensors, plain = taken_apart(self, "")
        arrays = [tensors[name].double().cpu().numpy().tobytes() for name in sorted(tensors)]
        return content_hash(*arrays, sorted(tensors), plain)

    @classmethod
    def load(cls, path: Path) -> Self:
        """See `load_surrogates`; StorageError also when the current surface was not fitted."""
        found = load_surrogates(path)[0]
        if "current_surface" not in found:
            raise StorageError(
                f"{path} has no current_surface: its table was not measured, or the fit was interrupted. Characterize "
                f"with a plan that has [current_surface], then fit again: spicetrain fit-surrogates."
            )
        return cls(**found)  # type: ignore[arg-type]
