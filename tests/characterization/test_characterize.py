"""Tables, cache, provenance; and nothing lost when a run is interrupted or ngspice is killed."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bench import plan_of, simulator

from spicetrain.characterization import characterize as module
from spicetrain.characterization.characterize import RECORD, characterize, covered
from spicetrain.characterization.plan import Plan, PlanSection, load_plan
from spicetrain.characterization.sweep import Subject
from spicetrain.errors import SimulationError, StorageError
from spicetrain.inverter.characterization.crossbars import random_crossbar
from spicetrain.inverter.characterization.tables import TABLES
from spicetrain.inverter.network import Network
from spicetrain.progress import Track
from spicetrain.spice.ngspice import Ngspice
from spicetrain.tables import read_about, read_table, write_table
from spicetrain.technology import Technology

NAMES = {"current_surface", "loaded_vtc", "effective_load", "memristor_iv"}


@pytest.fixture(autouse=True)
def own_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that fail are kept; here, with the test."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def smoke() -> Plan:
    return load_plan("smoke", TABLES)


@pytest.fixture
def broken(ngspice: Ngspice, tmp_path: Path) -> Ngspice:
    """An ngspice that fails each time it is started."""
    script = tmp_path / "broken-ngspice"
    script.write_text("#!/bin/sh\nexit 3\n")
    script.chmod(0o755)
    return replace(ngspice, executable=script)


@pytest.fixture
def counting(ngspice: Ngspice, tmp_path: Path) -> tuple[Ngspice, Path]:
    """An ngspice that leaves a line in a file each time it is started."""
    count = tmp_path / "starts"
    count.write_text("")
    script = tmp_path / "counting-ngspice"
    script.write_text(f'#!/bin/sh\necho x >> "{count}"\nexec "{ngspice.executable}" "$@"\n')
    script.chmod(0o755)
    return replace(ngspice, executable=script), count


def twelve_voltages(plan: Plan) -> PlanSection:
    """The memristor's section, with one voltage more."""
    return plan.sections["memristor_iv"].model_copy(update={"v_points": 12})


def starts(count: Path) -> int:
    return len(count.read_text().splitlines())


def test_every_table_with_its_provenance(ptm90: Technology, smoke: Plan, ngspice: Ngspice, tmp_path: Path) -> None:
    paths = characterize(Subject(ptm90), smoke, simulator(ngspice, workers=2), tmp_path / "run")
    assert {name: path.name for name, path in paths.items()} == {name: f"{name}.parquet" for name in NAMES}
    for name, path in paths.items():
        about = read_about(path)
        assert about["technology"] == "ptm90"
        assert about["technology_fingerprint"] == ptm90.fingerprint
        assert about["ngspice_version"] == ngspice.version
        assert about["seconds"] > 0
        assert about["plan"] == smoke.sections[name].model_dump(mode="json")
    assert len(read_table(paths["current_surface"])) == 11 * 11
    assert list(read_table(paths["current_surface"]).columns) == ["v_in_V", "v_out_V", "i_out_A", "i_vdd_A", "i_vss_A"]
    assert list(read_table(paths["loaded_vtc"]).columns) == ["v_in_V", "g_load_S", "v_load_V", "v_out_V"]
    summary = json.loads((tmp_path / "run" / RECORD).read_text())
    assert summary["tables"] == dict.fromkeys(paths, "measured")
    assert 0 < summary["ngspice_s"] <= summary["wall_s"]
    assert summary["ngspice_share"] == pytest.approx(summary["ngspice_s"] / summary["wall_s"])


def test_a_technology_of_subcircuits_is_characterized(
    made_up: Technology, smoke: Plan, ngspice: Ngspice, tmp_path: Path
) -> None:
    paths = characterize(Subject(made_up), smoke, simulator(ngspice), tmp_path / "run")
    surface = read_table(paths["current_surface"])
    assert (surface.v_in_V.min(), surface.v_in_V.max()) == (0.0, 0.6)
    # Level 1 in saturation, W / L = 5: (KP / 2) (W / L) (V_gs - V_t)^2 (1 + lambda V_ds), and 4 % at 40 degrees.
    on = surface[(surface.v_in_V == 0.6) & (surface.v_out_V == 0.6)]
    assert on.i_vss_A.item() == pytest.approx(1e-4 * 5 * 0.4**2 * 1.12, rel=0.08)
    vtc = read_table(paths["loaded_vtc"])
    unloaded = vtc[vtc.g_load_S == 0]
    assert unloaded.v_out_V.max() == pytest.approx(0.6, abs=1e-3)
    assert unloaded.v_out_V.min() == pytest.approx(0.0, abs=1e-3)


def test_asked_again_it_is_read_not_measured(
    ptm90: Technology, smoke: Plan, ngspice: Ngspice, broken: Ngspice, tmp_path: Path
) -> None:
    first = characterize(Subject(ptm90), smoke, simulator(ngspice), tmp_path / "a")
    second = characterize(Subject(ptm90), smoke, simulator(broken), tmp_path / "b")
    for name in NAMES:
        assert first[name].read_bytes() == second[name].read_bytes()
        assert not second[name].is_symlink()
    assert json.loads((tmp_path / "b" / RECORD).read_text())["tables"] == dict.fromkeys(first, "cache")


