"""Bad input of every kind through the command line: exit code, clear text, no traceback, nothing lost."""

from __future__ import annotations

import errno
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from bent import bent_toml
from inverter.training.circuits import random_network
from processes import processes_in
from tiny import Wrapper, write_experiment

from spicetrain import assets, storage
from spicetrain.cli import main
from spicetrain.datasets import load_dataset
from spicetrain.errors import DomainError, StorageError
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import predict
from spicetrain.spice.ngspice import find_ngspice
from spicetrain.storage import read_json, storage_errors
from spicetrain.systems import load_experiment
from spicetrain.technology import load_technology

Capture = pytest.CaptureFixture[str]
ROOMS = ("characterize", "fit-surrogates", "train", "verify", "report")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with tiny.toml; what failed in ngspice is kept in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    write_experiment(tmp_path)
    return tmp_path


@pytest.fixture
def done(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run folder, `run`."""
    monkeypatch.setenv("SPICETRAIN_CACHE", str(tiny.finished().cache))
    return tiny.finished().copy(own_folder / "run")


@pytest.fixture
def refused(capsys: Capture) -> Callable[..., str]:
    """Runs a command line that must fail with the given exit code and without a traceback; what it says."""

    def call(exit_code: int, words: str) -> str:
        capsys.readouterr()
        assert main(words.split()) == exit_code
        err = capsys.readouterr().err
        assert err.startswith("spicetrain: ") and "Traceback" not in err
        return err.removeprefix("spicetrain: ")

    return call


Refused = Callable[[int, str], str]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What the user wrote


def test_a_misspelt_key_is_answered_with_the_nearest(own_folder: Path, refused: Refused) -> None:
    toml = own_folder / "tiny.toml"
    toml.write_text(toml.read_text().replace("epochs", "epoch"))
    assert refused(2, "run tiny.toml") == "tiny.toml: unknown key 'training.epoch'. Did you mean 'epochs'?\n"
    toml.write_text("[traning]\nepochs = 3")
    assert "unknown key 'traning'. Did you mean 'training'?" in refused(2, "run tiny.toml")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('training.epochs = "200"', "training.epochs = '200': input should be a valid integer"),
        ("verification.hidden = 1", "verification.hidden = 1: input should be a valid boolean"),
        ("technology = 90", "technology = 90: input should be a valid string"),
        ('system = ["inverter"]', "unknown system ['inverter']. Did you mean 'inverter'?"),
        ("training.phax = 3", "training.phax: 3 is no table of the method's settings"),
        ("training.phax.load_S = 'x'", "training.phax: load_S = 'x': input should be a valid number"),
        ("dataset.folder = 1979-05-27", "dataset.folder = {'date': '1979-05-27'}: input should"),
    ],
)
def test_a_setting_of_another_type(line: str, text: str, own_folder: Path, refused: Refused) -> None:
    (own_folder / "other.toml").write_text(line)
    assert text in refused(2, "train other.toml")


WIRES = "--wires.row-ohm 5 --wires.column-ohm 5"
LARGE = "--network.layers 4 400 400 3 --network.inverter-sizes 8 8 1"
ENERGY = "--network.layers 4 200 50 3 --network.inverter-sizes 8 8 1 --energy-images 3 --energy.netlist flat"


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ("--technology power.toml --energy-images 3", "only the forms 'ohmic' and 'sinh' have"),
        ("--netlist mesh", "netlist = 'mesh', but ptm90 has no [wires]"),
        (f"{WIRES} --netlist reduced", "wires take --netlist mesh or flat"),
        (f"{WIRES} --energy-images 3 --energy.netlist reduced", "wires take --energy.netlist mesh or flat"),
        (f"{WIRES} --wires.tc-per-K 0.09 --verification.conditions.temperature-C -40", "a metal's rise is about 0.003"),
        (f"{WIRES} --wires.tc-per-K 0.09 --training.conditions.temperatures-C -40", "a metal's rise is about 0.003"),
        (f"{WIRES} --technology power.toml", "between wires that resist, devices are trained that are ohmic or"),
        (
            f"{WIRES} {LARGE} --netlist flat",
            "flat with wires, up to 802 x 400 cells, takes an ngspice without KLU some",
        ),
        (
            f"{WIRES} {LARGE} --netlist mesh",
            "mesh with wires, up to 802 x 400 cells, takes an ngspice without KLU some",
        ),
        (f"{WIRES} {ENERGY}", "energy.images = 3 on energy.netlist = 'flat': flat with wires, up to 402 x 50 cells"),
        ("--network.layers 4 3 2", "begin with 4 and end with 3"),
        ("--method latim", "needs loaded_vtc, which the plan"),
        ("--method ideal --training.sizing layer", "sees neither load nor power"),
        ("--method ideal --forward spice", "needs training.method = 'kcl'"),
        ("--training.validation 118", "leaves nothing to train on"),
        ("--training.augmentation.shift-pixels 1", "iris has none"),
        ("--training.device cuda", "torch sees no CUDA device"),
        ("--initial none.safetensors", "none.safetensors"),
        ("--initial other.safetensors", "4-2-3"),
        ("--images 31", "30 test images"),
        ("--energy-images 31", "30 test images"),
        ("--verification.conditions.technology none.toml", "none.toml"),
        ("--verification.conditions.section tt", "tt"),
        ("--characterization.plan none.toml", "none.toml"),
        ("--characterization.plan spiking", "spiking"),
        ("--data here", "takes no folder"),
    ],
)
def test_what_the_experiment_alone_can_tell_is_refused_before_the_work(
    flags: str, text: str, own_folder: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    if " cells" in text and find_ngspice().klu:
        pytest.skip("an ngspice with KLU can")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ptm90 = load_technology("ptm90")
    sinh = bent_toml(ptm90, own_folder, 3.0).read_text()
    power = sinh.replace('form = "sinh"\nb_per_V = 3.0', 'form = "power"\nratio = 3.0\nv_ref_V = 0.25')
    (own_folder / "power.toml").write_text(power)
    random_network(ptm90, 4, 2, 3).save(own_folder / "other.safetensors")
    wrapper = Wrapper.make(own_folder / "w")
    assert text in refused(2, f"run tiny.toml {flags} --ngspice {wrapper.executable}")
    assert wrapper.runs == 1  # the probe: what ngspice it is
    assert not (own_folder / "runs" / "tiny" / "characterization").exists()


NO_STATISTICS = re.compile(r"\[mismatch\].*?(?=\[memristor\])|\[memristor\.programming\].*", re.S)


def bare(folder: Path) -> str:
    """ptm90 without statistics of anything; the path of its TOML."""
    path = Path(technology(folder, "", ""))
    path.write_text(NO_STATISTICS.sub("", path.read_text()))
    found = load_technology(str(path))
    assert found.mismatch is None and found.memristor.programming is None
    return str(path)


NO_CHIPS = [
    ("--chips 2 --chips-simulated 3", "chips_simulated = 3 of chips = 2: those that are simulated are the first"),
    ("--chips -1", "verification.chips = '-1': input should be greater than or equal to 0"),
    ("--chips 2 --verification.variation.programming -0.1", "verification.variation.programming"),
    ("--chips 2 --verification.variation.mismatch -1", "verification.variation.mismatch"),
    ("--chips 2 --verification.variation.stuck-at-g-min 1.5", "verification.variation.stuck_at_g_min"),
    (
        "--chips 2 --verification.chips-first 4294967296",
        "verification.chips_first = '4294967296': input should be less",
    ),
    ("--chips 2 --verification.chips-first 4294967295", "the last number is 2^32 - 1"),
    ("--chips 2 --chips-images 31", "verification.chips_images = 31, but there are 30 test images"),
    ("--chips 2 --technology BARE", "nothing varies from one to the next: the technology 'ptm90' has no"),
    ("--chips 2 --verification.variation.mismatch 0 --verification.variation.programming 0", "nothing varies"),
    ("--chips 2 --technology BARE --verification.variation.mismatch 1", "gives no statistics of its transistors"),
    ("--training.variation.mismatch 1 --technology BARE", "gives no statistics of its transistors"),
    ("--training.variation.programming -0.1", "training.variation.programming"),
    ("--training.variation.after-epochs -1", "training.variation.after_epochs = '-1'"),
    ("--training.variation.mismatch 1 --method linear", "method 'linear', which knows none. Methods that do: kcl,"),
    ("--training.variation.programming 0.1 --forward spice", "training.variation with training.forward = 'spice'"),
]
# The verb itself, in a folder where everything else is done; that of another technology is refused for that.
VERBS = [*(("run", *one) for one in NO_CHIPS), *(("", *one) for one in NO_CHIPS if "BARE" not in one[0])]


@pytest.mark.parametrize(("verb", "flags", "text"), VERBS)
def test_chips_that_there_cannot_be_are_refused_before_the_work(
    verb: str, flags: str, text: str, done: Path, own_folder: Path, refused: Refused
) -> None:
    wrapper = Wrapper.make(own_folder / "w")
    METHODS.register("linear", "extension.method:LINEAR")
    try:
        words = flags.replace("BARE", bare(own_folder) if "BARE" in flags else "")
        if verb == "run":
            words = f"run tiny.toml {words}"
        else:
            meant = "train" if "--training" in flags else "verify"
            for name in WORK["train"][0] if meant == "train" else ():
                (done / name).unlink()
            words = f"{meant} run {words}"
        before = content(done)
        assert text in refused(2, f"{words} --ngspice {wrapper.executable}")
    finally:
        METHODS.remove("linear")
    assert wrapper.runs <= 1  # the probe: what ngspice it is
    assert not (own_folder / "runs" / "tiny" / "characterization").exists()
    assert content(done) == before


def test_a_variation_that_there_is_not(own_folder: Path, refused: Refused) -> None:
    for table in ("verification.variation", "training.variation"):
        (own_folder / "other.toml").write_text(f"[{table}]\nprograming = 0.1\n")
        said = refused(2, "run other.toml")
        assert f"unknown key '{table}.programing'. Did you mean 'programming'?" in said


def test_time_limits_are_settings(
    done: Path, own_folder: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = Wrapper.make(own_folder / "w", "exec sleep 60", left=1)  # the probe
    ngspice = f"--workers 1 --ngspice {wrapper.executable}"
    assert "the time limit being 0.4 s" in refused(4, f"verify run --verification.timeout-s 0.4 {ngspice}")
    wrapper.allow(1)
    monkeypatch.setenv("SPICETRAIN_CACHE", str(own_folder / "empty"))
    said = refused(4, f"characterize tiny.toml --characterization.timeout-s 0.4 {ngspice}")
    assert "the time limit being 0.4 s" in said


def test_toml_that_is_none(own_folder: Path, refused: Refused) -> None:
    (own_folder / "tiny.toml").write_text("[training\nepochs = 3")
    assert "tiny.toml is not valid TOML" in refused(2, "run tiny.toml")


def technology(folder: Path, old: str, new: str) -> str:
    """ptm90 with a change, as a user's own; the path of its TOML."""
    shutil.copytree(assets.netlists_folder() / "technologies", folder / "mine", dirs_exist_ok=True)
    path = folder / "mine" / "ptm90.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return str(path)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("vdd_V = 0.25", "vdd_V = -0.5", "rails.vdd_V = -0.5 is not above rails.vss_V = -0.25; VDD is the upper rail"),
        ("g_min_S = 1.2e-7", "g_min_S = 1e-5", "g_min_S = 1e-05 is not below memristor.g_max_S = 7.88e-06"),
        ("g_min_S", "gmin_S", "unknown key 'memristor.gmin_S'. Did you mean 'g_min_S'?"),
        ('"ptm90.lib"', '"other.lib"', "transistors.library = 'other.lib' is not a file"),
        ('form = "ohmic" ', 'preset = "rram-wann" ', "Unknown device preset 'rram-wann'. Did you mean 'rram-wan'?"),
        ("sigma = 0.1", "sigma = -0.1", "memristor.programming.sigma = -0.1: input should be greater than or equal to"),
        ('form = "relative"', 'form = "gaussian"', "memristor.programming.form = 'gaussian': none of its values"),
        (
            "nmos = { A_VT_Vm = 3.5e-9 }",
            "nmos = { A_VT_Vm = -1e-9 }",
            "mismatch.nmos.A_VT_Vm = -1e-09: input",
        ),
    ],
)
def test_an_impossible_technology(old: str, new: str, text: str, own_folder: Path, refused: Refused) -> None:
    assert text in refused(2, f"characterize tiny.toml --technology {technology(own_folder, old, new)}")
    assert not (own_folder / "runs").exists()


