"""Parameters without effect are found, whatever a subcircuit looks like, and no other one is called so."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import simulator

from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.parameters import parameters_of

pytestmark = pytest.mark.usefixtures("temporary")

MODELS = """.model raw nmos level=1 vto=0.2
.subckt plain d g s b w=1e-6 l=1e-7 m=1
m1 d g s b raw w={w} l={l} m={m}
.ends
.subckt inner d g s b params: w=1e-6 unused=3
.param scale=1
m1 d g s b raw w={w*scale} l=1e-7
.ends
.subckt fixed d g s b
m1 d g s b raw w=1e-6 l=1e-7
.ends
.subckt source d g s b wn=1e-6 lg=1e-7
b1 d s i={wn/lg}*v(g,s)*v(d,s)
.ends
"""
ALL = {
    "plain": {"W": 1e-6, "l": 1e-7, "m": 2.0},
    "inner": {"w": 1e-6, "unused": 1.0, "scale": 2.0, "m": 1.0},
    "fixed": {"m": 1.0},
    "source": {"wn": 1e-6, "lg": 1e-7, "m": 1.0},
}


@pytest.mark.parametrize("subcircuit", ALL)
def test_parameters_that_a_subcircuit_has_are_taken(subcircuit: str, ngspice: Ngspice, temporary: Path) -> None:
    """By its first line, by a .param inside, used or not; m, which every subcircuit has."""
    found = parameters_of(MODELS, 4, {subcircuit: ALL[subcircuit]}, simulator(ngspice))
    assert found.ignored == ()
    assert found.known[subcircuit] >= {name.lower() for name in ALL[subcircuit]}
    assert list(temporary.iterdir()) == []


def test_subcircuits_are_asked_together(ngspice: Ngspice, temporary: Path) -> None:
    given = {name: {"width": 1.0} | parameters for name, parameters in ALL.items()}
    found = parameters_of(MODELS, 4, given, simulator(ngspice))
    assert set(found.ignored) == {(name, "width") for name in ALL}
    assert found.known["plain"] == {"w", "l", "m"}
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("given", [{"w": 1.0}, {"w": 1.0, "fingers": 2.0}, {"w": 1.0, "m": 1.0}])
def test_a_subcircuit_without_parameters_takes_none_but_m(given: dict[str, float], ngspice: Ngspice) -> None:
    assert parameters_of(MODELS, 4, {"fixed": given}, simulator(ngspice)).ignored == tuple(
        ("fixed", name) for name in given if name != "m"
    )


def test_nothing_is_called_ignored_where_ngspice_fails_for_another_reason(ngspice: Ngspice, temporary: Path) -> None:
    assert parameters_of(MODELS, 4, {"nowhere": {"w": 1.0}}, simulator(ngspice)).ignored == ()
    assert parameters_of(f"{MODELS}r1 a b zap=1", 4, {"plain": {"width": 1.0}}, simulator(ngspice)).ignored == ()
    assert list(temporary.iterdir()) == []
