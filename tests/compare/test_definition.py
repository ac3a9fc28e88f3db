"""What a comparison's TOML may say, and what is answered when it says something else; nothing is simulated."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import tomli_w

from compare.small import TOML, write_comparison
from spicetrain.cli import main
from spicetrain.compare.definition import comparisons, load_comparison, merged, nested
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.methods import METHODS
from spicetrain.run import Run
from spicetrain.systems import load_experiment


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", comparisons())
def test_every_shipped_comparison_survives_its_folder(name: str, tmp_path: Path) -> None:
    comparison = load_comparison(name)
    comparison.save(tmp_path / "comparison.toml")
    assert load_comparison(tmp_path) == comparison


def test_the_published_table() -> None:
    comparison = load_comparison("published")
    assert comparison.datasets == ("mnist", "fashion-mnist") and len(comparison.seeds) == 3
    experiments = [
        comparison.experiment(dataset, name, 0) for dataset in comparison.datasets for name in comparison.methods
    ]
    assert {experiment.training.method for experiment in experiments} == set(METHODS)
    for experiment in experiments:
        assert experiment.network.layers == (784, 100, 10) and experiment.verification.images == 10_000
    # No baseline is weakened: phax and rim choose, and every method trains as long as kcl.
    searched = {cell.search.setting for cell in comparison.methods.values() if cell.search is not None}
    assert searched == {"training.phax.load_S", "network.ground_ohm"}
    for dataset in comparison.datasets:
        assert len({comparison.experiment(dataset, name, 0).training.epochs for name in METHODS}) == 1


def test_the_later_table_wins_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    text = TOML.replace('datasets = ["iris"]', 'datasets = ["iris", "mnist"]')
    text += "training.epochs = 9\n[dataset.mnist]\ntraining = { epochs = 7, batch_size = 5 }\ndataset.folder = 'd'\n"
    folder = tmp_path / "deep"
    folder.mkdir()
    comparison = load_comparison(write_comparison(folder, text))
    own, other = (comparison.experiment("mnist", name, 1) for name in ("kcl", "phax"))
    assert (own.training.epochs, own.training.batch_size, own.training.seed) == (9, 5, 1)
    assert (other.training.epochs, other.dataset.name, other.dataset.folder) == (7, "mnist", folder / "d")
    assert comparison.experiment("iris", "phax", 0).training.epochs == 3
    comparison.save(tmp_path / "out" / "comparison.toml")
    kept = load_comparison(tmp_path / "out").experiment("mnist", "kcl", 1)
    assert kept == own and kept.characterization.plan == str(folder / "plan.toml")


def test_nested_tables() -> None:
    assert nested("a.b.c", 1) == {"a": {"b": {"c": 1}}}
    assert merged({"a": {"b": 1, "c": [2]}}, {"a": {"c": [3]}}, {"d": 4}) == {"a": {"b": 1, "c": [3]}, "d": 4}


# (what of the TOML is replaced, by what, what is answered)
WRONG = {
    "a misspelt table": ("[training]", "[trainning]", "unknown key 'trainning'. Did you mean 'training'?"),
    "a misspelt setting": ("epochs = 3", "epoch = 3", "unknown key 'training.epoch'. Did you mean 'epochs'?"),
    "a misspelt cell table": (
        "network.inverter_sizes",
        "netwrk.inverter_sizes",
        "unknown key 'methods.kcl.netwrk'. Did you mean 'network'?",
    ),
    "a misspelt cell setting": (
        "network.inverter_sizes",
        "network.inverter_size",
        "cell 'kcl' on iris: unknown key 'network.inverter_size'. Did you mean 'inverter_sizes'?",
    ),
    "a method that is none": ('"kcl"', '"kc"', "training.method = 'kc'"),
    "an impossible value": ("[4.0, 1.0]", "[4.0]", "1 numbers for 2 crossbars"),
    "a seed of its own": ("batch_size = 40", "seed = 40", "'training.seed' is not a key here: seeds says it"),
    "a seed twice": ("[0, 1]", "[0, 0]", "seeds = [0, 0]: one is named twice"),
    "no dataset": ('["iris"]', "[]", "datasets"),
    "overrides of another dataset": ("[network]", "[dataset.irs]\n[network]", "unknown 'irs'. Did you mean 'iris'?"),
    "an unknown start": ('initial = "phax"', 'initial = "phx"', "unknown 'phx'. Did you mean 'phax'?"),
    "a cycle": ("[methods.kcl]", '[methods.kcl]\ninitial = "kcl"', "kcl from kcl"),
    "a longer cycle": ("[methods.phax]", '[methods.phax]\ninitial = "kcl-tuned"', "from one another: kcl-tuned from"),
    "a name that is no folder": ("[methods.kcl]", '[methods."k/cl"]', "a cell's name is a folder's name"),
    "a search for nothing": ("[1e-4, 2e-6, 0.0]", "[]", "methods.phax.search.values"),
    "a search for the same": ("[1e-4, 2e-6, 0.0]", "[1e-4, 0.0001]", "not all different"),
    "a search for no setting": (
        "phax.load_S",
        "phax.load",
        "training.phax: unknown key 'load'. Did you mean 'load_S'?",
    ),
    "a search for an impossible value": ("[1e-4, 2e-6, 0.0]", "[-1.0]", "greater than or equal to 0"),
    "a misspelt key of a search": ("validation = 30", "valid = 30", "Did you mean 'validation'?"),
    "a folder": ("seeds = [0, 1]", 'folder = "x"', "'folder' is not a key"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_toml_that_is_none(case: str, own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, text = WRONG[case]
    assert old in TOML
    write_comparison(own_folder, TOML.replace(old, new, 1))
    assert main(["compare", "small.toml"]) == 2
    err = capsys.readouterr().err
    assert text in err and "Traceback" not in err
    assert not (own_folder / "runs").exists()


WORDS = {
    "no target": ("", "needs a TARGET: a comparison ("),
    "an unknown comparison": ("publishd", "Did you mean 'published'?"),
    "no such TOML": ("smal.toml", "Did you mean 'small.toml'?"),
    "an unknown dataset": ("small.toml --datasets irs", "no dataset 'irs'. Did you mean 'iris'?"),
    "an unknown seed": ("small.toml --seeds 7", "no seed '7'. Known: 0, 1."),
    "an unknown cell": ("small.toml --cells kcl pax", "no cell 'pax'. Did you mean 'phax'?"),
    "an unknown flag": ("small.toml --cell kcl", "Unknown argument --cell. Did you mean '--cells'?"),
    "a setting": ("small.toml --epochs 3", "Settings are in the TOML."),
    "no ngspice": ("small.toml --ngspice /nowhere/ngspice", "/nowhere/ngspice"),
    "a file for a folder": ("small.toml --out small.toml", "is a file"),
    "a run's folder": ("small.toml --out run", "is the folder of a single run"),
}


@pytest.mark.parametrize("case", WORDS)
def test_words_that_are_refused(case: str, own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_comparison(own_folder)
    (own_folder / "run").mkdir()
    (own_folder / "run" / "experiment.toml").write_text("")
    words, text = WORDS[case]
    assert main(["compare", *words.split()]) == (3 if case == "no ngspice" else 2)
    err = capsys.readouterr().err
    assert text in err and "Traceback" not in err
    assert sorted(path.name for path in own_folder.iterdir()) == ["plan.toml", "run", "small.toml"]


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("[4, 3, 3]", "[5, 3, 3]", "iris has 4 inputs"),
        ("images = 30", "images = 31", "iris has 30 test images"),
        ("validation = 30", "validation = 300", "iris has 120 training images"),
        ('["iris"]', '["irs"]', "dataset.name = 'irs': unknown dataset. Did you mean 'iris'?"),
    ],
)
def test_what_does_not_fit_shows_before_the_work(
    old: str, new: str, text: str, own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_comparison(own_folder, TOML.replace(old, new, 1))
    assert main(["compare", "small.toml"]) == 2
    assert text in capsys.readouterr().err and not (own_folder / "runs").exists()


def trained(folder: Path, experiment_toml: str) -> Path:
    """A folder that looks as if a training had begun in it."""
    folder.mkdir(parents=True)
    (folder / "experiment.toml").write_text(experiment_toml)
    (folder / "checkpoint.safetensors").write_text("")
    return folder


def test_a_folder_of_another_comparison_is_left_as_it_is(own_folder: Path) -> None:
    from spicetrain.compare.ownership import require_own_folder

    comparison, out = load_comparison(write_comparison(own_folder)), own_folder / "out"
    require_own_folder(comparison, out)
    for name, toml, text in (
        ("iris/kcl/seed-9", "", "no cell of this comparison"),
        ("iris/other/seed-0", "", "no cell of this comparison"),
        ("iris/kcl/seed-0", "[training]\nepochs = 4", "training.epochs 4 there, 3 here"),
        ("iris/phax/search/2e-06", "[training]\nepochs = 4", "training.epochs 4 there, 2 here"),
    ):
        folder = trained(out / name, toml)
        with pytest.raises(ConfigurationError, match=re.escape(text)) as caught:
            require_own_folder(comparison, out)
        assert str(folder) in str(caught.value) and "left as it is" in str(caught.value)
        shutil.rmtree(out)


def test_a_comparison_may_grow(own_folder: Path) -> None:
    from spicetrain.compare.ownership import require_own_folder

    out, comparison = own_folder / "out", load_comparison(write_comparison(own_folder))
    run = Run(comparison.experiment("iris", "kcl", 1), trained(out / "iris/kcl/seed-1", ""))
    with run.files.defined(tomli_w.dumps(run.experiment.model_dump(mode="json", exclude_none=True))):
        pass
    text = TOML.replace("[0, 1]", "[0, 1, 2]").replace("images = 30", "images = 20") + "[methods.more]\n"
    grown = load_comparison(write_comparison(own_folder, text))
    require_own_folder(grown, out)
    assert load_experiment(run.folder).verification.images == 30


@pytest.mark.parametrize(
    ("words", "exit_code", "text"),
    [
        ("--no-such-flag 7", 2, "Unknown argument --no-such-flag."),
        ("--ot here", 2, "Unknown argument --ot. Did you mean '--out'?"),
        ("another", 2, "Unknown argument another."),
        ("--out here", 2, "--out here: a comparison's page is written into its folder, not elsewhere."),
        ("--help", 0, "usage: spicetrain report"),
    ],
)
def test_the_report_of_a_comparison_takes_nothing_more(
    words: str, exit_code: int, text: str, own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_comparison(write_comparison(own_folder)).save(own_folder / "out" / "comparison.toml")
    assert main(["report", "out", *words.split()]) == exit_code
    assert text in "".join(capsys.readouterr())
    assert [path.name for path in (own_folder / "out").iterdir()] == ["comparison.toml"]
