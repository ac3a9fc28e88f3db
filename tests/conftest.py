"""What all tests share: a cache of their own, the ngspice there is, two technologies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import shared

from spicetrain.spice.ngspice import Ngspice, find_ngspice
from spicetrain.technology import Technology, load_technology

# What tests look for on stderr is what is wrong; the lines of progress have tests of their own.
os.environ["SPICETRAIN_QUIET"] = "1"

# A suite in the background of a script inherits an ignored Ctrl-C, and so would what its tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first: none of them is what one worker still has to do when the other is done. A group stays with
    one worker: pytest-xdist says so in an attribute that pytest 9.2 does not read any more."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    if "PYTEST_XDIST_WORKER" in os.environ and pytest.version_tuple >= (9, 2):
        from _pytest.nodeid import NodeId

        for item in items:
            for mark in item.iter_markers("xdist_group"):
                item._id = NodeId.parse(f"{item.nodeid}@{mark.args[0]}")


@pytest.fixture(scope="session", autouse=True)
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What fixtures of more than a test measure and fit is not of the user's cache either."""
    shared.begin(tmp_path_factory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICETRAIN_CACHE", str(shared.root() / "cache"))
        yield


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads what another one, or the user, has left in the cache."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("SPICETRAIN_CACHE", str(cache))
    return cache


@pytest.fixture
def shared_cache(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """For tests of what comes behind: what they measure and fit is measured and fitted once in a test run."""
    cache = shared.root() / "cache"
    monkeypatch.setenv("SPICETRAIN_CACHE", str(cache))
    return cache


@pytest.fixture(scope="session")
def ngspice() -> Ngspice:
    """Required, never skipped."""
    return find_ngspice()


@pytest.fixture(params=[None, "SPICETRAIN_NGSPICE_KLU"], ids=["found", "klu"], scope="session")
def either_ngspice(request: pytest.FixtureRequest) -> Ngspice:
    """The one that is found, and one with KLU where $SPICETRAIN_NGSPICE_KLU names it."""
    if request.param is None:
        return find_ngspice()
    if not os.environ.get(request.param):
        pytest.skip(f"${request.param} names no ngspice with KLU")
    found = find_ngspice(os.environ[request.param])
    assert found.klu
    return found


@pytest.fixture(scope="session")
def ptm90() -> Technology:
    return load_technology("ptm90")


MADE_UP = """
name = "made-up"
temperature_C = 40.0
rails = { vdd_V = 0.6, vss_V = 0.0 }

[transistors]
library = "models/made_up.lib"
section = "slow"
element = "X"
nmos = "nch_lvt"
pmos = "pch_lvt"
multiplicity = "fingers"

[inverter]
nmos = { wd = 0.5e-6, lg = 1e-7 }
pmos = { wd = 1.5e-6, lg = 1e-7 }

[memristor]
g_min_S = 1e-6
g_max_S = 5e-5
"""

# `slow` and `fast` differ, so that the section counts; every name is another than in ptm90.
MADE_UP_LIBRARY = """* made-up subcircuit library
.lib slow
.model nraw nmos level=1 vto=0.2 kp=2e-4 lambda=0.2
.model praw pmos level=1 vto=-0.22 kp=7e-5 lambda=0.25
.subckt nch_lvt d g s b wd=1e-6 lg=1e-6 fingers=1
m1 d g s b nraw w={wd} l={lg} m={fingers}
.ends
.subckt pch_lvt d g s b wd=1e-6 lg=1e-6 fingers=1
m1 d g s b praw w={wd} l={lg} m={fingers}
.ends
.endl
.lib fast
.model nraw nmos level=1 vto=0.1 kp=4e-4 lambda=0.2
.model praw pmos level=1 vto=-0.1 kp=2e-4 lambda=0.25
.subckt nch_lvt d g s b wd=1e-6 lg=1e-6 fingers=1
m1 d g s b nraw w={wd} l={lg} m={fingers}
.ends
.subckt pch_lvt d g s b wd=1e-6 lg=1e-6 fingers=1
m1 d g s b praw w={wd} l={lg} m={fingers}
.ends
.endl
"""


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Technology:
    """A user's technology: subcircuits in a section of a .lib, unequal rails, its own names."""
    folder = tmp_path_factory.mktemp("made-up")
    (folder / "models").mkdir()
    (folder / "models" / "made_up.lib").write_text(MADE_UP_LIBRARY)
    (folder / "made_up.toml").write_text(MADE_UP)
    return load_technology(folder / "made_up.toml")
