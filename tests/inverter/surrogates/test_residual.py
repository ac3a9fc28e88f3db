"""What a fit is off by: a spline as scipy has it, its slopes, its ends; and the files of before there was one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy.ndimage import map_coordinates

from spicetrain.errors import StorageError
from spicetrain.inverter.surrogates.current_fit import fit_shifted_surface
from spicetrain.inverter.surrogates.current_surface import CurrentSurface, Mismatch, transistor_currents
from spicetrain.inverter.surrogates.residual import Residual, residual_of
from spicetrain.inverter.surrogates.store import Surrogates, load_surrogates, save_surrogates
from spicetrain.storage import content_hash
from spicetrain.technology import Technology

from .conftest import SETTINGS, drain_current, synthetic_table

V_IN, V_OUT = np.linspace(-0.35, 0.35, 29), np.linspace(-0.25, 0.25, 17)


@pytest.fixture
def values() -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(size=(2, len(V_IN), len(V_OUT)))


@pytest.fixture
def residual(values: NDArray[np.float64]) -> Residual:
    return residual_of(values, V_IN, V_OUT)


def points(count: int, seed: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return rng.uniform(V_IN[0], V_IN[-1], count), rng.uniform(V_OUT[0], V_OUT[-1], count)


def of(residual: Residual, transistor: int, v_in: NDArray, v_out: NDArray) -> list[NDArray]:
    return [part.numpy() for part in residual.of(transistor, torch.from_numpy(v_in), torch.from_numpy(v_out))]


@pytest.mark.parametrize("transistor", [0, 1])
def test_it_is_the_spline_of_scipy(transistor: int, values: NDArray[np.float64], residual: Residual) -> None:
    v_in, v_out = points(500)
    places = (v_in - V_IN[0]) / (V_IN[1] - V_IN[0]), (v_out - V_OUT[0]) / (V_OUT[1] - V_OUT[0])
    expected = map_coordinates(values[transistor], places, order=3, mode="mirror")
    np.testing.assert_allclose(of(residual, transistor, v_in, v_out)[0], expected, rtol=0, atol=1e-10)
    assert np.ptp(expected) > 1


def test_it_passes_through_what_was_measured_corners_too(values: NDArray[np.float64], residual: Residual) -> None:
    v_in, v_out = (axis.ravel() for axis in np.meshgrid(V_IN, V_OUT, indexing="ij"))
    for transistor in (0, 1):
        found = of(residual, transistor, v_in, v_out)[0]
        np.testing.assert_allclose(found.reshape(values[0].shape), values[transistor], rtol=0, atol=1e-10)


def test_slopes_are_those_of_finite_differences(residual: Residual) -> None:
    v_in, v_out = (0.98 * v for v in points(200))
    step = 1e-6
    _, over_in, over_out = of(residual, 1, v_in, v_out)
    high, low = (of(residual, 1, v_in + sign * step, v_out)[0] for sign in (1, -1))
    np.testing.assert_allclose(over_in, (high - low) / (2 * step), rtol=1e-5, atol=1e-3)
    high, low = (of(residual, 1, v_in, v_out + sign * step)[0] for sign in (1, -1))
    np.testing.assert_allclose(over_out, (high - low) / (2 * step), rtol=1e-5, atol=1e-3)
    assert np.abs(over_in).max() > 10 and np.abs(over_out).max() > 10


def test_beyond_its_ends_it_goes_on_flat(residual: Residual) -> None:
    """Value and slope say the same there: Newton must not be led on by a slope that no value follows."""
    inside, beyond = np.array([V_IN[0], V_IN[-1], 0.1]), np.array([-0.6, 0.5, 0.1])
    v_out = np.array([0.07, -0.11, 0.25])
    at_end, outside = of(residual, 0, inside, v_out), of(residual, 0, beyond, v_out)
    np.testing.assert_allclose(outside[0], at_end[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(outside[1][:2], 0, atol=1e-9)
    np.testing.assert_allclose(of(residual, 0, inside[2:], np.array([0.4]))[0], at_end[0][2:], rtol=0, atol=1e-12)
    np.testing.assert_allclose(of(residual, 0, inside[2:], np.array([0.4]))[2], 0, atol=1e-9)


def test_where_no_current_flows_it_is_what_stands_beside_it(values: NDArray[np.float64]) -> None:
    """Between a rail and itself there is no current, and no logarithm of one."""
    spoilt = values.copy()
    spoilt[0, :, 0], spoilt[1, :, -1], spoilt[0, 3, 5] = -np.inf, np.nan, np.nan
    found = residual_of(spoilt, V_IN, V_OUT)
    filled = values.copy()
    filled[0, :, 0], filled[1, :, -1] = values[0, :, 1], values[1, :, -2]
    filled[0, 3, 5] = (values[0, 3, 4] + values[0, 3, 6]) / 2
    torch.testing.assert_close(found.coefficients, residual_of(filled, V_IN, V_OUT).coefficients, rtol=0, atol=1e-10)


def test_each_transistors_own_gate(surface: CurrentSurface, residual: Residual) -> None:
    """With mismatch a transistor's current is what it is at a gate shifted by hand, times its factor."""
    with_residual = replace(surface, residual=residual)
    rng = np.random.default_rng(4)
    v_in, v_out = (torch.from_numpy(rng.uniform(-0.2, 0.2, (6, 3))) for _ in range(2))
    shift, factor = torch.from_numpy(rng.normal(0, 0.05, (2, 6, 3))), torch.from_numpy(rng.normal(1, 0.1, (2, 1, 3)))
    found = transistor_currents(with_residual, v_in, v_out, Mismatch(shift, factor))
    for kind in (0, 1):
        alone = transistor_currents(with_residual, v_in - shift[kind], v_out)[kind]
        for one, other in zip(found[kind], alone, strict=True):
            torch.testing.assert_close(one, other * factor[kind], rtol=1e-12, atol=0)
    only_shifts = transistor_currents(with_residual, v_in, v_out, Mismatch(shift))
    torch.testing.assert_close(only_shifts[1][0] * factor[1], found[1][0], rtol=1e-12, atol=0)


