"""The gates of a technology's transistors, as capacitors: what they say of its unit of length, and of its rails.

    t_ox = eps_ox W L / C        of an open transistor, its drain, source and bulk together

The overlaps count with C, so t_ox comes out too thin: 1.75 nm of ptm90's 2.05.
"""

from __future__ import annotations

import numpy as np

from spicetrain.characterization.declared import units_text
from spicetrain.characterization.examined import Examined, remove
from spicetrain.characterization.probe import SIZES, Probe
from spicetrain.errors import SimulationError
from spicetrain.netlists.cells import models_only, text_of, transistor
from spicetrain.spice.deck import Deck
from spicetrain.spice.simulator import Simulator

_EPS_OX_F_per_m = 3.9 * 8.854e-12
_HERTZ, _FAINTEST_F = 1e6, 1e-19
_THINNEST_m, _THICKEST_m = 3e-10, 1e-7
_BREAKS_V_per_m = 1.5e9
"""By the oxide as it is seen here. ptm90 at 1.2 V, gf180mcu at 3.3 V and sky130 at 1.8 V are at 0.47 to 0.71 V / nm
(ngspice-39); the limit is twice that and more, so it finds gross errors and is no rating."""


def require_gates(examined: Examined, found: Probe, simulator: Simulator) -> None:
    """TechnologyError where the sizes cannot be in the unit that is said, or the rails break the oxide. What has no
    capacitance, or no w and l, says nothing."""
    unit_m, swing_V = examined.technology.transistors.geometry_unit_m, examined.swing_V
    for where, (w, t_ox_m) in _oxides(examined, found, simulator).items():
        if not _THINNEST_m < t_ox_m < _THICKEST_m:
            raise examined.error(
                f"{where}: by its capacitance and its w and l in units of {unit_m:g} m its gate's oxide would be "
                f"{t_ox_m:.3g} m thick. {units_text(w)}"
            )
        if swing_V / t_ox_m > _BREAKS_V_per_m:
            raise examined.error(
                f"the rails are {swing_V:g} V apart, and the oxide of {where} is about {t_ox_m * 1e9:.2g} nm by its "
                f"capacitance: {swing_V / t_ox_m / 1e9:.2g} V / nm, where gates break, though ngspice does not say so. "
                "Lower the rails, or take transistors for that voltage."
            )


def _oxides(examined: Examined, found: Probe, simulator: Simulator) -> dict[str, tuple[float, float]]:
    """By where a transistor stands: its w as it is given, and its oxide's thickness in metres."""
    technology, rails = examined.technology, examined.rails
    unit_m = technology.transistors.geometry_unit_m
    circuit, areas = models_only(technology), {}
    for k, each in enumerate(found.transistors):
        one = each.transistor
        sizes = {name.lower(): value for name, value in one.geometry.items()}
        if not set(SIZES) <= set(sizes):
            continue
        closed, opened = (rails.vss_V, rails.vdd_V) if one.kind == "nmos" else (rails.vdd_V, rails.vss_V)
        circuit.raw_spice += f"Vc{k} c{k} 0 {closed!r}\nVo{k} o{k} 0 {opened!r} ac 1.0\n"
        nodes = (f"c{k}", f"o{k}", f"c{k}", f"c{k}")
        circuit.raw_spice += transistor(f"t{k}", one.kind, nodes, one.geometry, technology)
        w_m, l_m = (each.size_m.get(name, sizes[name] * unit_m) for name in SIZES)
        areas[k] = (one.where, sizes["w"], w_m * l_m)
    if not areas:
        return {}
    saves = tuple(f"i(vo{k})" for k in areas)
    deck = Deck(text_of(circuit), f".ac lin 1 {_HERTZ!r} {_HERTZ!r}", saves, 1, temperature_C=technology.temperature_C)
    try:
        values = simulator.simulate(deck).values
    except SimulationError as error:
        remove(error)
        return {}
    oxides = {}
    for k, (where, w, area_m2) in areas.items():
        C = abs(values[f"i(vo{k})"][0].imag) / (2 * np.pi * _HERTZ)
        if C > _FAINTEST_F:
            oxides[where] = (w, float(_EPS_OX_F_per_m * area_m2 / C))
    return oxides
