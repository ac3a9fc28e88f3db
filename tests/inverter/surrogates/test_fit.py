"""The whole step: files, resume, missing and damaged input, settings."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from spicetrain.errors import ConfigurationError, StorageError
from spicetrain.inverter.surrogates import fit
from spicetrain.inverter.surrogates.current_surface import CurrentSurface, inverter_current
from spicetrain.inverter.surrogates.fit import fit_surrogates
from spicetrain.inverter.surrogates.store import Surrogates, load_surrogates, save_surrogates
from spicetrain.runfolder import FIT, SURROGATES
from spicetrain.schema import parse
from spicetrain.storage import sha256_of_file
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.technology import Technology

from .conftest import SETTINGS, Measured

QUICK = SETTINGS.model_copy(update={"hidden": (4,), "points": 400, "iterations": 2, "load_iterations": 2, "starts": 1})


@pytest.fixture
def tables(measured: Measured, tmp_path: Path) -> Path:
    """A copy of the measured tables, free to be spoilt."""
    return shutil.copytree(measured.tables, tmp_path / "tables")


def test_what_is_written(measured: Measured) -> None:
    report = json.loads((measured.folder / FIT).read_text())
    assert report == measured.report
    assert set(report["surrogates"]) == {"current_surface", "loaded_vtc", "effective_load"} and not report["skipped"]
    surface = report["surrogates"]["current_surface"]
    assert surface["domain"] == {"v_in_V": [-0.25, 0.25], "v_out_V": [-0.25, 0.25]}
    assert surface["monotonicity"]["certified"] is True
    assert surface["table_points"] == 41 * 41 and 0 < surface["seconds"] < report["seconds"]
    assert surface["table_sha256"] == sha256_of_file(measured.tables / "current_surface.parquet")
    errors = surface["errors"]
    assert errors["q50_relative"] < errors["q90_relative"] < errors["q99_relative"] <= errors["max_relative"]
    for name in report["surrogates"]:
        drawn = ElementTree.parse(measured.folder / f"surrogates-{name}.svg").getroot()
        _, _, width, height = map(float, drawn.attrib["viewBox"].split())
        assert width > 600 and height > 250 and "".join(drawn.itertext()).count("v_") > 1


def test_round_trip(surface: CurrentSurface, tmp_path: Path) -> None:
    save_surrogates(tmp_path / SURROGATES, {"current_surface": surface}, {"current_surface": {"key": "k"}})
    loaded = Surrogates.load(tmp_path).current_surface
    v = torch.rand(2, 50, dtype=torch.float64) / 2 - 0.25
    assert all(map(torch.equal, inverter_current(surface, *v), inverter_current(loaded, *v)))
    assert loaded.domain_V == surface.domain_V and loaded.vdd_V == surface.vdd_V
    assert load_surrogates(tmp_path / SURROGATES)[1] == {"current_surface": {"key": "k"}}
    assert Surrogates.load(tmp_path).loaded_vtc is None
    save_surrogates(tmp_path / SURROGATES, {}, {})
    with pytest.raises(StorageError, match=r"has no current_surface: .*\[current_surface\]"):
        Surrogates.load(tmp_path)


def test_an_interrupted_fit_resumes(
    tables: Path, tmp_path: Path, ptm90: Technology, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    broken = fit._Fit(interrupted, fit.loaded_vtc_steps, fit.plot_loaded_vtc, ())  # type: ignore[arg-type]
    with monkeypatch.context() as patch:
        patch.setitem(fit._FITS, "loaded_vtc", broken)
        with pytest.raises(KeyboardInterrupt):
            fit_surrogates(tables, ptm90, QUICK, tmp_path / "out")
    first = Surrogates.load(tmp_path / "out").current_surface
    resumed = fit_surrogates(tables, ptm90, QUICK, tmp_path / "out")
    assert resumed["fitted_now"] == ["loaded_vtc", "effective_load"]
    assert torch.equal(Surrogates.load(tmp_path / "out").current_surface.weights[0], first.weights[0])
    assert fit_surrogates(tables, ptm90, QUICK, tmp_path / "out")["fitted_now"] == []
    other = QUICK.model_copy(update={"seed": 9})
    assert len(fit_surrogates(tables, ptm90, other, tmp_path / "out")["fitted_now"]) == 3


def test_another_folder_takes_over_what_is_fitted(
    tables: Path, tmp_path: Path, own_cache: Path, ptm90: Technology
) -> None:
    """From the cache, bit by bit; a damaged entry is fitted again, and a cache that cannot be written does without."""
    one, other = tmp_path / "one", tmp_path / "other"
    first, again = (fit_surrogates(tables, ptm90, QUICK, folder) for folder in (one, other))
    assert len(first["fitted_now"]) == 3 and again["fitted_now"] == []
    assert again["surrogates"] == first["surrogates"]
    assert Surrogates.load(other).fingerprint == Surrogates.load(one).fingerprint
    drawn = [f"surrogates-{name}.svg" for name in first["surrogates"]]
    assert [(other / file).read_bytes() for file in drawn] == [(one / file).read_bytes() for file in drawn]
    kept = own_cache / "surrogates" / first["surrogates"]["loaded_vtc"]["key"] / SURROGATES
    kept.write_bytes(kept.read_bytes()[:-10])
    assert fit_surrogates(tables, ptm90, QUICK, tmp_path / "third")["fitted_now"] == ["loaded_vtc"]
    shutil.rmtree(own_cache)
    own_cache.write_text("a file is in the way")
    assert len(fit_surrogates(tables, ptm90, QUICK, tmp_path / "fourth")["fitted_now"]) == 3


def test_an_absent_table_is_skipped_and_said_so(tables: Path, tmp_path: Path, ptm90: Technology) -> None:
    (tables / "loaded_vtc.parquet").unlink()
    (tables / "effective_load.parquet").unlink()
    report = fit_surrogates(tables, ptm90, QUICK, tmp_path / "out")
    assert list(report["surrogates"]) == ["current_surface"]
    assert set(report["skipped"]) == {"loaded_vtc", "effective_load"}
    assert "loaded_vtc.parquet" in report["skipped"]["loaded_vtc"]


def test_the_current_surface_is_required(tables: Path, tmp_path: Path, ptm90: Technology) -> None:
    (tables / "current_surface.parquet").unlink()
    with pytest.raises(ConfigurationError, match=r"required.*current_surface\.parquet.*spicetrain characterize"):
        fit_surrogates(tables, ptm90, QUICK, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_table_is_refused(tables: Path, tmp_path: Path, ptm90: Technology) -> None:
    table = tables / "current_surface.parquet"
    table.write_bytes(table.read_bytes()[:-100])
    with pytest.raises(StorageError, match="current_surface.parquet.*measure it"):
        fit_surrogates(tables, ptm90, QUICK, tmp_path / "out")


def test_a_table_of_another_technology_is_refused(tables: Path, tmp_path: Path, made_up: Technology) -> None:
    with pytest.raises(ConfigurationError, match="another technology than 'made-up'"):
        fit_surrogates(tables, made_up, QUICK, tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "There are no surrogates at"), (b"not safetensors", "The file is damaged"), ("cut", "The file is damaged")],
)
def test_a_damaged_file_is_refused(
    measured: Measured, tmp_path: Path, content: bytes | str | None, message: str
) -> None:
    path = tmp_path / SURROGATES
    if content is not None:
        whole = (measured.folder / SURROGATES).read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    with pytest.raises(StorageError, match=message):
        Surrogates.load(path)


def test_a_damaged_file_is_fitted_anew(tables: Path, tmp_path: Path, ptm90: Technology) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / SURROGATES).write_bytes(b"half a file")
    assert len(fit_surrogates(tables, ptm90, QUICK, out)["fitted_now"]) == 3
    assert Surrogates.load(out).effective_load is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"hiden": [16]}, "unknown key 'hiden'. Did you mean 'hidden'"),
        ({"hidden": []}, "hidden"),
        ({"hidden": [0]}, "hidden.0 = 0"),
        ({"held_out": 1.0}, "held_out = 1.0"),
        ({"points": 10}, "points = 10"),
        ({"iterations": 0}, "iterations = 0"),
    ],
)
def test_settings(content: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse(SurrogateSettings, content, "experiment.toml")


def test_the_fingerprint_is_of_every_surrogate(measured: Measured) -> None:
    all_of_them = Surrogates.load(measured.folder)
    assert Surrogates.load(measured.folder).fingerprint == all_of_them.fingerprint
    vtc, load = all_of_them.loaded_vtc, all_of_them.effective_load
    assert vtc is not None and load is not None
    others = [
        replace(all_of_them, loaded_vtc=None),
        replace(all_of_them, loaded_vtc=replace(vtc, g_floor_S=2 * vtc.g_floor_S)),
        replace(all_of_them, effective_load=replace(load, mlp=replace(load.mlp, y_mean=load.mlp.y_mean + 1e-9))),
        replace(all_of_them, current_surface=replace(all_of_them.current_surface, mean=load.mlp.y_mean)),
    ]
    assert len({all_of_them.fingerprint, *(other.fingerprint for other in others)}) == 5
