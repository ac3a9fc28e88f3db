"""Whether a network is fit to be built, in one line, by what was verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spicetrain.report.blocks import Level, Verdict
from spicetrain.report.units import count, percent
from spicetrain.verification.summary import Summary

if TYPE_CHECKING:
    from spicetrain.verification.chips import ChipFigures

_AGREES, _YIELDS = 0.99, 0.9


def verdict(summary: Summary, chips: ChipFigures | None, verify: str) -> Verdict:
    """No where the model is not the circuit's: what is built is what ngspice simulates, and nobody trained that. No or
    yes by the yield of chips, of which some were simulated; otherwise nobody knows.

    verify  the command that looks further
    """
    level, text, command = _judged(summary, chips, verify)
    return Verdict(level, f"Fit to be built? {text}", command)


def _judged(summary: Summary, chips: ChipFigures | None, verify: str) -> tuple[Level, str, str]:
    agreement = summary.agreement
    if agreement is not None and agreement < _AGREES:
        text = f"No: model and ngspice give another class to {percent(1 - agreement)} of the images."
        return "bad", f"{text} Its weights were trained for a circuit that is not this one.", ""
    if chips is None:
        text = "Not shown: only the nominal circuit was verified, and no chip is nominal."
        return "open", text, f"{verify} --chips 100 --chips-simulated 2"
    reached = f"{percent(chips.yield_, 0)} of {count(chips.count, 'chip')} reach {percent(chips.yield_accuracy, 1)}"
    worst = f"the worst has {percent(chips.accuracy_min, 1)}"
    if chips.yield_ < _YIELDS:
        return "bad", f"No: {reached}, {worst}.", ""
    if not chips.simulated:
        return "open", f"By the model: {reached}, {worst}. None was simulated.", f"{verify} --chips-simulated 2"
    agreed = "" if chips.simulated_agreement is None else f", {percent(chips.simulated_agreement)} of its classes so"
    return "good", f"Yes: {reached}, {worst}; {count(chips.simulated, 'chip')} in ngspice too{agreed}.", ""