def test_a_file_that_the_library_includes_is_missing(own_folder: Path, refused: Refused) -> None:
    wrapper = Wrapper.make(own_folder / "w")
    path = Path(technology(own_folder, '"ptm90.lib"', '"mine.lib"'))
    (path.parent / "mine.lib").write_text('* mine\n.include ptm90.lib\n.include "corner.inc"\n')
    said = refused(2, f"characterize tiny.toml --technology {path} --ngspice {wrapper.executable}")
    assert "mine.lib, line 3" in said and "'corner.inc' is not a file" in said
    assert wrapper.runs == 0 and not (own_folder / "runs").exists()


NAMES = 'nmos = "nmos"\npmos = "pmos"'


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            "nmos = { w = 240e-9",
            "nmos = { width = 240e-9",
            "inverter.nmos.width is not a parameter of 'nmos' and 'pmos'",
        ),
        (
            'multiplicity = "m" ',
            'multiplicity = "nf" ',
            "multiplicity = 'nf' does not multiply: 2 fingers of inverter.nmos",
        ),
        (NAMES, 'nmos = "pmos"\npmos = "nmos"', "nmos and pmos are likely swapped: one finger of inverter.nmos"),
        (NAMES, 'nmos = "nmos"\npmos = "nmos"', "inverter.pmos (transistors.pmos = 'nmos') does not switch"),
        (
            "vdd_V = 0.25\nvss_V = -0.25",
            "vdd_V = 0.02\nvss_V = -0.02",
            "the inverter does not invert: without a load v_out",
        ),
        ("w = 240e-9, l = 90e-9", "w = 0.24, l = 0.09", "inverter.nmos.w is 0.24 m to ngspice: sizes are in metres"),
        ("{ w = 560e-9, l = 90e-9 }", "{}", "inverter.pmos is empty"),
        ("w = 560e-9", "w = -560e-9", "inverter.pmos.w = -5.6e-07: a size is above 0"),
    ],
)
def test_a_technology_that_ngspice_would_take(
    old: str, new: str, text: str, own_folder: Path, own_cache: Path, refused: Refused
) -> None:
    said = refused(2, f"characterize tiny.toml --workers 1 --technology {technology(own_folder, old, new)}")
    assert text in said and "'ptm90'" in said
    assert not list(own_cache.rglob("*.parquet")) and not list((own_folder / "tmp").iterdir())


