"""The scripts of `spicetrain completion` in their shells: bash, and zsh and fish where there are any."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from spicetrain.arguments import SHELLS, SHORT, VERBS
from spicetrain.cli import main
from spicetrain.completion import script
from spicetrain.flags import flags_of
from spicetrain.systems import SYSTEMS, presets

# Called as bash does at Tab; COMP_WORDS are the words of the line, the last one the one that is being typed.
ASKED = (
    'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_spicetrain; printf "%s\\n" "${COMPREPLY[@]}"'
)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        (folder / shell).write_text(script(shell), encoding="utf-8")
    return {shell: folder / shell for shell in SHELLS}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def completed(scripts: dict[str, Path], *words: str) -> set[str]:
    command = ["bash", "--norc", "--noprofile", "-u", "-c", ASKED, "bash", str(scripts["bash"]), "spicetrain", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return set(done.stdout.split())


def test_bash_completes_verbs(scripts: dict[str, Path]) -> None:
    assert completed(scripts, "tr") == {"train"}
    assert completed(scripts, "") >= set(VERBS)


def test_bash_completes_targets(scripts: dict[str, Path]) -> None:
    for name in ("experiment.toml", "notes.txt"):
        Path(name).touch()
    Path("runs/iris").mkdir(parents=True)
    assert completed(scripts, "train", "iris") == {"iris-kcl"}
    assert completed(scripts, "train", "") == {*presets(), "runs", "experiment.toml"}
    assert completed(scripts, "report", "runs/i") == {"runs/iris"}
    assert completed(scripts, "technology", "sky") == {"sky130"}
    assert completed(scripts, "compare", "pub") == {"published"}
    assert completed(scripts, "import-device", "no") == {"notes.txt"}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("train iris-kcl --training.ep", "--training.epochs --training.epochs-before"),
        ("train iris-kcl --training.epochs 5 --furth", "--further"),
        ("train iris-kcl --training.phax.load", "--training.phax.load-S"),
        ("train iris-kcl --training.regular.calibration-", "--training.regular.calibration-images"),
        ("run iris-kcl --method ki", ""),
        ("run iris-kcl --method kc", "kcl"),
        ("run iris-kcl --training.method cir", "circuit"),
        ("run iris-kcl --training.augmentation.flip --verification.netlist m", "mesh"),
        ("run --circuit.name lif-1t", "lif-1t1r"),
        ("run iris-kcl --technology g", "gf180mcu"),
        ("run iris-kcl --network.layers 4 6 --training.sizing er", "erim"),
        ("export runs/iris --to n", "nir npz"),
        ("export runs/iris --to subckt --dialect x", "xyce"),
        ("netlist runs/iris --form m", "mesh"),
        ("report runs/iris --training", ""),
        ("doctor --j", "--json"),
        ("completion z", "zsh"),
        ("show iris-kcl --he", "--help"),
    ],
)
def test_bash_completes_flags_and_values(words: str, found: str, scripts: dict[str, Path]) -> None:
    assert completed(scripts, *words.split()) == set(found.split())


def test_bash_completes_files(scripts: dict[str, Path]) -> None:
    Path("words.npz").touch()
    assert completed(scripts, "train", "iris-kcl", "--initial", "wo") == {"words.npz"}
    assert completed(scripts, "train", "iris-kcl", "--out", "wo") == set()  # a folder


def test_every_setting_is_in_every_script(scripts: dict[str, Path]) -> None:
    names = {name for system in SYSTEMS for name in flags_of(SYSTEMS[system].definition)} | set(SHORT)
    assert completed(scripts, "verify", "iris-kcl", "-") >= names
    for shell in SHELLS:
        text = scripts[shell].read_text(encoding="utf-8")
        assert not {name for name in names if name.removeprefix("--") not in text}


def test_the_verb_prints_it(scripts: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fish"]) == 0
    assert capsys.readouterr().out == scripts["fish"].read_text(encoding="utf-8") + "\n"
    assert main(["completion"]) == 2 and "SHELL" in capsys.readouterr().err
    assert main(["completion", "tcsh"]) == 2 and "tcsh" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh on the PATH")
def test_zsh_reads_its_script(scripts: dict[str, Path]) -> None:
    words = f'autoload -U compinit; compinit -D; eval "$(<{scripts["zsh"]})"; print $_comps[spicetrain]'
    done = subprocess.run(["zsh", "-f", "-c", words], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "_shtab_spicetrain\n", "")


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish on the PATH")
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("tr", "train"),
        ("train iris-k", "iris-kcl"),
        ("train iris-kcl --training.epochs-", "--training.epochs-before"),
        ("run iris-kcl --method kc", "kcl"),
    ],
)
def test_fish_completes(line: str, found: str, scripts: dict[str, Path]) -> None:
    words = f"source {scripts['fish']}; complete -C 'spicetrain {line}'"
    done = subprocess.run(["fish", "--no-config", "-c", words], capture_output=True, text=True, timeout=60)
    assert not done.stderr and [one.split("\t")[0] for one in done.stdout.splitlines()] == [found]
