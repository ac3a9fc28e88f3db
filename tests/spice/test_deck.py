from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from spicetrain.errors import ConfigurationError
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice

from .decks import DIVIDER

SPARSE = Ngspice(Path("/bin/ngspice"), 39, klu=False, code_models=True)
KLU = Ngspice(Path("/bin/ngspice"), 46, klu=True, code_models=True)


def with_line(line: str) -> Deck:
    return replace(DIVIDER, circuit=f"{DIVIDER.circuit}\n{line}")


def test_text_is_a_whole_deck() -> None:
    assert DIVIDER.text(SPARSE).splitlines() == [
        "* spicetrain",
        ".options reltol=1e-05 vntol=1e-08 abstol=1e-14 temp=27.0",
        "v1 in 0 0.0",
        "r1 in out 1000.0",
        "r2 out 0 3000.0",
        ".dc v1 0.0 1.0 0.25",
        ".save v(out) i(v1)",
        ".end",
    ]


def test_options_are_overridden_added_and_left_out() -> None:
    deck = replace(DIVIDER, temperature_C=85.0, options={"reltol": 1e-3, "abstol": False, "noopiter": True})
    assert deck.text().splitlines()[1] == ".options reltol=0.001 vntol=1e-08 temp=85.0 noopiter"


def test_klu_only_for_large_decks_in_builds_that_have_it() -> None:
    large = replace(DIVIDER, large=True)
    assert " klu" in large.text(KLU)
    assert all(" klu" not in text for text in (large.text(SPARSE), large.text(), DIVIDER.text(KLU)))


def test_many_saves_are_spread_over_lines() -> None:
    names = tuple(f"v(n{i})" for i in range(250))
    text = replace(DIVIDER, saves=names).text()
    saved = [name for line in text.splitlines() if line.startswith(".save") for name in line.split()[1:]]
    assert tuple(saved) == names
    assert max(map(len, text.splitlines())) < 1000


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("R3 a b nan", "nan"),
        ("R3 a b inf", "inf"),
        ("r3 a b -inf", "inf"),
        ("r3 a b NaN", "NaN"),
        ("c3 a b infinity", "infinity"),
        ("v3 a b dc nan", "nan"),
        ("v3 a 0 pwl(0.0 0.0 1e-9 nan 2e-9 0.0)", "nan"),
        ("i3 a b\n+ nan", "nan"),
        ("b3 a b i={nan*sinh(0.5*v(a,b))}", "nan"),
        ("b3 a b i={1e-6*sinh(inf*v(a,b))}", "inf"),
        ("b3 a b v=v(a)*nan", "nan"),
        ("e3 a b c d nan", "nan"),
        ("g3 a b c d {inf}", "inf"),
        ("m3 a b c d nch w=nan l=1e-7", "nan"),
        ("x3 a b cell w=1e-6 l={inf}", "inf"),
        (".param w=nan", "nan"),
        (".ic v(n)=nan", "nan"),
        (".nodeset v(n)=inf", "inf"),
        (".model t pwl(x_array=[0.0 1.0] y_array=[0.0 nan] input_domain=1e-9)", "nan"),
        ("  r3 a b nan", "nan"),
    ],
)
def test_what_is_not_finite_is_no_value(line: str, word: str) -> None:
    """ngspice takes it for the name of a model, or for a parameter nobody defined."""
    with pytest.raises(ConfigurationError, match=rf"'{word}' in the line '{re.escape(line.strip()[:2])}.*is no value"):
        with_line(line)


@pytest.mark.parametrize(
    "line",
    [
        "* a nan in a comment, inf too",
        "r3 nan inf 1000.0",
        "r3 a b 1000.0 $ nan",
        "r3 a b 1000.0 ; inf",
        "rnan a b 1000.0",
        "b3 a b v=v(nan)*i(inf)+v(nan, inf)",
        "m3 nan g s b inf w=1e-6 l=1e-7",
        "x3 a nan inf",
        "b3 a b v=nano+info+x.inf+inf.x",
        ".include /home/inf/nan/models.lib",
        '.include "/home/inf/nan/models.lib"',
        ".model inf r",
        ".global nan",
        ".subckt inf nan",
        ".param nan=1.0",
    ],
)
def test_nan_and_inf_may_be_a_name(line: str) -> None:
    with_line(line)


