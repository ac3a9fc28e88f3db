from __future__ import annotations

import io
import sys

import pytest

from spicetrain.progress import track


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_silent_when_stderr_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with track("train", 3, "steps") as bar:
        bar.advance(loss=0.5)
        bar.update(loss=0.4)
    assert capfd.readouterr() == ("", "")


def test_shows_steps_and_fields_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    terminal = _Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stderr", terminal)
    with track("train", 3, "steps") as bar:
        bar.advance(2, loss=0.123456)
        bar.update(residual_V=1e-6)
    shown = terminal.getvalue()
    for part in ("train", "2/3", "steps", "loss 0.1235", "residual_V 1e-06"):
        assert part in shown
    assert capfd.readouterr().out == ""
