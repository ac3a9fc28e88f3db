"""`spicetrain show` says what a run is and would do, starts nothing, and leaves everything as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import Finished, Wrapper, finished, write_experiment

from spicetrain.characterization.plan import load_plan
from spicetrain.characterization.stored import stored_tables
from spicetrain.cli import main
from spicetrain.errors import NgspiceError
from spicetrain.inverter.definition import InverterExperiment
from spicetrain.run import Run
from spicetrain.show.settings import defaults_of, flat, settings_of
from spicetrain.spiking.definition import SpikingExperiment
from spicetrain.systems import load_experiment, parse_experiment, presets

Capture = pytest.CaptureFixture[str]
ROOMS = ("characterize", "fit-surrogates", "train", "verify")


@pytest.fixture(autouse=True)
def no_ngspice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPICETRAIN_NGSPICE", "/nowhere/ngspice")


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with monkeypatch.context() as patch:
        patch.delenv("SPICETRAIN_NGSPICE")
        original: Finished = finished()
    monkeypatch.setenv("SPICETRAIN_CACHE", str(original.cache))
    return original.copy(tmp_path / "run")


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def shown(capsys: Capture, *words: object) -> dict[str, Any]:
    """What the command line says as JSON; everything in the working folder stays as it is."""
    before = content(Path.cwd())
    assert main(["show", *map(str, words), "--json"]) == 0
    assert content(Path.cwd()) == before
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def states(found: dict[str, Any]) -> dict[str, str]:
    return {room["verb"]: room["state"] for room in found["rooms"]}


def why(found: dict[str, Any], verb: str) -> str:
    return str(next(room["why"] for room in found["rooms"] if room["verb"] == verb))


def test_of_a_toml_everything_would_run_and_each_setting_says_where_it_comes_from(
    tmp_path: Path, capsys: Capture
) -> None:
    write_experiment(tmp_path)
    found = shown(capsys, "tiny.toml", "--epochs", 3, "--verification.no-hidden", "--training.phax.load-S", "1e-5")
    assert (found["system"], found["folder"]) == ("inverter", "runs/tiny")
    settings = {one["name"]: (one["value"], one["source"], one["differs"]) for one in found["settings"]}
    assert settings["dataset.name"] == ("iris", "TOML", True)
    assert settings["training.epochs"] == (3, "flag", True)  # as in the TOML, but the flag has the last word
    assert settings["verification.hidden"] == (False, "flag", False)
    assert settings["training.phax.load_S"] == (1e-5, "flag", True)
    assert settings["training.batch_size"] == (40, "TOML", True)
    assert settings["training.learning_rate"] == (0.05, "default", False)
    assert settings["wires"] == (None, "default", False)
    assert states(found) == dict.fromkeys(ROOMS, "would run")
    assert found["tables"] == [{"name": "current_surface", "ngspice_versions": []}]
    assert why(found, "characterize") == "measures current_surface"
    assert not (tmp_path / "runs").exists() and not (tmp_path / "cache").exists()


def test_of_a_finished_folder_nothing_would_run(done: Path, capsys: Capture) -> None:
    found = shown(capsys, done)
    assert states(found) == dict.fromkeys(ROOMS, "finished")
    assert {one["source"] for one in found["settings"]} == {"run folder", "default"}
    assert [len(table["ngspice_versions"]) for table in found["tables"]] == [1]
    assert "3 epochs" in why(found, "train")


def test_lines_for_a_terminal(done: Path, capsys: Capture) -> None:
    assert main(["show", str(done)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"system inverter, run folder {done}" in lines[0]
    assert any(line.split() == ["*", "training.epochs", "3", "run", "folder"] for line in lines)
    assert any(line.split()[:2] == ["train", "finished"] for line in lines)


@pytest.mark.parametrize(
    ("words", "verb", "state", "text"),
    [
        (["--epochs", "4"], "train", "would refuse", "training.epochs 3 there, 4 here"),
        (["--images", "12"], "verify", "would run", "verification.images was 30, is 12"),
        (["--energy-images", "2"], "verify", "would run", "energy.images was 0, is 2"),
        (["--surrogates.points", "401"], "fit-surrogates", "would run", "points was 400, is 401"),
    ],
)
def test_of_other_settings(words: list[str], verb: str, state: str, text: str, done: Path, capsys: Capture) -> None:
    found = shown(capsys, done, *words)
    assert states(found)[verb] == state and text in why(found, verb)
    assert states(found)["characterize"] == "finished"


def test_of_an_interrupted_training(done: Path, capsys: Capture) -> None:
    lines = (done / "metrics.jsonl").read_text().splitlines()[:2]
    epochs = [{**json.loads(line), "seconds": 7.0} for line in lines]
    (done / "metrics.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    (done / "network.safetensors").unlink()
    found = shown(capsys, done)
    assert why(found, "train") == "goes on behind epoch 2 of 3, about 7 s to go"
    assert states(found)["verify"] == "would run"


def test_of_lost_files(done: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (done / "characterization" / "current_surface.parquet").unlink()
    found = shown(capsys, done)
    assert why(found, "characterize") == "copies current_surface from the cache"
    monkeypatch.setenv("SPICETRAIN_CACHE", str(tmp_path / "another"))
    found = shown(capsys, done)
    assert why(found, "characterize") == "measures current_surface"
    assert states(found)["fit-surrogates"] == "would run"
    (done / "summary.json").unlink()
    (done / "surrogates.json").unlink()
    found = shown(capsys, done)
    assert (why(found, "verify"), why(found, "fit-surrogates")) == (
        "nothing is verified yet",
        "nothing is fitted here yet: fits what the cache does not have",
    )


def test_a_damaged_table_is_none(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = done / "characterization" / "current_surface.parquet"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 3] ^= 0xFF
    path.write_bytes(damaged)
    run = Run.open(done)
    asked = run.system.measured(run, load_plan(run.experiment.characterization.plan, run.system.tables))
    assert stored_tables(*asked, path.parent)[0].ngspice_versions  # the cache's
    monkeypatch.setenv("SPICETRAIN_CACHE", str(tmp_path / "another"))
    assert stored_tables(*asked, path.parent)[0].ngspice_versions == ()


def test_tables_of_another_device_are_not_these(done: Path, capsys: Capture) -> None:
    found = shown(capsys, done, "--memristor", "pcm")
    assert why(found, "characterize") == "measures current_surface"
    assert "fitted for another technology" in why(found, "fit-surrogates")
    assert states(found)["train"] == "would refuse"


def test_another_network_is_verified_again(done: Path, capsys: Capture) -> None:
    with (done / "network.safetensors").open("ab") as stream:
        stream.write(b" ")
    found = shown(capsys, done)
    assert "of another network.safetensors" in why(found, "verify")


def test_what_is_said_of_a_run_that_goes_on_is_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Rooms one by one: each is finished when its verb has been done, and no other is."""
    monkeypatch.delenv("SPICETRAIN_NGSPICE")
    counting = Wrapper.make(tmp_path / "counting")
    write_experiment(tmp_path)
    run = Run.open("tiny.toml", "run", ngspice=counting.executable, workers=1)
    for number, verb in enumerate(("characterize", "fit_surrogates", "train", "verify"), start=1):
        getattr(run, verb)()
        runs = counting.runs
        found = states(shown(capsys, "tiny.toml", "--out", "run"))
        assert list(found.values()) == ["finished"] * number + ["would run"] * (4 - number), verb
        assert counting.runs == runs


