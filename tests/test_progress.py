from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny import finished

from spicetrain import progress
from spicetrain.cli import main
from spicetrain.progress import room, speaking, track


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Clock:
    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture(autouse=True)
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPICETRAIN_QUIET")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    found = _Clock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=found.monotonic))
    return found


def test_a_library_is_silent_when_stderr_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with room("train", Path("runs/a")), track("train", 3, "steps") as bar:
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


def test_lines_at_the_ends_of_a_room_and_at_most_one_a_minute_between(
    clock: _Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        speaking(),
        room("verify", Path("runs/a")),
        track("outer", 2, "") as outer,
        track("verify", 40, "images") as bar,
    ):
        for now_s in (30, 59, 61, 100, 120, 121.5, 185):
            clock.now_s = now_s
            bar.advance(5, loss=0.123456)
            bar.update(epoch="1/3")
            outer.update(what="x")
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "spicetrain: verify begins, in runs/a",
        "spicetrain: verify: 15 of 40 images  loss 0.1235  epoch 1/3",  # known by then
        "spicetrain: verify: 30 of 40 images  loss 0.1235  epoch 1/3",
        "spicetrain: verify: 35 of 40 images  loss 0.1235  epoch 1/3",
        "spicetrain: verify ended after 185.0 s",
    ]


def test_a_room_that_fails_has_ended_too(clock: _Clock, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), speaking(), room("train", Path("runs/a")):
        clock.now_s = 2.0
        _ = 1 / 0
    assert capfd.readouterr().err.splitlines()[-1] == "spicetrain: train ended after 2.0 s"
    with room("train", Path("runs/a")):  # nobody speaks any more
        pass
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("how", ["flag", "variable"])
@pytest.mark.parametrize("terminal", [True, False])
def test_quiet(how: str, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = _Terminal() if terminal else io.StringIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    if how == "variable":
        monkeypatch.setenv("SPICETRAIN_QUIET", "1")
    with speaking(quiet=how == "flag"), room("train", Path("runs/a")), track("train", 3, "steps") as bar:
        bar.advance()
    assert stream.getvalue() == ""


def test_a_terminal_has_its_bar_and_no_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    with speaking(), room("train", Path("runs/a")), track("train", 3, "steps") as bar:
        bar.advance()
    assert "1/3" in terminal.getvalue() and "spicetrain: " not in terminal.getvalue()


def test_the_command_line_speaks_of_rooms_epochs_and_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    original = finished()
    monkeypatch.setenv("SPICETRAIN_CACHE", str(original.cache))
    folder = original.copy(tmp_path / "run")
    for name in ("checkpoint.safetensors", "metrics.jsonl", "network.safetensors"):
        (folder / name).unlink()
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    capfd.readouterr()
    assert main(["train", str(folder)]) == 0
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == f"spicetrain: train begins, in {folder}"
    assert any("epoch 3/3" in line and "accuracy_test" in line for line in lines)
    assert main(["verify", str(folder)]) == 0
    assert "30 of 30 images" in capfd.readouterr().err
    assert main(["verify", str(folder), "--quiet"]) == 0
    assert capfd.readouterr().err == ""