CELLS = """* subcircuits with behavioural sources
.subckt ncell d g s b w=1e-6 l=1e-7 mult=1
b1 d s i = {mult*2e-5*w/l}*ln(1+exp((v(g,s)-0.1)/0.04))*tanh(v(d,s)/0.05)
.ends
.subckt pcell d g s b w=1e-6 l=1e-7 mult=1
b1 s d i = {mult*2e-5*w/l}*ln(1+exp((v(s,g)-0.1)/0.04))*tanh(v(s,d)/0.05)
.ends
"""


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            "",
            "",
            "multiplicity = 'm' does not multiply: 2 fingers of inverter.nmos ('ncell') carry 1 times the current",
        ),
        ('multiplicity = "m" ', 'multiplicity = "mulz" ', "'mulz' is not a parameter of 'ncell'. Did you mean 'mult'?"),
        (
            "nmos = { w = 240e-9",
            "nmos = { wi = 240e-9",
            "inverter.nmos.wi is not a parameter of 'ncell'. Did you mean 'w'?",
        ),
        ('multiplicity = "m" ', 'multiplicity = "mult" ', ""),
    ],
)
def test_subcircuits_of_which_ngspice_ignores_something(
    old: str, new: str, text: str, own_folder: Path, own_cache: Path, refused: Refused
) -> None:
    path = Path(technology(own_folder, old, new))
    path.write_text(path.read_text().replace(NAMES, 'nmos = "ncell"\npmos = "pcell"').replace('"M"', '"X"', 1))
    (path.parent / "ptm90.lib").write_text(CELLS)
    command = f"characterize tiny.toml --workers 1 --technology {path}"
    if text:
        assert text in refused(2, command)
    else:
        assert main(command.split()) == 0
    assert bool(list(own_cache.rglob("*.parquet"))) == (not text)
    assert not list((own_folder / "tmp").iterdir())


