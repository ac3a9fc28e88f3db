"""A training interrupted between two epochs, as safetensors: parameters and the optimizer's moments."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from spicetrain.errors import ArchitectureMismatch, StorageError
from spicetrain.storage import write_atomic

FORMAT = "spicetrain-checkpoint-1"
_NEXT_STEP = "Remove it to train from the start."


@dataclass(frozen=True)
class Identity:
    """What must be the same for a checkpoint to go on: JSON, by name.

    defaults  values that a setting has which a checkpoint does not know, because it is older than the setting
    of_today  what an older checkpoint says, in today's words
    """

    values: dict[str, Any]
    defaults: dict[str, Any] = field(default_factory=dict)
    of_today: Callable[[dict[str, Any]], dict[str, Any]] = dict


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int, identity: dict[str, Any]
) -> None:
    """Write the state after `epoch` epochs, atomically. `identity` says of what training it is; JSON."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    header = {
        "format": FORMAT,
        "epoch": str(epoch),
        "identity": json.dumps(identity, sort_keys=True),
        "tensors": json.dumps(sorted(tensors)),
    }
    with write_atomic(path) as temporary:
        temporary.write_bytes(save({name: value.contiguous() for name, value in tensors.items()}, header))


def resume(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, identity: Identity) -> int:
    """Load what `save_checkpoint` wrote into model and optimizer; the epochs done, 0 when there is no file.

    ArchitectureMismatch when it belongs to another training (it is left as it is), StorageError when it is damaged.
    """
    if not path.exists():
        return 0
    header, tensors = _read(path)
    _require_same(path, _json(path, header, "identity", dict), identity)
    epoch = _epoch(path, header, identity.values.get("epochs"))
    _require_whole(path, header, tensors, _wanted(model, optimizer, tensors))
    device = next(model.parameters()).device
    model.load_state_dict(_part(tensors, "model."))
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimizer.").items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value.to(device) if value.dim() else value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return epoch


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and tensors of a file of this format."""
    try:
        with safe_open(path, framework="pt") as stored:
            header = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise StorageError(f"Cannot read the checkpoint {path}: {error}. {_NEXT_STEP}") from error
    if header.get("format") != FORMAT:
        raise StorageError(f"{path} is not a spicetrain checkpoint (format {header.get('format')!r}). {_NEXT_STEP}")
    return header, tensors


def _damaged(path: Path, what: str) -> StorageError:
    return StorageError(f"The checkpoint {path} was edited or damaged: {what}. {_NEXT_STEP}")


def _json(path: Path, header: dict[str, str], key: str, kind: type) -> Any:
    """What the header says in JSON."""
    try:
        value = json.loads(header[key])
    except (KeyError, ValueError) as error:
        raise _damaged(path, f"{key} in its header is {header.get(key)!r}, no JSON") from error
    if type(value) is not kind:  # true is an int
        raise _damaged(path, f"{key} in its header is {value!r}, no {kind.__name__}")
    return value


def _epoch(path: Path, header: dict[str, str], epochs: int | None) -> int:
    """How many of `epochs` (None: nobody knows) are done."""
    epoch = _json(path, header, "epoch", int)
    if epoch < 1 or (epochs is not None and epoch > epochs):
        raise _damaged(path, f"{epoch} epochs are done in it, of {epochs or 'at least 1'}")
    return int(epoch)


def _wanted(model: nn.Module, optimizer: torch.optim.Optimizer, found: Collection[str]) -> dict[str, torch.Size]:
    """The shapes of what a checkpoint holds: all of the model, and Adam's moments of each parameter it has moved."""
    wanted = {f"model.{name}": value.shape for name, value in model.state_dict().items()}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, parameter in enumerate(parameters):
        names = {f"optimizer.{index}.{key}": parameter.shape for key in ("exp_avg", "exp_avg_sq")}
        names[f"optimizer.{index}.step"] = torch.Size()
        wanted |= names if names.keys() & found else {}
    return wanted


def _require_whole(path: Path, header: dict[str, str], found: dict[str, Tensor], wanted: dict[str, torch.Size]) -> None:
    listed = _json(path, header, "tensors", list) if "tensors" in header else []  # older ones do not tell
    if missing := sorted((set(map(str, listed)) | wanted.keys()) - found.keys()):
        raise _damaged(path, f"it lacks {missing[0]}")
    if unknown := sorted(found.keys() - wanted.keys()):
        raise _damaged(path, f"it has {unknown[0]}, and this training has not")
    for name, shape in wanted.items():
        if found[name].shape != shape:
            raise _damaged(path, f"{name} is {list(found[name].shape)}, where {list(shape)} is wanted")


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _require_same(path: Path, stored: dict[str, Any], identity: Identity) -> None:
    wanted, defaults = json.loads(json.dumps([identity.values, identity.defaults]))
    found = defaults | identity.of_today(stored)
    differing = [
        key for key in sorted(wanted.keys() | identity.of_today(stored).keys()) if found.get(key) != wanted.get(key)
    ]
    if differing:
        details = ", ".join(f"{key} {found.get(key)!r} there, {wanted.get(key)!r} here" for key in differing)
        raise ArchitectureMismatch(
            f"The checkpoint {path} belongs to another training ({details}). It is left as it is: "
            "choose another run folder, or remove the file to train from the start."
        )