def test_tables_of_a_run_folder_serve_where_the_cache_lacks_them(
    ptm90: Technology, smoke: Plan, ngspice: Ngspice, broken: Ngspice, tmp_path: Path, monkeypatch
) -> None:
    """A folder moved to another machine; what is damaged in it, or of another plan, is not taken."""
    first = characterize(Subject(ptm90), smoke, simulator(ngspice), tmp_path / "a")
    content = {name: path.read_bytes() for name, path in first.items()}
    monkeypatch.setenv("SPICETRAIN_CACHE", str(tmp_path / "other"))
    characterize(Subject(ptm90), smoke, simulator(broken), tmp_path / "a")
    assert {name: path.read_bytes() for name, path in first.items()} == content
    assert json.loads((tmp_path / "a" / RECORD).read_text())["tables"] == dict.fromkeys(first, "folder")
    characterize(Subject(ptm90), smoke, simulator(broken), tmp_path / "b")  # they are in the cache now
    monkeypatch.setenv("SPICETRAIN_CACHE", str(tmp_path / "third"))
    os.truncate(first["memristor_iv"], 300)
    characterize(Subject(ptm90), smoke, simulator(ngspice), tmp_path / "a")
    tables = json.loads((tmp_path / "a" / RECORD).read_text())["tables"]
    assert tables == {name: "measured" if name == "memristor_iv" else "folder" for name in first}
    monkeypatch.setenv("SPICETRAIN_CACHE", str(tmp_path / "fourth"))
    other = plan_of(**(dict(smoke.sections) | {"memristor_iv": twelve_voltages(smoke)}))
    with pytest.raises(SimulationError):
        characterize(Subject(ptm90), other, simulator(broken), tmp_path / "a")


@pytest.mark.parametrize("what", ["plan", "technology", "version", "cache"])
def test_anything_else_is_measured(
    what: str, ptm90: Technology, smoke: Plan, ngspice: Ngspice, broken: Ngspice, tmp_path: Path, monkeypatch
) -> None:
    plan = plan_of(memristor_iv=smoke.sections["memristor_iv"])
    characterize(Subject(ptm90), plan, simulator(ngspice), tmp_path / "a")
    technology = ptm90
    if what == "plan":
        plan = plan_of(memristor_iv=twelve_voltages(plan))
    elif what == "technology":
        device = ptm90.memristor.model_copy(update={"g_max_S": 1e-5})
        technology = Technology.model_validate(ptm90.model_dump() | {"memristor": device})
    elif what == "version":
        broken = replace(broken, version=broken.version + 1)
    else:
        monkeypatch.setenv("SPICETRAIN_CACHE", str(tmp_path / "other"))
    with pytest.raises(SimulationError):
        characterize(Subject(technology), plan, simulator(broken), tmp_path / "b")


def test_the_key_follows_a_trained_network(
    ptm90: Technology, smoke: Plan, counting: tuple[Ngspice, Path], tmp_path: Path
) -> None:
    ngspice, count = counting
    loads = smoke.sections["effective_load"].model_copy(update={"shapes": (), "trained": (tmp_path / "n.safetensors",)})
    plan = plan_of(effective_load=loads)
    for seed, expected in ((0, 1), (1, 2)):
        rng = np.random.default_rng(seed)
        boxes = tuple(random_crossbar(rng, *shape, "uniform", ptm90.memristor) for shape in ((3, 2), (2, 2)))
        Network(boxes, (np.ones((2, 2)), np.ones((2, 1)))).save(tmp_path / "n.safetensors")
        for _ in range(2):
            characterize(Subject(ptm90), plan, simulator(ngspice), tmp_path / "run")
            assert starts(count) == expected


@pytest.mark.parametrize("damage", ["empty", "other", "cut", "flip", "foreign"])
def test_a_damaged_cache_is_measured_again(
    damage: str, ptm90: Technology, smoke: Plan, ngspice: Ngspice, own_cache: Path, tmp_path: Path
) -> None:
    first = characterize(Subject(ptm90), smoke, simulator(ngspice), tmp_path / "a")
    (kept,) = own_cache.rglob("current_surface.parquet")
    content = kept.read_bytes()
    flipped = bytearray(content)
    flipped[300] ^= 0x10  # inside a page: only its checksum tells
    damaged = {"empty": b"", "other": b"PAR1 no parquet", "cut": content[:-100], "flip": bytes(flipped)}
    if damage == "foreign":  # whole, but of another plan
        write_table(kept, read_table(kept) * 2, {"key": "another"})
    else:
        kept.write_bytes(damaged[damage])
    second = characterize(Subject(ptm90), smoke, simulator(ngspice), tmp_path / "b")
    tables = json.loads((tmp_path / "b" / RECORD).read_text())["tables"]
    assert tables == {name: "measured" if name == "current_surface" else "cache" for name in first}
    pd.testing.assert_frame_equal(read_table(first["current_surface"]), read_table(second["current_surface"]))


