"""Compiled Verilog-A models: whether an ngspice loads them, where their names go, what is said where it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from spicetrain.cli import main
from spicetrain.errors import NgspiceError, TechnologyError
from spicetrain.netlists.cells import models_only, text_of
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import VARIABLE, Ngspice, find_ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology, load_technology

HAS, LACKS = "osdi: too few args.", "osdi: no such command available in ngspice"  # 46 and 39, as tried


def answering(path: Path, says: str, ngspice: Ngspice) -> Path:
    """An ngspice that answers the command as one with it, or without it; what it was set up with is in `path`.init."""
    path.write_text(
        f"#!/bin/sh\n[ -f .spiceinit ] && cp .spiceinit {path}.init && sed -i '/^osdi/d' .spiceinit\n"
        f'[ "$1" = -b ] && echo "{says}"\nexec {ngspice.executable} "$@"\n'
    )
    path.chmod(0o755)
    return path


def compiled(folder: Path, ptm90: Technology, content: bytes = b"\x7fELF", name: str = "psp 103.osdi") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    text = (ptm90.folder / "ptm90.toml").read_text().replace('"ptm90.lib"', f'"{ptm90.library}"\nosdi = ["{name}"]')
    (folder / "own.toml").write_text(text)
    return folder / "own.toml"


def test_what_an_ngspice_has_is_what_it_answers(ngspice: Ngspice, tmp_path: Path) -> None:
    assert find_ngspice(answering(tmp_path / "has", HAS, ngspice)).osdi
    lacks = find_ngspice(answering(tmp_path / "lacks", LACKS, ngspice))
    assert not lacks.osdi and lacks.code_models
    assert ngspice.osdi or ngspice.version < 46


def test_they_are_loaded_before_the_deck_is_read(ngspice: Ngspice, ptm90: Technology, tmp_path: Path) -> None:
    path = answering(tmp_path / "has", HAS, ngspice)
    technology = load_technology(compiled(tmp_path / "a b", ptm90))
    deck = Deck(f"{text_of(models_only(technology))}v1 a 0 1.0\nr1 a 0 1.0", ".op", ("v(a)",), points=1)
    simulate(deck, find_ngspice(path))
    assert Path(f"{path}.init").read_text().splitlines()[-1] == f"osdi '{tmp_path}/a b/psp 103.osdi'"
    with pytest.raises(NgspiceError, match=r"has no OSDI.*apt-get install"):
        simulate(deck, replace(ngspice, osdi=False))


def test_both_commands_end_with_3_where_it_has_none(
    ngspice: Ngspice, ptm90: Technology, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, str(answering(tmp_path / "lacks", LACKS, ngspice)))
    own = compiled(tmp_path, ptm90)
    (tmp_path / "run.toml").write_text(
        'technology = "own.toml"\n[dataset]\nname = "iris"\n[network]\nlayers = [4, 3, 3]\n'
    )
    for verb, target in (("technology", own), ("characterize", tmp_path / "run.toml")):
        assert main([verb, str(target), "--out", str(tmp_path / "out"), "--workers", "1"]) == 3
        assert "has no OSDI" in capsys.readouterr().err


def test_what_they_hold_is_in_the_fingerprint(ptm90: Technology, tmp_path: Path) -> None:
    contents = (("a", b"one"), ("b", b"one"), ("c", b"two"))
    found = [load_technology(compiled(tmp_path / name, ptm90, content)).fingerprint for name, content in contents]
    assert found[0] == found[1] != found[2]
    assert ptm90.fingerprint not in found


def test_a_file_that_is_missing_or_cannot_be_quoted(ptm90: Technology, tmp_path: Path) -> None:
    own = compiled(tmp_path, ptm90)
    (tmp_path / "psp 103.osdi").unlink()
    with pytest.raises(TechnologyError, match=r"transistors.osdi = 'psp 103.osdi' is not a file"):
        load_technology(own)
    for bad in ("it's.osdi", "a;b.osdi", "a$HOME.osdi", "a`b.osdi", "a!b.osdi"):
        with pytest.raises(TechnologyError, match="ngspice cannot be told an OSDI file with"):
            load_technology(compiled(tmp_path, ptm90, name=bad))