def test_an_unwritable_folder(own_folder: Path, refused: Refused) -> None:
    """Below a file, and in a file system that makes no folders, not even for root."""
    assert "A part of that path is a file" in refused(2, "characterize tiny.toml --out tiny.toml/run")
    if Path("/sys/kernel").is_dir():
        assert "You may not write there" in refused(2, "characterize tiny.toml --out /sys/kernel/run")
    if Path("/proc/self").is_dir():
        said = refused(2, "run tiny.toml --out /proc/run")
        assert said.startswith("Cannot write /proc/run: No such file or directory. A folder of that path is missing")


@pytest.mark.parametrize("taken", ["", "characterization"])
def test_a_cache_that_cannot_be_written_shows_before_anything_is_measured(
    taken: str, own_folder: Path, own_cache: Path, refused: Refused
) -> None:
    wrapper = Wrapper.make(own_folder / "w")
    in_the_way = own_cache / taken
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.write_text("a file")
    said = refused(2, f"run tiny.toml --workers 1 --ngspice {wrapper.executable}")
    assert (
        "A part of that path is a file" in said and f"$SPICETRAIN_CACHE names another folder than {own_cache}." in said
    )
    assert wrapper.runs == 1  # the probe


def test_a_cache_that_has_everything_need_not_be_written(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise StorageError("it is read-only")

    monkeypatch.setattr("spicetrain.characterization.characterize.require_writable", refuse)
    assert main(["characterize", "run"]) == 0


# Data


@pytest.fixture
def images(own_folder: Path) -> Path:
    """MNIST in a folder of our own; the files are links, to be replaced and not to be written."""
    shipped = assets.data_folder()
    assert shipped is not None
    folder = own_folder / "data" / "mnist"
    folder.mkdir(parents=True)
    for file in (shipped / "mnist").glob("*.gz"):
        (folder / file.name).symlink_to(file)
    return folder


LABELS = "t10k-labels-idx1-ubyte.gz"


@pytest.mark.parametrize("damage", ["missing", "is truncated", "wrong checksum"])
def test_a_damaged_dataset_shows_before_the_work_begins(damage: str, images: Path, refused: Refused) -> None:
    path = images / LABELS
    packed = path.read_bytes()
    path.unlink()
    if damage == "is truncated":
        path.write_bytes(packed[:3000])
    elif damage == "wrong checksum":
        labels = bytearray(gzip.decompress(packed))
        labels[100] ^= 1
        path.write_bytes(gzip.compress(bytes(labels)))
    # the test labels are read last: give them the training ones' place in time
    said = refused(2, "run mnist-kcl --data data --out run")
    assert LABELS in said and damage in said
    assert not Path("run").exists()


def test_a_folder_for_a_dataset_that_takes_none_is_refused_before_the_work(own_folder: Path, refused: Refused) -> None:
    said = refused(2, "run tiny.toml --data file.npz")
    assert said == f"iris comes with scikit-learn and takes no folder: leave {own_folder / 'file.npz'} out.\n"
    assert not Path("runs").exists()


# ngspice


@pytest.mark.parametrize("verb", ["run", "characterize", "verify"])
def test_without_ngspice(verb: str, done: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No executable '/nowhere/ngspice'" in refused(3, f"{verb} run --ngspice /nowhere/ngspice")
    monkeypatch.setenv("PATH", "/nowhere")
    said = refused(3, f"{verb} run")
    assert "No executable 'ngspice' on the PATH" in said and "apt-get install ngspice" in said


def test_doctor_without_ngspice(capsys: Capture) -> None:
    assert main(["doctor", "--ngspice", "/nowhere/ngspice"]) == 3
    assert "not usable" in (out := capsys.readouterr().out) and "apt-get" in out


def test_an_ngspice_beside_us_is_named_with_a_dot(own_folder: Path) -> None:
    Wrapper.make(own_folder / "w").executable.rename(own_folder / "own-ngspice")
    assert main(["characterize", "tiny.toml", "--ngspice", "./own-ngspice", "--workers", "1"]) == 0


TABLES = ("current_surface", "loaded_vtc", "effective_load", "memristor_iv")


def parts(folder: Path) -> set[str]:
    """Whole tables and parts of tables; not what is being written."""
    return {f"{path.parent.name[:8]}/{path.name}" for path in folder.rglob("[!.]*.parquet")}


def test_ngspice_killed_in_mid_sweep(own_folder: Path, own_cache: Path, refused: Refused) -> None:
    wrapper = Wrapper.make(own_folder / "w", "kill -9 $$", left=6)  # the probe, the check (two), and three sweeps
    command = f"characterize tiny.toml --characterization.plan smoke --workers 1 --ngspice {wrapper.executable}"
    said = refused(4, command)
    assert "killed by SIGKILL" in said and "out of memory" in said and "Deck kept in" in said
    kept = parts(own_cache)
    assert len(kept) == 3
    wrapper.allow()
    assert main(command.split()) == 0
    assert wrapper.runs == 1  # one sweep of each table with one worker: the fourth
    assert len(parts(own_cache)) == 4
    resumed = {name: pd.read_parquet(f"runs/tiny/characterization/{name}.parquet") for name in TABLES}
    shutil.rmtree(own_cache)
    assert main([*command.split(), "--out", "whole"]) == 0
    for name in TABLES:
        pd.testing.assert_frame_equal(pd.read_parquet(f"whole/characterization/{name}.parquet"), resumed[name])


def test_ngspice_killed_in_mid_verification(done: Path, own_folder: Path, refused: Refused) -> None:
    before, summary = pd.read_parquet(done / "verification.parquet"), read_json(done / "summary.json")
    wrapper = Wrapper.make(own_folder / "w", "kill -9 $$", left=2)  # the probe and the reduced piece, not the flat one
    command = f"verify run --workers 1 --ngspice {wrapper.executable}"
    assert "killed by SIGKILL" in refused(4, command)
    assert len(list((done / ".verification").glob("[!.]*.npz"))) == 1
    assert read_json(done / "summary.json") == summary
    wrapper.allow()
    assert main(command.split()) == 0
    assert wrapper.runs == 1
    pd.testing.assert_frame_equal(pd.read_parquet(done / "verification.parquet"), before)
    assert not (done / ".verification").exists()


def test_ngspice_killed_in_mid_transient(done: Path, own_folder: Path, refused: Refused) -> None:
    # The probe, the reduced and the flat piece, the DC points and the first ten images; not the other two.
    wrapper = Wrapper.make(own_folder / "w", "kill -9 $$", left=5)
    command = f"verify run --workers 1 --energy-images 12 --ngspice {wrapper.executable}"
    assert "killed by SIGKILL" in refused(4, command)
    assert read_json(done / "summary.json")["energy"] is None
    assert len(list((done / ".verification").glob("[!.]*.npz"))) == 3
    wrapper.allow()
    assert main(command.split()) == 0
    assert wrapper.runs == 2  # the DC points once more, and what was missing
    resumed = pd.read_parquet(done / "transient.parquet")
    assert read_json(done / "summary.json")["energy"]["images"] == len(resumed) == 12
    assert main(command.split()) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(done / "transient.parquet"), resumed)


IN_SPICE = "train run --out new --forward spice --initial run/network.safetensors --training.steps-per-epoch 1"


@pytest.fixture
def to_train(done: Path) -> Path:
    """A run folder, `new`, that has everything but a training."""
    folder = done.with_name("new")
    shutil.copytree(done, folder, ignore=shutil.ignore_patterns(*WORK["train"][0], "manifest.json"))
    return folder


def test_training_in_spice_needs_kcl_and_an_ngspice(to_train: Path, refused: Refused) -> None:
    assert "forward = 'spice' needs training.method = 'kcl', not 'ideal'" in refused(2, f"{IN_SPICE} --method ideal")
    assert "No executable '/nowhere/ngspice'" in refused(3, f"{IN_SPICE} --ngspice /nowhere/ngspice")
    assert not (to_train / "metrics.jsonl").exists()


def test_ngspice_killed_in_mid_training(to_train: Path, own_folder: Path, refused: Refused) -> None:
    wrapper = Wrapper.make(own_folder / "w", "kill -9 $$", left=2)  # the probe and the first epoch's one step
    command = f"{IN_SPICE} --workers 1 --ngspice {wrapper.executable}"
    said = refused(4, command)
    assert "killed by SIGKILL" in said and "Deck kept in" in said
    lines = to_train / "metrics.jsonl"
    first = lines.read_text()
    assert len(first.splitlines()) == 1
    assert (to_train / "checkpoint.safetensors").exists() and not (to_train / "network.safetensors").exists()
    wrapper.allow()
    assert main(command.split()) == 0
    assert wrapper.runs == 2  # the epochs that were missing
    assert lines.read_text().startswith(first) and len(lines.read_text().splitlines()) == 3
    manifest = read_json(to_train / "manifest.json")
    assert manifest["rooms"]["train"]["ngspice"] == int(manifest["inputs_sha256"]["ngspice that trained"])
    shutil.copy("run/network.safetensors", "start.safetensors")
    assert main(command.replace("run/network", "start").split()) == 0  # all is there, and begun from the same network
    assert wrapper.runs == 2
    shutil.copy(to_train / "network.safetensors", "start.safetensors")
    before = content(to_train)
    assert "another training (initial" in refused(2, command.replace("run/network", "start"))
    assert content(to_train) == before


STUBBORN = """* a current that jumps with a sign no Newton step can follow
.subckt ncell d g s b w=1e-6 l=1e-7 m=1
b1 d x i = v(x) > 0.05 ? -1e-3 : 1e-3
r1 x s 1e3
.ends
.subckt pcell d g s b w=1e-6 l=1e-7 m=1
b1 d x i = v(x) > 0.05 ? -1e-3 : 1e-3
r1 x s 1e3
.ends
"""


def test_a_deck_that_does_not_converge(own_folder: Path, refused: Refused) -> None:
    path = Path(technology(own_folder, 'element = "M"', 'element = "X"'))
    path.write_text(path.read_text().replace('"nmos"', '"ncell"').replace('"pmos"', '"pcell"'))
    (path.parent / "ptm90.lib").write_text(STUBBORN)
    said = refused(4, f"characterize tiny.toml --workers 1 --technology {path}")
    assert "does not converge" in said and "points" in said
    kept = Path(said.split("Deck kept in ")[1].strip().rstrip("."))
    assert (kept / "deck.cir").is_file()


# A full disk


COMMANDS = {room: f"{room} run" + (" --workers 1" if room in ("characterize", "verify") else "") for room in ROOMS}
# Of each room, what is taken away so that it has something to do, and files that it then cannot write.
WORK: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "characterize": (("characterization/current_surface.parquet",), ("experiment.toml", "current_surface.parquet")),
    "fit-surrogates": (
        ("surrogates.safetensors", "surrogates.json"),
        ("surrogates-current_surface.svg", "surrogates.safetensors", "surrogates.json"),
    ),
    "train": (
        ("checkpoint.safetensors", "metrics.jsonl", "network.safetensors"),
        ("metrics.jsonl", "checkpoint.safetensors", "network.safetensors", "manifest.json"),
    ),
    "verify": (("summary.json",), ("network.cir", "verification.parquet", "summary.json", "manifest.json")),
    "report": (("report.html",), ("report.html",)),
}


