"""Rails for a technology: the smallest swing at which its inverter does what a network asks of it. A proposal.

What is asked, of one finger with the pMOS width that trips it at mid-rail, at each swing from 0.2 V on:

    gain     LEAST_GAIN, without a load: two in a row must decide
    load     LEAST_LOADED of the swing is left with TYPICAL_ROW devices of the middle conductance from the output to
             mid-rail, which is a row of a crossbar to ten outputs, its columns near the middle
    centre   that width is half to ten times the nMOS's; where it is not, the one given stays
    offset   sigma of the trip, sqrt(sigma_n^2 + sigma_p^2) / 2, is at most LARGEST_OFFSET of the swing, where
             [mismatch] says it: columns of a trained first crossbar move by 2 % of the swing (one sigma, MNIST), and
             a finger that is off by much more says little of them. More fingers help as higher rails do

The limits are conventions, set with the shipped technologies in view: a finger of ptm90 is off by 2.8 % of its swing,
so that its proposal is its own rails proves nothing. No network was trained at another proposal. Energy goes with the
square of the swing, so the smallest is proposed. What it leaves out: speed, noise, and what the devices stand; a row to
more outputs asks for more fingers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spicetrain.characterization.examined import remove
from spicetrain.characterization.sweep import swept
from spicetrain.errors import SimulationError, TechnologyError
from spicetrain.netlists.cells import Kind, models_only, text_of, transistor
from spicetrain.spice.deck import Deck
from spicetrain.spice.simulator import Simulator
from spicetrain.technology import Technology
from spicetrain.variation import VariationSettings, statistics_of

LEAST_GAIN, LEAST_LOADED, TYPICAL_ROW, LARGEST_OFFSET = 4.0, 0.6, 10, 0.03
_SWINGS_V = np.arange(4, 41) * 0.05
_LEAST_RATIO, _LARGEST_RATIO = 0.5, 10.0  # of the widths
_POINTS = 101


@dataclass(frozen=True)
class AtSwing:
    """The unit inverter between rails that are swing_V apart.

    p_width   of its pMOS, as the TOML would say it; p_ratio: over the nMOS's
    gain      without a load; loaded: share of the swing that is left with one; offset: see the module, None: not known
    """

    swing_V: float
    p_width: float
    p_ratio: float
    gain: float
    loaded: float
    offset: float | None

    @property
    def lacks(self) -> tuple[str, ...]:
        """What of it is not enough, by name."""
        short = {
            "centre": not _LEAST_RATIO <= self.p_ratio <= _LARGEST_RATIO,
            "gain": self.gain < LEAST_GAIN,
            "load": self.loaded < LEAST_LOADED,
            "offset": self.offset is not None and self.offset > LARGEST_OFFSET,
        }
        return tuple(name for name, is_short in short.items() if is_short)


@dataclass(frozen=True)
class Proposal:
    """smallest  the first that lacks nothing; below: the one before it, whose lacks say what decides; None: at no swing
    up to 2 V, or the smallest tried"""

    smallest: AtSwing | None
    below: AtSwing | None


def propose_rails(technology: Technology, simulator: Simulator) -> Proposal | None:
    """None where the transistors have no width to change, or ngspice fails at such supplies."""
    try:
        found = _measured(technology, simulator)
    except SimulationError as error:
        remove(error)
        return None
    if not found:
        return None
    first = next((k for k, at in enumerate(found) if not at.lacks), None)
    if first is None:
        return Proposal(None, found[-1])
    return Proposal(found[first], found[first - 1] if first else None)


def _measured(technology: Technology, simulator: Simulator) -> list[AtSwing]:
    unit = technology.inverter
    width = next((name for name in unit.pmos if name.lower().startswith("w") and name in unit.nmos), None)
    if width is None:
        return []
    given = unit.pmos[width] / unit.nmos[width]
    ratios = given * _centring(technology, simulator)
    factors = np.where((ratios >= _LEAST_RATIO) & (ratios <= _LARGEST_RATIO), ratios / given, 1.0)
    mid_V, row_S = technology.rails.mid_V, TYPICAL_ROW * _middle_S(technology)
    circuit, x = models_only(technology), np.linspace(-0.5, 0.5, _POINTS)
    circuit.raw_spice += "Vx x 0 0.0\n"
    for k, (swing, factor) in enumerate(zip(_SWINGS_V.tolist(), factors.tolist(), strict=True)):
        circuit.raw_spice += f"Vu{k} u{k} 0 {mid_V + swing / 2!r}\nVd{k} d{k} 0 {mid_V - swing / 2!r}\n"
        circuit.raw_spice += f"Vm{k} c{k} 0 {mid_V!r}\nEi{k} i{k} c{k} x 0 {swing!r}\n"
        for node in (f"o{k}", f"l{k}"):
            circuit.raw_spice += _inverter(technology, node, (f"i{k}", node, f"u{k}", f"d{k}"), width, factor)
        circuit.raw_spice += f"Rl{k} l{k} c{k} {1 / row_S!r}\n"
    saves = tuple(f"v({name}{k})" for k in range(len(factors)) for name in ("o", "l"))
    values = simulator.simulate(_deck(text_of(circuit), f".dc {swept('vx', x)}", saves, _POINTS, technology)).values
    found = []
    for k, (swing, ratio) in enumerate(zip(_SWINGS_V.tolist(), ratios.tolist(), strict=True)):
        out, loaded = values[f"v(o{k})"], values[f"v(l{k})"]
        gain = float(np.max(-np.diff(out)) / (swing * (x[1] - x[0])))
        offset_V, p_width = _offset_V(technology, width, float(factors[k])), float(factors[k]) * unit.pmos[width]
        share = None if offset_V is None else offset_V / swing
        found.append(AtSwing(swing, p_width, ratio, gain, float(loaded[0] - loaded[-1]) / swing, share))
    return found


def _centring(technology: Technology, simulator: Simulator) -> np.ndarray:
    """By how much wider than it is the pMOS must be at each swing to carry what the nMOS does, input and output at
    mid-rail: as if its current went with its width."""
    circuit, mid_V, unit = models_only(technology), technology.rails.mid_V, technology.inverter
    circuit.raw_spice += f"Vm m 0 {mid_V!r}\n"
    for k, swing in enumerate(_SWINGS_V.tolist()):
        for kind, sign in (("nmos", -1), ("pmos", 1)):
            letter = kind[0]
            circuit.raw_spice += f"Vr{letter}{k} r{letter}{k} 0 {mid_V + sign * swing / 2!r}\n"
            circuit.raw_spice += f"Vo{letter}{k} o{letter}{k} m 0.0\n"
            nodes = (f"o{letter}{k}", "m", f"r{letter}{k}", f"r{letter}{k}")
            one: Kind = "nmos" if sign < 0 else "pmos"
            circuit.raw_spice += transistor(f"{letter}{k}", one, nodes, getattr(unit, kind), technology)
    saves = tuple(f"i(vo{letter}{k})" for k in range(len(_SWINGS_V)) for letter in "np")
    values = simulator.simulate(_deck(text_of(circuit), ".op", saves, 1, technology)).values
    n, p = (np.array([abs(values[f"i(vo{letter}{k})"][0]) for k in range(len(_SWINGS_V))]) for letter in "np")
    return n / np.maximum(p, 1e-30)


def _inverter(technology: Technology, name: str, nodes: tuple[str, str, str, str], width: str, factor: float) -> str:
    """Nodes: input, output, upper and lower rail."""
    unit, (v_in, out, up, down) = technology.inverter, nodes
    wider = unit.pmos | {width: factor * unit.pmos[width]}
    return transistor(f"n{name}", "nmos", (out, v_in, down, down), unit.nmos, technology) + transistor(
        f"p{name}", "pmos", (out, v_in, up, up), wider, technology
    )


def _middle_S(technology: Technology) -> float:
    device = technology.memristor
    return float(device.g_min_S + device.g_max_S) / 2


def _offset_V(technology: Technology, width: str, factor: float) -> float | None:
    if technology.mismatch is None:
        return None
    statistics, unit = statistics_of(technology, VariationSettings()), technology.inverter
    try:
        v_n, _ = statistics.sigma("nmos", unit.nmos)
        v_p, _ = statistics.sigma("pmos", unit.pmos | {width: factor * unit.pmos[width]})
    except TechnologyError:  # the gates' area is not known
        return None
    return float(np.hypot(v_n, v_p) / 2)


def _deck(circuit: str, analysis: str, saves: tuple[str, ...], points: int, technology: Technology) -> Deck:
    return Deck(circuit, analysis, saves, points, temperature_C=technology.temperature_C)
