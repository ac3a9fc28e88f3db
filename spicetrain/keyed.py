"""Artefacts that are known by what they were made of: asked again, they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from spicetrain.errors import StorageError
from spicetrain.storage import content_hash, read_json


@dataclass(frozen=True)
class Recipe:
    """A kind of artefact, and the version of the code that makes it: raised when the same inputs give another one."""

    name: str
    version: int = 1

    def key(self, **inputs: Any) -> str:
        """Hash of this recipe and of everything that the artefact depends on, by name.

        inputs  text, bytes, numbers, JSON; arrays by their content; definitions by their values; whatever has a
                `fingerprint` by that; sequences and mappings of these
        """
        return content_hash(self.name, self.version, {name: _fact(value) for name, value in inputs.items()})


def cached_json(path: Path, key: str, files: Sequence[Path] = ()) -> dict[str, Any] | None:
    """What a JSON file holds when it has this key and all `files` are there; else None, also when it is damaged."""
    if not all(file.is_file() for file in (path, *files)):
        return None
    with suppress(StorageError):
        content = read_json(path)
        if isinstance(content, dict) and content.get("key") == key:
            return content
    return None


def _fact(value: Any) -> Any:
    """As JSON."""
    if hasattr(value, "fingerprint"):
        return value.fingerprint
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if hasattr(value, "tobytes"):  # an array
        return [str(value.dtype), list(value.shape), content_hash(value.tobytes())]
    if isinstance(value, dict):
        return {str(key): _fact(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_fact(one) for one in value]
    return content_hash(value) if isinstance(value, bytes) else str(value) if isinstance(value, Path) else value