@pytest.mark.parametrize(("room", "full"), [(room, file) for room, (_, files) in WORK.items() for file in files])
def test_a_disk_that_is_full_when_one_file_is_written(
    room: str, full: str, done: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = Network.load(done / "network.safetensors").fingerprint
    taken, _ = WORK[room]
    for name in taken:
        (done / name).unlink()
    flush = storage._flush_to_disk

    def refuse(path: Path) -> None:
        if path.name.startswith(f".{full}."):
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(path)

    before = content(done)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "_flush_to_disk", refuse)
        said = refused(2, COMMANDS[room])
    assert said.startswith("Cannot write ") and full in said and "free some space" in said
    after = content(done)
    assert not [name for name in after if ".tmp" in name]
    assert before.keys() <= after.keys()
    assert main(COMMANDS[room].split()) == 0
    assert all((done / name).exists() for name in taken)
    assert Network.load(done / "network.safetensors").fingerprint == reference


def test_a_full_disk_by_the_libraries_own_errors(tmp_path: Path) -> None:
    """What pyarrow and safetensors raise, recorded on a full tmpfs."""
    from safetensors import SafetensorError

    arrow = OSError(errno.ENOSPC, "Error writing bytes to file. Detail: [errno 28] No space left on device")
    rust = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    for error in (arrow, rust):
        with pytest.raises(StorageError, match="The disk is full"), storage_errors(tmp_path):
            raise error
    with pytest.raises(SafetensorError, match="header"), storage_errors(tmp_path):
        raise SafetensorError("Error while deserializing: header too large")


