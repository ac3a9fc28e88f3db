"""A network as what is programmed into the chip: conductances, sizes, their file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from safetensors.torch import save_file as torch_file

from spicetrain.array.crossbar import Crossbar
from spicetrain.errors import ArchitectureMismatch, StorageError
from spicetrain.inverter.network import FORMAT, Network, encode
from spicetrain.rails import Rails
from spicetrain.spiking.network import SpikingNetwork

Tensors = dict[str, NDArray]
Header = dict[str, str]

RAILS = Rails(vdd_V=0.6, vss_V=-0.2)


def crossbar(rows: int, columns: int, seed: int = 0) -> Crossbar:
    rng = np.random.default_rng(seed)
    shapes = ((rows, columns), (rows, columns), (columns,), (columns,))
    return Crossbar(*(rng.uniform(1e-7, 8e-6, shape) for shape in shapes))


def network() -> Network:
    sizes = (np.array([[1.0, 2.0], [3.0, 4.0], [1.5, 1.0]]), np.array([[1.0], [2.0]]))
    return Network((crossbar(4, 3), crossbar(3, 2)), sizes, "bipolar", {"method": "kcl", "seed": 3})


def test_an_open_column_draws_no_current() -> None:
    """Kirchhoff, device by device."""
    box = crossbar(3, 7)
    v_pos, v_neg = np.random.default_rng(1).uniform(-0.2, 0.6, (2, 5, 3))
    v = box.open_column_voltage(v_pos, v_neg, RAILS)
    assert v.shape == (5, 7)
    for sample, column in np.ndindex(v.shape):
        held = v[sample, column]
        current = sum(box.pos[i, column] * (v_pos[sample, i] - held) for i in range(3))
        current += sum(box.neg[i, column] * (v_neg[sample, i] - held) for i in range(3))
        current += box.bias_pos[column] * (0.6 - held) + box.bias_neg[column] * (-0.2 - held)
        assert abs(current) < 1e-20


def test_shape() -> None:
    assert network().layers == (4, 3, 2)


def test_encodings_span_the_rails() -> None:
    x = np.array([[0.0, 0.5, 1.0]])
    v_pos, v_neg = encode(x, "unipolar", RAILS)
    np.testing.assert_allclose(v_pos, [[0.2, 0.4, 0.6]])
    np.testing.assert_allclose(v_neg, [[0.2, 0.0, -0.2]], atol=1e-15)
    v_pos, v_neg = encode(x, "bipolar", RAILS)
    np.testing.assert_allclose(v_pos, [[-0.2, 0.2, 0.6]])
    np.testing.assert_allclose(v_neg, [[0.6, 0.2, -0.2]])


def test_the_file_gives_back_every_bit(tmp_path: Path) -> None:
    saved = network()
    saved.save(tmp_path / "n.safetensors")
    loaded = Network.load(tmp_path / "n.safetensors")
    for before, after in zip(saved.crossbars, loaded.crossbars, strict=True):
        for name, value in vars(before).items():
            assert getattr(after, name).dtype == np.float64
            np.testing.assert_array_equal(getattr(after, name), value)
    for a, b in zip(saved.sizes, loaded.sizes, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (loaded.encoding, loaded.about) == ("bipolar", {"method": "kcl", "seed": 3})


def test_transposed_views_are_saved_as_they_look(tmp_path: Path) -> None:
    box = crossbar(3, 4)
    turned = Crossbar(box.pos.T, box.neg.T, np.ones(3) * 1e-6, np.ones(3) * 1e-6)
    Network((turned,), (np.ones((3, 1)),)).save(tmp_path / "n.safetensors")
    np.testing.assert_array_equal(Network.load(tmp_path / "n.safetensors").crossbars[0].pos, box.pos.T)


def test_damaged_files_are_errors_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    with pytest.raises(StorageError, match="Cannot read the network"):
        Network.load(path)
    network().save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(StorageError, match="Cannot read the network"):
        Network.load(path)


def test_other_tensors_are_not_a_network(tmp_path: Path) -> None:
    save_file({"x": np.zeros(3)}, tmp_path / "x.safetensors")
    with pytest.raises(StorageError, match="not a spicetrain network"):
        Network.load(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, header: tensors.pop("1.neg_S"),
        lambda tensors, header: tensors.pop("1.sizes"),
        lambda tensors, header: header.pop("encoding"),
        lambda tensors, header: header.update(encoding="unipolr"),
        lambda tensors, header: header.update(about="{"),
    ],
    ids=["a tensor is missing", "sizes are missing", "encoding is missing", "encoding is unknown", "about is not JSON"],
)
def test_a_network_with_something_missing_is_an_error_of_ours(change, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="not a whole spicetrain network"):
        Network.load(changed(network(), change, tmp_path / "n.safetensors"))


def changed(saved: Network | SpikingNetwork, change: Callable[[Tensors, Header], Any], path: Path) -> Path:
    """The network's file with something changed in it."""
    saved.save(path)
    with safe_open(path, "numpy") as stored:
        header, tensors = dict(stored.metadata()), {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    change(tensors, header)
    save_file(tensors, path, header)
    return path


def value(name: str, where: int | tuple[int, ...], new: float) -> Callable[[Tensors, Header], None]:
    def change(tensors: Tensors, header: Header) -> None:
        tensors[name][where] = new

    return change


def tensor(name: str, new: NDArray | None) -> Callable[[Tensors, Header], None]:
    def change(tensors: Tensors, header: Header) -> None:
        if new is None:
            for other in [other for other in tensors if other.startswith(name)]:
                del tensors[other]
        else:
            tensors[name] = new

    return change


Change = Callable[[Tensors, Header], Any]
CROSSBARS: list[tuple[Change, str]] = [
    (
        value("0.pos_S", (2, 1), np.nan),
        "0.pos_S[2, 1] = nan, where a finite number above 0 is wanted, and 1 of its 12 values are no such number",
    ),
    (value("1.neg_S", (0, 1), np.inf), "1.neg_S[0, 1] = inf"),
    (value("1.neg_S", (2, 0), -np.inf), "1.neg_S[2, 0] = -inf"),
    (value("0.bias_pos_S", 1, 0.0), "0.bias_pos_S[1] = 0.0"),
    (value("1.bias_neg_S", 1, -1e-6), "1.bias_neg_S[1] = -1e-06"),
    (
        tensor("0.pos_S", np.full((4, 3), np.nan)),
        "0.pos_S[0, 0] = nan, where a finite number above 0 is wanted, and 12 of its 12 values",
    ),
    (tensor("0.neg_S", np.ones((3, 4))), "0.neg_S is float64 [3, 4], where a float [4, 3]"),
    (tensor("0.neg_S", np.ones(12)), "0.neg_S is float64 [12], where a float [4, 3]"),
    (tensor("0.bias_pos_S", np.ones(4)), "0.bias_pos_S is float64 [4], where a float [3]"),
    (tensor("0.bias_neg_S", np.ones((1, 3))), "0.bias_neg_S is float64 [1, 3], where a float [3]"),
    (tensor("0.pos_S", np.ones((4, 3), dtype=np.int64)), "0.pos_S is int64 [4, 3], where a float [4, 3]"),
    (tensor("0.pos_S", np.ones(4)), "0.pos_S is float64 [4], where"),
    (tensor("0.pos_S", np.ones((0, 3))), "0.pos_S is float64 [0, 3], where"),
    (tensor("0.", None), "'0.pos_S'"),
    (tensor("", None), "it has no crossbar"),
    (lambda tensors, header: header.update(about="[1]"), "about is [1], where a JSON object is wanted"),
]


def narrower(tensors: Tensors, header: Header) -> None:
    """The second crossbar with a row less, whole in itself."""
    for name in ("pos", "neg"):
        tensors[f"1.{name}_S"] = np.ascontiguousarray(tensors[f"1.{name}_S"][:2])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        *CROSSBARS,
        (narrower, "1.pos_S has 2 rows, and the crossbar before it 3 columns"),
        (value("0.sizes", (1, 1), np.nan), "0.sizes[1, 1] = nan, where a finite number above 0"),
        (value("1.sizes", (1, 0), -1.0), "1.sizes[1, 0] = -1.0"),
        (value("1.sizes", (0, 0), 0.0), "1.sizes[0, 0] = 0.0"),
        (tensor("0.sizes", np.ones((3, 1))), "0.sizes is float64 [3, 1], where a float [3, 2]"),
        (tensor("1.sizes", np.ones((2, 2))), "1.sizes is float64 [2, 2], where a float [2, 1]"),
        (tensor("1.sizes", np.ones(2)), "1.sizes is float64 [2], where a float [2, 1]"),
        (lambda tensors, header: header.update(ground_S="nan"), "ground_S = nan, where a finite number from 0 on"),
        (lambda tensors, header: header.update(ground_S="-1e-6"), "ground_S = -1e-06"),
        (lambda tensors, header: header.update(ground_S="inf"), "ground_S = inf"),
    ],
)
def test_what_cannot_be_programmed_is_named(change: Change, text: str, tmp_path: Path) -> None:
    path = changed(network(), change, tmp_path / "n.safetensors")
    with pytest.raises(StorageError, match=re.escape(f"not a whole spicetrain network ({text}")) as caught:
        Network.load(path)
    assert "`spicetrain train`" in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        *CROSSBARS,
        (narrower, "1.pos_S has 2 rows, and the crossbar before it 3 columns"),
        (value("thresholds_V", 1, np.nan), "thresholds_V[1] = nan, where a finite number is wanted"),
        (tensor("thresholds_V", np.ones(3)), "thresholds_V is float64 [3], where a float [2]"),
        (tensor("thresholds_V", np.ones((2, 1))), "thresholds_V is float64 [2, 1], where a float [2]"),
        (tensor("thresholds_V", None), "'thresholds_V'"),
    ],
)
def test_what_cannot_be_programmed_is_named_of_a_spiking_network(change: Change, text: str, tmp_path: Path) -> None:
    saved = SpikingNetwork((crossbar(4, 3), crossbar(3, 2)), (0.02, -0.01), {"method": "circuit"})
    path = tmp_path / "n.safetensors"
    saved.save(path)
    assert SpikingNetwork.load(path).fingerprint == saved.fingerprint
    with pytest.raises(StorageError, match=re.escape(f"not a whole spicetrain network ({text}")):
        SpikingNetwork.load(changed(saved, change, path))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 3)])
