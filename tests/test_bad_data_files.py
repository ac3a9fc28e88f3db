"""Malformed data files, generated: the same wrong table as .csv, .parquet and .npz, broken containers of each kind, and
folders of images. None is learnt and none ends in a traceback: each is refused with what is wrong and what to do."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny import PLAN, TOML

from spicetrain.cli import main
from spicetrain.datasets.settings import DatasetSettings
from spicetrain.errors import SpicetrainError
from spicetrain.schema import parse

Write = Callable[[Path], None]
Case = tuple[Write, dict[str, Any]]
N = 24
# A message tells what to do: by a verb, or by the setting that decides.
NEXT_STEP = re.compile(
    r"\b(give|name|drop|leave|take|put|save|fill|rename|encode|scale|say|write|correct|remove)\b"
    r"|named in dataset|dataset\.\w+ =|Did you mean|Known:",
    re.I,
)


def frame(**changes: Any) -> pd.DataFrame:
    random = np.random.default_rng(3)
    columns = {"width": random.uniform(1, 2, N), "height": random.uniform(-4, 9, N), "label": np.arange(N) % 3}
    return pd.DataFrame(columns | changes)


def at(value: Any, index: int = 5, dtype: Any = None) -> np.ndarray:
    values = np.linspace(0, 1, N).astype(object if dtype is None else dtype)
    values[index] = value
    return values if dtype is not None else np.array(values.tolist(), dtype=object)


# The same table wrong in the same way in every format, and the settings beside dataset.file.
WRONG: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = {
    "NaN": (frame(width=at(np.nan, dtype=float)), {}),
    "inf": (frame(width=at(np.inf, dtype=float)), {}),
    "-inf": (frame(height=at(-np.inf, dtype=float)), {}),
    "all NaN": (frame(width=np.full(N, np.nan)), {}),
    "a constant column": (frame(width=np.full(N, 3.0)), {}),
    "all columns constant": (frame(width=np.full(N, 3.0), height=np.full(N, 3.0)), {"scaling": "all"}),
    "no range but rounding": (frame(width=at(5e-324, dtype=float) * 0 + np.arange(N) * 5e-324), {}),
    "a range beyond all numbers": (frame(width=np.where(np.arange(N) % 2, 1.7e308, -1.7e308)), {}),
    "texts": (frame(width=["red", "blue"] * (N // 2)), {}),
    "numbers with units": (frame(width=[f"{k} mm" for k in range(N)]), {}),
    "decimal commas in texts": (frame(width=[f"{k}.000,5" for k in range(N)]), {}),
    "one class": (frame(label=np.zeros(N, int)), {}),
    "classes from 1": (frame(label=np.arange(N) % 3 + 1), {}),
    "a negative class": (frame(label=np.arange(N) % 3 - 1), {}),
    "a class left out": (frame(label=np.arange(N) % 2 * 5), {}),
    "classes that are fractions": (frame(label=np.linspace(0.1, 0.9, N)), {}),
    "a class missing": (frame(label=np.where(np.arange(N) == 7, np.nan, np.arange(N) % 3)), {}),
    "an infinite class": (frame(label=np.where(np.arange(N) == 7, np.inf, np.arange(N) % 3)), {}),
    "a class of its own each": (frame(label=[f"flower {k}" for k in range(N)]), {}),
    "a class of one sample": (frame(label=[0] * (N - 1) + [1]), {}),
    "a blank class": (frame(label=["a", " "] * (N // 2)), {}),
    "too many names of classes": (frame(), {"classes": ["a", "b", "c", "d"]}),
    "too few names of classes": (frame(), {"classes": ["a", "b"]}),
    "no label": (frame().rename(columns={"label": "kind"}), {}),
    "two labels": (frame(target=0), {}),
    "a label that is not there": (frame(), {"label": "species"}),
    "a feature that is not there": (frame(), {"features": ["wdth"]}),
    "a target that is not there": (frame(), {"target": "price"}),
    "nothing but a label": (frame()[["label"]].assign(kind=0)[["label", "kind"]], {"features": ["label"]}),
    "a target that never changes": (frame(price=np.full(N, 2.5)), {"target": "price", "features": ["width"]}),
    "a target with NaN": (frame(price=at(np.nan, dtype=float)), {"target": "price", "features": ["width"]}),
    "a target of texts": (frame(price=["much", "little"] * (N // 2)), {"target": "price", "features": ["width"]}),
    "pixels of another number": (frame(), {"image_shape": [2, 2]}),
    "beyond 0 .. 1 as they are": (frame(), {"scaling": "none"}),
    "two samples": (frame()[:2], {}),
    "one sample": (frame()[:1], {}),
    "no sample": (frame()[:0], {}),
}  # fmt: skip


def stored(kind: str, table: pd.DataFrame) -> Write:
    def write(folder: Path) -> None:
        path = folder / f"mine.{kind}"
        if kind == "csv":
            table.to_csv(path, index=False)
        elif kind == "parquet":
            table.to_parquet(path)
        else:
            columns = {name: table[name].to_numpy() for name in table}
            np.savez(path, **{k: v.astype(str) if v.dtype == object else v for k, v in columns.items()})

    return write


def content(data: bytes | str, name: str = "mine.csv") -> Write:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)

    return write


def arrays(**given: Any) -> Write:
    return lambda folder: np.savez(folder / "mine.npz", **given)


def packed(**given: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **given)
    return stream.getvalue()


def as_parquet(table: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    table.to_parquet(stream)
    return stream.getvalue()


def one_array(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


def as_png(grey: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, kind)
    return stream.getvalue()


def pictures(*files: tuple[str, bytes]) -> Write:
    def write(folder: Path) -> None:
        (folder / "mine").mkdir()
        for name, data in files:
            path = folder / "mine" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    return write


GOOD = "x,label\n" + "".join(f"{k},{k % 2}\n" for k in range(12))
WHOLE, PARQUET = packed(x=np.arange(24.0).reshape(12, 2), y=np.arange(12) % 2), as_parquet(frame())
GREY = as_png((np.arange(12).reshape(3, 4) * 20).astype(np.uint8))
X, Y = np.arange(24.0).reshape(12, 2), np.arange(12) % 2
FOUR = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y}
MANY = [(f"{kind}/{k}.png", GREY) for kind in ("cat", "dog") for k in range(3)]

BROKEN: dict[str, Case] = {
    "csv, no byte": (content(b""), {}),
    "csv, blanks alone": (content(" \n\n"), {}),
    "csv, a line feed": (content("\n"), {}),
    "csv, names alone": (content("x,y,label\n"), {}),
    "csv, no names": (content("1,2,0\n3,4,1\n"), {}),
    "csv, a long line": (content(GOOD + "1,2,3,4\n"), {}),
    "csv, a short line": (content(GOOD + "1\n"), {}),
    "csv, cut off within a line": (content((GOOD + "1234,1")[:-2]), {}),
    "csv, semicolons": (content(GOOD.replace(",", ";")), {}),
    "csv, tabs": (content(GOOD.replace(",", "\t")), {}),
    "csv, a name twice": (content("x,x,label\n1,2,0\n3,4,1\n"), {}),
    "csv, a column without a name": (content("x,,label\n1,2,0\n3,4,1\n"), {}),
    "csv, an open quote": (content(GOOD + '"1,0\n'), {}),
    "csv, a quote in a value": (content(GOOD + '"1"2,0\n'), {}),
    "csv, zero bytes": (content(b"x,label\n" + b"\x00" * 40), {}),
    "csv, latin-1": (content("größe,label\n1,0\n2,1\n".encode("latin-1")), {}),
    "csv, UTF-16": (content(GOOD.encode("utf-16")), {}),
    "csv, a picture": (content(GREY), {}),
    "csv, a zip": (content(WHOLE), {}),
    "csv, other letters than ASCII as numbers": (content(GOOD + "１２a,1\n"), {}),
    "csv, thousands with commas": (content('x,label\n"1,000",0\n"2,000",1\n'), {}),
    "csv, 1e400": (content(GOOD + "1e400,1\n"), {}),
    "csv, a date": (content(GOOD + "2024-05-01,1\n"), {}),
    "csv, hex": (content(GOOD + "0x1F,1\n"), {}),
    "csv, a complex number": (content(GOOD + "1+2j,1\n"), {}),
    "csv, NA": (content(GOOD + "NA,1\n"), {}),
    "csv, an HTML page": (content("<!doctype html>\n<html>\n<body>404, not found</body>\n</html>\n"), {}),
    "csv, a pointer of Git LFS": (content("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12\n"), {}),
    "csv, JSON": (content('[{"x": 1, "label": 0}]\n'), {}),
    "csv, a folder": (lambda folder: (folder / "mine.csv").mkdir(), {}),
    "csv, a label beyond 64 bits": (content(GOOD + f"3,{2**70}\n"), {}),
    "npz, no byte": (content(b"", "mine.npz"), {}),
    "npz, no zip": (content(b"\x93NUMPY", "mine.npz"), {}),
    "npz, text": (content(GOOD, "mine.npz"), {}),
    "npz, cut in half": (content(WHOLE[: len(WHOLE) // 2], "mine.npz"), {}),
    "npz, its end cut off": (content(WHOLE[:-10], "mine.npz"), {}),
    "npz, a byte flipped": (content(WHOLE[:150] + bytes([WHOLE[150] ^ 255]) + WHOLE[151:], "mine.npz"), {}),
    "npz, no array": (content(zipped(), "mine.npz"), {}),
    "npz, wrong magic": (content(zipped(x=b"NOTNUMPY" * 20, y=b"NOTNUMPY" * 20), "mine.npz"), {}),
    "npz, an array cut off": (content(zipped(x=b"\x93NUMPY\x01\x00v\x00{'descr': '<f8'", y=b""), "mine.npz"), {}),
    "npz, one array": (content(one_array(X), "mine.npz"), {}),
    "npz, objects": (arrays(x=np.array([{}] * 12, dtype=object), y=Y), {}),
    "npz, lengths differ": (arrays(x=X, y=Y[:-1]), {}),
    "npz, a scalar": (arrays(x=X, y=np.array(3)), {}),
    "npz, no samples": (arrays(x=X[:0], y=Y[:0]), {}),
    "npz, no features": (arrays(x=X[:, :0], y=Y), {}),
    "npz, colours": (arrays(x=np.zeros((12, 3, 3, 3)), y=Y), {}),
    "npz, one-hot": (arrays(x=X, y=np.eye(12)), {}),
    "npz, complex": (arrays(x=X * 1j, y=Y), {}),
    "npz, dates": (arrays(x=np.array(["2024-05-01"] * 12, "datetime64[D]"), y=Y), {}),
    "npz, a record": (arrays(x=np.zeros(12, [("a", float), ("b", float)]), y=Y), {}),
    "npz, a part missing": (arrays(**{k: v for k, v in FOUR.items() if k != "y_test"}), {}),
    "npz, tests of other features": (arrays(**FOUR | {"x_test": X[:, :1]}), {}),
    "npz, a test class that is not trained": (arrays(**FOUR | {"y_test": Y + 1}), {}),
    "npz, no test sample": (arrays(**FOUR | {"x_test": X[:0], "y_test": Y[:0]}), {}),
    "npz, tests of other length": (arrays(**FOUR | {"y_test": Y[:3]}), {}),
    "npz, its own tests and a test file": (arrays(**FOUR), {"test_file": "mine.npz"}),
    "npz, bytes as features": (arrays(x=np.array([b"\xff\xfe"] * 12), y=Y), {}),
    "npz, a grid of no pixels": (arrays(x=np.zeros((12, 0, 4)), y=Y), {}),
    "parquet, no byte": (content(b"", "mine.parquet"), {}),
    "parquet, text": (content(GOOD, "mine.parquet"), {}),
    "parquet, wrong magic": (content(b"PAR2" + PARQUET[4:-4] + b"PAR2", "mine.parquet"), {}),
    "parquet, cut in half": (content(PARQUET[: len(PARQUET) // 2], "mine.parquet"), {}),
    "parquet, its footer overwritten": (content(PARQUET[:-800] + b"\xff" * 792 + PARQUET[-8:], "mine.parquet"), {}),
    "parquet, a page overwritten": (content(PARQUET[:30] + b"\xff" * 60 + PARQUET[90:], "mine.parquet"), {}),
    "parquet, lists": (stored("parquet", frame(width=[[1.0, 2.0]] * N)), {}),
    "parquet, tables in a column": (stored("parquet", frame(width=[{"a": 1}] * N)), {}),
    "parquet, dates": (stored("parquet", frame(width=pd.date_range("2024-05-01", periods=N))), {}),
    "parquet, durations": (stored("parquet", frame(width=pd.to_timedelta(np.arange(N), "s"))), {}),
    "parquet, missing whole numbers": (stored("parquet", frame(width=pd.array([None, *range(N - 1)], "Int64"))), {}),
    "parquet, missing truths": (stored("parquet", frame(label=pd.array([None, *[True] * (N - 1)], "boolean"))), {}),
    "parquet, numbers as names": (stored("parquet", frame().set_axis(["1", "2", "3"], axis=1)), {}),
    "images, none": (pictures(), {}),
    "images, none in a class": (pictures(("cat/readme.txt", b"x")), {}),
    "images, no subfolders": (pictures(("0.png", GREY), ("1.png", GREY)), {}),
    "images, one class": (pictures(*MANY[:3]), {}),
    "images, one in a class": (pictures(*MANY[:4]), {}),
    "images, of two sizes": (pictures(*MANY, ("cat/9.png", as_png(np.zeros((3, 5), np.uint8)))), {}),
    "images, no byte": (pictures(*MANY, ("cat/9.png", b"")), {}),
    "images, cut in half": (pictures(*MANY, ("cat/9.png", GREY[: len(GREY) // 2])), {}),
    "images, wrong magic": (pictures(*MANY, ("cat/9.png", b"\x88" + GREY[1:])), {}),
    "images, text": (pictures(*MANY, ("cat/9.png", b"not a picture")), {}),
    "images, a checksum that is wrong": (pictures(*MANY, ("cat/9.png", GREY[:40] + b"\x00\x01\x02" + GREY[43:])), {}),
    "images, 16 bits": (pictures(*MANY, ("cat/9.png", as_png(np.zeros((3, 4), np.uint16)))), {}),
    "images, of numbers": (pictures(*MANY, ("cat/9.tif", as_png(np.zeros((3, 4), np.float32), "TIFF"))), {}),
    "images, a folder called one": (pictures(*MANY, ("cat/9.png/x", b"")), {}),
    "images, with a label": (pictures(*MANY), {"label": "kind"}),
    "images, with a target": (pictures(*MANY), {"target": "size"}),
    "images, classes that are not there": (pictures(*MANY), {"classes": ["cat", "cow"]}),
    "images, too few to test": (pictures(*MANY), {"test_share": 0.05}),
    "images, all the same": (pictures(*[(name, as_png(np.full((3, 4), 9, np.uint8))) for name, _ in MANY]), {}),
    "another kind of file": (content("x", "mine.xlsx"), {}),
    "a file without a suffix": (content(GOOD, "mine"), {}),
}  # fmt: skip


def cases() -> Iterator[tuple[str, Case]]:
    for name, (table, given) in WRONG.items():
        for kind in ("csv", "parquet", "npz"):
            yield f"{kind}: {name}", (stored(kind, table), given)
    yield from BROKEN.items()


CASES = dict(cases())


def test_there_are_many() -> None:
    assert len(CASES) >= 200


def written(case: str, folder: Path) -> dict[str, Any]:
    """The [dataset] of a case, its file written."""
    write, given = CASES[case]
    write(folder)
    (path,) = (path for path in folder.iterdir() if path.name.startswith("mine"))
    return {"file": path.name} | given


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_a_next_step(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = written(case, tmp_path)
    with pytest.raises(SpicetrainError) as caught:
        parse(DatasetSettings, given, "test").load()
    said = str(caught.value)
    assert caught.value.exit_code == 2 and NEXT_STEP.search(said), said
    assert "Traceback" not in said and len(said) < 800 and said.isprintable()


@pytest.mark.parametrize("case", ["npz: NaN", "csv, UTF-16", "parquet, a page overwritten", "images, cut in half"])
def test_nothing_is_measured_nor_trained(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = written(case, tmp_path)
    (tmp_path / "plan.toml").write_text(PLAN)
    (tmp_path / "bad.toml").write_text(TOML.replace('name = "iris"', f'file = "{given["file"]}"'))
    assert main(["run", "bad.toml", "--out", "run"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and not (tmp_path / "run").exists()
