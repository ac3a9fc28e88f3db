"""Files that are whole or absent, and checksums of their content."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spicetrain.errors import StorageError
from spicetrain.leftovers import Writing, remove_leftovers

_NEXT_STEP: dict[int | None, str] = {
    errno.ENOSPC: "The disk is full: free some space or choose another folder, then run it again.",
    errno.EDQUOT: "Your disk quota is used up: free some space or choose another folder, then run it again.",
    errno.EACCES: "You may not write there: choose another folder or change its permissions.",
    errno.EPERM: "You may not write there: choose another folder or change its permissions.",
    errno.EROFS: "That file system is read-only: choose another folder.",
    errno.ENOTDIR: "A part of that path is a file, not a folder: choose another folder.",
    errno.ENOENT: "A folder of that path is missing and cannot be made: choose another folder.",
    errno.EEXIST: "A part of that path is a file, not a folder: choose another folder.",
}
_OTHERWISE = "Choose another folder, or see what is wrong with that one; then run it again."


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Translate the operating system's refusal to write `path` into StorageError; other errors pass.

    For writing in place (appending to metrics.jsonl, making a folder); whole files go through `write_atomic`.
    """
    try:
        yield
    except Exception as error:
        number = _error_number(error)
        if number is None and not isinstance(error, OSError):
            raise
        reason = os.strerror(number) if number else str(error) or type(error).__name__
        step = _NEXT_STEP.get(number, _OTHERWISE)
        raise StorageError(f"Cannot write {path}: {reason}{_where(error, path)}. {step}{_cache(path)}") from error


def _error_number(error: Exception) -> int | None:
    """The operating system's number, by which alone a full disk is recognised: libraries have texts of their own."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))  # safetensors is written in Rust
    return int(found[1]) if found else None


def _where(error: Exception, path: Path) -> str:
    """The file or folder that was refused, when it is another than `path` and what is beside it."""
    refused = getattr(error, "filename", None)
    return f" ({refused})" if isinstance(refused, str) and Path(refused).parent != path.parent else ""


def _cache(path: Path) -> str:
    """How another cache is chosen, when `path` is in it: no flag names it."""
    cache = cache_folder()
    return f" $SPICETRAIN_CACHE names another folder than {cache}." if path.is_relative_to(cache) else ""


@contextmanager
def write_atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; renamed to `path` on success, removed on any failure.

    The folder is made if needed. Raises StorageError when the disk is full or the folder is not writable;
    what `path` held before is then still there. What a killed writer left in the folder is removed. Whoever writes must
    not make temporaries of its own beside it, as safetensors' save_file does: nobody would know them.
    """
    path = Path(path)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent, below=False)
        writing = Writing(path)  # only a name yet: an interrupt between file and `try` would leave the file
        try:
            writing.temporary.touch(exist_ok=False)
            mode = writing.temporary.stat().st_mode & 0o777
            yield writing.temporary
            writing.temporary.chmod(mode)  # some writers put a private file in its place
            _flush_to_disk(writing.temporary)
            os.replace(writing.temporary, path)
        finally:
            with suppress(OSError):
                writing.temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> Path:
    """Make `path` and its parents; StorageError when that is refused."""
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def require_writable(folder: Path) -> None:
    """Make `folder` and write a file in it, which is gone at once; StorageError when that is refused."""
    make_folder(folder)
    with storage_errors(folder), tempfile.TemporaryFile(dir=folder):
        pass


def copy_into(folder: Path, files: Iterable[Path]) -> None:
    """Copy files into `folder`, each whole or not at all; StorageError when that is refused."""
    for file in files:
        with write_atomic(folder / file.name) as temporary:
            shutil.copyfile(file, temporary)


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON, atomically. NaN and infinity are refused (ValueError): not JSON."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    with write_atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def json_text(value: object) -> str:
    """`value` as indented JSON for other programs: what is no finite number is null, a path a text."""
    return json.dumps(_finite(value), indent=2, allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> Any:
    """Read a JSON file; StorageError when it is missing or damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise StorageError(f"Cannot read {path}: {error.strerror or error}.") from error
    except ValueError as error:
        raise StorageError(
            f"{path} is not valid JSON ({error}). It was edited or cut short: restore it, or remove it and "
            "run the step that writes it again."
        ) from error


def sha256_of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_hash(*parts: object) -> str:
    """Hexadecimal SHA-256 of the parts in order: text, bytes, or anything JSON can hold (keys sorted).

    Each part is framed by its kind and length, so ("ab", "c") and ("a", "bc") differ. TypeError for others.
    """
    digest = hashlib.sha256()
    for part in parts:
        kind, content = _encoded(part)
        digest.update(f"{kind}{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()


def cache_folder() -> Path:
    """$SPICETRAIN_CACHE, else $XDG_CACHE_HOME/spicetrain, else ~/.cache/spicetrain. Not created here."""
    if chosen := os.environ.get("SPICETRAIN_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "spicetrain"


def _encoded(part: object) -> tuple[str, bytes]:
    if isinstance(part, bytes):
        return "b", part
    if isinstance(part, str):
        return "s", part.encode()
    return "j", json.dumps(part, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _flush_to_disk(path: Path) -> None:
    """Force the content out before the rename: delayed allocation may report a full disk only now."""
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())