@pytest.fixture
def small_disk(own_folder: Path) -> Iterator[Path]:
    """A file system of one megabyte; needs root."""
    folder = own_folder / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(
    ("room", "left_kB"), [("characterize", 4), ("fit-surrogates", 8), ("train", 8), ("verify", 12), ("report", 60)]
)
def test_a_disk_that_is_really_full(room: str, left_kB: int, done: Path, small_disk: Path, refused: Refused) -> None:
    folder = shutil.copytree(done, small_disk / "run")
    reference = Network.load(folder / "network.safetensors").fingerprint
    for name in WORK[room][0]:
        (folder / name).unlink()
    filler = small_disk / "filler"
    with open(filler, "wb", buffering=0) as stream, pytest.raises(OSError) as caught:
        while True:
            stream.write(bytes(1024))
    assert caught.value.errno == errno.ENOSPC
    os.truncate(filler, filler.stat().st_size - left_kB * 1024)
    command = COMMANDS[room].replace(" run", f" {folder}")
    assert "The disk is full" in refused(2, command)
    assert not list(folder.rglob("*.tmp*"))
    filler.unlink()
    assert main(command.split()) == 0
    assert Network.load(folder / "network.safetensors").fingerprint == reference


# Ctrl-C


def others_in(folder: Path) -> list[int]:
    """Processes that work in `folder` or below it, but for our own."""
    return [process for process in processes_in(folder) if process != os.getpid()]


def eventually(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


def interrupted(words: str, when: Callable[[], object], folder: Path) -> None:
    """Start the command, and Ctrl-C it, with all its children as a terminal does, as soon as `when` holds."""
    command = [sys.executable, "-m", "spicetrain", *words.split()]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        eventually(lambda: when() or process.poll() is not None)
        assert process.poll() is None, "it had ended before"
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=180)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert err == "spicetrain: interrupted. What is finished is kept; the same command resumes.\n"
    eventually(lambda: not others_in(folder))
    assert not list(folder.rglob("*.tmp*"))