def wide_table(points: int, beyond: int) -> pd.DataFrame:
    """The synthetic inverter with gates `beyond` steps outside the rails."""
    step = 0.5 / (points - 1)
    gates, outs = (
        np.linspace(-0.25 - beyond * step, 0.25 + beyond * step, points + 2 * beyond),
        np.linspace(-0.25, 0.25, points),
    )
    v_in, v_out = (axis.ravel() for axis in np.meshgrid(gates, outs, indexing="ij"))
    i_n, i_p = drain_current("n", v_in + 0.25, v_out + 0.25), drain_current("p", 0.25 - v_in, 0.25 - v_out)
    columns = {"v_in_V": v_in, "v_out_V": v_out, "i_out_A": i_p - i_n, "i_vdd_A": i_p, "i_vss_A": i_n}
    return pd.DataFrame(columns)


def test_with_it_a_coarse_fit_is_the_inverter(ptm90: Technology) -> None:
    quick = SETTINGS.model_copy(update={"iterations": 8, "starts": 1})
    surface, _ = fit_shifted_surface(wide_table(61, 12), ptm90, quick)
    assert surface.domain_V[0] == pytest.approx((-0.35, 0.35))
    rng = np.random.default_rng(2)
    v_in, v_out = rng.uniform(-0.34, 0.34, 300), rng.uniform(-0.22, 0.22, 300)  # off the grid, its last cells apart
    exact = drain_current("n", v_in + 0.25, v_out + 0.25), drain_current("p", 0.25 - v_in, 0.25 - v_out)
    off = []
    for one in (surface, replace(surface, residual=None)):
        found = transistor_currents(one, torch.from_numpy(v_in), torch.from_numpy(v_out))
        off.append(max(float(np.abs(i.numpy() / e - 1).max()) for (i, _, _), e in zip(found, exact, strict=True)))
    assert off[0] < 4e-4 and off[0] < 0.2 * off[1]


def test_slopes_of_a_surface_with_it_are_autograds(ptm90: Technology) -> None:
    """The spline's slopes go into those of the currents."""
    quick = SETTINGS.model_copy(update={"iterations": 3, "starts": 1})
    surface, _ = fit_shifted_surface(wide_table(31, 6), ptm90, quick)
    rng = np.random.default_rng(3)
    v_in, v_out = (torch.from_numpy(rng.uniform(-0.24, 0.24, 100)) for _ in range(2))
    step = 1e-6
    for kind in (0, 1):
        i, over_in, over_out = transistor_currents(surface, v_in, v_out)[kind]
        for slope, d_in, d_out in ((over_in, step, 0.0), (over_out, 0.0, step)):
            high, low = (transistor_currents(surface, v_in + s * d_in, v_out + s * d_out)[kind][0] for s in (1, -1))
            torch.testing.assert_close(slope, (high - low) / (2 * step), rtol=1e-5, atol=1e-6 * float(i.abs().max()))


