"""Words in, exit codes and text out; what the verbs do is tested beside them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import TOML, finished, write_experiment

from spicetrain import __version__, cli, errors
from spicetrain.arguments import SHORT
from spicetrain.cli import main
from spicetrain.experiment import Experiment
from spicetrain.flags import flags_of, with_flags
from spicetrain.inverter.definition import InverterExperiment
from spicetrain.run import Run
from spicetrain.systems import load_experiment, presets

VERBS = (
    "run",
    "characterize",
    "fit-surrogates",
    "train",
    "verify",
    "netlist",
    "export",
    "report",
    "compare",
    "import-device",
    "presets",
    "doctor",
    "completion",
)
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Opened:
    """Stands in for the verbs: keeps the run that a command line asked for."""

    run: Run
    options: Any

    def __call__(self, run: Run, options: Any) -> None:
        self.run, self.options = run, options


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    found = Opened()
    for verb in cli._ACTIONS:
        monkeypatch.setitem(cli._ACTIONS, verb, found)
    return found


def code_of(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as leaving:  # of argparse and tyro
        assert isinstance(leaving.code, int)
        return leaving.code


# Help


@pytest.mark.parametrize("arguments", [["--help"], *([verb, "--help"] for verb in VERBS)], ids=" ".join)
def test_help_everywhere(arguments: list[str], capsys: Capture) -> None:
    assert code_of(*arguments) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: spicetrain") and not err
    assert "130 interrupted" in out
    assert "mnist-kcl" in out


def test_help_behind_a_target_lists_every_setting(capsys: Capture) -> None:
    assert code_of("netlist", "iris-kcl", "--help") == 0
    out = capsys.readouterr().out
    for text in ("--image N", "--form", *flags_of(InverterExperiment)):
        assert text in out, text


def test_version(capsys: Capture) -> None:
    assert code_of("--version") == 0
    assert capsys.readouterr().out == f"spicetrain {__version__}\n"


@pytest.mark.parametrize(
    "words",
    ["--help", "--version", "", "presets", "presets --json", "run", "report", "compare", "compare --help", "trian x"],
)
def test_what_needs_no_target_loads_nothing_heavy(words: str) -> None:
    program = f"import sys\nfrom spicetrain.cli import main\ntry: main({words.split()})\nexcept SystemExit: pass\n"
    heavy = "{'torch', 'numpy', 'pydantic', 'rich', 'tyro', 'pandas', 'matplotlib'}"
    program += f"print('heavy', *sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy"


def test_without_a_word_the_help_is_printed(capsys: Capture) -> None:
    assert main([]) == 0
    bare = capsys.readouterr()
    assert code_of("--help") == 0
    assert bare == capsys.readouterr()


def test_what_is_missing_is_said_before_torch_is_loaded() -> None:
    program = "import sys\nfrom spicetrain.cli import main\n"
    program += "main(['train', 'iris-kcl', '--epochs', '3'])\nmain(['verify', 'iris-kcl'])\n"
    program += "print(*sorted({'torch', 'pandas', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "spicetrain fit-surrogates" in done.stderr and "spicetrain train" in done.stderr
    assert done.stdout.strip() == ""


# Settings


def test_flags_are_typed_and_the_commonest_are_short(opened: Opened, own_folder: Path) -> None:
    write_experiment(own_folder)
    flags = "--epochs 5 --training.learning-rate=1e-3 --images 7 --hidden --netlist flat --network.layers 4 6 3"
    flags += " --energy-images 3"
    assert main(["train", "tiny.toml", *flags.split(), "--data", "images"]) == 0
    experiment = opened.run.experiment
    assert isinstance(experiment, InverterExperiment)
    assert (experiment.training.epochs, experiment.training.learning_rate) == (5, 1e-3)
    assert (experiment.verification.images, experiment.verification.netlist) == (7, "flat")
    assert (experiment.verification.hidden, experiment.energy.images) == (True, 3)
    assert experiment.network.layers == (4, 6, 3)
    assert experiment.dataset.folder == own_folder / "images"
    assert experiment.training.batch_size == 40  # as in the file
    assert opened.run.folder == Path("runs/tiny")


def test_settings_of_a_method_are_flags_of_its_table(opened: Opened, own_folder: Path, capsys: Capture) -> None:
    write_experiment(own_folder)
    words = ["train", "tiny.toml", "--method", "phax"]
    assert main([*words, "--training.phax.load-S", "5e-6"]) == 0
    training = opened.run.experiment.training
    assert (training.method, training.of("phax").load_S) == ("phax", 5e-6)
    assert code_of("train", "mnist-phax", "--help") == 0
    assert "--training.phax.load-S" in capsys.readouterr().out
    assert main([*words, "--training.phax.load", "5e-6"]) == 2
    assert "Unknown flag --training.phax.load." in capsys.readouterr().err
    assert main([*words, "--training.phax.load-S", "-5e-6"]) == 2
    assert "training.phax: load_S = '-5e-6': input should be greater than or equal to 0" in capsys.readouterr().err


def test_a_table_that_may_be_none_has_flags_too(opened: Opened, own_folder: Path, capsys: Capture) -> None:
    write_experiment(own_folder)
    words = ["train", "tiny.toml", "--wires.row-ohm", "5", "--wires.column-ohm", "2.5"]
    assert main(words) == 0
    experiment = opened.run.experiment
    assert isinstance(experiment, InverterExperiment) and experiment.wires is not None
    assert (experiment.wires.row_ohm, experiment.wires.column_ohm) == (5.0, 2.5)
    assert main([*words, "--wires", "None"]) == 0
    assert opened.run.experiment.wires is None
    assert main(words[:4]) == 2
    assert "give column_ohm, or column_sheet_ohm and column_width_m and pitch_m" in capsys.readouterr().err
    assert main([*words, "--verification.conditions.wires.row-ohm", "-1"]) == 2
    assert "row_ohm = '-1': input should be greater than 0" in capsys.readouterr().err


def test_a_device_in_place_of_the_technologys(opened: Opened, own_folder: Path, capsys: Capture) -> None:
    write_experiment(own_folder)
    assert main(["train", "tiny.toml", "--memristor", "tiox-bent"]) == 0
    experiment = opened.run.experiment
    assert isinstance(experiment, InverterExperiment)
    assert experiment.load_technology().memristor.form == "sinh"
    assert experiment.measured_as() != experiment.model_copy(update={"memristor": None}).measured_as()
    assert main(["train", "tiny.toml", "--memristor", "tiox-bnt"]) == 2
    assert "'tiox-bent'" in capsys.readouterr().err


def test_every_short_flag_stands_for_a_setting() -> None:
    assert set(SHORT.values()) <= flags_of(InverterExperiment).keys()


def as_words(experiment: Experiment) -> list[str]:
    """The flags that say what the experiment says already."""
    words = []
    for name, flag in flags_of(type(experiment)).items():
        value: Any = experiment.model_dump(mode="json")
        for key in flag.keys[:-1]:
            value = value[key] or {}
        if flag.keys[-1] not in value:
            continue  # of a table that is None
        value = value[flag.keys[-1]]
        if isinstance(value, dict):
            continue  # a table that may be None and is not
        if flag.switch is None:
            words += [name, *map(str, value if isinstance(value, list) else [value])]
        elif flag.switch is value:
            words += [name]
    return words


@pytest.mark.parametrize("name", presets())
def test_every_setting_as_a_flag_says_the_same(name: str) -> None:
    experiment = load_experiment(name)
    words = as_words(experiment)
    assert "--training.epochs" in words and "None" in words and "--training.augmentation.no-flip" in words
    assert with_flags(experiment, words) == experiment
    given = with_flags(experiment, ["--training.epochs", "7", "--training.epochs=8", "--training.augmentation.flip"])
    assert (given.training.epochs, given.training.augmentation.flip) == (8, True)
    assert with_flags(given, words) == experiment


def test_out_ngspice_and_workers(opened: Opened, own_folder: Path) -> None:
    toml = str(write_experiment(own_folder))
    assert main(["verify", toml, "--out", "elsewhere", "--ngspice", "./mine", "--workers", "3"]) == 0
    assert (opened.run.folder, opened.run._workers, opened.run._ngspice) == (Path("elsewhere"), 3, "./mine")
    assert main(["train", toml, "--workers", "2", "--forward", "spice", "--initial", "other.safetensors"]) == 0
    training = opened.run.experiment.training
    assert (opened.run._workers, training.forward) == (2, "spice")
    assert training.initial == own_folder / "other.safetensors"
    assert main(["netlist", toml, "--image", "4", "--form", "reduced"]) == 0
    assert (opened.options.image, opened.options.form) == (4, "reduced")


def test_a_run_folder_is_its_own(opened: Opened, own_folder: Path) -> None:
    (own_folder / "a").mkdir()
    (own_folder / "a" / "experiment.toml").write_text(TOML)
    assert main(["train", "a"]) == 0
    assert opened.run.folder == Path("a")


REFUSED = {
    "no verb": ("-q", "required: VERB. `spicetrain --help` says what may be given"),
    "unknown verb": ("trian iris-kcl", "Unknown verb 'trian'. Did you mean 'train'?"),
    "no target": ("train", "needs a TARGET: a preset (blackscholes-kcl, "),
    "unknown preset": ("run mnist-kl", "Did you mean 'mnist-kcl'?"),
    "no such TOML": ("run tin.toml", "Did you mean 'tiny.toml'?"),
    "unknown flag": ("train tiny.toml --epoch 3", "Unknown flag --epoch. Did you mean '--epochs'?"),
    "unknown long flag": ("train tiny.toml --training.epoch=3", "Did you mean '--training.epochs'?"),
    "a misspelt flag of the verb": ("train tiny.toml --worker 3", "Unknown flag --worker. Did you mean '--workers'?"),
    "a flag of another verb": ("report tiny.toml --workers 3", "Unknown argument --workers. Known: --help, --out."),
    "a setting where nothing is made": ("report tiny.toml --epochs 3", "It draws what the folder holds"),
    "a misspelt flag of report": ("report tiny.toml --ot here", "Unknown argument --ot. Did you mean '--out'?"),
    "a stray word": ("train tiny.toml another --epochs 3", "Unknown argument 'another'"),
    "one value too many": ("train tiny.toml --epochs 3 4", "flags: --epochs 3 4: it takes one value, 2 are given"),
    "no value": ("train tiny.toml --epochs", "flags: --epochs: its value is missing"),
    "no value but another flag": (
        "train tiny.toml --network.layers --epochs 3",
        "--network.layers: its value is missing",
    ),
    "an empty value": ("train tiny.toml --dataset.folder=", "flags: --dataset.folder: its value is missing"),
    "a value for a switch": ("verify tiny.toml --hidden yes", "--verification.no-hidden is the opposite"),
    "a choice of the verb": ("netlist tiny.toml --form flt", "argument --form: invalid choice: 'flt'"),
    "no value of the verb": ("train tiny.toml --out", "argument --out: expected one argument"),
    "a flag before the target": ("train --epochs 3 tiny.toml", "write TARGET first"),
    "doctor's unknown flag": ("doctor --ngpsice x", "Unknown argument --ngpsice. Did you mean '--ngspice'?"),
    "doctor's stray word": ("doctor iris-kcl", "Unknown argument iris-kcl. Known: --help, --json, --ngspice."),
    "a word for a number": (
        "train tiny.toml --epochs many",
        "training.epochs = 'many': input should be a valid integer",
    ),
    "a broken number": (
        "train tiny.toml --training.epochs 1.5",
        "training.epochs = '1.5': input should be a valid integer",
    ),
    "a word among numbers": (
        "train tiny.toml --network.layers 4 x 3",
        "flags: network.layers.1 = 'x': input should be",
    ),
    "a word for a number or none": (
        "verify tiny.toml --verification.accuracy-min x",
        "accuracy_min = 'x': input should",
    ),
    "an impossible number": ("train tiny.toml --epochs -3", "training.epochs = '-3': input should be greater than or"),
    "zero images": ("verify tiny.toml --images 0", "greater than or equal to 1"),
    "one image has no step": ("verify tiny.toml --energy-images 1", "there is no step; give 2 or more, or 0"),
    "a negative capacitance": ("verify tiny.toml --energy.column-capacitance-F=-1e-15", "greater than or equal to 0"),
    "a negative resistance": (
        "run tiny.toml --wires.row-ohm -5 --wires.column-ohm 5",
        "wires.row_ohm = '-5': input should be greater than 0",
    ),
    "no resistance": ("run tiny.toml --wires.row-ohm 5 --wires.column-ohm 0", "wires.column_ohm = '0': input should"),
    "a resistance that is no number": (
        "run tiny.toml --wires.row-ohm nan --wires.column-ohm 5",
        "wires.row_ohm = 'nan': input should be a finite number",
    ),
    "wires that do not resist": (
        "run tiny.toml --wires.row-ohm 5 --wires.column-ohm 1e-30",
        "wires: 1e-30 ohm (column) is not from 0.0001 to 1e+09 ohm",
    ),
    "wires that do not conduct": (
        "run tiny.toml --wires.row-ohm 5 --wires.column-ohm 5 --wires.feed-ohm 1e300",
        "wires: 1e+300 ohm (feed) is not from 0.0001 to 1e+09 ohm",
    ),
    "a negative capacitance of wires": (
        "run tiny.toml --wires.row-ohm 5 --wires.column-ohm 5 --wires.row-F=-1e-15",
        "wires.row_F = '-1e-15': input should be greater than or equal to 0",
    ),
    "capacitance by a length that is not given": (
        "run tiny.toml --wires.row-ohm 5 --wires.column-ohm 5 --wires.row-F-per-m 1e-10",
        "row_F_per_m = 1e-10 takes pitch_m",
    ),
    "a place that there is not": (
        "run tiny.toml --wires.row-ohm 5 --wires.column-ohm 5 --wires.rows-driven left",
        "wires.rows_driven = 'left': none of its values. Known: both ends, middle, one end",
    ),
    "an unknown choice": (
        "train tiny.toml --method kc",
        "training.method = 'kc': unknown method. Did you mean 'kcl'?",
    ),
    "zero workers": ("verify tiny.toml --workers 0", "workers = 0: at least one process"),
    "a word for the workers": ("verify tiny.toml --workers two", "invalid int value: 'two'"),
    "a file as run folder": ("run tiny.toml --out tiny.toml", "is a file, not a run folder"),
    "sizes that do not fit": ("train tiny.toml --network.layers 4 3 3 3", "2 numbers for 3 crossbars"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_words_that_are_refused(case: str, own_folder: Path, capsys: Capture) -> None:
    write_experiment(own_folder)
    words, text = REFUSED[case]
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert err.startswith("spicetrain: ") and text in err
    assert len(err.splitlines()) == 1 and "http" not in err and not out
    assert sorted(path.name for path in own_folder.iterdir()) == ["plan.toml", "tiny.toml"]


# Exit codes


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (errors.DatasetError("it is this"), 2),
        (errors.NgspiceError("it is this"), 3),
        (errors.SimulationError("it is this"), 4),
        (errors.VerificationError("it is this"), 5),
        (OSError(errno.EMFILE, "it is this"), 2),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_has_its_exit_code(
    error: BaseException, exit_code: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert main([]) == exit_code
    err = capsys.readouterr().err
    assert ("interrupted" if exit_code == 130 else "it is this") in err
    assert err.startswith("spicetrain: ")


def spicetrain(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spicetrain", *arguments]
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=180, env=usual, **options)


def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = spicetrain("--help", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_cannot_be_written_is_an_error_without_traceback() -> None:
    with open("/dev/full", "w") as full:
        done = spicetrain("--help", stdout=full)
    assert done.returncode == 2
    assert done.stderr.startswith("spicetrain: ")
    assert len(done.stderr.splitlines()) == 1


# The verbs, one after another


def test_each_verb_prints_what_it_made(own_folder: Path, capsys: Capture) -> None:
    write_experiment(own_folder)

    def said(*arguments: str) -> str:
        assert main(arguments) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    table = said("characterize", "tiny.toml", "--workers", "1").split()
    assert table == ["current_surface", "runs/tiny/characterization/current_surface.parquet"]
    assert said("fit-surrogates", "tiny.toml").startswith("current_surface rms_relative ")
    assert said("train", "tiny.toml") == "4-3-3 in runs/tiny/network.safetensors\n"
    verified = said("verify", "tiny.toml", "--workers", "1")
    assert "iris 4-3-3, kcl, 30 images in ngspice" in verified
    assert verified.endswith("All of it in runs/tiny\n")
    assert said("netlist", "runs/tiny", "--image", "2") == "runs/tiny/network-flat-2.cir\n"
    assert said("report", "runs/tiny") == "runs/tiny/report.html\n"
    assert load_experiment("runs/tiny") == load_experiment("tiny.toml")
    assert "accuracy, SPICE" in said("run", "tiny.toml")


def test_outside_its_tolerance_the_table_is_printed_and_everything_is_written(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("SPICETRAIN_CACHE", str(finished().cache))
    folder = finished().copy(own_folder / "run")
    for name in ("summary.json", "verification.parquet", "report.html"):
        (folder / name).unlink()
    for verb, written in (("verify", "verification.parquet"), ("run", "report.html")):
        assert main([verb, str(folder), "--verification.error-max-max", "1e-12", "--workers", "1"]) == 5
        out, err = capsys.readouterr()
        assert "output error, max" in out
        assert "error_max_V / swing = " in err and "asked at most 1e-12" in err
        assert (folder / "summary.json").exists() and (folder / written).exists()
