"""`spicetrain technology`: figures against decks by hand, the width it proposes, what it says, the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench import simulator

from spicetrain.characterization.check import check
from spicetrain.cli import main
from spicetrain.errors import TechnologyError
from spicetrain.inverter.characterization.check import examined
from spicetrain.look.measure import Look, look_at
from spicetrain.look.rails import Proposal, propose_rails
from spicetrain.look.verdict import Row, _rails, rows_of
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology, UnitInverter, load_technology

pytestmark = pytest.mark.xdist_group("look")  # what its tests share is made once


@pytest.fixture(scope="module")
def look(ptm90: Technology, ngspice: Ngspice) -> Look:
    return look_at(ptm90, simulator(ngspice))


def rows(technology: Technology, ngspice: Ngspice) -> dict[str, Row]:
    figures = check(examined(technology), simulator(ngspice))
    return {row.what: row for row in rows_of(technology, figures, look_at(technology, simulator(ngspice)))}


def by_hand(
    technology: Technology, analysis: str, save: str, points: int, ngspice: Ngspice, **more: float
) -> np.ndarray:
    inverter = """vup vdd 0 0.25
vlow vss 0 -0.25
mn out a vss vss nmos w=240e-9 l=90e-9
mp out a vdd vdd pmos w=560e-9 l=90e-9
va a 0 0.0"""
    deck = Deck(f".include {technology.library}\n{inverter}", analysis, (save,), points, **more)  # type: ignore[arg-type]
    return simulate(deck, ngspice).values[save]


def test_curves_are_those_of_decks_by_hand(look: Look, ptm90: Technology, ngspice: Ngspice) -> None:
    nominal = look.nominal
    v_out = by_hand(ptm90, ".dc va -0.25 0.25 0.05", "v(out)", 11, ngspice)
    np.testing.assert_allclose(nominal.v_out_V[::20], v_out, atol=2e-5)
    hot = by_hand(ptm90, ".dc va -0.25 0.25 0.05", "v(out)", 11, ngspice, temperature_C=125.0)
    np.testing.assert_allclose(look.temperatures[125.0].v_out_V[::20], hot, atol=2e-5)
    assert np.abs(hot - v_out).max() > 1e-2
    leakage = -by_hand(ptm90, ".dc va -0.25 0.25 0.5", "i(vup)", 2, ngspice).mean()
    assert nominal.leakage_A == pytest.approx(leakage, rel=1e-3)
    # A load pulls to the middle; other rails scale the swing.
    highest = [float(vtc.v_out_V[0]) for vtc in look.loads.values()]
    assert highest == sorted(highest, reverse=True) and highest[-1] < 0.95 * highest[0]
    assert look.supplies[0.8].v_in_V[-1] == pytest.approx(0.2) and look.supplies[0.8].swing > 0.95
    # 32.3 uA is the nMOS's published current at 0.5 V on gate and drain.
    v, i = look.output["nmos"][0.25]
    assert i[-1] == pytest.approx(32.3e-6, rel=5e-3) and v[-1] == 0.25
    assert look.output["pmos"][-0.25][1][0] < -1e-5


def test_the_width_it_proposes_centres_the_threshold(look: Look, ptm90: Technology, ngspice: Ngspice) -> None:
    assert look.width == "w" and look.p_factor == pytest.approx(1.0, rel=0.01)
    unit = ptm90.inverter
    narrow = ptm90.changed(inverter=unit.model_copy(update={"pmos": unit.pmos | {"w": 200e-9}}))
    row = rows(narrow, ngspice)["threshold"]
    assert row.state == "warn" and row.advice.startswith("inverter.pmos.w = 5.")
    proposed = float(row.advice.split("=")[1].split()[0])
    assert proposed == pytest.approx(560e-9, rel=0.01)
    weak = ptm90.changed(inverter=unit.model_copy(update={"pmos": unit.pmos | {"w": 90e-9}}))
    assert "No pMOS width" in rows(weak, ngspice)["threshold"].advice


def test_the_rails_it_proposes(look: Look, ptm90: Technology, ngspice: Ngspice) -> None:
    """Its inverter at those rails, by a deck by hand, does what is asked; at lower ones it does not."""
    found, below = look.proposal.smallest, look.proposal.below  # type: ignore[union-attr]
    assert found is not None and below is not None
    assert found.swing_V == pytest.approx(0.5) and found.p_width == pytest.approx(560e-9, rel=0.01)  # PHAX's and ours
    assert below.lacks == ("offset",) and below.swing_V == pytest.approx(0.45)
    row_S = 10 * (ptm90.memristor.g_min_S + ptm90.memristor.g_max_S) / 2
    loaded = f"""vup vdd 0 0.25
