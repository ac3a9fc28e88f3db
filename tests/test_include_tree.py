"""The files that we hash are the files that ngspice reads: it answers beside us, for every way to write an include."""

from __future__ import annotations

from pathlib import Path

import pytest

from spicetrain.errors import SimulationError, TechnologyError
from spicetrain.include_tree import checksums
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate

CELL = ".subckt cell a b\nr1 a b 100.0\n.ends\n"
SECTIONS = f".lib aa\n{CELL.replace('100', '300')}.endl\n.lib bb\n{CELL}.endl\n"
TWO = ".lib tt\n{}\n.endl\n.lib ff\n{}\n.endl\n"  # tt is the section that is used
Files = dict[str, str]


def write(folder: Path, files: Files) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.replace("FOLDER", str(folder)).encode())
    return folder / "top.lib"


def resistance(library: Path, section: str | None, ngspice: Ngspice) -> float:
    """What ngspice makes of the cell that the library defines."""
    line = f'.include "{library}"' if section is None else f'.lib "{library}" {section}'
    deck = Deck(f"{line}\nv1 a 0 1.0\nx1 a 0 cell", ".op", ("i(v1)",), points=1)
    return -1 / float(simulate(deck, ngspice, timeout_s=60).values["i(v1)"][0])


INCLUDED = [
    ".include nested.inc",
    '.INC "nested.inc"',
    "\t.Include  'nested.inc' ; the models",
    ".inc nested.inc$ no comment".replace("$", " $"),
    ".include nested.inc // the models",
    ".include nested.inc;the models",
    ".include nested.inc and more",
    ".include nested.inc\r",
    ".include FOLDER/nested.inc",
    ".include ./deeper/../nested.inc",
    "* .include missing.inc\n.include nested.inc",
    ".if (0)\n.include missing-not.inc\n.endif\n.include nested.inc",
]
WHOLE: list[Files] = [
    {"top.lib": f"{line}\n", "nested.inc": CELL, "missing-not.inc": "*\n", "deeper/c.inc": "*\n"} for line in INCLUDED
] + [
    {"top.lib": '.include "my models.inc"\n', "my models.inc": CELL},
    {"top.lib": ".include deeper/a.inc\n", "deeper/a.inc": ".include b.inc\n", "deeper/b.inc": CELL, "b.inc": "*\n"},
    {"top.lib": ".lib FOLDER/other.lib bb\n", "other.lib": SECTIONS},
    {"top.lib": "*\n.lib 'FOLDER/other.lib'\n* in between\n+ \"BB\" ; the models\n", "other.lib": SECTIONS},
    {
        "top.lib": f".subckt cell a b\n.include body.inc\n.ends\n{CELL.replace('cell', 'b')}",
        "body.inc": "r1 a b 100.0\n",
    },
]
OF_SECTION: list[Files] = [
    {"top.lib": TWO.format(".lib other.lib bb", ".lib missing.lib aa"), "other.lib": SECTIONS},
    {"top.lib": TWO.format(".lib top.lib bb", ".lib top.lib tt") + SECTIONS},
    {"top.lib": f"*\n.lib tt ; typical\n{CELL}.endl\n"},
    {"top.lib": f"*\n.lib tt $typical\n{CELL}.endl\n"},
    {"top.lib": TWO.format(".LIB other.lib\n+ BB", ""), "other.lib": SECTIONS},
    {"top.lib": TWO.format(".include deeper/a.inc", ""), "deeper/a.inc": ".lib other.lib bb\n", "other.lib": SECTIONS},
    {
        "top.lib": TWO.format(".lib deeper/a.lib x", ""),
        "deeper/a.lib": ".lib x\n.inc b.inc\n.endl\n",
        "deeper/b.inc": CELL,
    },
    {
        "top.lib": TWO.format(".lib deeper/a.lib x", ""),
        "deeper/a.lib": ".lib x\n.lib b.lib bb\n.endl\n",
        "deeper/b.lib": SECTIONS,
    },
    {
        "top.lib": TWO.format(".lib other.lib go", "") + f".lib tail\n{CELL}.endl\n",
        "other.lib": ".lib go\n.lib top.lib tail\n.endl\n",
    },
]


