"""A training interrupted between two epochs, as safetensors: parameters and the optimizer's moments."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from spicetrain.errors import ArchitectureMismatch, StorageError
from spicetrain.storage import write_atomic

FORMAT = "spicetrain-checkpoint-1"


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
    header = {"format": FORMAT, "epoch": str(epoch), "identity": json.dumps(identity, sort_keys=True)}
    with write_atomic(path) as temporary:
        save_file({name: value.contiguous() for name, value in tensors.items()}, temporary, header)


def resume(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, identity: Identity) -> int:
    """Load what `save_checkpoint` wrote into model and optimizer; the epochs done, 0 when there is no file.

    ArchitectureMismatch when it belongs to another training (it is left as it is), StorageError when it is damaged.
    """
    if not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as stored:
            header = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise StorageError(f"Cannot read the checkpoint {path}: {error}. Remove it to train from the start.") from error
    if header.get("format") != FORMAT:
        raise StorageError(f"{path} is not a spicetrain checkpoint (format {header.get('format')!r}).")
    _require_same(path, json.loads(header["identity"]), identity)
    device = next(model.parameters()).device
    model.load_state_dict(_part(tensors, "model."))
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimizer.").items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value.to(device) if value.dim() else value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(header["epoch"])


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
