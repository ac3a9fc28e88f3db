from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from processes import processes_in

from spicetrain.errors import SimulationError
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.pool import map_unordered
from spicetrain.spice.simulate import FAILED, simulate

from .conftest import eventually
from .decks import DIVIDER, ENDLESS

Job = tuple[str, Ngspice]


def go_ahead() -> Path:
    """A file for which jobs that fail wait, so that what should have finished before has."""
    return Path(os.environ["TMPDIR"] + ".go")


def work(job: Job) -> object:
    """What a job is named after, in a worker."""
    kind, ngspice = job
    if kind in ("broken", "die"):
        assert eventually(go_ahead().exists)
    if kind == "endless":
        return simulate(ENDLESS, ngspice)
    if kind == "broken":
        return simulate(replace(DIVIDER, points=7), ngspice)
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return float(simulate(DIVIDER, ngspice).values["v(out)"][-1])


def zero_is_last(number: int) -> int:
    assert number > 0 or eventually(go_ahead().exists)
    return number + 10


def invert(number: int) -> float:
    return 1 / number


def interrupts_held(_: int) -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def process(_: int) -> int:
    time.sleep(0.1)
    return os.getpid()


def test_results_come_as_they_finish_with_the_index_of_their_item(temporary: Path) -> None:
    found = []
    for result in map_unordered(zero_is_last, range(4), workers=2):
        found.append(result)
        if len(found) == 3:
            go_ahead().touch()
    assert sorted(found) == [(0, 10), (1, 11), (2, 12), (3, 13)]
    assert found[-1] == (0, 10)


def test_work_is_done_in_as_many_processes_as_asked() -> None:
    found = {pid for _, pid in map_unordered(process, range(6), workers=2)}
    assert len(found) == 2
    assert os.getpid() not in found
    assert {pid for _, pid in map_unordered(process, range(2), workers=1)} == {os.getpid()}
    assert list(map_unordered(process, [])) == []


class Instant(Executor):
    """Everything is done before anybody waits for it."""

    def submit(self, function, /, *args, **kwargs):
        future: Future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def test_what_has_finished_is_handed_out_before_an_error() -> None:
    found = []
    with pytest.raises(ZeroDivisionError):
        for index, _ in map_unordered(invert, [0, 1, 2, 0, 4, 5, 6, 7], executor=Instant()):
            found.append(index)
    assert sorted(found) == [1, 2, 4, 5, 6, 7]


def test_workers_leave_interrupts_to_the_parent() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert all(held for _, held in map_unordered(interrupts_held, range(2), workers=2))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_simulations_in_workers_leave_no_folder(ngspice: Ngspice, temporary: Path) -> None:
    found = dict(map_unordered(work, [("divider", ngspice)] * 4, workers=2))
    assert found == {index: pytest.approx(0.75) for index in range(4)}
    assert list(temporary.iterdir()) == []


def test_a_callers_executor_is_used_and_left_open(ngspice: Ngspice, temporary: Path) -> None:
    with ThreadPoolExecutor(2) as executor:
        found = dict(map_unordered(work, [("divider", ngspice)] * 4, executor=executor))
        assert found == {index: pytest.approx(0.75) for index in range(4)}
        assert executor.submit(invert, 1).result() == 1.0


def test_a_failing_item_stops_the_others_and_keeps_its_deck(ngspice: Ngspice, temporary: Path) -> None:
    jobs = [("divider", ngspice), ("broken", ngspice), ("endless", ngspice)]
    found = []
    with pytest.raises(SimulationError, match="ngspice gave 5 of 7 points") as caught:
        for index, _ in map_unordered(work, jobs, workers=2):
            found.append(index)
            go_ahead().touch()
    assert found == [0]
    assert caught.value.folder is not None
    assert (caught.value.folder / "deck.cir").is_file()
    assert [path.name[: len(FAILED)] for path in temporary.glob("*/*")] == [FAILED]
    assert eventually(lambda: not processes_in(temporary))


def test_a_killed_worker_loses_no_finished_work(ngspice: Ngspice, temporary: Path) -> None:
    jobs = [("divider", ngspice), ("divider", ngspice), ("endless", ngspice), ("die", ngspice)]
    found = []
    with pytest.raises(SimulationError, match="A worker process was killed; 2 of 4 pieces had finished") as caught:
        for index, _ in map_unordered(work, jobs, workers=2):
            found.append(index)
            if len(found) == 2:
                go_ahead().touch()
    assert sorted(found) == [0, 1]
    assert caught.value.exit_code == 4
    assert eventually(lambda: not processes_in(temporary))
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, GeneratorExit, ZeroDivisionError])
def test_a_consumer_that_stops_leaves_no_ngspice(ngspice: Ngspice, temporary: Path, stop: type[BaseException]) -> None:
    jobs = [("divider", ngspice), ("endless", ngspice), ("endless", ngspice)]
    with pytest.raises(stop):
        for _ in map_unordered(work, jobs, workers=2):
            assert eventually(lambda: len(processes_in(temporary)) == 2)
            raise stop
    assert eventually(lambda: not processes_in(temporary))
    assert list(temporary.iterdir()) == []


PROGRAM = """
    import sys
    from spicetrain.spice.deck import Deck
    from spicetrain.spice.ngspice import find_ngspice
    from spicetrain.spice.pool import map_unordered
    from spicetrain.spice.simulate import simulate

    def run(deck):
        return simulate(deck, find_ngspice(sys.argv[1]))

    if __name__ == "__main__":
        deck = Deck("v1 in 0 1.0\\nr1 in 0 1.0", ".tran 1.0 1e9 0.0 1.0", ("v(in)",), None)
        for _ in map_unordered(run, [deck, deck, deck], workers=2):
            pass
"""


def start(ngspice: Ngspice, temporary: Path) -> subprocess.Popen[str]:
    program = temporary.parent / f"{temporary.name}.py"  # outside the folder whose processes are counted
    program.write_text(textwrap.dedent(PROGRAM))
    command = [sys.executable, str(program), str(ngspice.executable)]
    return subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_an_interrupt_while_workers_start_is_the_parents_alone(ngspice: Ngspice, temporary: Path) -> None:
    parent = start(ngspice, temporary)
    try:
        assert eventually(lambda: len(children(parent.pid)) >= 3, 30.0)  # loky's tracker and two workers
        os.killpg(parent.pid, signal.SIGINT)
        message = parent.communicate(timeout=120)[1]
    finally:
        parent.kill()
    assert message.count("Traceback") == message.count("KeyboardInterrupt") == 1, message
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_program_that_is_stopped_leaves_no_ngspice(ngspice: Ngspice, temporary: Path, number: signal.Signals) -> None:
    parent = start(ngspice, temporary)
    try:
        assert eventually(lambda: len(processes_in(temporary)) == 2, 30.0)
        # Ctrl-C goes to the whole group, kill to one process.
        (os.killpg if number == signal.SIGINT else os.kill)(parent.pid, number)
        message = parent.communicate(timeout=120)[1]
    finally:
        parent.kill()
    assert eventually(lambda: not processes_in(temporary))
    if number == signal.SIGINT:
        assert message.count("KeyboardInterrupt") == 1, message  # the parent's own, and no worker's
        assert list(temporary.iterdir()) == []