@pytest.mark.parametrize("files", [*WHOLE, *OF_SECTION], ids=range(len(WHOLE + OF_SECTION)))
def test_what_ngspice_reads_is_hashed(files: Files, tmp_path: Path, ngspice: Ngspice) -> None:
    section = None if files in WHOLE else "TT"
    library = write(tmp_path, files)
    before = checksums(library, section)
    assert resistance(library, section, ngspice) == pytest.approx(100)
    changed = {name: text.replace("100", "200") for name, text in files.items()}
    write(tmp_path, changed)
    assert resistance(library, section, ngspice) == pytest.approx(200)
    after = checksums(library, section)
    assert len(after) == len(before) and after != before


REFUSED: list[tuple[Files, str | None, str]] = [
    (
        {"top.lib": f"{CELL}.include missing.inc\n"},
        None,
        "top.lib, line 4: '.include missing.inc': 'missing.inc' is not a",
    ),
    (
        {"top.lib": "*\n.include nested.inc\n", "nested.inc": f"{CELL}.inc x"},
        None,
        "nested.inc, line 4: '.inc x': 'x' is",
    ),
    ({"top.lib": f"{CELL}.include my models.inc\n", "my models.inc": "*\n"}, None, "'my' is not a file"),
    ({"top.lib": f"{CELL}.include\n+ nested.inc\n", "nested.inc": "*\n"}, None, "line 4: '.include': '' is not a file"),
    ({"top.lib": TWO.format(CELL, ".include missing.inc")}, "tt", "'missing.inc' is not a file"),
    (
        {"top.lib": TWO.format(".lib missing.lib aa", CELL)},
        "tt",
        "line 2: '.lib missing.lib aa': 'missing.lib' is not a",
    ),
    ({"top.lib": TWO.format(CELL, "")}, "ttt", "top.lib has no section 'ttt'. Did you mean 'tt'?"),
    (
        {"top.lib": TWO.format(".lib o.lib cc", ""), "o.lib": SECTIONS},
        "tt",
        "o.lib has no section 'cc'. Known: aa, bb.",
    ),
    ({"top.lib": TWO.format(CELL, "")}, None, "name one of them by transistors.section"),
    (
        {"top.lib": "*\n.lib o.lib bb\n", "o.lib": SECTIONS},
        None,
        "ngspice looks for this file in its own working folder",
    ),
    ({"top.lib": f"{CELL}.include a.inc\n", "a.inc": ".include top.lib\n"}, None, "the file includes itself"),
    ({"top.lib": TWO.format(".include top.lib", "")}, "tt", "the file includes itself"),
]


@pytest.mark.parametrize(("files", "section", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_ngspice_does_not_read_is_refused(
    files: Files, section: str | None, said: str, tmp_path: Path, ngspice: Ngspice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    library = write(tmp_path, files)
    with pytest.raises(SimulationError):
        resistance(library, section, ngspice)
    with pytest.raises(TechnologyError) as caught:
        checksums(library, section)
    assert said in str(caught.value)


def test_sections_that_call_each_other_are_refused(tmp_path: Path) -> None:
    """ngspice would take them in for ever."""
    library = write(tmp_path, {"top.lib": TWO.format(".lib top.lib ff", ".lib top.lib tt")})
    with pytest.raises(TechnologyError, match="line 5: '.lib top.lib tt': this section calls itself|line 2: .* itself"):
        checksums(library, "tt")


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = write(tmp_path, {"top.lib": ".include a.inc\n", "a.inc": CELL})

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(TechnologyError, match=r"Cannot read the model file .*top.lib: Permission denied"):
        checksums(library, None)
