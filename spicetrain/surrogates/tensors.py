"""Dataclasses that hold tensors, tuples of tensors, plain values and each other: moved, taken apart, rebuilt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, get_args, get_type_hints

import torch
from torch import Tensor

T = TypeVar("T")


def moved(holder: T, dtype: torch.dtype, device: torch.device | str) -> T:
    """The same with every tensor in `dtype` on `device`."""

    def move(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(device=device, dtype=dtype)
        if isinstance(value, tuple):
            return tuple(move(part) for part in value)
        return moved(value, dtype, device) if is_dataclass(value) else value

    return replace(holder, **{name: move(value) for name, value in _items(holder)})  # type: ignore[type-var]


def taken_apart(holder: object, prefix: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, plain values), both by dotted name below `prefix`."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for name, value in _items(holder):
        path = f"{prefix}.{name}"
        if isinstance(value, Tensor):
            tensors[path] = value.contiguous()
        elif isinstance(value, tuple) and value and isinstance(value[0], Tensor):
            tensors |= {f"{path}.{index}": part.contiguous() for index, part in enumerate(value)}
        elif is_dataclass(value):
            inner_tensors, inner_plain = taken_apart(value, path)
            tensors, plain = tensors | inner_tensors, plain | inner_plain
        else:
            plain[path] = value
    return tensors, plain


def rebuilt(kind: type[T], prefix: str, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> T:
    """The inverse of `taken_apart`; KeyError when a part is missing."""
    values: dict[str, Any] = {}
    optional = {field.name for field in fields(kind) if field.default is None}  # type: ignore[arg-type]
    for name, hint in get_type_hints(kind).items():
        path = f"{prefix}.{name}"
        inner = next((part for part in (hint, *get_args(hint)) if isinstance(part, type) and is_dataclass(part)), None)
        parts = any(other.startswith(f"{path}.") for other in (*tensors, *plain))
        if name in optional and not parts and plain.get(path) is None and path not in tensors:
            values[name] = None  # also in a file of before there was such a field
        elif inner is not None:
            values[name] = rebuilt(inner, path, tensors, plain)
        elif path in plain:
            values[name] = _as_tuple(plain[path])
        elif f"{path}.0" in tensors:
            count = sum(other.rpartition(".")[0] == path for other in tensors)
            values[name] = tuple(tensors[f"{path}.{index}"] for index in range(count))
        else:
            values[name] = tensors[path]
    return kind(**values)


def _items(holder: Any) -> list[tuple[str, Any]]:
    return [(field.name, getattr(holder, field.name)) for field in fields(holder)]


def _as_tuple(value: Any) -> Any:
    """JSON knows lists only."""
    return tuple(_as_tuple(part) for part in value) if isinstance(value, list) else value
