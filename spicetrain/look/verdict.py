"""What of a technology is in order, what is not, and what to do: a row a question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spicetrain.characterization.check import Figures
from spicetrain.errors import TechnologyError
from spicetrain.look.measure import Look
from spicetrain.look.rails import TYPICAL_ROW, AtSwing
from spicetrain.report.units import percent, quantity
from spicetrain.technology import Technology
from spicetrain.variation import VariationSettings, statistics_of

_CENTRED, _LEAST_GAIN, _LEAST_SWING, _LEAST_RATIO = 0.02, 4.0, 0.95, 100.0
_LARGEST_MOVE = 0.1  # of the threshold, over corners, temperatures and supplies, in swings


@dataclass(frozen=True)
class Row:
    """state  "ok"; "warn": it works, but see the advice"""

    what: str
    state: Literal["ok", "warn"]
    figure: str
    advice: str = ""


def rows_of(technology: Technology, figures: Figures, look: Look) -> list[Row]:
    """Of a technology that `check` let pass. What it refuses is no row: it is an error."""
    models = technology.transistors
    names = " and ".join(models.multiplicities)
    rows = [
        Row("ports, sizes, parameters", "ok", f"{models.nmos} and {models.pmos} conduct as they should"),
        Row("multiplicity", "ok", f"{names}: 2 and 2.5 fingers carry 2 and 2.5 times the current"),
        *(_transistor(kind, figures) for kind in ("nmos", "pmos")),
        _threshold(technology, look),
        _gain(look),
        _swing(look),
        _rails(technology, look),
    ]
    if look.corners:
        rows.append(_moves("corners", technology, {name: vtc.switches_at_V for name, vtc in look.corners.items()}))
    else:
        rows.append(Row("corners", "warn", "none named", "Give [corners]: a name and the library's section of each."))
    rows.append(_moves("temperature", technology, {f"{T:g} C": v.switches_at_V for T, v in look.temperatures.items()}))
    return [*rows, *_mismatch(technology)]


def _transistor(kind: str, figures: Figures) -> Row:
    on, off = (figures[f"inverter.{kind}"][name] for name in ("on_A", "off_A"))
    figure = f"{quantity(on, 'A')} a finger, {quantity(off, 'A')} when off"
    if on > _LEAST_RATIO * abs(off):
        return Row(kind, "ok", figure)
    return Row(
        kind,
        "warn",
        figure,
        "It hardly switches off: power is lost at rest. Raise the rails, or take one of higher V_T.",
    )


def _threshold(technology: Technology, look: Look) -> Row:
    rails, at_V = technology.rails, look.nominal.switches_at_V
    off = at_V - rails.mid_V
    figure = f"{quantity(at_V, 'V')}, {quantity(off, 'V')} from mid-rail"
    if abs(off) <= _CENTRED * (rails.vdd_V - rails.vss_V):
        return Row("threshold", "ok", figure)
    if look.p_factor is None or look.width is None:
        wish = "No pMOS width from a fifth to five times this one puts it there: change the nMOS, or the rails."
    else:
        width = look.p_factor * technology.inverter.pmos[look.width]
        wish = f"inverter.pmos.{look.width} = {width:.4g} puts it there."
    return Row("threshold", "warn", figure, wish)


def _gain(look: Look) -> Row:
    gain = look.nominal.gain
    if gain >= _LEAST_GAIN:
        return Row("gain", "ok", f"{gain:.3g}")
    return Row("gain", "warn", f"{gain:.3g}", "Two in a row hardly decide. Longer gates, or other rails.")


def _swing(look: Look) -> Row:
    vtc = look.nominal
    figure = (
        f"{percent(vtc.swing, 1)} of the rails' distance; {quantity(vtc.leakage_A, 'A')} from rail to rail at its ends"
    )
    if vtc.swing >= _LEAST_SWING:
        return Row("swing", "ok", figure)
    return Row("swing", "warn", figure, "Higher rails, or a higher V_T, would let it reach them.")


def _rails(technology: Technology, look: Look) -> Row:
    rails, proposal = technology.rails, look.proposal
    own_V = rails.vdd_V - rails.vss_V
    figure = f"{quantity(own_V, 'V')} apart"
    if proposal is None:
        return Row("rails", "ok", f"{figure}; no proposal: no width is known, or ngspice fails at other supplies")
    found, below = proposal.smallest, proposal.below
    if found is None:
        assert below is not None
        return Row("rails", "warn", figure, f"No proposal up to {quantity(below.swing_V, 'V')}: {_lacks(below)}.")
    high, low = rails.mid_V + found.swing_V / 2, rails.mid_V - found.swing_V / 2
    why = f": at {quantity(below.swing_V, 'V')} {_lacks(below)}" if below is not None else ""
    proposed = f"proposal: {high:.4g} and {low:.4g} V, inverter.pmos.{look.width} = {found.p_width:.4g}{why}"
    if own_V >= found.swing_V * (1 - 1e-6):
        return Row("rails", "ok", f"{figure}; smallest {proposed}")
    return Row("rails", "warn", figure, f"Raise them; {proposed}.")


def _lacks(at: AtSwing) -> str:
    said = {
        "centre": f"the pMOS would be {at.p_ratio:.3g} times as wide as the nMOS",
        "gain": f"the gain is {at.gain:.3g}",
        "load": f"a row of {TYPICAL_ROW} devices leaves {percent(at.loaded, 0)} of the swing",
        "offset": f"sigma of the trip of a finger is {percent(at.offset or 0.0, 1)} of the swing",
    }
    return " and ".join(said[name] for name in at.lacks)


def _moves(what: str, technology: Technology, at_V: dict[str, float]) -> Row:
    low, high = min(at_V, key=at_V.__getitem__), max(at_V, key=at_V.__getitem__)
    figure = f"threshold {quantity(at_V[low], 'V')} ({low}) .. {quantity(at_V[high], 'V')} ({high})"
    rails = technology.rails
    if at_V[high] - at_V[low] <= _LARGEST_MOVE * (rails.vdd_V - rails.vss_V):
        return Row(what, "ok", figure)
    return Row(
        what, "warn", figure, "Nets trained at one end fail at the other: verify there (--corner, --temperature)."
    )


def _mismatch(technology: Technology) -> list[Row]:
    if technology.mismatch is None:
        return [Row("mismatch", "warn", "no statistics", "Chips need [mismatch]: A_VT of nMOS and pMOS.")]
    statistics, unit = statistics_of(technology, VariationSettings()), technology.inverter
    try:
        v_n, v_p = (statistics.sigma("nmos", unit.nmos)[0], statistics.sigma("pmos", unit.pmos)[0])
    except TechnologyError as error:
        return [Row("mismatch", "warn", "its gates' area is not known", str(error))]
    figure = f"sigma(V_T) of a finger {quantity(v_n, 'V')} (nMOS), {quantity(v_p, 'V')} (pMOS)"
    return [Row("mismatch", "ok", f"{figure}, {technology.mismatch.convention}")]
