"""Known laws, measured with known scatter, are found again; through the command line, as a user has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measurements import STATES_S, V, currents, iv_text, law, write_iv, write_programming
from numpy.typing import NDArray
from scipy.io import savemat

from spicetrain.array.device import Device
from spicetrain.array.devices.presets import load_preset
from spicetrain.array.devices.table import Table
from spicetrain.array.programming import LogNormal, Polynomial, PolynomialAt, Relative, Saturating, Window
from spicetrain.cli import main
from spicetrain.importing.device import Request, import_device
from spicetrain.technology import Technology, load_technology

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "data" / "devices"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def imported(*arguments: object) -> Device:
    """By the command line, into the folder out."""
    assert main(["import-device", *map(str, arguments), "--out", "out"]) == 0
    assert Path("out/device.png").read_bytes().startswith(b"\x89PNG")
    return load_preset("out/device.toml").memristor


# The example that ships


def test_the_shipped_example_gives_its_law_back(capsys: Capture) -> None:
    """Within four standard errors: those of a weighted fit of 882 points, of a likelihood of 1,500."""
    files = (SHIPPED / "synthetic-iv.csv", "--programming", SHIPPED / "synthetic-programming.csv")
    found = imported(*files)
    assert found.form == "sinh" and found.b_per_V == pytest.approx(2.4, abs=0.012)  # type: ignore[attr-defined]
    assert (found.g_min_S, found.g_max_S) == pytest.approx((1.5e-6, 90e-6), rel=4 * 0.01 / 147**0.5)
    programming = found.programming
    assert isinstance(programming, Polynomial)
    g = np.linspace(5e-6, 90e-6, 9)
    wanted = 1e-6 * np.polyval([-1.1, 2.2, 0.4], g / 90e-6)
    np.testing.assert_allclose(programming.sigma_S(g), wanted, rtol=0.12)
    shown = capsys.readouterr().out
    for text in (
        "882 points of 6 states",
        "scatter 1.00%",
        "1500 programmed conductances on 1500 devices",
        "-> │ sinh",
    ):
        assert text in shown
    assert "synthetic-iv.csv" in Path("out/device.toml").read_text().splitlines()[0]


def test_the_shipped_example_is_what_its_script_makes() -> None:
    command = [sys.executable, str(ROOT / "docs" / "synthetic_device.py"), "--out", "made"]
    subprocess.run(command, check=True, timeout=120)
    for name in ("synthetic-iv.csv", "synthetic-programming.csv"):
        assert (Path("made") / name).read_text() == (SHIPPED / name).read_text()
        assert (SHIPPED / name).stat().st_size < 100_000


def test_a_technology_takes_it(ptm90: Technology) -> None:
    found = imported(SHIPPED / "synthetic-iv.csv")
    text = (ptm90.folder / "ptm90.toml").read_text()
    Path("out/ptm90.lib").write_bytes(ptm90.library.read_bytes())
    head = text[: text.index("[memristor]")]
    Path("out/own.toml").write_text(f'{head}[memristor]\npreset = "device.toml"\n')
    assert load_technology("out/own.toml").memristor == found


# Laws


LAWS: dict[str, tuple[dict[str, float], str, float]] = {
    "ohmic": ({}, "", 0.0),
    "sinh": ({"b_per_V": 3.0}, "b_per_V", 0.05),
    "power": ({"ratio": 3.0, "v_ref_V": 0.25}, "ratio", 0.02),
    "poole-frenkel": ({"b_per_sqrt_V": 2.0}, "b_per_sqrt_V", 0.03),
}


@pytest.mark.parametrize("form", LAWS)
@pytest.mark.parametrize("sweeps", [1, 4])
def test_every_law_is_told_from_the_others_and_found(form: str, sweeps: int) -> None:
    settings, key, within = LAWS[form]
    found = import_device(Request(write_iv(Path("iv.csv"), law(form, **settings), sweeps=sweeps)))
    assert found.current is not None and found.memristor["form"] == form
    assert found.current.scatter.share == pytest.approx(0.01, rel=0.5)
    np.testing.assert_allclose(found.current.fit.states_S, STATES_S, rtol=0.01)
    assert found.current.fit.misfit < 2
    if key:
        assert found.memristor[key] == pytest.approx(settings[key], abs=within)


def unlike(v: NDArray) -> list[NDArray]:
    """Three states, each of a shape of its own, one sweep each."""
    return [g * (np.sinh(b * v) / b)[None] for g, b in zip(STATES_S, (6.0, 3.0, 0.1), strict=True)]


def test_states_that_are_not_proportional_are_a_table() -> None:
    random = np.random.default_rng(3)
    curves = [np.repeat(curve, 3, 0) * (1 + 0.005 * random.standard_normal((3, len(V)))) for curve in unlike(V)]
    Path("iv.csv").write_text(iv_text(curves, V))
    found = imported("iv.csv")
    assert isinstance(found, Table) and len(found.states_S) == 3
    for state, exact in enumerate(unlike(V)):
        away = abs(V) > 0.04
        measured = found.current(found.states_S[state], V)[away]
        np.testing.assert_allclose(measured, exact[0][away], rtol=0.02)
    assert (found.g_min_S, found.g_max_S) == (found.states_S[0], found.states_S[-1])


@pytest.mark.parametrize("sweeps", [1, 5])
def test_the_scatter_is_told_from_the_data_alone(sweeps: int) -> None:
    """A share of the current, and the meter's nanoampere."""
    v = np.linspace(-0.5, 0.5, 401 // sweeps)
    found = import_device(Request(write_iv(Path("iv.csv"), law("sinh", b_per_V=3.0), v, 0.02, sweeps))).current
    assert found is not None and found.scatter.share == pytest.approx(0.02, rel=0.12)
    assert 0.3e-9 < found.scatter.floor_A < 3e-9


def test_a_table_rises_whatever_the_scatter_and_states_that_cross_are_one() -> None:
    random = np.random.default_rng(8)
    states = [unlike(V)[0], 1.001 * unlike(V)[0], unlike(V)[2]]
    curves = [np.repeat(curve, 2, 0) + 4e-8 * random.standard_normal((2, len(V))) for curve in states]
    Path("iv.csv").write_text(iv_text(curves, V))
    found = import_device(Request(Path("iv.csv"), form="table"))
    table = found.device
    assert isinstance(table, Table) and len(table.states_S) == 2
    assert any("1 of the states taken together" in note for note in found.notes)
    np.testing.assert_allclose(table.current(table.states_S[0], 0.5), unlike(V)[0][0, -1], rtol=0.02)
    assert found.current is not None
    np.testing.assert_array_equal(found.current.fit.states_S, np.array(table.states_S)[[0, 0, 1]])


def test_a_form_can_be_asked_for(capsys: Capture) -> None:
    Path("iv.csv").write_text(iv_text(unlike(V), V))
    assert imported("iv.csv", "--form", "sinh", "--range", "1e-6", "5e-5").form == "sinh"
    assert "off by more than the data scatter" in capsys.readouterr().out
    write_iv(Path("iv.csv"), law("sinh", b_per_V=3.0))
    table = imported("iv.csv", "--form", "table")
    assert isinstance(table, Table)
    exact = np.sinh(3 * 0.5) / np.sinh(3 * table.v_read_V) * table.v_read_V
    assert table.current(1e-5, 0.5) == pytest.approx(1e-5 * exact, rel=0.02)


def test_only_positive_voltages_make_an_odd_table() -> None:
    v = V[V >= 0]
    Path("iv.csv").write_text(iv_text(unlike(v), v))
    found = imported("iv.csv")
    assert isinstance(found, Table) and found.voltages_V[0] == 0
    assert found.current(1e-5, -0.3) == pytest.approx(-found.current(1e-5, 0.3), rel=1e-12)


def test_an_offset_of_the_meter_is_taken_off() -> None:
    curves = [curve + 5e-8 for curve in currents(law("ohmic"), V, 0.001, 3)]
    Path("iv.csv").write_text(iv_text(curves, V))
    found = import_device(Request(Path("iv.csv")))
    assert found.memristor["form"] == "ohmic" and any("at 0 V taken off" in note for note in found.notes)


# Files


FORMATS: dict[str, dict[str, Any]] = {
    "iv.csv": {},
    "iv.tsv": {"separator": "\t"},
    "iv.txt": {"separator": " "},
    "iv.dat": {"separator": "|"},
    "semicolons.csv": {"separator": ";"},
    "german.csv": {"separator": ";", "decimal": ","},
}


@pytest.mark.parametrize("name", FORMATS)
def test_texts_however_they_are_separated(name: str) -> None:
    exact = import_device(Request(write_iv(Path("plain.csv"), law("sinh", b_per_V=3.0))))
    write_iv(Path(name), law("sinh", b_per_V=3.0), **FORMATS[name])
    assert import_device(Request(Path(name))).memristor == exact.memristor


def test_other_codings_comments_units_and_an_order_that_is_none() -> None:
    exact = import_device(Request(write_iv(Path("plain.csv"), law("sinh", b_per_V=3.0)))).memristor
    header, *rows = Path("plain.csv").read_text().splitlines()
    cells = [row.split(",") for row in np.random.default_rng(0).permutation(rows)]
    scaled = [f'{1e3 * float(v):.9g},"{1e6 * float(i):.9g}", {state} ,25.1' for v, i, state in cells]
    text = "\r\n".join(["# of the lab", "Voltage (mV),Current [\u00b5A],State,temperature_C", *scaled, "", ""])
    for coding in ("utf-8", "utf-8-sig", "utf-16", "latin-1"):
        Path("other.csv").write_bytes(text.encode(coding))
        found = import_device(Request(Path("other.csv"))).memristor
        assert found["form"] == "sinh" and found["b_per_V"] == pytest.approx(exact["b_per_V"], rel=1e-4)
        assert found["g_max_S"] == pytest.approx(exact["g_max_S"], rel=1e-4)


@pytest.mark.parametrize("kind", ["npz", "mat"])
def test_arrays(kind: str) -> None:
    exact = import_device(Request(write_iv(Path("plain.csv"), law("sinh", b_per_V=3.0)))).memristor
    rows = [row.split(",") for row in Path("plain.csv").read_text().splitlines()[1:]]
    v, i, states = zip(*rows, strict=True)
    arrays: dict[str, Any] = {"voltage_V": np.array(v, float), "current_nA": 1e9 * np.array(i, float)}
    arrays["state"] = np.array(states)
    path = Path(f"iv.{kind}")
    if kind == "npz":
        np.savez(path, **arrays)
    else:
        savemat(path, arrays)
    found = import_device(Request(path)).memristor
    assert found["b_per_V"] == pytest.approx(exact["b_per_V"], rel=1e-5)


def test_a_few_cells_without_a_number_are_left_out_and_said(capsys: Capture) -> None:
    lines = write_iv(Path("iv.csv"), law("sinh", b_per_V=3.0)).read_text().splitlines()
    for number, cell in ((5, ""), (9, "nan"), (14, "inf"), (30, "#DIV/0!")):
        v, _, state = lines[number - 1].split(",")
        lines[number - 1] = f"{v},{cell},{state}"
    Path("iv.csv").write_text("\n".join(lines))
    assert imported("iv.csv").b_per_V == pytest.approx(3.0, abs=0.05)  # type: ignore[attr-defined]
    assert "4 of 189 rows without a number left out: lines 5, 9, 14, 30" in capsys.readouterr().out


# Programming


LEFT: dict[str, Any] = {
    "relative": Relative(form="relative", sigma=0.08),
    "lognormal": LogNormal(form="lognormal", sigma=0.3),
    "window": Window(form="window", half_width=0.02, half_width_S=3e-7),
    "saturating": Saturating(form="saturating", sigma_S=2e-6, scale_S=1.5e-5),
    "polynomial": Polynomial(form="polynomial", coefficients=(0.5, 0.0, 4.0), scale_S=1e-4),
}


@pytest.mark.parametrize("form", LEFT)
def test_every_form_of_programming_is_told_from_the_others_and_found(form: str) -> None:
    random = np.random.default_rng(4)
    target = random.uniform(2e-6, 1e-4, 3000)
    path = write_programming(Path("p.csv"), target, LEFT[form].disturbed(target, random.standard_normal(3000)))
    found = imported(path)
    assert found.form == "ohmic" and found.programming is not None and found.programming.form == form
    g, n = np.linspace(5e-6, 9.5e-5, 7), np.full(7, 0.5)
    error, wanted = (of.disturbed(g, n) - g for of in (found.programming, LEFT[form]))
    np.testing.assert_allclose(error, wanted, rtol=0.12)
    assert (found.g_min_S, found.g_max_S) == pytest.approx((2e-6, 1e-4), rel=0.05)


def test_later_times_are_of_the_law() -> None:
    random = np.random.default_rng(5)
    later = (PolynomialAt(time_s=3600, coefficients=(1, 2)),)
    left = Polynomial(form="polynomial", coefficients=(0.5, 1.0), scale_S=1e-4, later=later)
    target = random.uniform(2e-6, 1e-4, 2000)
    n = random.standard_normal(2000)
    measured = [left.disturbed(target, n, time) for time in (1.0, 3600.0)]
    write_programming(
        Path("p.csv"), np.tile(target, 2), np.concatenate(measured), np.repeat([1.0, 3600.0], 2000)
    )  # fmt: skip
    found = imported("p.csv").programming
    assert isinstance(found, Polynomial)
    g = np.linspace(1e-5, 9e-5, 5)
    for time in (1.0, 60.0, 3600.0):
        np.testing.assert_allclose(found.sigma_S(g, time), left.sigma_S(g, time), rtol=0.1)


def test_what_no_form_knows_is_said(capsys: Capture) -> None:
    random = np.random.default_rng(6)
    target = random.uniform(2e-6, 1e-4, 500)
    write_programming(Path("p.csv"), target, 0.95 * target * (1 + 0.02 * random.standard_normal(500)))
    imported("p.csv")
    shown = capsys.readouterr().out
    assert "devices end -5.0" in shown and "taken as ohmic, which nobody measured" in shown


def test_stuck_devices_are_no_programming_error(capsys: Capture) -> None:
    random = np.random.default_rng(7)
    target = random.uniform(2e-6, 1e-4, 1000)
    measured = target + 1e-6 * random.standard_normal(1000)
    measured[:5] = 2e-4
    write_programming(Path("p.csv"), target, measured)
    imported("p.csv")
    assert "5 devices are more than 6 sigma off" in capsys.readouterr().out


# Pulses


def trains(step_S: float, start_S: float, sigma_S: float, seed: int) -> NDArray:
    """[pulses, trains], siemens."""
    random = np.random.default_rng(seed)
    return start_S + np.cumsum(step_S + sigma_S * random.standard_normal((40, 25)), axis=0)


def write_trains(path: Path, g: NDArray, read_V: float = 0.1) -> Path:
    header = ",".join(f"ramp{k}" for k in range(g.shape[1]))
    path.write_text("\n".join([header, *(",".join(f"{read_V * x:.8g}" for x in row) for row in g)]) + "\n")
    return path


def test_pulses_as_crosssim_has_them(capsys: Capture) -> None:
    write_trains(Path("set.csv"), trains(1e-6, 1e-5, 2e-7, 0))
    write_trains(Path("reset.csv"), trains(-1e-6, 5e-5, 4e-7, 1))
    found = imported("set.csv", "--reset", "reset.csv", "--read-voltage", "0.1")
    assert found.form == "ohmic" and found.programming is None
    assert 8e-6 < found.g_min_S < 1.3e-5 and 4.7e-5 < found.g_max_S < 5.2e-5
    pulses = import_device(Request(Path("set.csv"), reset=Path("reset.csv"), read_voltage=0.1)).pulses
    assert pulses is not None
    for updates, mean, sigma in zip(pulses.updates, (1e-6, -1e-6), (2e-7, 4e-7), strict=True):
        assert updates.dg_S.mean() == pytest.approx(mean, rel=0.05) and updates.dg_S.std() == pytest.approx(
            sigma, rel=0.1
        )
        assert sum(count for *_, count in updates.binned()) == 39 * 25
    shown = capsys.readouterr().out
    assert "Not to be had: the error that program-and-verify leaves" in " ".join(shown.split())


def test_without_a_header_and_with_trains_of_different_lengths() -> None:
    g = trains(1e-6, 1e-5, 2e-7, 0)
    rows = [",".join(f"{0.1 * x:.8g}" for x in (row if k < 30 else row[:5])) for k, row in enumerate(g)]
    Path("set.csv").write_text("\n".join(rows) + "\n")
    pulses = import_device(Request(Path("set.csv"), read_voltage=0.1)).pulses
    assert pulses is not None and len(pulses.updates[0].dg_S) == 29 * 25 + 10 * 5 and not pulses.notes
