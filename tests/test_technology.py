"""The shipped cards against the published check currents, and what a wrong technology is answered with."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from spicetrain.array.devices.ohmic import Ohmic
from spicetrain.array.devices.sinh import Sinh
from spicetrain.errors import TechnologyError
from spicetrain.inverter.netlists.cells import new_circuit
from spicetrain.netlists.cells import text_of
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.storage import content_hash, sha256_of_file
from spicetrain.technology import Technology, load_technology


def test_the_cards_give_the_published_currents(ptm90: Technology, ngspice: Ngspice) -> None:
    circuit = f".include {ptm90.library}\nvd d 0 0.5\nvg g 0 0.0\nm1 d g 0 0 nmos w=240e-9 l=90e-9"
    answer = simulate(Deck(circuit, ".dc vg 0.0 1.0 0.5", ("i(vd)",), points=3), ngspice)
    np.testing.assert_allclose(-answer.values["i(vd)"], [1.73e-9, 32.3e-6, 169.7e-6], rtol=5e-3)


def test_ptm90_is_near_threshold_around_ground_with_the_devices_of_phax(ptm90: Technology) -> None:
    assert (ptm90.rails.vdd_V, ptm90.rails.vss_V) == (0.25, -0.25)
    assert 1 / ptm90.memristor.g_max_S == pytest.approx(127e3, rel=2e-3)
    assert 1 / ptm90.memristor.g_min_S == pytest.approx(8.33e6, rel=2e-3)


def test_the_threshold_of_its_inverter_is_mid_rail(ptm90: Technology, ngspice: Ngspice) -> None:
    unit = ptm90.inverter
    circuit = (
        f".include {ptm90.library}\nvdd vdd 0 0.25\nvss vss 0 -0.25\n"
        f"mn a a vss vss nmos w={unit.nmos['w']} l={unit.nmos['l']}\n"
        f"mp a a vdd vdd pmos w={unit.pmos['w']} l={unit.pmos['l']}"
    )
    (v,) = simulate(Deck(circuit, ".op", ("v(a)",), points=1), ngspice).values["v(a)"]
    assert abs(v) < 1e-3


def test_rails_have_a_middle(made_up: Technology) -> None:
    assert made_up.rails.mid_V == pytest.approx(0.3)
    assert made_up.rails.half_swing_V == pytest.approx(0.3)


def test_the_sinh_bends_as_its_series_says() -> None:
    device = Sinh(g_min_S=1e-7, g_max_S=1e-5, b_per_V=0.05)
    assert device.nonlinearity(0.5) == pytest.approx((0.05 * 0.5) ** 2 / 6, rel=1e-3)
    assert device.nonlinearity(0.0) == 0.0
    assert Ohmic(g_min_S=1e-7, g_max_S=1e-5).nonlinearity(0.5) == 0.0
    assert math.isclose(device.nonlinearity(-0.5), device.nonlinearity(0.5))


Change = tuple[str, str]


def variant(made_up: Technology, folder: Path, toml: Change = ("", ""), library: Change = ("", "")) -> Path:
    """The made-up technology in `folder`, with one text replaced in its TOML or in its library."""
    path = folder / "own.toml"
    (folder / "models").mkdir()
    sources = (made_up.folder / "made_up.toml", made_up.library)
    for source, copy, change in zip(sources, (path, folder / "models" / "made_up.lib"), (toml, library), strict=True):
        text = source.read_text()
        assert change[0] in text
        copy.write_text(text.replace(*change, 1))
    return path


def test_the_fingerprint_follows_content_not_place(made_up: Technology, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abcd"]
    for folder in folders:
        folder.mkdir()
    changes: list[tuple[Change, Change]] = [
        (("", ""), ("", "")),
        (("40.0", "41.0"), ("", "")),
        (("", ""), ("0.22", "0.23")),
        (('section = "slow"', 'section = "fast"'), ("", "")),
    ]
    found = [
        load_technology(variant(made_up, folder, *change)).fingerprint
        for folder, change in zip(folders, changes, strict=True)
    ]
    assert found[0] == made_up.fingerprint
    assert len(set(found)) == 4


def test_the_fingerprint_follows_what_the_library_includes(made_up: Technology, tmp_path: Path) -> None:
    found = []
    for folder, vto in (("a", "0.2"), ("b", "0.2"), ("c", "0.21")):
        (tmp_path / folder).mkdir()
        model = ".model nraw nmos level=1 vto=0.2 kp=2e-4 lambda=0.2"
        path = variant(made_up, tmp_path / folder, library=(model, '.include "cards/n.inc"'))
        (path.parent / "models" / "cards").mkdir()
        (path.parent / "models" / "cards" / "n.inc").write_text(model.replace("0.2 kp", f"{vto} kp"))
        found.append(load_technology(path).fingerprint)
    assert found[0] == found[1] != found[2]


def test_a_library_that_includes_nothing_keeps_its_fingerprint(ptm90: Technology) -> None:
    """Run folders and caches name it."""
    definition = ptm90.model_dump(exclude={"folder", "description", "mismatch"})
    for statistics in ("programming", "levels", "stuck", "read_noise", "drift"):
        del definition["memristor"][statistics]
    assert ptm90.fingerprint == content_hash(definition, sha256_of_file(ptm90.library))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("multiplicity", "multiplicty", "'transistors.multiplicty'. Did you mean 'multiplicity'?"),
        ("vdd_V = 0.6", "vdd_V = -0.6", "rails.vdd_V = -0.6 is not above rails.vss_V = 0.0"),
        ("vdd_V = 0.6", "vdd_V = inf", "rails.vdd_V"),
        ("g_min_S = 1e-6", "g_min_S = 1e-4", "memristor.g_min_S = 0.0001 is not below memristor.g_max_S"),
        ("g_min_S = 1e-6", "g_min_S = 0", "memristor.g_min_S = 0"),
        ("g_min_S = 1e-6", "form = 'sinh'\ng_min_S = 1e-6", "key 'memristor.b_per_V' is missing"),
        ('element = "X"', 'element = "Q"', "transistors.element = 'Q'"),
        ('nmos = "nch_lvt"', 'nmos = "nch lvt"', "transistors.nmos = 'nch lvt'"),
        ("models/made_up.lib", "models/madeup.lib", "'models/madeup.lib' is not a file"),
        ('name = "made-up"', 'name = "made-up"\nfolder = "/"', "'folder' is not a key"),
        ("temperature_C = 40.0", "temperature_C = -300", "temperature_C = -300"),
    ],
)
def test_a_wrong_file_is_named_with_the_value(
    old: str, new: str, said: str, made_up: Technology, tmp_path: Path
) -> None:
    path = variant(made_up, tmp_path, (old, new))
    with pytest.raises(TechnologyError) as caught:
        load_technology(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_path_with_spaces_is_refused_where_ngspice_cannot_read_it(
    made_up: Technology, ptm90: Technology, tmp_path: Path, ngspice: Ngspice
) -> None:
    folder = tmp_path / "my own"
    folder.mkdir()
    with pytest.raises(TechnologyError, match="from a path with spaces"):
        load_technology(variant(made_up, folder))
    for file in ("ptm90.toml", "ptm90.lib"):  # no section: an .include
        (folder / file).write_bytes((ptm90.folder / file).read_bytes())
    circuit = new_circuit(load_technology(folder / "ptm90.toml"))
    simulate(Deck(text_of(circuit), ".op", ("i(vvdd)",), points=1), ngspice)


def test_unknown_names_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(TechnologyError, match=r"'ptm9'\. Did you mean 'ptm90'\?"):
        load_technology("ptm9")
    with pytest.raises(TechnologyError, match="There is no technology"):
        load_technology(tmp_path / "none.toml")
