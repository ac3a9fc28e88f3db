from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spicetrain.datasets import images, load_dataset
from spicetrain.datasets.images import load_published
from spicetrain.errors import DatasetError, StorageError


def _idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


_CONTENT = {
    "train_images": ("train-images.gz", _idx(np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4))),
    "train_labels": ("train-labels.gz", _idx(np.array([2, 0, 1], np.uint8))),
    "test_images": ("test-images.gz", _idx(np.full((2, 2, 4), 255, np.uint8))),
    "test_labels": ("test-labels.gz", _idx(np.array([1, 1], np.uint8))),
}
_COUNTS = {"train_images": 3, "train_labels": 3, "test_images": 2, "test_labels": 2}


def _write_files(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, content in _CONTENT.values():
        (folder / name).write_bytes(gzip.compress(content))
    return folder


class Tiny:
    """A three-image dataset `tiny`, described by its own SOURCES.toml; no checkout, an empty cache."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.cache = root, root / "cache" / "data" / "tiny"
        self._sources = root / "SOURCES.toml"
        monkeypatch.setattr(images, "dataset_sources", lambda: self._sources)
        monkeypatch.setattr(images, "data_folder", lambda: None)
        monkeypatch.setenv("SPICETRAIN_CACHE", str(root / "cache"))
        monkeypatch.delenv("SPICETRAIN_DATA", raising=False)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        self.describe()

    def describe(self, *mirrors: str) -> None:
        lines = ["[tiny]", f"mirrors = {json.dumps(mirrors)}", 'classes = ["a", "b", "c"]']
        for role, (name, content) in _CONTENT.items():
            sha256 = hashlib.sha256(content).hexdigest()
            lines += [f"[tiny.files.{role}]", f'name = "{name}"', f"count = {_COUNTS[role]}"]
            lines += [f'sha256 = "{sha256}"']
        self._sources.write_text("\n".join(lines))


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    return Tiny(tmp_path, monkeypatch)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the URL where a local server offers it."""
    folder = _write_files(tmp_path / "mirror")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _refused_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


# --- the real ones; oracles: first labels, class counts and mean grey level as published


@pytest.mark.parametrize(
    ("name", "train", "test", "mean_grey"),
    [
        ("mnist", [5, 0, 4, 1, 9], [7, 2, 1, 0, 4], 33.318421),
        ("fashion-mnist", [9, 0, 0, 3, 0], [9, 2, 1, 1, 6], 72.940352),
    ],
)
def test_published_images(name: str, train: list[int], test: list[int], mean_grey: float) -> None:
    data = load_dataset(name)
    assert data.train_inputs.shape == (60_000, 784) and data.test_inputs.shape == (10_000, 784)
    assert data.train_inputs.dtype == data.test_inputs.dtype == np.float32
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64
    assert data.train_labels[:5].tolist() == train and data.test_labels[:5].tolist() == test
    assert data.train_inputs.min() == 0 and data.train_inputs.max() == 1
    assert data.train_inputs.mean(dtype=np.float64) * 255 == pytest.approx(mean_grey, abs=1e-5)
    assert len(data.classes) == 10 == len(np.unique(data.test_labels))


def test_mnist_loads_in_a_breath() -> None:
    start = time.process_time()
    load_dataset("mnist")
    assert time.process_time() - start < 1.5


def test_iris_takes_no_folder(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "file.npz", Path("")):
        with pytest.raises(DatasetError, match=f"iris comes with scikit-learn and takes no folder: leave {folder} out"):
            load_dataset("iris", folder)


def test_iris_is_stratified_scaled_and_the_same_each_time() -> None:
    data, again = load_dataset("iris"), load_dataset("iris")
    assert data.train_inputs.shape == (120, 4) and data.test_inputs.shape == (30, 4)
    assert np.bincount(data.train_labels).tolist() == [40, 40, 40]
    assert np.bincount(data.test_labels).tolist() == [10, 10, 10]
    assert data.train_inputs.min(axis=0).tolist() == [0] * 4 and data.train_inputs.max(axis=0).tolist() == [1] * 4
    assert data.test_inputs.min() >= 0 and data.test_inputs.max() <= 1
    assert data.train_inputs.dtype == np.float32 and data.train_labels.dtype == np.int64
    assert data.classes == ("setosa", "versicolor", "virginica")
    assert np.array_equal(data.train_inputs, again.train_inputs)


# --- where files are looked for


def test_arrays_of_a_folder_that_was_given(tiny: Tiny) -> None:
    _write_files(tiny.root / "mine" / "tiny")
    data = load_published("tiny", tiny.root / "mine")
    assert data.train_inputs[1].tolist() == [np.float32(g) / np.float32(255) for g in range(8, 16)]
    assert data.train_labels.tolist() == [2, 0, 1] and data.test_labels.tolist() == [1, 1]
    assert data.test_inputs.tolist() == [[1.0] * 8] * 2
    assert data.classes == ("a", "b", "c")


def test_environment_variable_and_argument_before_it(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_files(tiny.root / "mine" / "tiny")
    monkeypatch.setenv("SPICETRAIN_DATA", str(tiny.root / "mine"))
    assert len(load_published("tiny").train_inputs) == 3
    with pytest.raises(DatasetError, match="elsewhere"):
        load_published("tiny", tiny.root / "elsewhere")


def test_checkout_before_cache(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_files(tiny.cache)
    (tiny.cache / "train-images.gz").write_bytes(b"damaged, and not to be read")
    _write_files(tiny.root / "checkout" / "tiny")
    monkeypatch.setattr(images, "data_folder", lambda: tiny.root / "checkout")
    assert len(load_published("tiny").train_inputs) == 3


def test_a_named_folder_without_the_files_is_not_replaced_by_a_download(
    tiny: Tiny, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.describe(mirror[1])
    _write_files(tiny.root / "mine" / "tiny")
    (tiny.root / "mine" / "tiny" / "test-labels.gz").unlink()
    monkeypatch.setenv("SPICETRAIN_DATA", str(tiny.root / "mine"))
    with pytest.raises(DatasetError, match=r"missing test-labels\.gz in .*mine/tiny \(\$SPICETRAIN_DATA\)"):
        load_published("tiny")
    assert not tiny.cache.exists()


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(DatasetError, match="Did you mean 'fashion-mnist'") as caught:
        load_dataset("fashion_mnist")
    assert caught.value.exit_code == 2


# --- damaged files

_IMAGES = _CONTENT["train_images"][1]


@pytest.mark.parametrize(
    ("damaged", "says"),
    [
        pytest.param(gzip.compress(_IMAGES)[:-12], "truncated: .*after [0-9]+ bytes", id="gzip cut short"),
        pytest.param(b"<html>not found</html>", "not a whole gzip file", id="no gzip"),
        pytest.param(b"", "begins with nothing", id="empty"),
        pytest.param(gzip.compress(_IMAGES[:-1]), "holds 39 bytes of IDX.*announces 40.*3 x 2 x 4", id="cut"),
        pytest.param(gzip.compress(_IMAGES + b"x"), "holds 41 bytes of IDX.*announces 40", id="too long"),
        pytest.param(gzip.compress(_IMAGES[:10]), "holds 10 bytes of IDX", id="cut in the header"),
        pytest.param(gzip.compress(b"\0\0\x0d" + _IMAGES[3:]), "begins with 00000d03", id="floats"),
        pytest.param(gzip.compress(_IMAGES[:-1] + b"x"), "wrong checksum.*expected [0-9a-f]{64}", id="altered"),
        pytest.param(gzip.compress(_idx(np.zeros((2, 2, 4), np.uint8))), "2 items, .* 3", id="fewer images"),
    ],
)
def test_damaged_file_is_refused_by_name(tiny: Tiny, damaged: bytes, says: str) -> None:
    folder = _write_files(tiny.root / "mine" / "tiny")
    (folder / "train-images.gz").write_bytes(damaged)
    with pytest.raises(DatasetError, match=rf"mine/tiny/train-images\.gz.*{says}"):
        load_published("tiny", tiny.root / "mine")


@pytest.mark.parametrize("place", [-8, 10], ids=["stored CRC-32", "first deflate block"])
def test_flipped_bits_in_the_gzip_stream(tiny: Tiny, place: int) -> None:
    folder = _write_files(tiny.root / "mine" / "tiny")
    packed = bytearray(gzip.compress(_IMAGES))
    packed[place] ^= 0xFF
    (folder / "train-images.gz").write_bytes(packed)
    with pytest.raises(DatasetError, match="not a whole gzip file"):
        load_published("tiny", tiny.root / "mine")


# --- fetching


def test_fetches_into_the_cache_once(tiny: Tiny, mirror: tuple[Path, str]) -> None:
    tiny.describe(mirror[1])
    assert load_published("tiny").train_labels.tolist() == [2, 0, 1]
    assert sorted(f.name for f in tiny.cache.iterdir()) == sorted(name for name, _ in _CONTENT.values())
    for file in mirror[0].iterdir():
        file.unlink()
    assert load_published("tiny").train_labels.tolist() == [2, 0, 1]


def test_the_next_mirror_answers_for_a_dead_or_altered_one(tiny: Tiny, mirror: tuple[Path, str]) -> None:
    altered = _write_files(mirror[0] / "altered")
    (altered / "train-labels.gz").write_bytes(gzip.compress(_idx(np.array([0, 0, 0], np.uint8))))
    tiny.describe(_refused_url(), f"{mirror[1]}/altered", mirror[1])
    assert load_published("tiny").train_labels.tolist() == [2, 0, 1]


def test_wrong_checksum_everywhere_keeps_nothing_of_that_file(tiny: Tiny, mirror: tuple[Path, str]) -> None:
    (mirror[0] / "train-labels.gz").write_bytes(gzip.compress(_idx(np.array([0, 0, 0], np.uint8))))
    tiny.describe(mirror[1])
    expected = hashlib.sha256(_CONTENT["train_labels"][1]).hexdigest()
    with pytest.raises(DatasetError, match=f"wrong checksum.*expected {expected}"):
        load_published("tiny")
    assert [f.name for f in tiny.cache.iterdir()] == ["train-images.gz"]


def test_offline_says_where_it_looked_and_what_to_do(tiny: Tiny) -> None:
    url = _refused_url()
    tiny.describe(url)
    with pytest.raises(DatasetError) as caught:
        load_published("tiny")
    text = str(caught.value)
    for part in (str(tiny.cache), url, "Connection refused", "offline", "SPICETRAIN_DATA", "test-labels.gz"):
        assert part in text


def test_a_mirror_without_the_file_is_named(tiny: Tiny, mirror: tuple[Path, str]) -> None:
    (mirror[0] / "train-images.gz").unlink()
    tiny.describe(mirror[1])
    with pytest.raises(DatasetError, match="HTTP Error 404"):
        load_published("tiny")


def test_a_cache_that_cannot_be_written_is_a_storage_error(tiny: Tiny, mirror: tuple[Path, str]) -> None:
    tiny.describe(mirror[1])
    (tiny.root / "cache").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="a file, not a folder"):
        load_published("tiny")
