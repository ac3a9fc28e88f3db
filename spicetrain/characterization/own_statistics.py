"""Whether a library's own statistics take a transistor of m fingers for one of m times the gate.

spicetrain draws its chips itself, and a technology's `params` switch the library's own mismatch off. Where they do, it
is switched on once more here: what its author says of m fingers must be what the technology says of them.
"""

from __future__ import annotations

import numpy as np

from spicetrain.characterization.examined import KINDS, Examined, remove
from spicetrain.errors import SimulationError
from spicetrain.netlists.cells import models_only, text_of, transistor
from spicetrain.spice.deck import Deck
from spicetrain.spice.simulator import Simulator
from spicetrain.technology import Technology

_COUNT, _FINGERS, _LARGEST_RATIO, _FAINTEST = 60, 16.0, 0.6, 1e-6


def require_statistics_scale(examined: Examined, simulator: Simulator) -> None:
    """TechnologyError where currents of 16 fingers vary as those of one do, relatively, and not by a quarter of it.

    Each of `transistors.params` that is 0 is taken for a switch. One that leaves equal transistors equal is none of
    mismatch; neither need one be that makes them differ (ngspice draws sky130's process anew for every transistor), so
    it is enough if one of them scales.
    """
    models = examined.technology.transistors
    unscaled = []
    for name in (name for name, value in models.params.items() if value == 0):
        on = models.model_copy(update={"params": models.params | {name: 1.0}})
        spreads = _spreads(examined, examined.technology.changed(transistors=on), simulator)
        ratios = {where: many / one for where, (one, many) in spreads.items() if one > _FAINTEST}
        if ratios and max(ratios.values()) <= _LARGEST_RATIO:
            return
        unscaled += [(name, where, ratio) for where, ratio in ratios.items() if ratio > _LARGEST_RATIO]
    for name, where, ratio in unscaled[:1]:
        raise examined.error(
            f"transistors.multiplicity = {models.multiplicity!r} does not reach the library's own statistics: with "
            f"params.{name} = 1 the current of {_FINGERS:g} fingers of {where} varies by {ratio:.2g} of what that of "
            f"one does, and should by {_FINGERS**-0.5:.2g}. Some libraries have a second parameter for them (gf180mcu: "
            "par, sky130: mult). Name both, as ['m', 'mult']."
        )


def _spreads(examined: Examined, technology: Technology, simulator: Simulator) -> dict[str, tuple[float, float]]:
    """By where a transistor stands, one of each kind: sigma of the current over its mean, of one finger and of many."""
    circuit, rails, cases = models_only(technology), examined.rails, {}
    for kind in KINDS:
        one = next((each for each in examined.transistors if each.kind == kind), None)
        if one is None:
            continue
        source, opened = (rails.vss_V, rails.vdd_V) if kind == "nmos" else (rails.vdd_V, rails.vss_V)
        circuit.V(f"s{kind}", f"s{kind}", circuit.gnd, source)
        circuit.V(f"g{kind}", f"g{kind}", circuit.gnd, opened)
        cases[one.where] = [[f"{kind}{size}_{k}" for k in range(_COUNT)] for size in range(2)]
        for names, fingers in zip(cases[one.where], (1.0, _FINGERS), strict=True):
            for name in names:
                circuit.V(name, name, circuit.gnd, opened)
                nodes = (name, f"g{kind}", f"s{kind}", f"s{kind}")
                circuit.raw_spice += transistor(name, kind, nodes, one.geometry, technology, fingers)
    saves = tuple(f"i(v{name})" for sizes in cases.values() for names in sizes for name in names)
    try:
        values = simulator.simulate(
            Deck(text_of(circuit), ".op", saves, points=1, temperature_C=technology.temperature_C)
        ).values
    except SimulationError as error:  # what was switched on was something else
        remove(error)
        return {}
    spread = {}
    for where, sizes in cases.items():
        currents = [np.array([values[f"i(v{name})"][0] for name in names]) for names in sizes]
        spread[where] = (_relative(currents[0]), _relative(currents[1]))
    return spread


def _relative(currents: np.ndarray) -> float:
    return float(currents.std() / max(abs(currents.mean()), 1e-30))