def test_one_crossbar_is_a_network(rows: int, columns: int, tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    Network((crossbar(rows, columns),), (np.ones((columns, 1)),), ground_S=1e-6).save(path)
    assert Network.load(path).layers == (rows, columns)


def test_numbers_of_half_the_length_are_numbers(tmp_path: Path) -> None:
    def shorter(tensors: Tensors, header: Header) -> None:
        tensors["0.pos_S"] = tensors["0.pos_S"].astype(np.float32)

    loaded = Network.load(changed(network(), shorter, tmp_path / "n.safetensors")).crossbars[0].pos
    assert loaded.dtype == np.float64
    np.testing.assert_allclose(loaded, network().crossbars[0].pos, rtol=1e-7)


def test_numbers_that_numpy_has_not_are_an_error_of_ours(tmp_path: Path) -> None:
    torch_file({"0.pos_S": torch.ones(2, 2, dtype=torch.bfloat16)}, tmp_path / "n.safetensors", {"format": FORMAT})
    with pytest.raises(StorageError, match="network.*bfloat16"):
        Network.load(tmp_path / "n.safetensors")


def test_another_architecture_is_named_with_both_shapes() -> None:
    network().require_layers([4, 3, 2], "c.safetensors")
    with pytest.raises(ArchitectureMismatch, match="c.safetensors holds a 4-3-2 network, 4-2-2 is wanted"):
        network().require_layers([4, 2, 2], "c.safetensors")
