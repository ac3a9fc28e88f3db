"""A network as what is programmed into the chip: conductances, sizes, their file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from spicetrain.array.crossbar import Crossbar
from spicetrain.errors import ArchitectureMismatch, StorageError
from spicetrain.inverter.network import Network, encode
from spicetrain.rails import Rails

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
    path = tmp_path / "n.safetensors"
    network().save(path)
    with safe_open(path, "numpy") as stored:
        header, tensors = dict(stored.metadata()), {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    change(tensors, header)
    save_file(tensors, path, header)
    with pytest.raises(StorageError, match="not a whole spicetrain network"):
        Network.load(path)


def test_another_architecture_is_named_with_both_shapes() -> None:
    network().require_layers([4, 3, 2], "c.safetensors")
    with pytest.raises(ArchitectureMismatch, match="c.safetensors holds a 4-3-2 network, 4-2-2 is wanted"):
        network().require_layers([4, 2, 2], "c.safetensors")
