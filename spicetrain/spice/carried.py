"""Model files that travel with a piece of work to a machine that may not have them."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from spicetrain import include_tree
from spicetrain.errors import TechnologyError
from spicetrain.include_tree import ModelFiles
from spicetrain.spice.deck import Deck

_places: ContextVar[Mapping[str, str] | None] = ContextVar("places", default=None)


@lru_cache(maxsize=8)
def carried(read: Set[ModelFiles]) -> bytes:
    """All of these with their content. TechnologyError when a file is gone, or another than it was."""
    contents: dict[str, bytes] = {}
    for one in read:
        if ModelFiles.read(one.libraries, one.compiled) != one:
            raise TechnologyError(f"{one.named[0]}, or a file it includes, has changed since it was read. Start again.")
        included = [file for library in one.libraries for file in include_tree.files(*library)]
        contents |= {str(path): path.read_bytes() for path in (*one.named, *included)}
    return pickle.dumps((tuple(read), contents))


@contextmanager
def reading(models: bytes) -> Iterator[None]:
    """Within it `moved` decks read these. TechnologyError when they lead elsewhere from where they can be put."""
    token = _places.set(_placed(models)[0])
    try:
        yield
    finally:
        _places.reset(token)


def moved(deck: Deck) -> Deck:
    """The deck as it reads its models on this machine."""
    circuit = deck.circuit
    for path, here in (_places.get() or {}).items():
        for quote in "\"'":
            circuit = circuit.replace(f"{quote}{path}{quote}", f"{quote}{here}{quote}")
    return deck if circuit is deck.circuit else replace(deck, circuit=circuit)


@lru_cache(maxsize=8)
def _placed(models: bytes) -> tuple[dict[str, str], TemporaryDirectory[str] | None]:
    """Where what decks name is here, if elsewhere; and the folder it was put into, which goes with this process. What
    is here as it is there is read where it is: a library may be large, and name files by absolute paths."""
    read, contents = pickle.loads(models)
    absent = [one for one in read if not _is_here(one)]
    if not absent:
        return {}, None
    folder = TemporaryDirectory(prefix="spicetrain-models-")
    root = Path(folder.name)
    for name, content in contents.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for one in absent:
        _require_same(one, root)
    return {str(path): str(root / str(path).lstrip("/")) for one in absent for path in one.named}, folder


def _is_here(read: ModelFiles) -> bool:
    try:
        return ModelFiles.read(read.libraries, read.compiled) == read
    except (TechnologyError, OSError):
        return False


def _require_same(read: ModelFiles, root: Path) -> None:
    try:
        same = read.below(root).checksums == read.checksums
    except (TechnologyError, OSError):
        same = False
    if not same:
        raise TechnologyError(
            f"{read.named[0]} is not on {socket.gethostname()} as it is where the simulation was begun, and a copy of "
            "it does not do: it names files by absolute paths, or by links. Write relative paths in it, or put the "
            "same files at the same place on all machines."
        )
