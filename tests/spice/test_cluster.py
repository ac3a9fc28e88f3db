"""A real scheduler, real workers, real ngspice: killed, cut off, of another version, without the files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from dask_processes import Processes, Work, began, do, until
from numpy.typing import NDArray
from processes import processes_in
from tiny import write_experiment

from spicetrain.cli import main
from spicetrain.errors import ConfigurationError, SimulationError, TechnologyError
from spicetrain.netlists.cells import models_only, text_of
from spicetrain.spice.cluster import Cluster
from spicetrain.spice.deck import Deck
from spicetrain.spice.installed import installed
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import FAILED
from spicetrain.spice.simulator import Simulator
from spicetrain.technology import Technology, load_technology
from spicetrain.verification.pieces import Piece, run_pieces

from .conftest import eventually
from .decks import DIVIDER

pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
pytestmark = pytest.mark.xdist_group("cluster")


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """A scheduler that lets a piece be begun twice, and three workers."""
    settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    made = Processes(tmp_path_factory.mktemp("cluster"), settings)
    try:
        made.scheduler()
        for _ in range(3):
            made.worker()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def cluster(processes: Processes) -> Iterator[Cluster]:
    with Cluster(processes.address, workers=3) as begun:
        until(lambda: begun.present == 3)
        yield begun


def staff(processes: Processes, cluster: Cluster, count: int) -> None:
    processes.staff(count)
    until(lambda: cluster.present == count)


def divider(number: int) -> Deck:
    return replace(DIVIDER, circuit=DIVIDER.circuit.replace("3000.0", f"{1000.0 * (number + 1) / 7}"))


def works(folder: Path, count: int) -> list[Work]:
    return [Work(folder, f"w{number}", divider(number)) for number in range(count)]


def results(simulator: Simulator, asked: list[Work]) -> list[dict[str, NDArray]]:
    found = dict(simulator.map(partial(do, simulator), asked))
    return [found[index] for index in range(len(asked))]


def require_equal(one: list[dict[str, NDArray]], other: list[dict[str, NDArray]]) -> None:
    """Bit for bit."""
    for mine, yours in zip(one, other, strict=True):
        assert mine.keys() == yours.keys()
        assert all(np.asarray(mine[name]).tobytes() == np.asarray(yours[name]).tobytes() for name in mine)


def hold(folder: Path, asked: list[Work], names: str) -> list[Path]:
    held = [folder / f"hold-{work.name}" for work in asked if work.name in names.split()]
    for file in held:
        file.touch()
    return held


def test_the_same_bits_as_from_the_pool(cluster: Cluster, ngspice: Ngspice, tmp_path: Path) -> None:
    asked = works(tmp_path, 7)
    there = results(Simulator(ngspice, 3, cluster), asked)
    ran_in = {process for _, process in began(tmp_path)}
    assert len(ran_in) > 1 and os.getpid() not in ran_in
    assert began(tmp_path)[0][0] in ("w0", "w1", "w2")  # in order, and no worker has a heap of them
    require_equal(there, results(Simulator(ngspice, 2), asked))


def test_a_failing_deck_comes_back(cluster: Cluster, ngspice: Ngspice, tmp_path: Path, temporary: Path) -> None:
    broken = Work(tmp_path, "broken", replace(DIVIDER, points=7))
    with pytest.raises(SimulationError, match="(?s)ngspice gave 5 of 7 points.*It ran on ") as caught:
        results(Simulator(ngspice, 3, cluster), [broken])
    assert caught.value.folder is not None and caught.value.folder.parent == temporary
    assert {file.name for file in caught.value.folder.iterdir()} == {"deck.cir", "ngspice.log", ".spiceinit"}
    assert str(caught.value.folder) in str(caught.value) and caught.value.folder.name.startswith(FAILED)


def current(simulator: Simulator, technology: Technology) -> dict[str, NDArray]:
    """Of an nMOS of the technology, whose models its deck reads."""
    kind, geometry = technology.transistors.nmos, technology.inverter.nmos
    words = " ".join(f"{name}={value}" for name, value in geometry.items())
    lines = [text_of(models_only(technology)), "vd d 0 0.5", "vg g 0 0.0", f"xt d g 0 0 {kind} {words}"]
    return simulator.simulate(Deck("\n".join(lines), ".dc vg 0.0 0.5 0.125", ("i(vd)",), 5)).values


def own_technology(folder: Path, include: str) -> Technology:
    """A library that reads its model from a file beside it."""
    (folder / "models").mkdir(parents=True)
    model = ".model nraw nmos level=1 vto=0.2 kp=2e-4 lambda=0.2\n.model praw pmos level=1 vto=-0.2 kp=7e-5\n"
    (folder / "models" / "raw.mod").write_text(model)
    cell = ".subckt {0}ch d g s b w=1e-6 l=1e-7 m=1\nm1 d g s b {0}raw w={{w}} l={{l}} m={{m}}\n.ends\n"
    text = f".lib all\n.include {include}\n{cell.format('n')}{cell.format('p')}.endl\n"
    (folder / "models" / "own.lib").write_text(text)
    sizes = "inverter = { nmos = { w = 5e-7 }, pmos = { w = 1e-6 } }"
    models = "{ library = 'models/own.lib', section = 'all', element = 'X', nmos = 'nch', pmos = 'pch', "
    (folder / "own.toml").write_text(
        f"name = 'own'\nrails = {{ vdd_V = 0.6, vss_V = 0.0 }}\ntransistors = {models} multiplicity = 'm' }}\n"
        f"{sizes}\nmemristor = {{ g_min_S = 1e-6, g_max_S = 5e-5 }}\n"
    )
    return load_technology(folder / "own.toml")


def without_files(cluster: Cluster, technology: Technology, ngspice: Ngspice, folder: Path) -> Any:
    """Its current from a worker that begins when the files are gone, as they would be on another machine."""
    simulator, busy = Simulator(ngspice, 3, cluster), works(folder, cluster.present)
    held = hold(folder, busy, " ".join(work.name for work in busy))
    do_it = partial(do, simulator)
    for work in busy:
        cluster.submit(do_it, work)
    until(lambda: len(began(folder)) == len(busy))
    future = cluster.submit(partial(current, simulator), technology)
    technology.folder.rename(folder / "gone")
    for file in held:
        file.unlink()
    return future.result(timeout=30)


def test_workers_need_no_file_of_a_technology(cluster: Cluster, ngspice: Ngspice, tmp_path: Path) -> None:
    technology = own_technology(tmp_path / "here", "raw.mod")
    expected = current(Simulator(ngspice), technology)
    assert np.ptp(expected["i(vd)"]) > 1e-6
    require_equal([without_files(cluster, technology, ngspice, tmp_path)], [expected])


def test_files_that_a_copy_would_not_find(cluster: Cluster, ngspice: Ngspice, tmp_path: Path) -> None:
    technology = own_technology(tmp_path / "here", str(tmp_path / "here" / "models" / "raw.mod"))
    with pytest.raises(TechnologyError, match="by absolute paths, or by links. Write relative paths"):
        without_files(cluster, technology, ngspice, tmp_path)


def test_a_file_that_changed_is_not_sent(cluster: Cluster, ngspice: Ngspice, tmp_path: Path) -> None:
    technology = own_technology(tmp_path / "here", "raw.mod")
    with open(technology.library, "a") as library:
        library.write("* more\n")
    with pytest.raises(TechnologyError, match="has changed since it was read"):
        cluster.submit(partial(current, Simulator(ngspice)), technology)


OTHER: dict[str, dict[str, Any]] = {
    "and the simulation was begun with ngspice 99": {"ngspice": {"version": 99}},
    "begun with .* with OSDI": {"ngspice": {"osdi": True}},
    "modules are others": {"code": "0"},
    "and not 0.0.9": {"spicetrain": "0.0.9"},
    "and not 3.5": {"python": "3.5"},
}


@pytest.mark.parametrize("told", OTHER)
def test_other_versions_are_refused(
    processes: Processes, ngspice: Ngspice, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = OTHER[told] | {"ngspice": replace(ngspice, **OTHER[told].get("ngspice", {}))}
    wanted = replace(installed(ngspice), **change)
    monkeypatch.setattr("spicetrain.spice.cluster.installed", lambda _: wanted)
    with pytest.raises(ConfigurationError, match=told), Cluster(processes.address):
        pass


def test_a_worker_of_two_threads_is_refused(tmp_path: Path) -> None:
    made = Processes(tmp_path)
    try:
        made.scheduler()
        made.worker("--nthreads", "2")
        with pytest.raises(ConfigurationError, match="has 2 threads. Start one with a thread for every core"):
            Cluster(made.address).__enter__()
    finally:
        made.end()


def test_a_killed_worker_costs_what_was_under_way(
    processes: Processes, cluster: Cluster, ngspice: Ngspice, tmp_path: Path
) -> None:
    staff(processes, cluster, 3)
    asked = works(tmp_path, 8)
    held = hold(tmp_path, asked, "w2 w4 w5")
    simulator, found = Simulator(ngspice, 3, cluster), {}
    for index, answer in simulator.map(partial(do, simulator), asked):
        found[index] = answer
        if len(found) == 3:  # with three more under way
            until(lambda: {"w2", "w4", "w5"} <= {name for name, _ in began(tmp_path)})
            os.kill(dict(began(tmp_path))["w4"], signal.SIGKILL)
            for file in held:
                file.unlink()
    names = [name for name, _ in began(tmp_path)]
    assert sorted(names) == sorted([work.name for work in asked] + ["w4"])
    require_equal([found[index] for index in range(8)], results(Simulator(ngspice, 1), asked))


def test_a_piece_that_kills_its_worker_is_given_up(
    processes: Processes, cluster: Cluster, ngspice: Ngspice, tmp_path: Path
) -> None:
    staff(processes, cluster, 2)
    asked = [Work(tmp_path, "deadly", DIVIDER, deadly=True)]
    with pytest.raises(SimulationError, match="begun 2 times, and every time its worker died; 0 of 1") as caught:
        results(Simulator(ngspice, 3, cluster), asked)
    assert caught.value.exit_code == 4 and len(began(tmp_path)) == 2


def test_no_worker_is_left(
    processes: Processes, cluster: Cluster, ngspice: Ngspice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff(processes, cluster, 0)
    monkeypatch.setattr(cluster, "_patience_s", 2.5)
    with pytest.raises(SimulationError, match="No worker is left at tcp.*; 0 of 2 pieces"):
        results(Simulator(ngspice, 3, cluster), works(tmp_path, 2))


def test_a_killed_scheduler_costs_what_was_under_way(
    processes: Processes, cluster: Cluster, ngspice: Ngspice, tmp_path: Path
) -> None:
    staff(processes, cluster, 1)
    asked = works(tmp_path, 5)
    held = hold(tmp_path, asked, "w3")
    pieces = [Piece(work, f"{work.name:0>32}") for work in asked]
    simulator = Simulator(ngspice, 3, cluster, scratch=tmp_path / "scratch")

    def kill() -> None:
        until(lambda: len(list((tmp_path / "scratch").glob("*.npz"))) == 3)
        until(lambda: began(tmp_path)[-1][0] == "w3")
        processes.running[0].kill()

    killer = Thread(target=kill)
    killer.start()
    with pytest.raises(SimulationError, match="scheduler at tcp.* is gone, or was cut off; 3 of 5 pieces") as caught:
        run_pieces(simulator, do, pieces, "dividers")
    killer.join()
    held[0].unlink()
    assert caught.value.exit_code == 4
    with pytest.raises(SimulationError, match="scheduler at tcp.* is gone"):  # and so it stays
        results(simulator, asked[:1])
    (tmp_path / "began").unlink()
    again = run_pieces(simulator.changed(executor=None, workers=1), do, pieces, "dividers")
    assert [name for name, _ in began(tmp_path)] == ["w3", "w4"]
    require_equal(again, results(Simulator(ngspice, 1), asked))


ENDLESS = """#!/bin/sh
case "$PWD" in *spicetrain-cluster-*/spicetrain-run-*) exec sleep 1000 ;; esac
exec {real} "$@"
"""


def test_an_interrupt_ends_a_local_cluster(ngspice: Ngspice, temporary: Path, own_cache: Path) -> None:
    outside = temporary.with_name(f"{temporary.name}-outside")
    outside.mkdir()
    (outside / "ngspice").write_text(ENDLESS.format(real=ngspice.executable))
    (outside / "ngspice").chmod(0o755)
    words = ["characterize", str(write_experiment(outside)), "--out", str(outside / "run"), "--cluster", "local"]
    command = [sys.executable, "-m", "spicetrain", *words, "--workers", "1", "--ngspice", str(outside / "ngspice")]
    run = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True, cwd=outside)
    try:
        assert eventually(
            lambda: any("/spicetrain-cluster-" in path and "/spicetrain-run-" in path for path in working(temporary)),
            60.0,
        )
        os.killpg(run.pid, signal.SIGINT)
        message = run.communicate(timeout=60)[1]
    finally:
        run.kill()
    assert run.returncode == 130, message
    assert "Traceback" not in message and "interrupted" in message
    assert not processes_in(temporary) and list(temporary.iterdir()) == [own_cache]


def working(folder: Path) -> list[str]:
    """Where ngspices of workers do."""
    return [os.readlink(f"/proc/{number}/cwd") for number in processes_in(folder)]


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["characterize", "iris-kcl", *words]) == 2
    return capsys.readouterr().err


def test_a_wrong_address(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spicetrain.spice.cluster._CONNECT_S", 0.5)
    out = ("--out", str(tmp_path / "run"))
    assert "No scheduler answers at tcp://127.0.0.1:9" in told(capsys, *out, "--cluster", "tcp://127.0.0.1:9")
    assert "No scheduler answers at tcp://nobody" in told(capsys, *out, "--cluster", "tcp://nobody.invalid:8786")
    assert "give local, the address" in told(capsys, *out, "--cluster", "127.0.0.1:8786")
    assert "give one of them" in told(capsys, *out, "--cluster", "local", "--executor", "a:b")
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "pip install 'spicetrain[cluster]'" in told(capsys, *out, "--cluster", "local")
    assert not (tmp_path / "run").exists()


JOBS = """
cluster = "SLURMCluster"
jobs = 3