@pytest.mark.parametrize("name", ["mnist-snn-circuit", "mnist-kcl-robust"])
def test_of_a_preset_of_either_system(name: str, capsys: Capture) -> None:
    found = shown(capsys, name)
    run = Run.open(name)
    assert found["system"] == run.experiment.system
    assert states(found) == dict.fromkeys(ROOMS, "would run")
    names = {table["name"] for table in found["tables"]}
    assert {"mnist-snn-circuit": "leak_current", "mnist-kcl-robust": "shifted_surface"}[name] in names


@pytest.mark.parametrize("name", presets())
def test_what_a_preset_does_not_say_is_its_default(name: str) -> None:
    experiment = load_experiment(name)
    for one in settings_of(experiment, {}, "TOML"):
        assert (one.source, one.differs) == ("default", False)


@pytest.mark.parametrize(("name", "kind"), [("inverter", InverterExperiment), ("spiking", SpikingExperiment)])
def test_defaults_are_those_of_an_empty_toml(name: str, kind: type[Any]) -> None:
    empty = parse_experiment({"system": name}, "empty").model_dump(mode="json")
    assert flat(defaults_of(kind)) == flat(empty)


@pytest.mark.parametrize(
    ("name", "damage", "code"),
    [
        ("surrogates.json", '{"technology_fingerprint": 1, "surrogates": [1]}', 2),
        ("surrogates.json", "{", 2),
        ("metrics.jsonl", '{"epoch": 1, "seconds": "x"}\n', 2),
        ("manifest.json", '{"rooms": {"verify": 3}}', 0),
        ("manifest.json", '{"rooms": {"verify": {"artefacts_sha256": [1]}}}', 0),
        ("manifest.json", "[]", 2),
    ],
)
def test_what_is_damaged_is_named(name: str, damage: str, code: int, done: Path, capsys: Capture) -> None:
    (done / name).write_text(damage)
    assert main(["show", str(done)]) == code
    out, err = capsys.readouterr()
    assert name in err if code else "of another network.safetensors" in out


def test_what_is_no_experiment(capsys: Capture) -> None:
    assert main(["show", "iris-kc"]) == 2
    assert "Did you mean 'iris-kcl'?" in capsys.readouterr().err
    assert main(["show", "iris-kcl", "--epoch", "3"]) == 2
    assert "Unknown flag --epoch. Did you mean '--epochs'?" in capsys.readouterr().err
    with pytest.raises(NgspiceError):
        _ = Run.open("iris-kcl").simulator  # so nothing above has asked for one
