from __future__ import annotations

import errno
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spicetrain import storage
from spicetrain.errors import StorageError
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


def test_a_killed_writer_leaves_no_half_file(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    program = (
        "import os, signal, pathlib, sys; from spicetrain.storage import write_atomic\n"
        "with write_atomic(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(target)]).returncode == -9
    assert not target.exists()


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