@pytest.mark.parametrize("finished", [0, 3])
def test_ctrl_c_while_characterizing(finished: int, own_folder: Path, own_cache: Path) -> None:
    wrapper = Wrapper.make(own_folder / "w", "exec sleep 600", left=3 + finished)  # the probe, the check (two)
    command = f"characterize tiny.toml --characterization.plan smoke --workers 2 --ngspice {wrapper.executable}"

    def sweeps_kept() -> int:
        """The memristor is one sweep, every other table two."""
        return sum(1 if "part-" in name or "memristor" in name else 2 for name in parts(own_cache))

    interrupted(command, lambda: wrapper.runs == 3 + finished + 2 and sweeps_kept() == finished, own_folder)
    wrapper.allow()
    assert main(command.split()) == 0
    assert wrapper.runs == 1 + 7 - finished  # the probe, for this process is another one, and what was missing
    resumed = {name: pd.read_parquet(f"runs/tiny/characterization/{name}.parquet") for name in TABLES}
    shutil.rmtree(own_cache)
    assert main([*command.split(), "--out", "whole"]) == 0
    for name in TABLES:
        pd.testing.assert_frame_equal(pd.read_parquet(f"whole/characterization/{name}.parquet"), resumed[name])


def test_ctrl_c_while_fitting(own_folder: Path) -> None:
    assert main(["characterize", "tiny.toml", "--characterization.plan", "smoke", "--workers", "1"]) == 0
    shutil.copytree("runs/tiny", "whole")
    fit = "--surrogates.load-iterations 200 --characterization.plan smoke"
    interrupted(
        f"fit-surrogates tiny.toml {fit}", Path("runs/tiny/surrogates.safetensors").exists, own_folder
    )  # the current surface is fitted, the others are not
    assert main(f"fit-surrogates tiny.toml {fit}".split()) == 0
    assert read_json(Path("runs/tiny/surrogates.json"))["fitted_now"] == ["loaded_vtc", "effective_load"]
    assert main(f"fit-surrogates tiny.toml {fit} --out whole".split()) == 0
    resumed, whole = (read_json(Path(folder, "surrogates.json"))["surrogates"] for folder in ("runs/tiny", "whole"))
    assert list(resumed) == list(whole)
    for name in whole:
        assert resumed[name]["errors"] == whole[name]["errors"]


def test_ctrl_c_while_training(done: Path, own_folder: Path) -> None:
    for name in WORK["train"][0]:
        (done / name).unlink()
    shutil.copytree(done, "whole")
    lines = done / "metrics.jsonl"
    command = "train run --epochs 60"
    interrupted(command, lambda: lines.exists() and len(lines.read_bytes().splitlines()) >= 2, own_folder)
    epochs = lines.read_text().splitlines()
    assert 2 <= len(epochs) < 60
    assert main(command.split()) == 0
    assert main(["train", "whole", "--epochs", "60"]) == 0
    assert lines.read_text().splitlines()[: len(epochs) - 1] == epochs[:-1]  # gone on with, not begun again
    assert len(lines.read_text().splitlines()) == 60
    resumed, whole = (Network.load(Path(folder, "network.safetensors")) for folder in ("run", "whole"))
    assert resumed.fingerprint == whole.fingerprint


def test_ctrl_c_while_training_in_spice(to_train: Path, own_folder: Path) -> None:
    wrapper = Wrapper.make(own_folder / "w", "exec sleep 600", left=1 + 2)  # the probe, the first epoch by two workers
    command = f"{IN_SPICE} --workers 2 --ngspice {wrapper.executable}"
    interrupted(command, lambda: wrapper.runs == 1 + 2 + 2, own_folder)
    assert len((to_train / "metrics.jsonl").read_text().splitlines()) == 1
    assert not list((own_folder / "tmp").iterdir())
    wrapper.allow()
    assert main(command.split()) == 0
    assert wrapper.runs == 1 + 2 * 2


def test_ctrl_c_while_verifying(done: Path, own_folder: Path) -> None:
    wrapper = Wrapper.make(own_folder / "w", "exec sleep 600", left=2)
    command = f"verify run --workers 2 --verification.flat-images 4 --ngspice {wrapper.executable}"
    finished = ".verification/[!.]*.npz"  # not one that is being written
    interrupted(command, lambda: wrapper.runs >= 3 and list(done.glob(finished)), own_folder)
    wrapper.allow()
    assert main(command.split()) == 0
    assert wrapper.runs == 1 + 1 + 2  # the probe, the other half, the flat ones
    resumed = pd.read_parquet(done / "verification.parquet")
    assert main(command.split()) == 0  # from the beginning, as it is called by name
    pd.testing.assert_frame_equal(pd.read_parquet(done / "verification.parquet"), resumed)


# Two at once


def test_a_second_command_in_one_folder_is_refused_and_the_first_goes_on(own_folder: Path, refused: Refused) -> None:
    wait = f"while [ ! -e {own_folder}/go ]; do sleep 0.05; done"
    wrapper = Wrapper.make(own_folder / "w", wait, left=1)  # the probe
    command = ["run", "tiny.toml", "--workers", "1", "--ngspice", str(wrapper.executable)]
    first = subprocess.Popen([sys.executable, "-m", "spicetrain", *command], stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: wrapper.runs >= 2 or first.poll() is not None)
        folder = Path("runs/tiny")
        before = content(folder)
        for second in ("run tiny.toml", "characterize tiny.toml", "run tiny.toml --epochs 7"):
            said = refused(2, second)
            assert f"runs/tiny is in use by process {first.pid} (" in said and "choose another folder" in said
            assert "__main__.py run tiny.toml --workers 1" in said
            assert content(folder) == before
        assert main(["characterize", "tiny.toml", "--out", "beside", "--workers", "1"]) == 0
        (own_folder / "go").touch()
        assert first.wait(timeout=180) == 0
    finally:
        first.kill()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert not list(folder.rglob(".lock"))