# Files


def without(path: Path, *keys: str) -> None:
    """The file as it was written before there were these plain values."""
    with safe_open(path, "pt") as file:
        header = file.metadata()
    kept = {}
    for name, text in header.items():
        content = json.loads(text) if text.startswith("{") else text
        if isinstance(content, dict):
            content = {key: value for key, value in content.items() if key not in keys}
            text = json.dumps(content)
        kept[name] = text
    assert any(header[name] != kept[name] for name in header)
    save_file(load_file(path), path, kept)


def moved_apart(surface: CurrentSurface) -> CurrentSurface:
    """The same values in memory of their own: a file holds no tensor twice."""
    return surface.to(torch.float32).to(torch.float64)


def test_a_file_of_before_still_loads(surface: CurrentSurface, tmp_path: Path) -> None:
    path = tmp_path / "surrogates.safetensors"
    save_surrogates(path, {"current_surface": surface}, {"current_surface": {"key": "k"}})
    without(path, "current_surface.residual")
    old = Surrogates.load(path)
    assert old.current_surface.residual is None and old.shifted_surface is None
    assert old.fingerprint == Surrogates(surface).fingerprint


def test_the_residual_is_kept_in_the_file(surface: CurrentSurface, residual: Residual, tmp_path: Path) -> None:
    path = tmp_path / "surrogates.safetensors"
    shifted = replace(moved_apart(surface), residual=residual)
    reports = {"current_surface": {}, "shifted_surface": {"key": "k"}}
    save_surrogates(path, {"current_surface": surface, "shifted_surface": shifted}, reports)
    found = load_surrogates(path)[0]["shifted_surface"]
    assert isinstance(found, CurrentSurface) and found.residual is not None
    assert torch.equal(found.residual.coefficients, residual.coefficients)
    assert (found.residual.low_V, found.residual.step_V) == (residual.low_V, residual.step_V)
    for part in ("low_V", "coefficients"):
        torn = tmp_path / f"{part}.safetensors"
        torn.write_bytes(path.read_bytes())
        if part == "low_V":
            without(torn, "shifted_surface.residual.low_V")
        else:
            tensors = load_file(path)
            del tensors["shifted_surface.residual.coefficients"]
            with safe_open(path, "pt") as file:
                save_file(tensors, torn, file.metadata())
        with pytest.raises(StorageError):
            load_surrogates(torn)


def test_a_fingerprint_is_of_the_nominal_circuit(surface: CurrentSurface, residual: Residual) -> None:
    """A trained network is recognised by it: that chips were asked for later must not make it another's."""
    nominal, shifted = Surrogates(surface), replace(surface, residual=residual)
    assert replace(nominal, shifted_surface=shifted).fingerprint == nominal.fingerprint
    corrected = Surrogates(shifted).fingerprint
    assert corrected != nominal.fingerprint
    other = replace(residual, coefficients=residual.coefficients + 1e-9)
    assert Surrogates(replace(surface, residual=other)).fingerprint != corrected


def test_a_fingerprint_is_the_one_of_before_there_were_chips(surface: CurrentSurface) -> None:
    """Written out: networks that were trained earlier say it."""
    of_surface = {"thermal_V": surface.thermal_V, "vdd_V": 0.25, "vss_V": -0.25, "domain_V": surface.domain_V}
    plain = {f".current_surface.{name}": value for name, value in of_surface.items()}
    plain |= {".loaded_vtc": None, ".effective_load": None}
    tensors = {f"weights.{i}": w for i, w in enumerate(surface.weights)}
    tensors |= {f"biases.{i}": b for i, b in enumerate(surface.biases)}
    tensors |= {name: getattr(surface, name) for name in ("mean", "scale", "v_t_V", "n")}
    names = sorted(f".current_surface.{name}" for name in tensors)
    arrays = [tensors[name.removeprefix(".current_surface.")].numpy().tobytes() for name in names]
    assert Surrogates(surface).fingerprint == content_hash(*arrays, names, plain)


def test_the_synthetic_table_is_that_of_the_other_tests() -> None:
    pd.testing.assert_frame_equal(wide_table(21, 0), synthetic_table(21))
