"""Other dialects by a tokenizer of their rules; HSPICE's in ngspice's own mode for it, Xyce's subcircuit in ngspice."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bent import BENDING, bending
from numpy.typing import NDArray
from test_maps import random_network
from test_subckt import WIRES, by_our_own, printed, written
from tiny import finished

from spicetrain.cli import main
from spicetrain.errors import ConfigurationError
from spicetrain.exporting.dialects import DIALECTS
from spicetrain.inverter.network import Network
from spicetrain.spice.ngspice import Ngspice
from spicetrain.technology import Technology

KINDS = ["plain", "section", "wires", "mid-rail", *BENDING]


def rewritten(dialect: str, kind: str, ptm90: Technology, made_up: Technology, folder: Path) -> tuple[Path, Network]:
    technology = {"section": made_up, "wires": ptm90.changed(wires=WIRES)}.get(kind, ptm90)
    technology = bending(ptm90, kind) if kind in BENDING else technology
    network = replace(random_network(technology, 5, 3, 2), ground_S=1e-6 if kind == "mid-rail" else 0.0)
    deck = written(network, technology, inputs_of(network), folder)
    subcircuit, own = folder / "network.sub", DIALECTS[dialect]
    deck_text, text = own.of_deck(deck.read_text()), own.of_subcircuit(subcircuit.read_text())
    subcircuit.write_text(text)
    deck.write_text(deck_text)
    return deck, replace(network, about={"technology": technology})


def inputs_of(network: Network) -> NDArray:
    return np.random.default_rng(3).random(network.layers[0])


def cards(*files: Path) -> list[str]:
    """Whole cards: comments left out, continued lines joined."""
    lines = [line for file in files for line in file.read_text().splitlines() if line and not line.startswith("*")]
    return re.sub(r"\n\+", "", "\n".join(lines)).splitlines()


def by_its_print_line(deck: Path, ngspice: Ngspice) -> list[float]:
    """In ngspice's mode for HSPICE."""
    (deck.parent / ".spiceinit").write_text("set ngbehavior=hs\n")
    done = subprocess.run(
        [ngspice.executable, "-b", deck.name], capture_output=True, text=True, cwd=deck.parent, timeout=60
    )
    rows = re.findall(r"^0\t(.*)$", done.stdout, re.MULTILINE)
    assert rows, done.stdout + done.stderr
    return [float(word) for word in rows[0].split()[1:]]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "table"])
def test_hspice_s_is_the_same_circuit(
    kind: str, ptm90: Technology, made_up: Technology, ngspice: Ngspice, tmp_path: Path
) -> None:
    deck, network = rewritten("hspice", kind, ptm90, made_up, tmp_path / "out")
    own = by_our_own(network, network.about["technology"], inputs_of(network), ngspice)
    np.testing.assert_allclose(by_its_print_line(deck, ngspice), own, rtol=0, atol=1e-6)
    found = cards(deck, deck.parent / "network.sub")
    assert not any("{" in card or "pow(" in card or card[0] in "Bb" for card in found)
    assert not any(card.startswith((".control", ".options ")) for card in found)
    assert any(" tnom=27.0" in card for card in found)  # HSPICE's own is 25


@pytest.mark.parametrize("kind", KINDS)
def test_xyce_s_is_what_its_reference_guide_says(
    kind: str, ptm90: Technology, made_up: Technology, ngspice: Ngspice, tmp_path: Path
) -> None:
    """Rules of the Xyce Reference Guide (.SUBCKT, X, B, .OPTIONS, .DC, .PRINT), and the subcircuit in ngspice, which
    takes PARAMS: and has another word for a table."""
    deck, network = rewritten("xyce", kind, ptm90, made_up, tmp_path / "out")
    subcircuit = deck.parent / "network.sub"
    for card in cards(deck, subcircuit):
        first, *words = card.split()
        if first[0] in "Xx" or first == ".subckt":
            assigned = [k for k, word in enumerate(words) if "=" in word]
            assert not assigned or words[assigned[0] - 1] == "PARAMS:" and words.count("PARAMS:") == 1
        elif first[0] in "Bb":
            assert re.fullmatch(r"I=\{.*\}", words[2]) and "pow(" not in card and "pwl(" not in card
        elif first[0] == ".":
            assert first in (".include", ".lib", ".ends", ".options", ".dc", ".print", ".end")
        assert first != ".options" or words[0] in ("device", "nonlin")
    outputs = [f"v(o_{j})" for j in range(network.layers[-1])]
    assert cards(deck)[-2] == f".print dc precision=12 {' '.join(outputs)}"
    subcircuit.write_text(subcircuit.read_text().replace("table(", "pwl("))
    text = deck.read_text().replace(".options device temp", ".options temp")
    text = re.sub(r"\.options nonlin.*", ".options reltol=1e-5 vntol=1e-8 abstol=1e-14", text)
    control = [".control", "set numdgt=12", "op", *(f"print {one}" for one in outputs), "quit", ".endc", ".end", ""]
    deck.write_text(re.sub(r"\.dc (.|\n)*", "\n".join(control), text))
    own = by_our_own(network, network.about["technology"], inputs_of(network), ngspice)
    np.testing.assert_allclose(printed(deck, ngspice, tmp_path), own, rtol=0, atol=1e-6)


def test_a_run_is_exported_in_a_dialect(ngspice: Ngspice, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.sp"
    words = ["export", str(finished().folder), "--to", "subckt", "--dialect", "hspice", "--out", str(path)]
    assert main(words) == 0
    deck = tmp_path / "net-image-0.cir"
    assert "hspice <this file>" in deck.read_text() and "In the words of hspice" in path.read_text()
    expected = [float(v) for v in re.findall(r"^\*   v\(o_\d\) = (\S+)$", deck.read_text(), re.MULTILINE)]
    np.testing.assert_allclose(by_its_print_line(deck, ngspice), expected, rtol=0, atol=5e-3)
    for more, told in (
        (["--to", "subckt", "--dialect", "spectra"], "Unknown dialect 'spectra'"),
        (["--to", "csv", "--dialect", "xyce"], "--dialect is of `--to subckt`"),
    ):
        assert main(["export", str(finished().folder), *more]) == 2
        assert told in capsys.readouterr().err


def test_what_hspice_would_round_is_refused(ptm90: Technology, made_up: Technology, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="form = 'table' are straight lines"):
        rewritten("hspice", "table", ptm90, made_up, tmp_path / "out")
