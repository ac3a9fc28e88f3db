from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spicetrain.spice.deck import Deck
from spicetrain.spice.process import Outcome
from spicetrain.spice.rawfile import RawTable
from spicetrain.spice.verdict import FATAL_MESSAGES, Finding, judge

from .decks import DIVIDER

FINE = Outcome(0, 1.0, "Note: No compatibility mode selected!\n")
ANSWER = RawTable(("v(v-sweep)", "v(out)", "i(v1)"), np.zeros((3, 5)), 5)
TRANSIENT = replace(DIVIDER, analysis=".tran 1e-9 2e-6", points=None, saves=("v(out)",))


def what(outcome: Outcome = FINE, raw: RawTable | None = ANSWER, deck: Deck = DIVIDER) -> str | None:
    finding = judge(deck, outcome, raw, 60.0)
    return None if finding is None else finding.what


def transient(*times: float) -> RawTable:
    return RawTable(("time", "v(out)"), np.array([times, times]), len(times))


def test_a_sound_answer_passes() -> None:
    assert what() is None


def test_no_raw_file() -> None:
    assert what(raw=None) == "ngspice gave 0 of 5 points (exit code 0)"


def test_exit_code_alone() -> None:
    assert what(replace(FINE, exit_code=3)) == "ngspice ended with exit code 3"


def test_raw_file_that_was_cut_short() -> None:
    raw = replace(ANSWER, values=ANSWER.values[:, :3])
    assert what(raw=raw) == "ngspice's raw file holds 3 of the 5 points it announces (exit code 0)"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (transient(0.0, 1e-6, 2e-6 * (1 + 1e-9)), None),
        (transient(0.0, 1e-6), "ngspice's transient ends at 1e-06 s instead of 2e-06 s (exit code 0)"),
        (transient(0.0), "ngspice gave 1 points of a transient (exit code 0)"),
        (None, "ngspice gave 0 points of a transient (exit code 0)"),
    ],
)
def test_transient_must_reach_its_stop_time(raw: RawTable | None, expected: str | None) -> None:
    assert what(raw=raw, deck=TRANSIENT) == expected


@pytest.mark.parametrize(
    "log",
    [
        "Warning: r1: resistance to low, set to 1 mOhm",  # 39
        "Warning: r1: resistance too low or not given, set to 1 mOhm",  # 46
        "Warning: 'r1 a b' is not a valid resistor instance line, ignored!",
        "No .measure possible in batch mode (-b) with -r rawfile set!",
        "Warning: non-convergence, node out is nan",
        "Error: circuit not parsed.",
        "Warning: singular matrix:  check node a\nNote: Transient op finished successfully",
        "Warning: singular matrix:  check nodes a and b",
        "Note: Dynamic gmin stepping completed\nWarning: singular matrix:  check node a",
        "Warning: singular matrix:  check node a\nNote: Transient op finished successfully\n"
        "Note: Dynamic gmin stepping completed",  # of a later point
    ],
)
def test_fatal_messages_spoil_a_complete_answer(log: str) -> None:
    finding = judge(DIVIDER, replace(FINE, log=log), ANSWER, 60.0)
    assert finding is not None
    assert finding.what.startswith("ngspice gave numbers that cannot be trusted")
    assert len(finding.causes) == 1


@pytest.mark.parametrize(
    "log",
    [
        "Note: Starting dynamic gmin stepping",
        "Trying gmin =   1.0000E-03 Note: One successful gmin step",
        "Warning: Dynamic gmin stepping failed\nNote: True gmin stepping completed",
        "Warning: singular matrix:  check node a\nNote: Source stepping completed",
        "Warning: source stepping failed\nNote: Transient op finished successfully",
        "Error: -0.5 out of range for ln",
        "Warning: Pd = 0 is less than W.",
        "unrecognized parameter (zap) - ignored",
    ],
)
def test_harmless_messages(log: str) -> None:
    assert what(replace(FINE, log=log)) is None


def test_every_fatal_message_has_a_cause() -> None:
    assert all(message.cause for message in FATAL_MESSAGES)


def test_signals_tell_a_kill_from_a_crash() -> None:
    kill, crash = (judge(DIVIDER, replace(FINE, exit_code=-number), None, 60.0) for number in (9, 11))
    assert kill is not None and crash is not None
    assert (kill.what, crash.what) == (
        "ngspice was killed by SIGKILL after 1.0 s",
        "ngspice was killed by SIGSEGV after 1.0 s",
    )
    assert "memory" in kill.causes[0] and "crashed" in crash.causes[0]


def test_text_has_causes_in_order_log_lines_and_folder() -> None:
    text = Finding("ngspice gave 0 of 861 points", ("this", "that"), ("Error: a", "Error: b")).text(Path("/tmp/x"))
    assert text == (
        "ngspice gave 0 of 861 points. Likely: this; or that. ngspice says:\n    Error: a\n    Error: b\n"
        "Deck kept in /tmp/x."
    )