# Artefacts that do not fit


def test_a_checkpoint_of_another_architecture_is_left_as_it_is(done: Path, refused: Refused) -> None:
    before = content(done)
    said = refused(2, "train run --network.layers 4 5 3")
    assert "network.layers (4, 3, 3) there, (4, 5, 3) here" in said and "It is left as it is" in said
    assert content(done) == before
    (done / "experiment.toml").unlink()  # a checkpoint alone says it as well
    said = refused(2, "train tiny.toml --out run --network.layers 4 5 3")
    assert "belongs to another training (layers [4, 3, 3] there, [4, 5, 3] here)" in said
    assert {name: data for name, data in before.items() if name != "experiment.toml"} == content(done)


@pytest.mark.parametrize(
    ("file", "verb", "text"),
    [
        ("network.safetensors", "verify", "Cannot read the network"),
        ("network.safetensors", "netlist", "Cannot read the network"),
        ("network.safetensors", "report", "Cannot read the network"),
        ("surrogates.safetensors", "verify", "The file is damaged. Fit again: spicetrain fit-surrogates"),
        ("surrogates.safetensors", "train", "The file is damaged. Fit again: spicetrain fit-surrogates"),
        ("surrogates.json", "train", "surrogates.json is not valid JSON"),
        ("checkpoint.safetensors", "train", "Remove it to train from the start"),
        ("characterization/current_surface.parquet", "fit-surrogates", "measure it again"),
        ("experiment.toml", "verify", "experiment.toml is not valid TOML"),
        ("manifest.json", "verify", "manifest.json is not valid JSON"),
    ],
)
@pytest.mark.parametrize("how", ["cut short", "garbage"])
def test_a_damaged_artefact(file: str, verb: str, text: str, how: str, done: Path, refused: Refused) -> None:
    path = done / file
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3] if how == "cut short" else b"\xff\xfe garbage")
    if (file, how) == ("experiment.toml", "cut short"):
        path.write_bytes(whole.rpartition(b"=")[0])
    before = content(done)
    assert text in refused(2, f"{verb} run")
    assert {name: data for name, data in content(done).items() if name in before and name != "network.cir"} == {
        name: data for name, data in before.items() if name != "network.cir"
    }


def test_a_network_with_a_conductance_that_is_none(done: Path, refused: Refused) -> None:
    """ngspice would take `nan` for the name of a model, and that would be said to be misspelt."""
    path = done / "network.safetensors"
    whole = Network.load(path)
    pos = whole.crossbars[0].pos.copy()
    pos[2, 1] = np.nan
    crossbars = (replace(whole.crossbars[0], pos=pos), *whole.crossbars[1:])
    replace(whole, crossbars=crossbars).save(path)
    for verb in ("verify", "netlist", "report"):
        assert "0.pos_S[2, 1] = nan" in refused(2, f"{verb} run")
    assert main(["train", "run"]) == 0
    assert Network.load(path).fingerprint == whole.fingerprint


def test_metrics_that_are_damaged_do_not_keep_a_finished_training_from_being_kept(done: Path) -> None:
    (done / "metrics.jsonl").write_bytes(b"\xff\xfe\n")
    assert main(["train", "run"]) == 0


def test_surrogates_of_another_technology(done: Path, own_folder: Path, refused: Refused) -> None:
    warm = technology(own_folder, "temperature_C = 27.0", "temperature_C = 28.0")
    before = content(done)
    for verb in ("train", "verify"):
        said = refused(2, f"{verb} run --technology {warm}")
        assert "surrogates.safetensors was fitted for another technology" in said
    assert content(done) == before
    (done / "checkpoint.safetensors").unlink()  # nothing trained in it: the table says it
    assert "was measured of another technology" in refused(2, f"fit-surrogates run --technology {warm}")


# Surrogates asked outside their domain


def test_inputs_beyond_the_rails_are_refused(done: Path) -> None:
    tech = load_technology("ptm90")
    circuit = FittedCircuit(tech, Surrogates.load(done), torch.float64)
    network, inputs = Network.load(done / "network.safetensors"), load_dataset("iris").test_inputs
    for method in ("kcl", "ideal"):
        predict(network, inputs, circuit, method)
        for wrong, said in ((1.001, "1.001"), (-0.001, "-0.001"), (255.0, "255"), (np.nan, "nan")):
            spoilt = inputs.copy()
            spoilt[3, 2] = wrong
            with pytest.raises(DomainError, match=rf"An input is {said} \(1 of 120 values\), outside 0 .. 1"):
                predict(network, spoilt, circuit, method)


def test_a_surface_measured_between_narrower_rails_is_refused(done: Path, own_folder: Path) -> None:
    wide = load_technology(technology(own_folder, "vdd_V = 0.25", "vdd_V = 0.3"))
    with pytest.raises(DomainError, match=r"v_in = 0.3 V .* outside the measured domain -0.25 .. 0.25 V"):
        FittedCircuit(wide, Surrogates.load(done))


def test_the_definition_of_a_damaged_run_is_still_read(done: Path) -> None:
    assert load_experiment(done).training.epochs == 3
