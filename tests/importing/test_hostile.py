"""What is no measurement, or none of a device: one clear line, exit code 2, never a traceback, and nothing written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measurements import STATES_S, V, currents, iv_text, law, write_iv, write_programming
from scipy.io import savemat

from spicetrain.cli import main

Capture = pytest.CaptureFixture[str]
DEVICE = law("sinh", b_per_V=3.0)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: Capture, *arguments: object) -> str:
    """What is said of it."""
    assert main(["import-device", *map(str, arguments), "--out", "out"]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("spicetrain: ") and err.count("\n") == 1 and not out and "Traceback" not in err
    assert not Path("out").exists()
    return err


def good() -> list[str]:
    """Lines of a good file."""
    return iv_text(currents(DEVICE, V, 0.01, 3), V).splitlines()


def edited(column: int, cell: str, every: int = 1, lines: list[str] | None = None) -> str:
    """With a cell of every so many rows replaced."""
    header, *rows = lines or good()
    for k in range(0, len(rows), every):
        cells = rows[k].split(",")
        cells[column] = cell
        rows[k] = ",".join(cells)
    return "\n".join([header, *rows]) + "\n"


def renamed(*names: str) -> str:
    return "\n".join([",".join(names), *good()[1:]])


def of_states(*states: str) -> str:
    header, *rows = good()
    return "\n".join([header, *(row for row in rows if row.rsplit(",", 1)[1] in states)])


TEXTS: dict[str, tuple[str, str]] = {
    "empty": ("", "iv.csv is empty"),
    "blank lines": (" \n\n \n", "is empty"),
    "comments": ("# nothing\n# more\n", "holds no data"),
    "header only": ("voltage_V,current_A,state\n", "a header and no rows"),
    "no header": ("\n".join(good()[1:]), "no header: its first line is '-0.5,"),
    "no units": (renamed("voltage", "current", "state"), "'voltage' has no unit. Write one of voltage_V, voltage_mV"),
    "wrong unit": (renamed("voltage_V", "current_MA", "state"), "the unit 'MA' of the column 'current_MA'"),
    "other columns": (renamed("time_x", "b", "c"), "unit 'x' of the column 'time_x'"),
    "no known columns": (renamed("a", "b", "c"), "has the columns a, b, c: neither I-V (voltage_V, current_A, state)"),
    "no current": (renamed("voltage_V", "curent_A", "state"), "no column 'current_A' (or in another unit). Did you"),
    "duplicate columns": (renamed("voltage_V", "voltage_mV", "current_A"), "are both the voltage. Remove one"),
    "another separator": ("\n".join(good()).replace(",", "/"), "the unit 'V/current_A/state' of the column"),
    "decimal commas": (
        "\n".join([good()[0], *(row.replace(",", ";").replace(".", ",").replace(";", ",") for row in good()[1:])]),
        "line 2: 5 cells for 3 columns. Where a comma separates, decimals need a point",
    ),
    "half-empty": (edited(1, "", 2), "95 of 189 rows lack a number that is finite: lines 2, 4, 6"),
    "NaN": (edited(1, "nan"), "189 of 189 rows lack a number"),
    "infinite": (edited(0, "-inf", 3), "63 of 189 rows lack a number"),
    "words": (edited(1, "n/a", 4), "48 of 189 rows lack a number that is finite: lines 2, 6"),
    "one state": (of_states("a"), "one state only, so the range in which the device is programmed is not in it"),
    "single voltage": (edited(0, "0.2"), "state 'a': measured at less than 4 voltages beside 0 V"),
    "zero voltage": (edited(0, "0"), "measured at less than 4 voltages"),
    "zero current": (edited(1, "0"), "state 'a': every current is 0"),
    "negative resistance": (
        "\n".join([good()[0], *(f"{v},{-float(i):g},{s}" for v, i, s in (row.split(",") for row in good()[1:]))]),
        "current against the voltage, as of a negative resistance, in lines 2, 3, 4",
    ),
    "one row of it": (edited(1, "5e-6", 400), "as of a negative resistance, in line 2."),
    "wild numbers": (edited(1, "1e300", 30), "'current_A' goes beyond 10 A in lines 2, 32"),
    "nanovolts": (renamed("voltage_nV", "current_A", "state"), "swept up to 5e-10 V only"),
    "millivolts as volts": (renamed("voltage_kV", "current_A", "state").replace("0.5,", "5,"), "goes beyond 1000 V"),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS)
def test_a_text_that_is_no_measurement(case: str, capsys: Capture) -> None:
    text, said = TEXTS[case]
    Path("iv.csv").write_text(text)
    assert said in refused(capsys, "iv.csv")


def arrays(**changed: Any) -> dict[str, Any]:
    v = np.tile(V, 3)
    i = np.concatenate([DEVICE.current(g, V) for g in STATES_S])
    return {"voltage_V": v, "current_A": i, "state": np.repeat(STATES_S, len(V)), **changed}


def _npz(path: Path, **changed: Any) -> None:
    np.savez(path, **arrays(**changed))


def _mat_73(path: Path) -> None:
    path.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" * 20)


def _cut(path: Path) -> None:
    _npz(Path("whole.npz")) if path.suffix == ".npz" else savemat("whole.mat", arrays())
    content = Path(f"whole{path.suffix}").read_bytes()
    path.write_bytes(content[: len(content) // 2])


FILES: dict[str, tuple[str, Any, str]] = {
    "missing": ("none.csv", lambda path: None, "Cannot read none.csv: No such file"),
    "a folder": ("folder.csv", lambda path: path.mkdir(), "Cannot read folder.csv"),
    "a workbook": ("iv.xlsx", lambda path: path.write_bytes(b"PK"), "read from .csv, .tsv, .txt, .dat, .npz, .mat"),
    "no extension": ("iv", lambda path: path.write_text("x"), "Export them as CSV"),
    "binary": ("iv.csv", lambda path: path.write_bytes(bytes(range(256)) * 20), "iv.csv is not text"),
    "npz as csv": ("iv.csv", lambda path: np.savez(path.open("wb"), **arrays()), "iv.csv is not text"),
    "csv as npz": ("iv.npz", lambda path: path.write_text("\n".join(good())), "iv.npz cannot be read as .npz"),
    "csv as mat": ("iv.mat", lambda path: path.write_text("\n".join(good())), "iv.mat cannot be read as .mat"),
    "cut npz": ("iv.npz", _cut, "iv.npz cannot be read as .npz"),
    "cut mat": ("iv.mat", _cut, "iv.mat cannot be read as .mat"),
    "mat 7.3": ("iv.mat", _mat_73, "version 7.3, which is HDF5"),
    "pickled": ("iv.npz", lambda path: _npz(path, state=np.array([{}], object)), "cannot be read as .npz"),
    "lengths": ("iv.npz", lambda path: _npz(path, state=np.ones(3)), "not equally long (voltage_V 63, current_A 63"),
    "matrix": ("iv.npz", lambda path: _npz(path, current_A=np.ones((9, 7))), "'current_A' has the shape (9, 7)"),
    "complex": ("iv.npz", lambda path: _npz(path, current_A=np.ones(63) * 1j), "holds complex128"),
    "struct": ("iv.mat", lambda path: savemat(path, {"iv": arrays()}), "neither numbers nor texts"),
    "no arrays": ("iv.npz", lambda path: np.savez(path), "holds no arrays"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_none(case: str, capsys: Capture) -> None:
    name, make, said = FILES[case]
    make(Path(name))
    assert said in refused(capsys, name)


TARGET = np.linspace(1e-6, 1e-4, 100)
PROGRAMMED: dict[str, tuple[Any, Any, Any, str]] = {
    "exact": (TARGET, TARGET, None, "measured is target in every row"),
    "few": (TARGET[:9], TARGET[:9] * 1.01, None, "9 programmed devices tell no distribution"),
    "microsiemens": (TARGET, TARGET * 1e6, None, "Is the unit of a column wrong?"),
    "no target": (TARGET - 5e-5, TARGET, None, "the target is 0 or less in lines 2, 3"),
    "negative times": (TARGET, TARGET * 1.01, -TARGET, "a time before programming"),
    "times of their own": (TARGET, TARGET * 1.01, TARGET * 1e6, "100 different times"),
    "a wild one": (TARGET, np.where(TARGET > 9.9e-5, 1e300, TARGET), None, "'measured_S' goes beyond 100 S"),
    "one target": (0 * TARGET + 1e-6, TARGET / 50, None, "one state only"),
}


@pytest.mark.parametrize("case", PROGRAMMED)
def test_programming_that_is_none(case: str, capsys: Capture) -> None:
    target, measured, time, said = PROGRAMMED[case]
    write_programming(Path("p.csv"), target, measured, time)
    assert said in refused(capsys, "p.csv")


FLAGS: dict[str, tuple[tuple[object, ...], str]] = {
    "nothing": ((), "needs a TARGET: a file of measured columns"),
    "an unknown flag": (("iv.csv", "--rang", 1, 2), "Unknown argument --rang. Did you mean '--range'?"),
    "a form that is none": (("iv.csv", "--form", "sinus"), "there is no such device. Did you mean 'sinh'?"),
    "a swapped range": (("iv.csv", "--range", 2e-5, 1e-5), "--range 2e-05 1e-05: two conductances"),
    "a range beyond the table": (("iv.csv", "--form", "table", "--range", 1e-9, 1e-5), "leave the states that were"),
    "no number": (("iv.csv", "--range", "low", "high"), "invalid float value"),
    "a range that is none": (("iv.csv", "--range", "nan", "nan"), "two conductances, siemens"),
    "I-V twice": (("iv.csv", "--programming", "iv.csv"), "iv.csv holds I-V, not programming"),
    "programming twice": (("p.csv", "--programming", "p.csv"), "hold programming data: "),
    "a form without I-V": (("p.csv", "--form", "sinh"), "no I-V was given"),
    "pulses without a voltage": (("iv.csv", "--reset", "iv.csv"), "give --read-voltage too"),
    "no voltage": (("p.csv", "--read-voltage", 0), "no voltage at which a current was read"),
    "no pulses": (("iv.csv", "--read-voltage", 0.1), "holds currents of 0 or less"),
    "pulses of words": (("words.csv", "--read-voltage", 0.1), "cells without a number in lines 2"),
    "swapped trains": (("down.csv", "--read-voltage", 0.1), "The two files may be swapped"),
    "a table of one column": (("p.csv", "--programming", "none.csv"), "Cannot read none.csv"),
}  # fmt: skip


@pytest.mark.parametrize("case", FLAGS)
def test_flags_that_do_not_fit(case: str, capsys: Capture) -> None:
    arguments, said = FLAGS[case]
    write_iv(Path("iv.csv"), DEVICE)
    write_programming(Path("p.csv"), TARGET, TARGET * (1 + 0.01 * np.sin(1e9 * TARGET)))
    Path("words.csv").write_text("a,b\n" + "x,y\n" * 9)
    Path("down.csv").write_text("\n".join(["a,b", *(f"{9 - k}e-6,{8.5 - k}e-6" for k in range(5))]))
    assert said in refused(capsys, *arguments)


def test_one_state_with_a_range_is_enough() -> None:
    Path("iv.csv").write_text(of_states("b"))
    assert main(["import-device", "iv.csv", "--range", "1e-6", "5e-5", "--out", "out"]) == 0
