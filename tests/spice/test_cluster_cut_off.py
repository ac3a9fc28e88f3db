"""A worker behind a cable of its own, which is pulled while it works."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from dask_processes import Processes, Work, began, do, until

from spicetrain.spice.cluster import Cluster
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulator import Simulator

from .decks import DIVIDER

pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.slow]

HERE, THERE = "10.231.7.1", "10.231.7.2"


def ip(words: str) -> None:
    done = subprocess.run(["ip", *words.split()], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"ip {words}: {done.stderr.strip()}")


@pytest.fixture
def namespace() -> Iterator[str]:
    """One with a cable to here."""
    if os.getuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root, and iproute2")
    name = f"spicetrain{os.getpid()}"
    cable = f"st{os.getpid()}"[:12]
    ip(f"netns add {name}")
    try:
        ip(f"link add {cable} type veth peer name eth0 netns {name}")
        for words in (f"addr add {HERE}/24 dev {cable}", f"link set {cable} up"):
            ip(words)
        for words in (f"addr add {THERE}/24 dev eth0", "link set eth0 up", "link set lo up"):
            ip(f"-n {name} {words}")
        yield name
    finally:
        for made in (["link", "del", cable], ["netns", "del", name]):
            subprocess.run(["ip", *made], check=False, capture_output=True)


def test_a_worker_that_is_cut_off(namespace: str, ngspice: Ngspice, tmp_path: Path) -> None:
    """It is given up after a while (here, 5 s without a sign of life), and its piece is another's."""
    processes = Processes(tmp_path, {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "2s"})
    asked = [Work(tmp_path, f"w{number}", DIVIDER) for number in range(3)]
    for work in asked:
        (tmp_path / f"hold-{work.name}").touch()
    try:
        processes.scheduler(HERE)
        there = processes.worker(before=("ip", "netns", "exec", namespace))
        processes.worker("--host", HERE)
        with Cluster(processes.address, workers=2) as cluster:
            until(lambda: cluster.present == 2)
            do_it = partial(do, Simulator(ngspice, 2, cluster))
            futures = {work.name: cluster.submit(do_it, work) for work in asked}
            until(lambda: len(began(tmp_path)) == 2)
            lost = next(name for name, process in began(tmp_path) if process == there.pid)
            ip(f"-n {namespace} link set eth0 down")
            for work in asked:
                if work.name != lost:
                    (tmp_path / f"hold-{work.name}").unlink()
            until(lambda: [name for name, _ in began(tmp_path)].count(lost) == 2)
            (tmp_path / f"hold-{lost}").unlink()
            found = {name: float(future.result(timeout=30)["v(out)"][-1]) for name, future in futures.items()}
        assert found == {work.name: pytest.approx(0.75) for work in asked}
        assert sorted(name for name, _ in began(tmp_path)) == sorted(["w0", "w1", "w2", lost])
    finally:
        processes.end()
