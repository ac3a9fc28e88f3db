from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spicetrain.spice.rawfile import read_raw


def header(names: list[str], points: int, flags: str = "real") -> bytes:
    lines = [
        "Title: * a: b",
        "Date: Sun Nov 22 15:46:06  2026",
        "Command: ngspice-46",
        "Plotname: DC transfer",
    ]
    lines += [f"Flags: {flags}", f"No. Variables: {len(names)}", f"No. Points: {points}       ", "Variables:"]
    lines += [f"\t{i}\t{name}\tvoltage\tgrid=3" for i, name in enumerate(names)]
    return ("\n".join(lines) + "\nBinary:\n").encode()


def written(path: Path, table: np.ndarray, names: list[str], flags: str = "real", cut: int = 0) -> Path:
    """`table` [points, variables], with `cut` bytes missing at the end."""
    body = table.tobytes()
    path.write_bytes(header(names, len(table), flags) + body[: len(body) - cut])
    return path


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (700_001, 3), (40, 9000), (3, 600_000)])
def test_columns_of_any_shape(tmp_path: Path, shape: tuple[int, int]) -> None:
    table = np.random.default_rng(0).standard_normal(shape)
    raw = read_raw(written(tmp_path / "raw", table, [f"V(n{i})" for i in range(shape[1])]))
    assert raw is not None
    assert raw.names == tuple(f"v(n{i})" for i in range(shape[1]))
    assert raw.promised == shape[0]
    np.testing.assert_array_equal(raw.values, table.T)


def test_complex_values(tmp_path: Path) -> None:
    table = np.array([[1 + 2j, 3 - 4j], [5j, 6.0]])
    raw = read_raw(written(tmp_path / "raw", table, ["frequency", "v(a)"], "complex"))
    assert raw is not None
    np.testing.assert_array_equal(raw.values, table.T)


def test_values_that_look_like_a_header(tmp_path: Path) -> None:
    table = np.frombuffer(b"Binary:\n" * 6).reshape(3, 2)
    raw = read_raw(written(tmp_path / "raw", table, ["v(a)", "v(b)"]))
    assert raw is not None
    assert raw.values.tobytes() == table.T.tobytes()


@pytest.mark.parametrize(
    ("rows", "cut", "left"), [(5, 1, 4), (5, 24, 4), (5, 120, 0), (400_000, 24 * 150_000, 250_000)]
)
def test_a_short_file_gives_its_whole_points(tmp_path: Path, rows: int, cut: int, left: int) -> None:
    table = np.arange(rows * 3.0).reshape(rows, 3)
    raw = read_raw(written(tmp_path / "raw", table, ["a", "b", "c"], cut=cut))
    assert raw is not None
    assert raw.promised == rows
    np.testing.assert_array_equal(raw.values, table[:left].T)


def test_a_run_without_points_ends_at_its_variables(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(header(["a", "b"], 0).split(b"\t0")[0])
    raw = read_raw(tmp_path / "raw")
    assert raw is None or raw.values.shape[1] == 0


def test_no_file_and_no_header(tmp_path: Path) -> None:
    assert read_raw(tmp_path / "raw") is None
    (tmp_path / "raw").write_bytes(b"")
    assert read_raw(tmp_path / "raw") is None
