"""The shipped cards against the published check currents, and what a wrong technology is answered with."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from spicetrain.array.devices.ohmic import Ohmic
from spicetrain.array.devices.sinh import Sinh
from spicetrain.array.wires import Wires
from spicetrain.errors import TechnologyError
from spicetrain.inverter.netlists.cells import new_circuit
from spicetrain.netlists.cells import models_only, text_of, transistor
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.storage import content_hash, sha256_of_file
from spicetrain.technology import Technology, load_technology
from spicetrain.variation import VariationSettings, statistics_of


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
    definition = ptm90.model_dump(exclude={"folder", "description", "mismatch", "corners", "wires"})
    for later in ("package", "includes", "osdi", "params", "setup", "geometry_unit_m"):
        del definition["transistors"][later]
    for later in ("programming", "levels", "stuck", "read_noise", "drift", "pitch_m"):
        del definition["memristor"][later]
    assert ptm90.fingerprint == content_hash(definition, sha256_of_file(ptm90.library))


def test_wires_without_a_capacitance_by_length_keep_their_fingerprint(ptm90: Technology) -> None:
    """Networks that were trained with them are of it."""
    wired = ptm90.changed(wires=Wires(row_ohm=5.0, column_ohm=5.0))
    definition = wired.model_dump(exclude={"folder", "description", "mismatch", "corners"})
    for later in ("row_F_per_m", "column_F_per_m", "tile_rows", "row_order"):
        del definition["wires"][later]
    for later in ("package", "includes", "osdi", "params", "setup", "geometry_unit_m"):
        del definition["transistors"][later]
    for later in ("programming", "levels", "stuck", "read_noise", "drift", "pitch_m"):
        del definition["memristor"][later]
    assert wired.fingerprint == content_hash(definition, sha256_of_file(ptm90.library))
    wires = Wires(row_ohm=5.0, column_ohm=5.0, pitch_m=1e-6, row_F_per_m=1e-10)
    assert ptm90.changed(wires=wires).fingerprint != wired.fingerprint


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


# Of a library as foundries write them: a file that comes first, a switch, sizes in micrometres, two multiplicities.
FOUNDRY = """* switches
.param swing = 0
"""
FOUNDRY_LIBRARY = """* cells
.lib typ
.param vt=0.2
.include cells.inc
.endl
.lib slow
.param vt=0.25
.include cells.inc
.endl
"""
FOUNDRY_CELLS = """.model nraw nmos level=1 vto={vt} kp=2e-4 lambda=0.2
.model praw pmos level=1 vto={-vt} kp=2e-4 lambda=0.2
.subckt ncell d g s b w=1 l=1 mult=1
m1 d g s b nraw w={w*1e-6*(1+swing)} l={l*1e-6}
.ends
.subckt pcell d g s b w=1 l=1 mult=1
m1 d g s b praw w={w*1e-6*(1+swing)} l={l*1e-6}
.ends
"""
FOUNDRY_TOML = """name = "foundry"
[rails]
vdd_V = 0.5
vss_V = -0.5
[transistors]
includes = ["first.inc"]
library = "cells.lib"
section = "typ"
params = { swing = 1.0 }
setup = { ngbehavior = "hsa", ng_nomodcheck = true }
element = "X"
nmos = "ncell"
pmos = "pcell"
multiplicity = ["m", "mult"]
geometry_unit_m = 1e-6
[corners]
tt = "typ"
ss = "slow"
[inverter]
nmos = { w = 2.0, l = 0.5 }
pmos = { w = 2.0, l = 0.5 }
[mismatch]
convention = "single"
nmos = { A_VT_Vm = 4e-9, w_more_m = 0.25e-6, l_more_m = -0.1e-6 }
pmos = { A_VT_Vm = 4e-9 }
[memristor]
g_min_S = 1e-7
g_max_S = 1e-5
"""


def foundry(folder: Path, toml: Change = ("", "")) -> Path:
    assert toml[0] in FOUNDRY_TOML
    for name, text in (("first.inc", FOUNDRY), ("cells.lib", FOUNDRY_LIBRARY), ("cells.inc", FOUNDRY_CELLS)):
        (folder / name).write_text(text)
    path = folder / "foundry.toml"
    path.write_text(FOUNDRY_TOML.replace(*toml, 1))
    return path


def on_A(technology: Technology, ngspice: Ngspice, fingers: float = 1.0) -> float:
    """Of the unit nMOS from rail to rail."""
    line = transistor("n", "nmos", ("vdd", "vdd", "vss", "vss"), technology.inverter.nmos, technology, fingers)
    circuit = f"{text_of(models_only(technology))}{line}vh vdd 0 0.5\nvl vss 0 -0.5"
    return -float(simulate(Deck(circuit, ".op", ("i(vh)",), points=1), ngspice).values["i(vh)"][0])


def level_1(vto: float, width: float = 2.0) -> float:
    """Saturated: kp / 2 W / L (V_gs - V_T)^2 (1 + lambda V_ds), plus gmin."""
    return 2e-4 / 2 * width / 0.5 * (1 - vto) ** 2 * 1.2


def test_a_library_as_foundries_write_them(ngspice: Ngspice, tmp_path: Path) -> None:
    technology = load_technology(foundry(tmp_path))
    # The switch that the included file turns off is on: what we say counts.
    assert on_A(technology, ngspice) == pytest.approx(2 * level_1(0.2), rel=1e-6)
    assert on_A(technology, ngspice, 2.5) == pytest.approx(5 * level_1(0.2), rel=1e-6)
    assert on_A(technology.at_corner("ss"), ngspice) == pytest.approx(2 * level_1(0.25), rel=1e-6)
    assert "m=2.5 mult=2.5" in transistor("n", "nmos", ("d", "g", "s", "b"), {"w": 1.0}, technology, 2.5)
    off = load_technology(foundry(tmp_path, ("params = { swing = 1.0 }\n", "")))
    assert on_A(off, ngspice) == pytest.approx(level_1(0.2), rel=1e-6)


def test_what_the_library_is_read_with_is_told_to_ngspice(ngspice: Ngspice, tmp_path: Path) -> None:
    said = []
    for change in (("", ""), ('setup = { ngbehavior = "hsa", ng_nomodcheck = true }\n', "")):
        circuit = f"{text_of(models_only(load_technology(foundry(tmp_path, change))))}v1 a 0 1.0\nr1 a 0 1.0"
        said.append(simulate(Deck(circuit, ".op", ("v(a)",), points=1), ngspice).messages)
    assert "hs a" in said[0] and "hs a" not in said[1]


def test_sizes_in_the_librarys_unit(tmp_path: Path) -> None:
    technology = load_technology(foundry(tmp_path))
    statistics = statistics_of(technology, VariationSettings())
    area_um2 = (2.0 + 0.25) * (0.5 - 0.1)  # the effective gate's
    assert statistics.sigma("nmos", technology.inverter.nmos)[0] == pytest.approx(4e-3 / math.sqrt(area_um2))
    assert statistics.sigma("pmos", technology.inverter.pmos)[0] == pytest.approx(4e-3)
    wrong = load_technology(foundry(tmp_path, ("geometry_unit_m = 1e-6\n", "")))
    with pytest.raises(TechnologyError, match=r"units of 1 m \(transistors.geometry_unit_m\)"):
        statistics_of(wrong, VariationSettings()).sigma("nmos", wrong.inverter.nmos)


def test_whatever_a_library_is_read_with_is_in_the_fingerprint(tmp_path: Path) -> None:
    changes = [
        ("", ""), ("swing = 1.0", "swing = 0.5"), ('"hsa"', '"lt"'), ('section = "typ"', 'section = "slow"'),
        ('multiplicity = ["m", "mult"]', 'multiplicity = "m"'), ("geometry_unit_m = 1e-6\n", ""),
    ]  # fmt: skip
    found = [load_technology(foundry(tmp_path, change)).fingerprint for change in changes]
    path = foundry(tmp_path)
    (tmp_path / "first.inc").write_text(FOUNDRY.replace("0", "0.1"))
    found.append(load_technology(path).fingerprint)
    assert len(set(found)) == len(found)
    # Which corners there are besides is not.
    (tmp_path / "first.inc").write_text(FOUNDRY)
    assert load_technology(foundry(tmp_path, ('ss = "slow"\n', ""))).fingerprint == found[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"first.inc"', '"second.inc"', "transistors.includes = 'second.inc' is not a file"),
        ('ss = "slow"', 'ss = "slo"', "has no section 'slo'. Did you mean 'slow'?"),
        ('ngbehavior = "hsa"', 'ngbehavior = "hsa; shell ls"', "is not a plain word"),
        ("ng_nomodcheck", "ng_nomodchek", "transistors.setup.ng_nomodchek"),
        ("swing = 1.0", "swing = nan", "transistors.params.swing"),
        ("swing = 1.0", '"a b" = 1.0', "transistors.params.a b"),
        ('["m", "mult"]', "[]", "transistors.multiplicity"),
        ("geometry_unit_m = 1e-6", "geometry_unit_m = 0", "transistors.geometry_unit_m = 0"),
        ("includes =", 'package = "no_such_pdk"\nincludes =', "Python package no_such_pdk, which is not installed"),
        ("includes =", 'package = "no.such.pdk"\nincludes =', "Python package no.such.pdk, which is not installed"),
        ("includes =", 'package = "../x"\nincludes =', "transistors.package = '../x'"),
    ],
)
def test_a_wrong_foundry_file_is_named_with_the_value(old: str, new: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(TechnologyError) as caught:
        load_technology(foundry(tmp_path, (old, new)))
    assert said in str(caught.value)


def test_an_unknown_corner_is_answered_with_the_nearest(tmp_path: Path, ptm90: Technology) -> None:
    with pytest.raises(TechnologyError, match="no corner 'sss'. Did you mean 'ss'.*Known: tt, ss"):
        load_technology(foundry(tmp_path)).at_corner("sss")
    with pytest.raises(TechnologyError, match=r"Known: none: give \[corners\]"):
        ptm90.at_corner("ss")


def test_a_library_in_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "outer_pdk" / "cards"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    path = foundry(package)
    alone = path.rename(tmp_path / "foundry.toml")
    alone.write_text(alone.read_text().replace("includes =", 'package = "outer_pdk.cards"\nincludes =', 1))
    monkeypatch.syspath_prepend(tmp_path / "site")
    technology = load_technology(alone)
    assert technology.library == package / "cells.lib" and technology.includes == (package / "first.inc",)
