"""The surrogates of one technology in one safetensors file; its header holds what is not a tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from safetensors.torch import save
from torch import Tensor

from spicetrain.errors import StorageError
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.effective_load import EffectiveLoad
from spicetrain.inverter.surrogates.loaded_vtc import LoadedVtc
from spicetrain.storage import content_hash, write_atomic
from spicetrain.surrogates.fitted_file import header, read_fitted
from spicetrain.surrogates.tensors import rebuilt, taken_apart

FORMAT = "spicetrain-surrogates-1"

Surrogate = CurrentSurface | LoadedVtc | EffectiveLoad

_KINDS: dict[str, type[Surrogate]] = {
    "current_surface": CurrentSurface,
    "shifted_surface": CurrentSurface,
    "loaded_vtc": LoadedVtc,
    "effective_load": EffectiveLoad,
}


def save_surrogates(path: Path, surrogates: dict[str, Surrogate], reports: dict[str, Any]) -> None:
    """Write the surrogates by table name with a report on each, atomically. StorageError when that fails."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for name, surrogate in surrogates.items():
        more_tensors, more_plain = taken_apart(surrogate, name)
        tensors, plain = tensors | more_tensors, plain | more_plain
    with write_atomic(path) as temporary:
        temporary.write_bytes(save(tensors, header(FORMAT, plain, reports)))


def load_surrogates(path: Path) -> tuple[dict[str, Surrogate], dict[str, Any]]:
    """(surrogates, reports) by table name, float64 on the CPU. `path` is the file or its folder.

    StorageError: missing, damaged, or not ours.
    """

    def build(tensors: dict[str, Tensor], plain: Any, reports: dict[str, Any]) -> tuple[dict[str, Surrogate], Any]:
        return {name: rebuilt(_KINDS[name], name, tensors, plain) for name in reports}, reports

    return read_fitted(path, FORMAT, "pt", build)


@dataclass(frozen=True)
class Surrogates:
    """What was fitted of one technology. The load-free methods need the current surface alone.

    shifted_surface  the currents of inverters whose gates mismatch shifts beyond the rails
    """

    current_surface: CurrentSurface
    loaded_vtc: LoadedVtc | None = None
    effective_load: EffectiveLoad | None = None
    shifted_surface: CurrentSurface | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what all of them compute for the nominal circuit."""
        tensors, plain = taken_apart(replace(self, shifted_surface=None), "")
        for later in (".shifted_surface", ".current_surface.residual"):  # the same as before there were these
            plain.pop(later, None)  # a surface that has a residual is hashed with it
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
