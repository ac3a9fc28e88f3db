"""A file of measured columns: text in whatever way it is separated, NumPy's .npz, MATLAB's .mat."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.errors import ConfigurationError

Array = NDArray[np.float64]

TEXT, ARRAYS = (".csv", ".tsv", ".txt", ".dat"), (".npz", ".mat")
_SEPARATORS = ";\t,|"
_LARGEST_BYTES = 200_000_000


@dataclass(frozen=True)
class Columns:
    """What a file holds.

    names   of its columns, in order
    cells   of each column, all equally many: texts, or numbers where the file has numbers
    lines   of each row its number in the file, for messages
    source  the file, for messages
    """

    names: list[str]
    cells: list[Sequence[Any]]
    lines: list[int]
    source: str
    decimal_comma: bool = False

    def texts(self, index: int) -> list[str]:
        return [str(cell).strip() for cell in self.cells[index]]

    def numbers(self, index: int) -> Array:
        """[rows]; NaN where a cell holds none that is finite."""
        found = np.array([self._number(cell) for cell in self.cells[index]], dtype=np.float64)
        found[~np.isfinite(found)] = np.nan
        return found

    def _number(self, cell: Any) -> float:
        if isinstance(cell, str) and self.decimal_comma:
            cell = cell.replace(",", ".")
        try:
            return float(cell)
        except (TypeError, ValueError):
            return float("nan")


def read_columns(path: Path, header: bool = True) -> Columns:
    """The columns of a file, by its extension. Without a `header` the columns are numbered where none is there.

    Raises ConfigurationError: missing, empty, damaged, another format, or rows that do not fit the header.
    """
    kind = path.suffix.lower()
    if kind not in (*TEXT, *ARRAYS):
        raise ConfigurationError(
            f"{path}: measured data are read from {', '.join((*TEXT, *ARRAYS))}, not from {kind or 'such a file'}. "
            "Export them as CSV."
        )
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ConfigurationError(f"{path} has more than {_LARGEST_BYTES / 1e6:g} MB: thin the sweeps out.")
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"Cannot read {path}: {error.strerror or error}.") from error
    if not content.strip():
        raise ConfigurationError(f"{path} is empty.")
    return _of_arrays(_arrays(path, content, kind), path) if kind in ARRAYS else _of_text(path, content, header)


def _of_text(path: Path, content: bytes, header: bool) -> Columns:
    lines = _decoded(path, content).splitlines()
    kept = [(number, line) for number, line in enumerate(lines, start=1) if line.strip() and not line.startswith("#")]
    if not kept:
        raise ConfigurationError(f"{path} holds no data.")
    first = kept[0][1]
    separator = max(_SEPARATORS, key=first.count)
    if separator not in first:
        separator = " "
    rows = [(number, _cells(line, separator)) for number, line in kept]
    comma = separator != ","
    names = rows[0][1]
    if any(_is_number(cell, comma) for cell in names):
        if header:
            raise ConfigurationError(
                f"{path} has no header: its first line is {first[:60]!r}. Name the columns there, with their units, "
                "such as voltage_V,current_A,state."
            )
        names = [str(index) for index in range(1, len(names) + 1)]
    else:
        rows = rows[1:]
    if not rows:
        raise ConfigurationError(f"{path} has a header and no rows.")
    for number, cells in rows:
        if len(cells) > len(names):
            raise ConfigurationError(
                f"{path}, line {number}: {len(cells)} cells for {len(names)} columns. Where a comma separates, "
                "decimals need a point: write 0.1, or separate the columns by semicolons."
            )
    padded = [cells + [""] * (len(names) - len(cells)) for _, cells in rows]
    return Columns(names, list(zip(*padded, strict=True)), [number for number, _ in rows], str(path), comma)


def _cells(line: str, separator: str) -> list[str]:
    """Without the empty ones that a trailing separator makes."""
    if separator == " ":
        return line.split()
    try:
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]
    except csv.Error:  # longer than any row of numbers
        cells = [cell.strip() for cell in line.split(separator)]
    while len(cells) > 1 and not cells[-1]:
        cells.pop()
    return cells


def _decoded(path: Path, content: bytes) -> str:
    coding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(coding)
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if any(ord(letter) < 32 and letter not in "\t\n\r\f" for letter in text[:100_000]):
        raise ConfigurationError(f"{path} is not text, whatever its name says. Export the data as CSV.")
    return text


def _is_number(cell: str, comma: bool) -> bool:
    try:
        float(cell.replace(",", ".") if comma else cell)
    except ValueError:
        return False
    return True


def _arrays(path: Path, content: bytes, kind: str) -> dict[str, Any]:
    try:
        if kind == ".npz":
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        from scipy.io import loadmat

        return {name: value for name, value in loadmat(io.BytesIO(content)).items() if not name.startswith("__")}
    except NotImplementedError:
        raise ConfigurationError(
            f"{path} is a MATLAB file of version 7.3, which is HDF5. In MATLAB: save('name.mat', ..., '-v7')."
        ) from None
    except Exception as error:  # of a damaged file both raise whatever they stumble over
        raise ConfigurationError(
            f"{path} cannot be read as {kind} ({type(error).__name__}: {error}). It may be cut short."
        ) from error


def _of_arrays(arrays: dict[str, Any], path: Path) -> Columns:
    columns = {}
    for name, value in arrays.items():
        array = np.asarray(value)
        if array.dtype.kind not in "fiubUS":
            raise ConfigurationError(
                f"{path}: {name!r} holds {array.dtype}, neither numbers nor texts. Save plain arrays, one a column."
            )
        if sum(length > 1 for length in array.shape) > 1:
            raise ConfigurationError(
                f"{path}: {name!r} has the shape {array.shape}. Save one array a column, all equally long."
            )
        columns[name] = array.ravel().tolist()
    if not columns or not any(columns.values()):
        raise ConfigurationError(f"{path} holds no arrays, or empty ones.")
    lengths = {name: len(cells) for name, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ConfigurationError(f"{path}: its arrays are not equally long ({told}).")
    rows = next(iter(lengths.values()))
    return Columns(list(columns), list(columns.values()), list(range(1, rows + 1)), str(path))
