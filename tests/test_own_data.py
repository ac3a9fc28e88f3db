"""A dataset of one's own: read as it is meant, and refused in clear words when it cannot be learnt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from tiny import PLAN, TOML

from spicetrain.cli import main
from spicetrain.datasets import Dataset, load_dataset
from spicetrain.datasets.settings import DatasetSettings
from spicetrain.errors import ConfigurationError, DatasetError
from spicetrain.run import Run
from spicetrain.schema import parse

FLOWERS = 30


def table(**changes: Any) -> pd.DataFrame:
    """Two features and a label of three classes, ten samples each."""
    random = np.random.default_rng(1)
    label = np.repeat(["a", "b", "c"], FLOWERS // 3)
    columns = {"width": random.normal(size=FLOWERS), "height": random.uniform(-5, 40, FLOWERS), "label": label}
    return pd.DataFrame(columns | changes)


def settings(**given: Any) -> DatasetSettings:
    return parse(DatasetSettings, given, "test")


def load(frame: pd.DataFrame, folder: Path, **given: Any) -> Dataset:
    frame.to_csv(folder / "mine.csv", index=False)
    return settings(file=folder / "mine.csv", **given).load()


# --- what is read


def test_a_csv_is_split_by_class_and_scaled_by_what_is_trained_on(tmp_path: Path) -> None:
    frame = table()
    data = load(frame, tmp_path, test_share=0.3)
    assert data.name == "mine" and data.classes == ("a", "b", "c") and data.own and data.image_shape is None
    assert np.bincount(data.train_labels).tolist() == [7, 7, 7] and np.bincount(data.test_labels).tolist() == [3, 3, 3]
    assert data.train_inputs.min(0).tolist() == [0, 0] and data.train_inputs.max(0).tolist() == [1, 1]
    # Undone, every sample is one of the file's, with its class.
    values = frame[["width", "height"]].to_numpy()
    back = {tuple(np.round(row, 5)) for row in values}
    trained = [index for index in range(FLOWERS) if _unscaled(data, values, index)]
    assert len(trained) == 21 and len(back) == FLOWERS


def _unscaled(data: Dataset, values: np.ndarray, index: int) -> bool:
    """Whether sample `index` is a training sample with its class, were the training range that of those found."""
    for row, label in zip(data.train_inputs, data.train_labels, strict=True):
        low, high = _range(data, values)
        if np.allclose(low + row * (high - low), values[index], atol=1e-5):
            return int(label) == index // (FLOWERS // 3)
    return False


def _range(data: Dataset, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The split's own training range, by scikit-learn called beside it."""
    from sklearn.model_selection import train_test_split

    labels = np.repeat(["a", "b", "c"], FLOWERS // 3)
    train, _ = train_test_split(values, test_size=9, stratify=labels, random_state=0)
    return train.min(0), train.max(0)


def test_all_formats_are_the_same_dataset(tmp_path: Path) -> None:
    frame = table()
    frame.to_parquet(tmp_path / "mine.parquet")
    inputs = frame[["width", "height"]].to_numpy()
    np.savez(tmp_path / "mine.npz", x=inputs, y=frame["label"].to_numpy(dtype=str))
    found = [load(frame, tmp_path), *(settings(file=tmp_path / f"mine.{kind}").load() for kind in ("parquet", "npz"))]
    for data in found[1:]:
        np.testing.assert_allclose(data.train_inputs, found[0].train_inputs, rtol=1e-6)
        assert data.test_labels.tolist() == found[0].test_labels.tolist() and data.classes == found[0].classes


def test_an_npz_with_its_own_split_and_images(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (12, 2, 3)).astype(np.uint8)
    x[0, 0, 0], x[1, 0, 0] = 0, 255
    y = np.arange(12) % 2
    np.savez(tmp_path / "mine.npz", x_train=x[:8], y_train=y[:8], x_test=x[8:], y_test=y[8:])
    data = settings(file=tmp_path / "mine.npz").load()
    assert data.image_shape == (2, 3)
    np.testing.assert_allclose(data.train_inputs, x[:8].reshape(8, 6) / np.float32(255), rtol=1e-6)
    assert data.test_labels.tolist() == y[8:].tolist()


def test_images_in_folders(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for kind in ("cat", "dog"):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for number in range(5):
            grey = random.integers(0, 256, (3, 4)).astype(np.uint8)
            Image.fromarray(grey).save(tmp_path / "pets" / kind / f"{number}.png")
    data = settings(file=tmp_path / "pets").load()
    assert data.classes == ("cat", "dog") and data.image_shape == (3, 4) and data.name == "pets"
    assert data.train_inputs.shape == (8, 12) and data.test_inputs.shape == (2, 12)
    rows = {tuple(row) for row in np.concatenate([data.train_inputs, data.test_inputs])}
    last = (np.asarray(grey, dtype=np.float64).ravel() / 255).astype(np.float32)
    assert tuple(last) in rows
    resized = settings(file=tmp_path / "pets", image_shape=[2, 2]).load()
    assert resized.image_shape == (2, 2) and resized.train_inputs.shape == (8, 4)


def test_labels_as_they_are_named(tmp_path: Path) -> None:
    assert load(table(label=np.arange(FLOWERS) % 3), tmp_path).classes == ("0", "1", "2")
    named = load(table(label=np.arange(FLOWERS) % 3), tmp_path, classes=["x", "y", "z"])
    assert named.classes == ("x", "y", "z")
    other = load(table(label=np.arange(FLOWERS) % 3 * 5 - 5), tmp_path, classes=["5", "0", "-5"])
    assert other.classes == ("5", "0", "-5")
    turned = load(table(), tmp_path, classes=["c", "b", "a"])
    assert (turned.test_labels == 2 - load(table(), tmp_path).test_labels).all()
    truth = load(table(label=np.arange(FLOWERS) % 2 == 0), tmp_path)
    assert truth.classes == ("False", "True")
    assert load(table(label=np.repeat(["NA", "None"], FLOWERS // 2)), tmp_path).classes == ("NA", "None")


def test_test_values_beyond_the_training_range(tmp_path: Path) -> None:
    load(table(), tmp_path)
    beyond = table()
    beyond.loc[3, "width"] = 1e3
    beyond.to_csv(tmp_path / "test.csv", index=False)
    data = settings(file=tmp_path / "mine.csv", test_file=tmp_path / "test.csv").load()
    assert len(data.train_inputs) == len(data.test_inputs) == FLOWERS and data.test_inputs.max() == 1
    assert "1 of 60 test values" in data.notes[0] and "clipped" in data.notes[0]
    with pytest.raises(DatasetError, match="1000 of 'width'"):
        settings(file=tmp_path / "mine.csv", test_file=tmp_path / "test.csv", beyond="refuse").load()


def test_one_range_of_all_or_none(tmp_path: Path) -> None:
    frame = table(width=np.linspace(0, 1, FLOWERS), height=np.full(FLOWERS, 0.5))
    data = load(frame, tmp_path, scaling="all")
    assert np.ptp(data.train_inputs[:, 1]) == 0 and "1 of 2 features never changes" in data.notes[0]
    data = load(frame, tmp_path, scaling="none")
    assert (data.train_inputs[:, 1] == 0.5).all()


def test_a_regression(tmp_path: Path) -> None:
    frame = table(price=np.linspace(100, 400, FLOWERS))
    data = load(frame, tmp_path, target="price", features=["width", "height"], output_share=0.5)
    assert data.targets is not None and data.outputs == ("price",) and data.classes == ()
    assert data.targets.low == (data.train_labels.min(),) and data.targets.share == 0.5
    shares = data.targets.to_share(data.train_labels)
    assert shares.min() == -0.5 and shares.max() == 0.5
    np.testing.assert_allclose(data.targets.from_share(shares), data.train_labels, rtol=1e-6)


def test_the_content_is_in_the_key(tmp_path: Path) -> None:
    """Whatever is learnt otherwise is another dataset; the same file read again is not."""
    frame = table()
    same, again = load(frame, tmp_path), load(frame, tmp_path)
    assert same.fingerprint == again.fingerprint and set(same.checksums) == {"mine.csv", "mine, as it is read"}
    changed = frame.copy()
    changed.loc[0, "height"] += 1e-3
    for other in (
        load(changed, tmp_path), load(frame, tmp_path, seed=1), load(frame, tmp_path, features=["width"]),
        load(frame, tmp_path, classes=["c", "b", "a"]), load(frame, tmp_path, scaling="all"),
    ):  # fmt: skip
        assert other.fingerprint != same.fingerprint
    counted = table(label=np.arange(FLOWERS) % 3)
    named, otherwise = (load(counted, tmp_path, classes=list(names)) for names in ("xyz", "uvw"))
    assert named.fingerprint != otherwise.fingerprint
    priced = frame.assign(price=np.arange(FLOWERS)).drop(columns="label")
    low, high = (load(priced, tmp_path, target="price", output_share=share) for share in (0.5, 0.6))
    assert low.fingerprint != high.fingerprint


@pytest.mark.parametrize(
    ("name", "load_it", "shape"),
    [("breast-cancer", load_breast_cancer, None), ("wine", load_wine, None), ("digits", load_digits, (8, 8))],
)
def test_what_scikit_learn_bundles(name: str, load_it: Callable[[], Any], shape: tuple[int, int] | None) -> None:
    bunch, data = load_it(), load_dataset(name)
    assert len(data.train_inputs) + len(data.test_inputs) == len(bunch.data)
    counts = np.bincount(data.train_labels) + np.bincount(data.test_labels)
    assert counts.tolist() == np.bincount(bunch.target).tolist()
    assert data.image_shape == shape and data.classes == tuple(map(str, bunch.target_names))
    for inputs in (data.train_inputs, data.test_inputs):
        assert inputs.min() >= 0 and inputs.max() <= 1


# --- what is refused

Write = Callable[[Path], None]


def text(content: str | bytes, name: str = "mine.csv") -> Write:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def frame_with(**changes: Any) -> Write:
    return lambda folder: table(**changes).to_csv(folder / "mine.csv", index=False)


def arrays(**given: Any) -> Write:
    return lambda folder: np.savez(folder / "mine.npz", **given)


def pictures(**files: Any) -> Write:
    """Grey images, or bytes, by class and name: cat_0=..."""

    def write(folder: Path) -> None:
        for name, content in files.items():
            path = folder / "pets" / name.split("_")[0] / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content) if isinstance(content, bytes) else Image.fromarray(content).save(path)

    return write


def _with(value: float) -> np.ndarray:
    values = np.linspace(0, 1, FLOWERS)
    values[4] = value
    return values


def _parquet(frame: pd.DataFrame) -> Write:
    return lambda folder: frame.to_parquet(folder / "mine.parquet")


def _grey(rows: int, columns: int) -> np.ndarray:
    return np.zeros((rows, columns), np.uint8)


def _two(write: Write, further: Write) -> Write:
    def both(folder: Path) -> None:
        further(folder)
        (folder / "mine.csv").rename(folder / "test.csv")
        write(folder)

    return both


GOOD = "x,label\n" + "".join(f"{k},{k % 2}\n" for k in range(12))
TEN = np.arange(10.0)

# what is written, the [dataset] beside file, what is said
HOSTILE: dict[str, tuple[Write, dict[str, Any], str]] = {
    "a NaN": (frame_with(width=_with(np.nan)), {}, "1 of 30 values of the column 'width' are no finite numbers"),
    "an inf": (frame_with(width=_with(np.inf)), {}, "the first is inf in sample 4"),
    "the text nan": (text(GOOD + "nan,0\n"), {}, "no finite numbers"),
    "an empty cell": (text(GOOD + ",1\n"), {}, "the first is nan in sample 12"),
    "a text among numbers": (text(GOOD + "red,1\n"), {}, "holds 'red' in sample 12, which is no number"),
    "a number too large": (text(GOOD + "1e999,1\n"), {}, "no finite numbers"),
    "a range too large": (text(GOOD + "1e308,1\n-1e308,0\n"), {"seed": 1}, "no range to scale by|test values"),
    "a constant feature": (frame_with(width=1.0), {}, "1 of 2 features never changes .*width"),
    "nothing but constants": (frame_with(width=2.0, height=2.0), {"scaling": "all"}, "nothing to learn from"),
    "one class": (frame_with(label="a"), {}, "is 'a' for every sample"),
    "a class of one sample": (text(GOOD + "3,2\n"), {}, "cannot be split with every class"),
    "labels that do not count from 0": (frame_with(label=np.arange(FLOWERS) % 3 + 1), {}, "do not count from 0"),
    "labels with a hole": (frame_with(label=np.arange(FLOWERS) % 2 * 2), {}, r"dataset\.classes = \['0', '2'\]"),
    "a negative label": (frame_with(label=np.arange(FLOWERS) % 3 - 1), {}, "do not count from 0"),
    "a fraction as a label": (frame_with(label=np.linspace(0, 1, FLOWERS)), {}, "no class. A number to be learnt"),
    "a label missing": (text(GOOD + "3,\n"), {}, "every sample needs a label"),
    "a text label missing": (text("x,label\n1,a\n2,b\n3,\n4,a\n"), {}, "every sample needs a label"),
    "too few class names": (frame_with(label=np.arange(FLOWERS) % 3), {"classes": ["u", "v"]}, "names 2 classes"),
    "a class that is not named": (frame_with(), {"classes": ["a", "b"]}, "'c' for some sample, which dataset.classes"),
    "a class without samples": (frame_with(), {"classes": ["a", "b", "c", "d"]}, "names 'd', but"),
    "an empty file": (text(""), {}, "is empty"),
    "a header alone": (text("x,label\n"), {}, "is empty: it has 2 columns and 0 samples"),
    "no header": (text("1,0\n2,1\n3,0\n"), {}, "begins with numbers"),
    "one column": (text("label\n1\n0\n"), {}, "has one column"),
    "another separator": (text(GOOD.replace(",", ";")), {}, "say by what in dataset.separator"),
    "a column twice": (text("x,x,label\n1,2,0\n"), {}, "has the column 'x' 2 times"),
    "a column without a name": (text("x,,label\n1,2,0\n"), {}, "column 2 of 3 has no name"),
    "a line too long": (text(GOOD + "1,2,3\n"), {}, "line 14: 3 values, but the first line names 2"),
    "a line cut off": (text(GOOD + "1\n"), {}, "line 14: 1 values"),
    "no text": (text(b"\xff\xfe\x00\x81,\x9f\n\x00"), {}, "no text in UTF-8"),
    "a zero byte": (text(b"x,label\n1,0\n\x002,1\n"), {}, "no CSV|no number|no finite|split"),
    "an open quote": (text('x,label\n1,"0\n2,1\n'), {}, "no CSV"),
    "no such label": (frame_with(), {"label": "labl"}, "no column 'labl'. Did you mean 'label'"),
    "no label that is known": (text("x,kind\n1,0\n2,1\n"), {}, "which column is the class"),
    "two that may be the label": (frame_with(y=0), {}, "label and y may all be it"),
    "no such feature": (frame_with(), {"features": ["widht"]}, "Did you mean 'width'"),
    "the label as a feature": (frame_with(), {"features": ["width", "label"]}, "is a feature and what is to be learnt"),
    "no features": (frame_with(), {"target": ["width", "height"], "features": []}, "'label' holds 'a'"),
    "a target that never changes": (frame_with(price=3.0), {"target": "price", "features": ["width"]}, "is 3 for"),
    "a target that is a text": (frame_with(), {"target": "label"}, "is no number"),
    "an image of other pixels": (frame_with(), {"image_shape": [2, 2]}, "has 4 pixels, but"),
    "values beyond 0..1 as they are": (frame_with(), {"scaling": "none"}, "outside of 0 .. 1"),
    "three samples": (text("x,label\n1,0\n2,1\n3,0\n"), {}, "cannot be split|leaves"),
    "no samples to test": (text(GOOD), {"test_share": 0.01}, "0 to test"),
    "a test file with a new class": (
        _two(text(GOOD), text(GOOD + "1,2\n")), {"test_file": "test.csv"}, "is '2' for some sample; the",
    ),
    "a test file of other columns": (
        _two(text(GOOD), text(GOOD.replace("x", "z"))), {"test_file": "test.csv"}, "they must be the same",
    ),
    "a test file that is not there": (text(GOOD), {"test_file": "tset.csv"}, "there is no such file"),
    "another kind of file": (text("a", "mine.xlsx"), {}, "its name ends with '.xlsx'"),
    "no parquet": (text("PAR1 no", "mine.parquet"), {}, "is no parquet file"),
    "lists in a parquet": (_parquet(table(width=[[1, 2]] * FLOWERS)), {}, "which is no number"),
    "no npz": (text(b"PK\x03\x04 cut off", "mine.npz"), {}, "no .npz of plain arrays"),
    "an empty npz": (text(b"", "mine.npz"), {}, "no .npz of plain arrays"),
    "objects in an npz": (arrays(x=np.array([{}, {}], dtype=object), y=TEN[:2]), {}, "no .npz of plain arrays"),
    "arrays of two lengths": (arrays(x=TEN[:, None], y=TEN[:9]), {}, "do not have a row a sample each"),
    "a number for an array": (arrays(x=TEN[:, None], y=3), {}, "do not have a row a sample each"),
    "colour in an npz": (arrays(x=np.zeros((10, 2, 2, 3)), y=TEN % 2), {}, "images are"),
    "one-hot labels": (arrays(x=TEN[:, None], y=np.eye(10)), {}, "of one-hot rows take numpy.argmax"),
    "complex numbers": (arrays(x=TEN[:, None] * 1j, y=TEN % 2), {}, "complex numbers"),
    "a folder without images": (lambda folder: (folder / "pets").mkdir(), {"file": "pets"}, "no images in its subfold"),
    "one folder": (pictures(cat_0=_grey(2, 2), cat_1=_grey(2, 2), cat_2=_grey(2, 2)), {"file": "pets"}, "for every"),
    "no image": (pictures(cat_0=b"not a picture", dog_0=_grey(2, 2)), {"file": "pets"}, "is no image"),
    "images of two sizes": (pictures(cat_0=_grey(2, 3), dog_0=_grey(2, 2)), {"file": "pets"}, "to bring all to one"),
    "16 bits": (pictures(cat_0=np.zeros((2, 2), np.uint16), dog_0=_grey(2, 2)), {"file": "pets"}, "more than 8 bits"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_data_are_refused(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user meets it: exit code 2, what is wrong, no traceback; nothing was simulated."""
    write, given, told = HOSTILE[case]
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    files = [path.name for path in tmp_path.iterdir() if path.stem == "mine"]
    with pytest.raises(DatasetError, match=told) as caught:
        settings(**({"file": files[0]} if files else {}) | given).load()
    assert caught.value.exit_code == 2 and "Traceback" not in str(caught.value)


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "columns without a file": ({"name": "iris", "label": "species"}, "label: of a file of your own"),
    "a folder and a file": ({"file": "a.csv", "folder": "b"}, "folder: of mnist"),
    "label and target": ({"file": "a.csv", "label": "b", "target": "c"}, "label and target are both given"),
    "a regression of nothing": ({"file": "a.csv", "task": "regression"}, "give dataset.target"),
    "a classification of numbers": ({"file": "a.csv", "task": "classification", "target": "c"}, "has no target"),
    "classes of numbers": ({"file": "a.csv", "target": "c", "classes": ["x", "y"]}, "a target is learnt"),
    "a feature twice": ({"file": "a.csv", "features": ["x", "x"]}, "names one of them twice"),
    "all samples tested": ({"file": "a.csv", "test_share": 1.0}, "test_share"),
    "an image of no rows": ({"file": "a.csv", "image_shape": [0, 3]}, "at least 1"),
    "another scaling": ({"file": "a.csv", "scaling": "standard"}, "none of its values"),
    "a separator of two": ({"file": "a.csv", "separator": "::"}, "separator"),
    "an unknown key": ({"file": "a.csv", "lable": "x"}, "Did you mean 'label'"),
    "an unknown name": ({"name": "irs"}, "Did you mean 'iris'"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_settings_that_do_not_fit_together(case: str) -> None:
    given, told = UNFIT[case]
    with pytest.raises(ConfigurationError, match=told):
        settings(**given)


# --- through the command line


def experiment(folder: Path, dataset: str, layers: str) -> Path:
    (folder / "plan.toml").write_text(PLAN)
    text = TOML.replace('name = "iris"', dataset).replace("[4, 3, 3]", layers).replace("images = 30", "images = 6")
    (folder / "mine.toml").write_text(text)
    return folder / "mine.toml"


@pytest.mark.usefixtures("shared_cache")
def test_a_csv_of_ones_own_from_toml_to_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found beside the TOML, from wherever it is run; another content is another training."""
    (tmp_path / "far").mkdir()
    monkeypatch.chdir(tmp_path / "far")
    table().to_csv(tmp_path / "mine.csv", index=False)
    toml = experiment(tmp_path, 'file = "mine.csv"', "[2, 3, 3]")
    words = ["run", str(toml), "--out", "run", "--workers", "1"]
    assert main(words) == 0, capsys.readouterr().err
    assert "mine 2-3-3" in capsys.readouterr().out
    assert "mine" in (tmp_path / "far" / "run" / "report.html").read_text()
    table(height=np.arange(FLOWERS) % 7).to_csv(tmp_path / "mine.csv", index=False)
    assert main(words) == 2
    assert "holds a network trained otherwise (mine.csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("dataset", "layers", "told"),
    [
        (
            'file = "mine.csv"',
            "[784, 3, 10]",
            "2 inputs and 3 classes: begin with 2 and end with 3, in a TOML [network]",
        ),
        ('file = "mine.csv"\ntarget = "width"\nfeatures = ["height"]', "[2, 3, 3]", "1 inputs and 1 targets (width)"),
        ('file = "mien.csv"', "[2, 3, 3]", "mien.csv: there is no such file"),
    ],
)
def test_what_does_not_fit_is_said_before_the_work(
    dataset: str, layers: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table().to_csv(tmp_path / "mine.csv", index=False)
    assert main(["run", str(experiment(tmp_path, dataset, layers)), "--out", str(tmp_path / "run")]) == 2
    err = capsys.readouterr().err
    assert told in err and "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_a_spiking_network_takes_it_too(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "mine.csv", index=False)
    toml = tmp_path / "spiking.toml"
    text = (
        'system = "spiking"\n[dataset]\nfile = "mine.csv"\n[network]\nlayers = [2, 8, 3]\n[verification]\nimages = 6\n'
    )
    toml.write_text(text + "[training]\naugmentation = { shift_pixels = 0, rotate_rad = 0 }\n")
    run = Run.open(toml, tmp_path / "run")
    run.require()
    assert run.dataset.own and run.dataset.classes == ("a", "b", "c")
    toml.write_text(
        text.replace("[2, 8, 3]", "[2, 8, 4]") + "[training]\naugmentation = { shift_pixels = 0, rotate_rad = 0 }\n"
    )
    with pytest.raises(ConfigurationError, match="begin with 2 and end with 3"):
        Run.open(toml, tmp_path / "run").require()
