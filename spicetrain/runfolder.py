"""A run folder: the names of what it holds, its manifest, reading and writing it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spicetrain.errors import ConfigurationError, StorageError, VerificationError
from spicetrain.lock import locked
from spicetrain.storage import make_folder, read_json, sha256_of_file, write_atomic, write_json
from spicetrain.tables import read_table

if TYPE_CHECKING:
    import pandas as pd

DEFINITION, MANIFEST, TABLES = "experiment.toml", "manifest.json", "characterization"
SURROGATES, FIT = "surrogates.safetensors", "surrogates.json"
CHECKPOINT, METRICS, NETWORK = "checkpoint.safetensors", "metrics.jsonl", "network.safetensors"
SUMMARY, VERIFICATION, WAVEFORMS, REPORT = "summary.json", "verification.parquet", "waveforms.parquet", "report.html"
CALIBRATION, CALIBRATED = "calibration", "calibration/chips.parquet"
CONDITIONS = "conditions"  # a folder each of those that the circuit is fitted under besides
SCRATCH = ".verification"


@dataclass(frozen=True)
class RunFolder:
    """A run folder's content, read when asked for; None stands for what is not there yet.

    Methods that read raise StorageError for whatever is damaged.
    """

    folder: Path

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def __str__(self) -> str:
        return str(self.folder)

    @property
    def is_one(self) -> bool:
        """Whether a run has begun in it."""
        return (self / DEFINITION).is_file()

    def require(self) -> None:
        """ConfigurationError when it is no run folder."""
        if not self.is_one:
            raise ConfigurationError(
                f"{self} is not a run folder: it has no {DEFINITION}. Name the folder that a spicetrain command "
                "wrote to (runs/<name> unless you chose another)."
            )

    def path(self, name: str) -> Path | None:
        """The artefact's path when it is there."""
        path = self / name
        return path if path.is_file() else None

    def made_by(self, verb: str, name: str) -> Path:
        """The artefact's path; ConfigurationError, with the verb that makes it, when it is not there."""
        path = self / name
        if not path.exists():
            raise ConfigurationError(f"{path} is not there. {self.again(verb)}")
        return path

    def command(self, verb: str) -> str:
        """What to type."""
        return f"spicetrain {verb} {self}"

    def again(self, verb: str) -> str:
        """What to do about something that is missing."""
        return f"`{self.command(verb)}` makes it (`spicetrain run` does all in order)."

    @property
    def definition(self) -> str:
        """experiment.toml, verbatim."""
        try:
            return (self / DEFINITION).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise StorageError(f"Cannot read {self / DEFINITION}: {error}.") from error

    def json(self, name: str, keys: Iterable[str], verb: str) -> dict[str, Any] | None:
        """A JSON file that has these keys; `verb` makes it."""
        path = self.path(name)
        if path is None:
            return None
        content = read_json(path)
        self._require(path, content, keys, verb)
        return content

    def metrics(self, keys: Iterable[str], epochs: int | None = None) -> list[dict[str, Any]] | None:
        """metrics.jsonl, a dictionary an epoch that has these keys. A last line cut off by a kill does not count.

        epochs  how many were to be trained, where that is known: the lines count up from 1 to so many at most
        """
        path = self.path(METRICS)
        if path is None:
            return None
        try:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            found = [json.loads(line) for line in lines if line.strip() and line.endswith("\n")]
        except (OSError, ValueError) as error:
            raise self.damaged(path, str(error), "train") from error
        for epoch in found:
            self._require(path, epoch, keys, "train")
        self._require_each_once(path, [epoch["epoch"] for epoch in found], epochs)
        return found or None

    def _require_each_once(self, path: Path, epochs: list[Any], wanted: int | None) -> None:
        most = len(epochs) if wanted is None else wanted
        wrong = [found for due, found in enumerate(epochs, start=1) if found != due or due > most]
        if wrong:
            raise StorageError(
                f"{path} has {len(epochs)} lines which do not count up the epochs 1, 2, 3, ..., at most {most}: "
                f"{wrong[0]!r} is out of place. It was edited, or two commands trained in this folder at once: "
                f"`{self.command('train')}` puts it in order if no epoch is missing; else restore it, or remove it."
            )

    def frame(self, name: str, columns: Iterable[str]) -> pd.DataFrame | None:
        """A table of the verification that has these columns."""
        import pandas as pd
        import pyarrow as pa

        path = self.path(name)
        if path is None:
            return None
        try:
            frame = pd.read_parquet(path)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise self.damaged(path, str(error), "verify") from error
        self._require(path, frame.columns, columns, "verify")
        return frame

    def table(self, name: str, columns: Iterable[str]) -> pd.DataFrame | None:
        """A characterization table that has these columns."""
        path = self.path(f"{TABLES}/{name}.parquet")
        if path is None:
            return None
        frame = read_table(path)
        self._require(path, frame.columns, columns, "characterize")
        return frame

    def damaged(self, path: Path, what: str, verb: str) -> StorageError:
        """The error that says so, and what to do."""
        return StorageError(
            f"{path} cannot be used: {what}. It was edited, cut short or written by another version: "
            f"restore it, or remove it and run `{self.command(verb)}` again."
        )

    def _require(self, path: Path, content: Any, keys: Iterable[str], verb: str) -> None:
        there = set() if content is None or isinstance(content, str | int | float) else set(content)
        if missing := [key for key in keys if key not in there]:
            raise self.damaged(path, f"it lacks {', '.join(missing)}", verb)

    # Writing

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The folder, made if need be, to ourselves; StorageError when another process has it."""
        with locked(make_folder(self.folder)):
            yield

    @property
    def manifest(self) -> dict[str, Any]:
        """Of what everything in it was made; empty tables when there is none."""
        path = self / MANIFEST
        empty: dict[str, Any] = {"rooms": {}, "inputs_sha256": {}}
        found = read_json(path) if path.exists() else {}
        if not (isinstance(found, dict) and all(isinstance(found.get(key, {}), dict) for key in empty)):
            raise StorageError(f"{path} is not what spicetrain writes. Remove it; the next step writes another.")
        return empty | found

    @contextmanager
    def room(self, name: str, inputs: dict[str, str], origin: dict[str, Any], **details: Any) -> Iterator[None]:
        """Do the work of a room, and note in the manifest what it was done with.

        inputs  checksum, or version, of what the work depends on besides the settings, by name
        origin  versions and machine
        """
        started, missed = time.time(), None
        try:
            yield
        except VerificationError as error:  # its files are written all the same
            missed = error
        manifest = self.manifest | origin
        manifest["inputs_sha256"] |= inputs
        manifest["rooms"][name] = {
            **details,
            "seconds": time.time() - started,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "artefacts_sha256": self._artefacts(),
        }
        write_json(self / MANIFEST, manifest)
        if missed is not None:
            raise missed

    @contextmanager
    def defined(self, definition: str) -> Iterator[None]:
        """The resolved experiment in the folder; what is refused with it leaves the one before."""
        make_folder(self.folder)
        path = self / DEFINITION
        before = path.read_bytes() if path.exists() else None
        with write_atomic(path) as temporary:
            temporary.write_text(definition, encoding="utf-8")
        try:
            yield
        except StorageError:
            raise
        except ConfigurationError:
            if before is None:
                path.unlink()
            else:
                with write_atomic(path) as temporary:
                    temporary.write_bytes(before)
            raise

    def _artefacts(self) -> dict[str, str]:
        files = [self / name for name in (SURROGATES, NETWORK)]
        files += sorted((self / TABLES).glob("*.parquet"))
        return {str(file.relative_to(self.folder)): sha256_of_file(file) for file in files if file.exists()}
