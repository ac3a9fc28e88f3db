"""ngspice's binary raw file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_HEADER_LIMIT = 1 << 26
_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class RawTable:
    """names [variables], lower case; values [variables, points], float64 or complex128. First: the swept one.

    `promised` is the number of points the header gives: more than `values` holds when the file was cut short.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64] | NDArray[np.complex128]
    promised: int

    @cached_property
    def column_of(self) -> dict[str, int]:
        """The place of each name."""
        return {name: column for column, name in enumerate(self.names)}


def read_raw(path: Path) -> RawTable | None:
    """The first table of the file; None when there is no file or no whole header: ngspice wrote nothing."""
    if not path.is_file():
        return None
    with open(path, "rb") as stream:
        header = _header(stream)
        if header is None:
            return None
        names, promised, dtype = header
        return RawTable(names, _columns(stream, len(names), promised, dtype), promised)


def _header(stream: BinaryIO) -> tuple[tuple[str, ...], int, np.dtype] | None:
    """Names, points and type; the stream is then at the first value."""
    fields: dict[str, str] = {}
    names: list[str] = []
    in_variables = False
    while (line := stream.readline(_HEADER_LIMIT)) and line != b"Binary:\n":
        text = line.decode(errors="replace")
        if in_variables and text.startswith("\t"):
            names.append(text.split()[1].lower())
            continue
        key, _, value = text.partition(":")
        fields[key] = value.strip()
        in_variables = key == "Variables"
    if not fields.get("No. Points"):
        return None
    dtype = np.dtype(np.complex128 if "complex" in fields.get("Flags", "") else np.float64)
    return tuple(names), int(fields["No. Points"]), dtype


def _columns(stream: BinaryIO, variables: int, points: int, dtype: np.dtype) -> NDArray:
    """The table turned from rows to columns, a cache-sized block at a time."""
    columns = np.empty((variables, points), dtype)
    rows = max(1, _CHUNK_BYTES // max(1, variables * dtype.itemsize))
    for start in range(0, points if variables else 0, rows):
        count = min(rows, points - start)
        block = np.fromfile(stream, dtype, count * variables)
        whole = block.size // variables
        columns[:, start : start + whole] = block[: whole * variables].reshape(whole, variables).T
        if whole < count:
            return columns[:, : start + whole]
    return columns