def test_letters_that_change_their_length_hide_no_line() -> None:
    with pytest.raises(ConfigurationError, match="'nan' in the line 'r3 a b nan'"):
        with_line("* \u0130\u0130\u0130\u0130\u0130\u0130\u0130\u0130\u0130\nr3 a b nan\nr4 a b 1.0")


def test_analysis_and_options_are_finite() -> None:
    with pytest.raises(ConfigurationError, match="'nan' in the line '.dc v1 0.0 nan 0.25' is no value"):
        replace(DIVIDER, analysis=".dc v1 0.0 nan 0.25")
    with pytest.raises(ConfigurationError, match="'nan' in the line '.options .*temp=nan' is no value"):
        replace(DIVIDER, temperature_C=float("nan"))
    with pytest.raises(ConfigurationError, match="'inf' in the line '.options .*vntol=inf"):
        replace(DIVIDER, options={"vntol": float("inf")})


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("r3 a b 1M", "1M"),
        ("R3 a b 3k", "3k"),
        ("c3 a b 10p", "10p"),
        ("l3 a b 1e-3u", "1e-3u"),
        ("c3 a b 1F", "1F"),
        ("v3 a b dc 0.5V", "0.5V"),
        ("v3 a 0 pulse(0.0 1.0 0.0 1n 1e-9)", "1n"),
        ("i3 a b .5u", ".5u"),
        ("e3 a b c d 10k", "10k"),
        ("g3 a b c d 1m", "1m"),
        ("g3 a b cur=1m*v(a)", "1m"),
        ("b3 a b v=v(a)*2k", "2k"),
        ("r3 a b\n+ 1k", "1k"),
        ("x3 a b cell w=1u l=1e-7", "1u"),
        ("m3 a b c d nch w = 240n l=1e-7", "240n"),
        (".param w=1u", "1u"),
        ("  r3 a b 1k", "1k"),
    ],
)
def test_suffixed_numbers_are_refused_by_name(line: str, number: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"'{number}' in the line"):
        with_line(line)


@pytest.mark.parametrize(
    "line",
    [
        "r3 1a 2k 1e6",
        "r1k 10n 2meg 1.5E+3",
        "v3 a 0 pwl(0.0 1e-3 1.0 -2.5e-10)",
        "e3 1a 2b 3c 4d 1.0",
        "b3 a b v=v(1k)*2.0",
        "b3 a b i='1k*v(a)'",
        "r3 a b {base*1k}",
        'x3 1a 2b cell90n w={1u} l="2n"',
        "m3 1a 2b 3c 4d 90nch w=2.4e-7",
        "* 1k is only said",
        "r3 a b 1.0 ; was 1k",
        ".model nch nmos level=1 tox=2n",
        '.lib "/cards/90n.lib" 1tt',
        ".subckt cell90n 1a 2b",
        "a3 [1a] 2b table1k",
    ],
)
def test_names_expressions_and_models_are_left_alone(line: str) -> None:
    assert line in with_line(line).text()


@pytest.mark.parametrize(
    "line",
    [
        ".meas dc top max v(out)",
        ".MEASURE tran x avg v(out)",
        ".control",
        ".end",
        ".op",
        " .tran 1.0 2.0",
        ".save v(a)",
    ],
)
def test_lines_that_the_deck_cannot_hold_are_refused(line: str) -> None:
    with pytest.raises(ConfigurationError, match="The circuit holds the line"):
        with_line(line)


@pytest.mark.parametrize("line", [".include cards.lib", ".inc 'cards.lib'", ".lib cards.lib tt"])
def test_relative_includes_are_refused(line: str) -> None:
    with pytest.raises(ConfigurationError, match="must be absolute"):
        with_line(line)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"analysis": "dc v1 0 1 1"}, "is not one line"),
        ({"analysis": ".op\n.op"}, "is not one line"),
        ({"analysis": ".noise v(out) v1 dec 1 1 2"}, "is not one line"),
        ({"points": None}, "How many points|how many points"),
        ({"saves": ()}, "saves nothing"),
        ({"analysis": ".dc v1 0 1 10m"}, "'10m' in the line"),
        ({"analysis": ".tran 1e-9", "points": None}, "no stop time"),
    ],
)
def test_an_analysis_that_cannot_be_judged_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        replace(DIVIDER, **change)
