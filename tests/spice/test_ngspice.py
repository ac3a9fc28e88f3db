from __future__ import annotations

from pathlib import Path

import pytest

from spicetrain.errors import NgspiceError
from spicetrain.spice.ngspice import VARIABLE, Ngspice, find_ngspice


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_probe_tells_what_the_build_can_do(ngspice: Ngspice) -> None:
    assert 39 <= ngspice.version < 100
    assert ngspice.code_models
    assert ngspice.klu or ngspice.version < 44  # Debian builds with KLU from 44 on


def test_argument_goes_before_variable_before_path(
    ngspice: Ngspice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [script(tmp_path / name, f'exec {ngspice.executable} "$@"') for name in ("argument", "variable", "ngspice")]
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setenv(VARIABLE, str(paths[1]))
    assert find_ngspice(paths[0]).executable == paths[0]
    assert find_ngspice().executable == paths[1]
    monkeypatch.delenv(VARIABLE)
    assert find_ngspice().executable == paths[2]


def test_missing_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(NgspiceError, match="No executable 'ngspice' on the PATH.*apt-get install ngspice"):
        find_ngspice()
    with pytest.raises(NgspiceError, match="No executable '/nowhere/spice' is there"):
        find_ngspice("/nowhere/spice")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("echo hspice-2024", "is not an ngspice: its --version says 'hspice-2024'"),
        ("echo '** ngspice-38 : Circuit level simulation program'", "is ngspice 38; version 39 or newer"),
        ("echo libfoo.so missing >&2; exit 127", "exit code 127: libfoo.so missing"),
        ("kill -SEGV $$", "exit code -11"),
    ],
)
def test_unusable_programs_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(NgspiceError, match=message):
        find_ngspice(script(tmp_path / "spice", text))


def test_a_file_of_another_machine_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "spice"
    path.write_bytes(b"\x7fELF no program")
    path.chmod(0o755)
    with pytest.raises(NgspiceError, match="does not start"):
        find_ngspice(path)


def test_build_without_code_models_is_recognised(ngspice: Ngspice, tmp_path: Path) -> None:
    without = "[ ! -f deck.cir ] || sed -i s/pwl/not_loaded/ deck.cir"
    bare = find_ngspice(script(tmp_path / "bare", f'{without}\nexec {ngspice.executable} "$@"'))
    assert not bare.code_models
    assert bare.version == ngspice.version


def test_probed_once(tmp_path: Path, ngspice: Ngspice) -> None:
    count = tmp_path / "count"
    counting = script(tmp_path / "spice", f'echo >> {count}; exec {ngspice.executable} "$@"')
    assert find_ngspice(counting) is find_ngspice(str(counting))
    assert count.read_text().count("\n") == 2  # --version and the probe deck