vlow vss 0 -0.25
mn out a vss vss nmos w=240e-9 l=90e-9
mp out a vdd vdd pmos w={found.p_width!r} l=90e-9
rl out 0 {1 / row_S!r}
va a 0 0.0"""
    deck = Deck(f".include {ptm90.library}\n{loaded}", ".dc va -0.25 0.25 0.5", ("v(out)",), 2)
    v_out = simulate(deck, ngspice).values["v(out)"]
    assert found.loaded == pytest.approx((v_out[0] - v_out[1]) / 0.5, rel=1e-4)
    sigma_n, sigma_p = 3.5e-9 / np.sqrt(240e-9 * 90e-9), 3.5e-9 / np.sqrt(found.p_width * 90e-9)
    assert found.offset == pytest.approx(np.hypot(sigma_n, sigma_p) / 2 / 0.5, rel=1e-6)
    assert found.gain == pytest.approx(look.nominal.gain, rel=0.02)


def test_rails_of_a_foundrys_library(ngspice: Ngspice) -> None:
    """Below 1.65 V its pMOS needs ten times the nMOS's width and more: its own rails, 1.8 V, are above that."""
    technology = load_technology("gf180mcu")
    proposal = propose_rails(technology, simulator(ngspice))
    assert proposal is not None and proposal.smallest is not None and proposal.below is not None
    assert proposal.below.lacks == ("centre",) and 1.5 < proposal.smallest.swing_V <= 1.8
    rails = technology.rails.model_copy(
        update={"vdd_V": proposal.smallest.swing_V / 2, "vss_V": -proposal.smallest.swing_V / 2}
    )
    unit = technology.inverter
    wider = unit.model_copy(update={"pmos": unit.pmos | {"w": proposal.smallest.p_width}})
    figures = check(examined(technology.changed(rails=rails, inverter=wider)), simulator(ngspice))
    assert abs(figures["inverter"]["switches_at_V"]) < 0.02 * proposal.smallest.swing_V


def test_rails_that_are_too_low_are_told(ptm90: Technology, look: Look, made_up: Technology) -> None:
    low = ptm90.changed(rails=ptm90.rails.model_copy(update={"vdd_V": 0.2, "vss_V": -0.2}))
    row = _rails(low, look)
    assert row.state == "warn" and "proposal: 0.25 and -0.25 V" in row.advice and "sigma of the trip" in row.advice
    assert _rails(ptm90, look).state == "ok" and "smallest proposal: 0.25 and -0.25 V" in _rails(ptm90, look).figure
    none = replace(look, proposal=Proposal(None, look.proposal.below))  # type: ignore[union-attr]
    assert "No proposal up to 450 mV: sigma" in _rails(ptm90, none).advice
    assert "no proposal" in _rails(ptm90, replace(look, proposal=None)).figure
    # sizes by names that are not known as widths
    assert (
        propose_rails(made_up.changed(inverter=UnitInverter(nmos={"nfin": 2.0}, pmos={"nfin": 4.0})), simulator())
        is None
    )


def test_a_row_a_question(made_up: Technology, ptm90: Technology, ngspice: Ngspice) -> None:
    found = rows(ptm90, ngspice)
    assert {row.state for what, row in found.items() if what != "corners"} == {"ok"}
    assert "A_VT" not in found["mismatch"].advice and "23.8 mV" in found["mismatch"].figure
    named = made_up.changed(corners={"ss": "slow", "ff": "fast"})
    found = rows(named, ngspice)
    assert "(ff)" in found["corners"].figure and found["mismatch"].state == "warn"
    assert "[corners]" in rows(made_up, ngspice)["corners"].advice


def test_the_verb(made_up: Technology, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(made_up.folder / "made_up.toml")
    assert main(["technology", path, "--out", str(tmp_path / "seen")]) == 0
    said, page = capsys.readouterr().out, (tmp_path / "seen" / "technology.html").read_text()
    assert "threshold" in said and "[corners]" in said
    assert page.count("<svg") == 4 and "VTC over temperature" in page and "made-up" in page
    assert main(["technology", path, "--corner", "ss", "--out", str(tmp_path / "seen")]) == 2
    assert "no corner 'ss'" in capsys.readouterr().err
    assert main(["technology", "ptm9"]) == 2 and "Did you mean 'ptm90'" in capsys.readouterr().err
    assert main(["technology"]) == 2 and "a technology (" in capsys.readouterr().err
    assert main(["technology", path, "--training.epochs", "3"]) == 2


def test_what_is_wrong_is_said_with_exit_2(ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    text = (ptm90.folder / "ptm90.toml").read_text().replace('"ptm90.lib"', f'"{ptm90.library}"')
    text = text.replace('nmos = "nmos"\npmos = "pmos"', 'nmos = "pmos"\npmos = "nmos"')
    (tmp_path / "swapped.toml").write_text(text)
    assert main(["technology", str(tmp_path / "swapped.toml"), "--out", str(tmp_path)]) == 2
    with pytest.raises(TechnologyError, match="likely swapped"):
        models = ptm90.transistors.model_copy(update={"nmos": "pmos", "pmos": "nmos"})
        check(examined(ptm90.changed(transistors=models)), simulator(ngspice))
    assert not (tmp_path / "technology.html").exists()
