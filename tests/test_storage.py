from __future__ import annotations

import ast
import errno
import fcntl
import gc
import hashlib
import itertools
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from spicetrain import leftovers, lock, storage
from spicetrain.errors import StorageError
from spicetrain.leftovers import remove_leftovers
from spicetrain.lock import locked
from spicetrain.storage import (
    cache_folder,
    content_hash,
    copy_into,
    make_folder,
    read_json,
    sha256_of_file,
    storage_errors,
    write_atomic,
    write_json,
)


def test_write_atomic_makes_the_folder_and_leaves_only_the_file(tmp_path: Path) -> None:
    target = tmp_path / "run" / "table.parquet"
    with write_atomic(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".parquet"
        temporary.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


def test_write_atomic_accepts_a_writer_that_replaces_the_temporary_file(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    with write_atomic(target) as temporary:
        temporary.unlink()
        temporary.write_bytes(b"new inode")
    assert target.read_bytes() == b"new inode"


def test_write_atomic_gives_the_users_usual_mode(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with write_atomic(tmp_path / "a") as temporary:
            temporary.write_text("x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("interruption", [ValueError("half way"), KeyboardInterrupt()])
def test_failure_keeps_the_old_content_and_no_rest(tmp_path: Path, interruption: BaseException) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises(type(interruption)), write_atomic(target) as temporary:
        temporary.write_text("new, but")
        raise interruption
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_full_disk_in_the_writer_is_a_storage_error(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    with pytest.raises(StorageError, match=r"a\.json.*No space left.*free some space"), write_atomic(target):
        Path("/dev/full").write_bytes(b"x")  # the kernel's own ENOSPC
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE, errno.ESTALE]
)
def test_refused_rename_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(source: object, target: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(storage.os, "replace", refuse)
    with pytest.raises(StorageError, match=os.strerror(number)) as caught:
        write_json(tmp_path / "a.json", {})
    assert isinstance(caught.value.__cause__, OSError)
    assert list(tmp_path.iterdir()) == []


def test_delayed_allocation_reports_the_full_disk_at_the_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", refuse)
    with pytest.raises(StorageError, match="disk is full"):
        write_json(tmp_path / "a.json", {})
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StorageError, match="a file, not a folder"):
        write_json(tmp_path / "runs" / "demo" / "a.json", {})
    with pytest.raises(StorageError, match="a file, not a folder"):
        make_folder(tmp_path / "runs")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
def test_a_file_system_that_makes_no_folders() -> None:
    """Not even for root, and says that there is no such file."""
    text = "Cannot write /proc/x/run/a.json: No such file or directory (/proc/x). A folder of that path is missing"
    with pytest.raises(StorageError, match=re.escape(text)):
        write_json(Path("/proc/x/run/a.json"), {})
    with pytest.raises(StorageError, match=re.escape("Cannot write /proc/x: No such file or directory. A folder")):
        make_folder(Path("/proc/x"))


def test_what_else_the_operating_system_refuses(tmp_path: Path) -> None:
    """A folder where the file should be, a name too long, a file that is not there to be copied; no number at all."""
    (tmp_path / "a.json").mkdir()
    with pytest.raises(StorageError, match=r"a\.json: Is a directory\. .*run it again"):
        write_json(tmp_path / "a.json", {})
    with pytest.raises(StorageError, match="File name too long"):
        make_folder(tmp_path / ("x" * 300))
    with pytest.raises(
        StorageError, match=re.escape(f"{tmp_path}/to/b: No such file or directory ({tmp_path}/from/b)")
    ):
        copy_into(tmp_path / "to", [tmp_path / "from" / "b"])
    with pytest.raises(StorageError, match=r"c: it is this\. Choose"), storage_errors(tmp_path / "c"):
        raise OSError("it is this")
    assert [path.name for path in tmp_path.rglob("*")] == ["a.json", "to"]


def test_other_errors_pass_untranslated(tmp_path: Path) -> None:
    for error in (ValueError("it is this"), StorageError("it is this")):
        with pytest.raises(type(error), match="^it is this$"), storage_errors(tmp_path):
            raise error


# What is killed


def write_and(act: Callable[[], None], line: int, target: Path, text: str) -> tuple[str, int] | None:
    """Write `text`, and `act` before the n-th line that Python runs for it; which one that was, None: there is none."""
    left = line
    met: list[tuple[str, int]] = []

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith((storage.__file__, leftovers.__file__, "contextlib.py", "pathlib.py")):
            return None
        left -= event == "line"
        if left == 0 and not met:
            met.append((Path(frame.f_code.co_filename).name, frame.f_lineno))
            act()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with write_atomic(target) as temporary:
            temporary.write_text(text)
    finally:
        sys.settrace(before)
    return met[0] if met else None


def interrupt() -> None:
    raise KeyboardInterrupt


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_interrupt_at_any_line_leaves_nothing_but_the_old_or_the_new(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    umask = os.umask(0o027)
    try:
        for line in itertools.count(1):
            target.write_text("old")
            try:
                finished = write_and(interrupt, line, target, "new") is None
            except KeyboardInterrupt:
                finished = False
            assert target.read_text() == "new" if finished else target.read_text() in ("old", "new"), line
            assert files_in(tmp_path) == ["a.json"], line
            if finished:
                break
        assert line > 50
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(umask)


def test_an_interrupt_at_any_line_of_the_clearing_up_leaves_nothing_after_the_next_write(tmp_path: Path) -> None:
    """A writer that failed and is then interrupted: a second Ctrl-C."""
    target, left = tmp_path / "a.json", 0
    for line in itertools.count(1):
        target.write_text("old")
        write, failed = iter(write_atomic(target).gen), False
        next(write)
        try:
            throw_and_interrupt(write, line)
        except KeyboardInterrupt:
            failed = True
        except RuntimeError:
            pass
        del write
        assert target.read_text() == "old"
        left += len(files_in(tmp_path)) > 1
        remove_leftovers(tmp_path)
        assert files_in(tmp_path) == ["a.json"], line
        if not failed:
            break
    assert left > 0, "not one interrupt came in time: the test sees nothing"


def throw_and_interrupt(write: Any, line: int) -> None:
    """An error in the writer, and an interrupt before the n-th line of what answers it."""
    left = line

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename.endswith("weakref.py"):  # what is raised in a callback goes nowhere
            return None
        left -= event == "line"
        if left == 0:
            raise KeyboardInterrupt
        return trace

    gc.disable()  # else somebody else's objects end here, and an interrupt with them
    write.gi_frame.f_trace = trace
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        write.throw(RuntimeError("the writer failed"))
    finally:
        sys.settrace(before)
        gc.enable()


KILLED = """
import os, signal, sys
from pathlib import Path
from test_storage import write_and

for line in range(1, 1000):
    target = Path(sys.argv[1]) / str(line) / "a.json"
    target.parent.mkdir()
    target.write_text("old")
    if (child := os.fork()) == 0:
        write_and(lambda: os.kill(os.getpid(), signal.SIGKILL), line, target, "new")
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
print(line)
"""


def test_a_kill_at_any_line_leaves_the_old_or_the_new_and_nothing_after_the_next_write(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    lines = int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    folders = sorted(tmp_path.iterdir(), key=lambda folder: int(folder.name))
    assert len(folders) == lines > 50
    contents = [(folder / "a.json").read_text() for folder in folders]
    assert set(contents) == {"old", "new"} and contents[-1] == "new"
    assert any(len(files_in(folder)) > 1 for folder in folders), "not one kill came in time"
    for folder in folders[::2]:
        write_json(folder / "a.json", "next")
        assert files_in(folder) == ["a.json"], folder
    remove_leftovers(tmp_path)
    for folder in folders[1::2]:
        assert files_in(folder) == ["a.json"], folder


def left_behind(folder: Path, *, process: int | None = None, started: str = "", machine: str = "") -> Path:
    """A temporary as a writer leaves it, ours unless another is told."""
    name = leftovers.Writing(folder / "a.json").temporary.name
    writer = name.split(".")[3].split("-")
    writer[:3] = [machine or writer[0], str(process or writer[1]), started or writer[2]]
    path = folder / f".a.json.{'-'.join(writer)}.tmp.json"
    path.write_text("half")
    return path


@pytest.fixture
def other() -> Iterator[int]:
    """The number of a process that lives as long as the test."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid


def test_what_a_living_process_writes_is_left_to_it(tmp_path: Path, other: int) -> None:
    its = left_behind(tmp_path, process=other, started=leftovers._start_of(other))
    remove_leftovers(tmp_path)
    assert its.exists()
    with write_atomic(tmp_path / "a.json") as outer:
        outer.write_text("outer")
        write_json(tmp_path / "a.json", "inner")
        remove_leftovers(tmp_path)
        assert outer.exists() and its.exists()
    assert (tmp_path / "a.json").read_text() == "outer"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to tell when a process was started")
def test_another_process_of_the_same_number_is_not_the_writer(tmp_path: Path, other: int) -> None:
    for process in (os.getpid(), other):
        left_behind(tmp_path, process=process, started="1")
    remove_leftovers(tmp_path)
    assert files_in(tmp_path) == []


def test_a_temporary_of_another_machine_is_removed_a_day_later(tmp_path: Path) -> None:
    path = left_behind(tmp_path, machine="0123abcd", process=999_999_999)
    hour = 3600
    for age_s, stays in ((0, True), (23 * hour, True), (25 * hour, False)):
        modified = path.stat().st_mtime
        os.utime(path, (modified - age_s, modified - age_s))
        remove_leftovers(tmp_path)
        assert path.exists() == stays


def test_the_machine_is_told_by_more_than_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    here = leftovers._machine.__wrapped__()
    monkeypatch.setattr(platform, "node", lambda: "another")
    assert leftovers._machine.__wrapped__() != here
    monkeypatch.undo()
    if not Path("/proc/self/ns/pid").is_symlink():
        pytest.skip("no /proc")
    monkeypatch.setattr(os, "readlink", lambda path: "pid:[another container]")
    assert leftovers._machine.__wrapped__() != here


def test_files_of_others_are_not_ours_to_remove(tmp_path: Path) -> None:
    names = ["a.json", ".a.json.tmp", ".a.json.r6nlefs0.tmp.json", "a.json.0123abcd-1-1-1.tmp.json", ".tmpjCg9Rm"]
    for name in names:
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (0, 0))
    write_json(tmp_path / "b.json", 1)
    remove_leftovers(tmp_path)
    assert files_in(tmp_path) == sorted([*names, "b.json"])


def test_a_write_clears_up_beside_it_and_not_below(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    below, beside = (left_behind(folder, process=999_999_999) for folder in (tmp_path / "deep", tmp_path))
    write_json(tmp_path / "b.json", 1)
    assert below.exists() and not beside.exists()
    remove_leftovers(tmp_path)
    assert not below.exists()
    remove_leftovers(tmp_path / "absent")


def test_no_writer_makes_temporaries_of_its_own() -> None:
    """safetensors' save_file writes to a .tmpXXXXXX beside the file, which a kill leaves behind for good."""
    for path in Path(storage.__file__).parent.rglob("*.py"):
        names = {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.alias)}
        assert not {"save_file", "serialize_file"} & names, path


# A folder to oneself


def lock_in(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the folder until it is told otherwise."""
    program = (
        "import sys; from pathlib import Path; from spicetrain.lock import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('mine', flush=True); input()"
    )
    command = [sys.executable, "-c", program, str(folder), "a b"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "mine\n"
        yield process


def lockable(folder: Path) -> bool:
    """By somebody else: another thread, whose lock is another one."""

    def attempt() -> bool:
        try:
            with locked(folder):
                return True
        except StorageError:
            return False

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(attempt).result()


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    yield from lock_in(tmp_path)


def test_a_folder_is_one_processs(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    who = rf"process {holder.pid} \({platform.node()}, since 2\d.*Z, `-c \S+ 'a b'`\)"
    said = f"{tmp_path} is in use by {who}: wait for it or choose another folder with --out"
    with pytest.raises(StorageError, match=said), locked(tmp_path):
        pass
    assert files_in(tmp_path) == [".lock"]
    holder.communicate("done\n")
    assert files_in(tmp_path) == []
    with locked(tmp_path):
        assert files_in(tmp_path) == [".lock"]
    assert files_in(tmp_path) == []


def test_a_killed_process_has_nothing_any_more(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    left_behind(tmp_path, process=999_999_999)
    holder.kill()
    holder.wait()
    assert ".lock" in files_in(tmp_path)
    with locked(tmp_path):
        assert read_json(tmp_path / ".lock")["process"] == os.getpid()
        assert files_in(tmp_path) == [".lock"]
    assert files_in(tmp_path) == []


def test_who_has_a_folder_may_ask_again_and_another_thread_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    with locked(tmp_path / "run"):
        with locked(Path("run")), locked(Path("link")):
            assert not lockable(tmp_path / "run")
        assert not lockable(tmp_path / "link")
        with locked(tmp_path):
            pass
    assert lockable(tmp_path / "run")


@pytest.mark.parametrize("within", ["the work", "locked itself"])
def test_an_error_that_is_kept_keeps_no_folder(within: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        raise ValueError(folder)

    with monkeypatch.context() as patch, pytest.raises(ValueError) as kept:
        if within == "locked itself":
            patch.setattr(lock, "remove_leftovers", fail)
        with locked(tmp_path):
            fail(tmp_path)
    with locked(tmp_path):
        assert not lockable(tmp_path)
    assert lockable(tmp_path) and kept.value.__traceback__ is not None


def test_a_lock_on_a_file_that_its_last_holder_removed_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = fcntl.flock, []

    def late(stream: Any, operation: int) -> None:
        calls.append(stream)
        if len(calls) <= 2:
            (tmp_path / ".lock").unlink()
        if len(calls) == 2:
            (tmp_path / ".lock").write_text("another one's")
        real(stream, operation)

    with monkeypatch.context() as patch:
        patch.setattr(lock.fcntl, "flock", late)
        with locked(tmp_path):
            patch.undo()
            assert len(calls) == 3
            assert not lockable(tmp_path)
    assert files_in(tmp_path) == []


def test_an_interrupt_at_any_line_keeps_no_folder(tmp_path: Path) -> None:
    left = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith(
            (storage.__file__, lock.__file__, leftovers.__file__, "contextlib.py")
        ):
            return None
        left -= event == "line"
        if left == 0:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    for line in itertools.count(1):
        left = line
        try:
            sys.settrace(trace)
            with locked(tmp_path):
                pass
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        assert lockable(tmp_path), line
        assert not lock._locks
        if left > 0:
            break
    assert line > 20
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("reason", ["No locks available", "this system has no flock"])
def test_where_there_are_no_locks_it_goes_on_and_says_so_once(
    reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(stream: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    if reason == "No locks available":
        monkeypatch.setattr(lock.fcntl, "flock", refuse)
    else:
        monkeypatch.setattr(lock, "fcntl", None)
    lock._say_unlocked.cache_clear()
    for _ in range(2):
        with locked(tmp_path):
            assert lockable(tmp_path)
    said = f"spicetrain: folders cannot be locked ({reason}): let no two commands work in one.\n"
    assert capsys.readouterr().err == said
    assert files_in(tmp_path) == []


def test_json_there_and_back(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, None], "a": "Ω"}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


def test_json_refuses_nan_and_keeps_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert read_json(tmp_path / "a.json") == 1


@pytest.mark.parametrize("content", [b'{"a": 1', b"", b"\xff\xfe"])
def test_damaged_json_names_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "summary.json").write_bytes(content)
    with pytest.raises(StorageError, match=r"summary\.json is not valid JSON"):
        read_json(tmp_path / "summary.json")


def test_missing_json_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"summary\.json: No such file"):
        read_json(tmp_path / "summary.json")


def test_sha256_of_file_is_the_published_test_vector(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of_file(tmp_path / "abc") == expected


def test_content_hash_separates_parts_and_kinds_and_ignores_key_order() -> None:
    different = [("ab", "c"), ("a", "bc"), ("abc",), (b"abc",), ({"abc": 1},), (["abc"],), ("1",), (1,), ()]
    assert len({content_hash(*parts) for parts in different}) == len(different)
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    assert content_hash("abc") == hashlib.sha256(b"s3:abc").hexdigest()


def test_cache_folder_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPICETRAIN_CACHE", "/c")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.setenv("HOME", "/h")
    assert cache_folder() == Path("/c")
    monkeypatch.delenv("SPICETRAIN_CACHE")
    assert cache_folder() == Path("/x/spicetrain")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path("/h/.cache/spicetrain")
