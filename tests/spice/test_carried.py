"""Model files that travel: what decks read of them where they are not."""

from __future__ import annotations

import signal
from importlib.util import find_spec
from pathlib import Path

import pytest

from spicetrain.errors import TechnologyError
from spicetrain.include_tree import ModelFiles
from spicetrain.netlists.cells import models_only, text_of
from spicetrain.spice.carried import carried, moved, reading
from spicetrain.spice.deck import Deck, setup_of
from spicetrain.spice.jobs import jobqueue, load_jobs
from spicetrain.spice.parcel import pack
from spicetrain.spiking.circuit import load_circuit
from spicetrain.technology import Technology

ROOT = Path(__file__).resolve().parents[2]


def deck_of(circuit: str) -> Deck:
    return Deck(f"{circuit}\nv1 in 0 1.0\nr1 in 0 1.0\n", ".op", ("v(in)",), 1)


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_files_that_are_here_stay_where_they_are(made_up: Technology) -> None:
    deck = deck_of(text_of(models_only(made_up)))
    with reading(carried(pack([made_up, made_up])[1])):
        assert moved(deck) is deck


def test_files_that_are_not_here_are_read_from_copies(tmp_path: Path) -> None:
    library = written(tmp_path / "own", models__top="* top\n.include ../more\n", more="* more\n", psp="\0 machine code")
    read = ModelFiles.read([(library / "models" / "top", None)], [library / "psp"])
    deck = deck_of(f"* .spiceinit: osdi '{library / 'psp'}'\n.include \"{library / 'models/top'}\"")
    models = carried(frozenset([read]))
    library.rename(tmp_path / "gone")
    with reading(models):
        there = moved(deck).circuit
    included = Path(there.split('.include "')[1].split('"')[0])
    assert included.read_text() == "* top\n.include ../more\n" and included != library / "models" / "top"
    assert (included.parents[1] / "more").read_text() == "* more\n"
    compiled = Path(setup_of(there).split("'")[1])
    assert compiled.read_text() == "\0 machine code" and compiled != library / "psp"
    assert moved(deck) is deck  # again as it was


def test_a_file_that_is_gone_is_not_sent(tmp_path: Path) -> None:
    library = written(tmp_path / "own", top="* top\n")
    read = ModelFiles.read([(library / "top", None)])
    (library / "top").unlink()
    with pytest.raises(TechnologyError, match="Cannot read the model file"):
        carried(frozenset([read]))


def test_a_neuron_of_ones_own_travels() -> None:
    circuit = load_circuit("lif-1r-ota")
    assert circuit.neuron.foreign is not None
    (read,) = pack({"some": [circuit]})[1]
    assert read.named == (circuit.neuron.foreign.path,) and read.checksums == circuit.neuron.foreign.checksums


def test_the_jobs_that_are_shipped() -> None:
    jobs = load_jobs(ROOT / "deploy" / "slurm.toml")
    assert jobs.workers == 64
    if find_spec("dask_jobqueue") is None:
        pytest.skip("dask-jobqueue is not installed")
    handler = signal.getsignal(signal.SIGINT)
    package = jobqueue()
    assert signal.getsignal(signal.SIGINT) is handler
    with getattr(package, jobs.cluster)(**jobs.keywords) as cluster:
        script = cluster.job_script()
    assert "--nthreads 1 " in script and "--nworkers 16 " in script and "#SBATCH -p short" in script