[keywords]
queue = "short"
cores = 4
processes = 4
memory = "8 GiB"
"""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("jobs = 3", "jobs = 3\nuser = 'me'"), "unknown key 'user'"),
        (("jobs = 3", "jobs = 0"), "jobs"),
        (("processes = 4", "processes = 2"), "they must be there and equal"),
        (("processes = 4", ""), "keywords.processes = None"),
        (("SLURMCluster", "SLURNCluster"), "Did you mean 'SLURMCluster'"),
        (("queue", "quue"), "refuses .keywords.: .*quue"),
    ],
)
def test_jobs_that_cannot_be(
    change: tuple[str, str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slurm(*, queue: str, cores: int, processes: int, memory: str) -> None:
        raise AssertionError("it should have been refused")

    monkeypatch.setitem(sys.modules, "dask_jobqueue", SimpleNamespace(SLURMCluster=slurm))
    (tmp_path / "jobs.toml").write_text(JOBS.replace(*change))
    with pytest.raises(ConfigurationError, match=told), Cluster(str(tmp_path / "jobs.toml")):
        pass


def test_jobs_need_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    (tmp_path / "jobs.toml").write_text(JOBS)
    jobs = Cluster(str(tmp_path / "jobs.toml"))
    assert jobs.workers == 12 and Cluster(str(tmp_path / "jobs.toml"), workers=5).workers == 5
    with pytest.raises(ConfigurationError, match="pip install dask-jobqueue"), jobs:
        pass