def test_a_run_interrupted_half_way_resumes_with_what_is_missing(
    ptm90: Technology, smoke: Plan, counting: tuple[Ngspice, Path], own_cache: Path, tmp_path: Path, monkeypatch
) -> None:
    ngspice, count = counting
    done = []

    def interrupt(bar: Track, n: int = 1, **fields: object) -> None:
        done.append(fields)
        if len(done) == 4:  # the first call says how many parts were there already
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Track, "advance", interrupt)
        with pytest.raises(KeyboardInterrupt):
            characterize(Subject(ptm90), smoke, simulator(ngspice), tmp_path / "run")
    assert starts(count) == 3  # with one worker every table is one run
    assert not (tmp_path / "run").exists()
    characterize(Subject(ptm90), smoke, simulator(ngspice), tmp_path / "run")
    assert starts(count) == 4
    assert not list(own_cache.rglob("part-*"))


def test_parts_of_a_table_are_kept_too(
    ptm90: Technology, smoke: Plan, counting: tuple[Ngspice, Path], own_cache: Path, tmp_path: Path, monkeypatch
) -> None:
    ngspice, count = counting
    plan = plan_of(current_surface=smoke.sections["current_surface"])
    serial = ThreadPoolExecutor(1)
    keep = module._Table.keep
    kept: list[None] = []

    def keep_two(*arguments) -> None:
        if len(kept) == 2:
            raise KeyboardInterrupt
        kept.append(keep(*arguments))

    with monkeypatch.context() as patch:
        patch.setattr(module._Table, "keep", keep_two)
        with pytest.raises(KeyboardInterrupt):
            characterize(Subject(ptm90), plan, simulator(ngspice, workers=4, executor=serial), tmp_path / "run")
    serial.shutdown()
    assert len(list(own_cache.rglob("part-*-of-4.parquet"))) == 2
    count.write_text("")
    with ThreadPoolExecutor(2) as executor:
        paths = characterize(Subject(ptm90), plan, simulator(ngspice, workers=4, executor=executor), tmp_path / "run")
    assert starts(count) == 2
    whole = characterize(Subject(ptm90), plan, simulator(ngspice), tmp_path / "again")
    assert whole["current_surface"].read_bytes() == paths["current_surface"].read_bytes()
    monkeypatch.setenv("SPICETRAIN_CACHE", str(tmp_path / "other"))
    fresh = characterize(Subject(ptm90), plan, simulator(ngspice), tmp_path / "fresh")
    pd.testing.assert_frame_equal(
        read_table(fresh["current_surface"]), read_table(paths["current_surface"]), rtol=1e-6, atol=1e-12
    )


def test_ngspice_killed_in_mid_sweep(
    ptm90: Technology, smoke: Plan, ngspice: Ngspice, counting: tuple[Ngspice, Path], tmp_path: Path
) -> None:
    killer = tmp_path / "killed-ngspice"
    killer.write_text(
        f"#!/bin/sh\n[ -e '{tmp_path}/spent' ] && kill -{signal.SIGKILL.value} $$\n"
        f"touch '{tmp_path}/spent'\nexec '{ngspice.executable}' \"$@\"\n"
    )
    killer.chmod(0o755)
    with pytest.raises(SimulationError, match="SIGKILL"):
        characterize(Subject(ptm90), smoke, simulator(replace(ngspice, executable=killer)), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    counted, count = counting
    characterize(Subject(ptm90), smoke, simulator(counted), tmp_path / "run")
    assert starts(count) == 3  # the one before the kill was kept


def test_an_executor_of_ones_own(ptm90: Technology, smoke: Plan, ngspice: Ngspice, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as executor:
        ours = simulator(ngspice, workers=None, executor=executor)
        assert set(characterize(Subject(ptm90), smoke, ours, tmp_path / "run")) == NAMES
        assert executor.submit(os.getpid).result()  # still the caller's


def test_time_covered_by_runs_that_overlap() -> None:
    assert covered([]) == 0
    assert covered([(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (1.5, 1.6)]) == pytest.approx(4.0)


def test_reading_what_is_not_a_table_of_ours(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="There is no table"):
        read_table(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_text("nothing")
    with pytest.raises(StorageError, match="damaged"):
        read_table(tmp_path / "bad.parquet")
    pd.DataFrame({"x": [1.0]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(StorageError, match="no provenance"):
        read_table(tmp_path / "other.parquet")
    write_table(tmp_path / "own.parquet", pd.DataFrame({"x": [1.0]}), {"a": 1})
    assert read_about(tmp_path / "own.parquet") == {"a": 1}


def test_a_flipped_bit_does_not_pass_as_a_value(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, pd.DataFrame({"x": np.random.default_rng(0).random(500)}), {})
    content = path.read_bytes()
    for position in range(100, 4000, 191):
        flipped = bytearray(content)
        flipped[position] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(StorageError, match="damaged"):
            read_table(path)


def test_a_folder_that_cannot_be_written(ptm90: Technology, smoke: Plan, ngspice: Ngspice, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(StorageError, match="Cannot write"):
        characterize(Subject(ptm90), smoke, simulator(ngspice), tmp_path / "run")
