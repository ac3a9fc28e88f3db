"""A file of samples as named columns: .csv, .npz, .parquet."""

from __future__ import annotations

import csv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spicetrain.errors import DatasetError, nearest

_MOST_NAMED = 12


@dataclass(frozen=True)
class Tabular:
    """Columns of one file, a row a sample.

    parts        of an array with more than one axis: the columns that it became, by its name
    image_shape  of those of three axes: rows and columns of pixels, likewise
    """

    path: Path
    columns: dict[str, NDArray[Any]]  # [n] each
    parts: dict[str, tuple[str, ...]]
    image_shapes: dict[str, tuple[int, int]]

    @property
    def samples(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def expanded(self, names: tuple[str, ...], key: str) -> tuple[str, ...]:
        """The columns that `names` of dataset.<key> stand for. DatasetError when there is no such one."""
        found: list[str] = []
        for name in names:
            if name not in self.columns and name not in self.parts:
                raise DatasetError(
                    f"dataset.{key}: {self.path} has no column {name!r}."
                    f"{nearest(name, [*self.columns, *self.parts][:_MOST_NAMED])}"
                )
            found += self.parts.get(name, (name,))
        return tuple(found)

    def numbers(self, names: tuple[str, ...]) -> NDArray[np.float64]:
        """[n, columns], all of them finite. DatasetError naming the row and the column of what is none."""
        return np.stack([self._finite(name) for name in names], axis=1)

    def _finite(self, name: str) -> NDArray[np.float64]:
        column = self.columns[name]
        if column.dtype.kind == "c":
            raise DatasetError(
                f"{self.path}: the column {name!r} holds complex numbers, of which a row has no voltage. Give real and "
                "imaginary part as columns of their own."
            )
        if column.dtype.kind in "mM":
            raise DatasetError(
                f"{self.path}: the column {name!r} holds times ({column.dtype}), which are no numbers without a unit "
                "and a beginning. Leave it out of dataset.features, or write it as a number, such as days since a date."
            )
        if column.dtype.kind not in "biuf":
            column = self._converted(name, column)
        values = column.astype(np.float64)
        if (wrong := np.flatnonzero(~np.isfinite(values))).size:
            first = int(wrong[0])
            raise DatasetError(
                f"{self.path}: {len(wrong)} of {len(values)} values of the column {name!r} are no finite numbers, the "
                f"first is {values[first]} in sample {first}. Drop those samples, or fill them in, before training."
            )
        return values

    def _converted(self, name: str, column: NDArray[Any]) -> NDArray[Any]:
        """A column of texts or of Python's objects as numbers."""
        converted = pd.to_numeric(pd.Series(column), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        stated = [str(value).strip().lower() for value in column]
        for index, (value, text) in enumerate(zip(converted, stated, strict=True)):
            if np.isnan(value) and text not in ("nan", "", "none", "<na>", "nat"):
                raise DatasetError(
                    f"{self.path}: the column {name!r} holds {column[index]!r} in sample {index}, which is no number. "
                    "Leave the column out of dataset.features, or encode it, one column of 0 and 1 a value."
                )
        return converted


def read_tabular(path: Path, separator: str = ",") -> dict[str, Tabular]:
    """The file's samples: {"": all}, or {"train": ..., "test": ...} of a .npz with x_train, y_train, x_test, y_test.

    DatasetError when it is missing, empty, damaged or of another kind.
    """
    readers = {".csv": _csv, ".npz": _npz, ".parquet": _parquet}
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise DatasetError(
            f"dataset.file = {path}: its name ends with {suffix or 'nothing'!r}; files of samples are .csv, .npz and "
            ".parquet. A folder of images has a subfolder a class."
        )
    if not path.is_file():
        raise DatasetError(f"dataset.file = {path}: there is no such file.")
    try:
        found = _csv(path, separator) if suffix == ".csv" else readers[suffix](path)
    except OSError as error:
        raise DatasetError(f"Cannot read {path}: {error.strerror or error}.") from error
    for table in found.values():
        if not table.columns or not table.samples:
            raise DatasetError(
                f"{path} is empty: it has {len(table.columns)} columns and {table.samples} samples. Give a file with a "
                "row a sample."
            )
    return found


def _csv(path: Path, separator: str = ",") -> dict[str, Tabular]:
    header = _checked_header(path, separator)
    # Only what is empty is missing: "NA" and "None" are names of classes too.
    frame = pd.read_csv(
        path, sep=separator, encoding="utf-8-sig", keep_default_na=False, na_values=[""], index_col=False,
        low_memory=False, skipinitialspace=True,
    )  # fmt: skip
    frame.columns = pd.Index(header)
    return {"": _of_frame(path, frame)}


def _checked_header(path: Path, separator: str) -> list[str]:
    """The names of the columns. pandas would take a row that is too long for one with an index, and fill up one that is
    too short."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream, delimiter=separator, skipinitialspace=True, strict=True)
            header = [name.strip() for name in next(rows, [])]
            if not header:
                raise DatasetError(
                    f"{path} is empty: its first line has no names of columns. Give a file with a row a sample."
                )
            for row in rows:
                if row and len(row) != len(header):
                    raise DatasetError(
                        f"{path}, line {rows.line_num}: {len(row)} values, but the first line names {len(header)} "
                        "columns. Likely a line that was cut off, or a separator within a value: correct it, or put "
                        "quotes around such a value."
                    )
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path} is no text in UTF-8 ({error.reason} at byte {error.start}). Save it as CSV in UTF-8."
        ) from error
    except (csv.Error, ValueError) as error:
        raise DatasetError(f"{path} is no CSV: {error}. Correct it, or save it as CSV again.") from error
    _require_names(path, header)
    if len(header) == 1:
        raise DatasetError(
            f"{path} has one column, {header[0]!r}: an input and a label are needed. If its values are not separated "
            f"by {separator!r}, say by what in dataset.separator."
        )
    return header


def _require_names(path: Path, names: list[str]) -> None:
    if all(map(_is_number, names)):
        raise DatasetError(
            f"{path} begins with numbers ({', '.join(names[:3])} ...), not with names of columns: put a line of names "
            "above them."
        )
    if "" in names:
        raise DatasetError(f"{path}: column {names.index('') + 1} of {len(names)} has no name in the first line.")
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise DatasetError(f"{path} has the column {twice[0]!r} {names.count(twice[0])} times: rename or drop one.")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _one_line(error: Exception) -> str:
    """What a library says, cut where it says much, with a point at its end."""
    printable = "".join(letter if letter.isprintable() else " " for letter in str(error))
    text = " ".join(printable.split())[:200].rstrip(".")
    return f"{text}."


def _parquet(path: Path) -> dict[str, Tabular]:
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise DatasetError(f"{path}: pyarrow reads .parquet and is not installed: `pip install pyarrow`.") from error
    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError) as error:  # ArrowInvalid is a ValueError
        raise DatasetError(
            f"{path} is no parquet file that can be read: {_one_line(error)} Save it again, as "
            "pandas.DataFrame.to_parquet does."
        ) from error
    frame.columns = pd.Index([str(name) for name in frame.columns])
    _require_names(path, list(frame.columns))
    return {"": _of_frame(path, frame)}


def _of_frame(path: Path, frame: pd.DataFrame) -> Tabular:
    return Tabular(path, {str(name): frame[name].to_numpy() for name in frame.columns}, {}, {})


def _npz(path: Path) -> dict[str, Tabular]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            if isinstance(stored, np.ndarray):
                raise DatasetError(f"{path} is one array (.npy): save inputs and labels by name with numpy.savez.")
            arrays = {name: stored[name] for name in stored.files}
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise DatasetError(
            f"{path} is no .npz of plain arrays: {_one_line(error)} Save inputs and labels by name with numpy.savez."
        ) from error
    except TypeError as error:  # of an array, which is no context manager
        raise DatasetError(f"{path} is one array (.npy): save inputs and labels by name with numpy.savez.") from error
    split = ("x_train", "y_train", "x_test", "y_test")
    if set(split) <= arrays.keys():
        return {
            part: _of_arrays(path, {name: arrays[f"{name}_{part}"] for name in ("x", "y")})
            for part in ("train", "test")
        }
    return {"": _of_arrays(path, arrays)}


def _of_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> Tabular:
    """Arrays of one axis are columns, of two axes as many as they have; of three, pixels."""
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind == "V":
            kind = array.dtype if isinstance(array, np.ndarray) else "no array"
            raise DatasetError(
                f"{path} is no .npz of plain arrays: {name} is {kind}. Save inputs and labels by name with "
                "numpy.savez, each of numbers or of texts."
            )
    lengths = {name: array.shape[0] if array.ndim else None for name, array in arrays.items()}
    if len(set(lengths.values())) > 1 or None in lengths.values():
        told = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
        raise DatasetError(
            f"{path}: its arrays do not have a row a sample each: {told}. Give training and test samples as "
            "arrays x_train, y_train, x_test, y_test, or as two files (dataset.test_file)."
        )
    columns: dict[str, NDArray[Any]] = {}
    parts: dict[str, tuple[str, ...]] = {}
    shapes: dict[str, tuple[int, int]] = {}
    for name, array in arrays.items():
        if array.ndim == 1:
            columns[name] = array
            continue
        if array.ndim == 3:
            shapes[name] = (array.shape[1], array.shape[2])
        elif array.ndim > 3:
            raise DatasetError(
                f"{path}: {name} is {list(array.shape)}; images are [samples, rows, columns], grey. "
                "Take the mean of their colours, of one shape a sample."
            )
        flat = array.reshape(len(array), int(np.prod(array.shape[1:])))
        parts[name] = tuple(f"{name}_{index}" for index in range(flat.shape[1]))
        columns |= dict(zip(parts[name], flat.T, strict=True))
    return Tabular(path, columns, parts, shapes)
