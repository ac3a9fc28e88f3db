"""The shipped devices against what was published of them, drawn many times; and how a technology takes one."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import device_formulas as published
import numpy as np
import pytest
from device_formulas import DAY_S, PROGRAMMING, RANGES, WITHOUT_STATISTICS
from numpy.typing import NDArray
from scipy.stats import norm

from spicetrain.array.built import built
from spicetrain.array.crossbar import Crossbar
from spicetrain.array.device import STATISTICS, Device
from spicetrain.array.devices.presets import devices_folder, load_preset
from spicetrain.array.variation import ArrayStatistics, disturbed
from spicetrain.draw import Draw
from spicetrain.errors import TechnologyError
from spicetrain.technology import Technology, load_technology
from spicetrain.variation import SOURCES, VariationSettings, statistics_of

Array = NDArray[np.floating]
DRAWS = 40_000
CASES = [(name, time_s) for name, at in PROGRAMMING.items() for time_s in at]
DRIFTED = {"pcm", "rram-cmo", "sonos"}
NOISY = {"pcm", "rram-wan", "rram-cmo", "sonos"}


def device(name: str) -> Device:
    return load_preset(name).memristor


def conductances(name: str) -> Array:
    """Nine over the range, microsiemens."""
    return np.linspace(*RANGES[name], 9)


def numbers(seed: int, shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def require_moments(found_uS: Array, mean_uS: Array, sigma_uS: Array) -> None:
    """[draws, conductances]: within 4.5 standard errors of both."""
    draws = len(found_uS)
    assert np.all(abs(found_uS.mean(0) - mean_uS) < 4.5 * sigma_uS / math.sqrt(draws))
    assert np.all(abs(found_uS.std(0) / sigma_uS - 1) < 4.5 / math.sqrt(2 * draws))


def test_all_that_ship_are_looked_at_here() -> None:
    assert {path.stem for path in devices_folder().glob("*.toml")} == set(PROGRAMMING) | WITHOUT_STATISTICS
    for name in PROGRAMMING:
        memristor = device(name)
        np.testing.assert_allclose((memristor.g_min_S, memristor.g_max_S), np.multiply(RANGES[name], 1e-6), rtol=1e-12)
        assert (memristor.drift is not None) == (name in DRIFTED)
        assert (memristor.read_noise is not None) == (name in NOISY)
        assert memristor.programming is not None and (memristor.levels, memristor.stuck) == (None, None)


def test_the_law_of_skywaters_cell_is_the_published_one_from_its_thinnest_filament_to_its_thickest() -> None:
    of = device("rram-sky130")
    v = np.linspace(-1, 1, 21)
    for g, filament_nm in ((of.g_min_S, 3.3), (of.g_max_S, 4.9)):
        np.testing.assert_allclose(of.current(g, v), 1e-6 * published.sky130_uA(v, filament_nm), rtol=1e-5, atol=1e-20)
    assert all(getattr(of, name) is None for name in STATISTICS)


@pytest.mark.parametrize(("name", "time_s"), CASES)
def test_the_programming_error_is_the_published_one(name: str, time_s: float) -> None:
    g_uS, programming = conductances(name), device(name).programming
    assert programming is not None
    found = programming.disturbed(1e-6 * g_uS, numbers(1, (DRAWS, 9)), time_s)
    require_moments(1e6 * found, g_uS, PROGRAMMING[name][time_s](g_uS))


def sigma_uS(name: str, g_uS: Array, time_s: float) -> Array:
    programming = device(name).programming
    assert programming is not None
    return 1e6 * (programming.disturbed(1e-6 * g_uS, np.ones(len(g_uS)), time_s) - 1e-6 * g_uS)


def test_between_what_was_measured_and_after_the_last() -> None:
    g = np.linspace(5, 40, 6)
    middle = math.sqrt(1.0 * DAY_S)  # of 1 s and a day, in the logarithm
    np.testing.assert_allclose(sigma_uS("rram-wan", g, middle), (published.wan(g) + published.wan(g, 1)) / 2)
    np.testing.assert_allclose(sigma_uS("rram-wan", g, 30 * DAY_S), published.wan(g, 2))
    np.testing.assert_allclose(sigma_uS("rram-wan", g, 0.0), published.wan(g))
    a, b = (19.88665 + 25.59102) / 2, (176.3115 + 186.85544) / 2  # half a day: CrossSim takes the numbers linearly
    np.testing.assert_allclose(sigma_uS("sonos", g / 4, DAY_S / 2), (a - a * np.exp(-25 * g / b)) / 100)
    np.testing.assert_allclose(sigma_uS("sonos", g / 4, 30 * DAY_S), published.sonos_nA(25 * g, 5) / 100)


def drifted_uS(name: str, g_uS: Array, time_s: float, draws: int) -> Array:
    """Only drift, [draws, conductances], as a chip has it."""
    of = device(name)
    n = numbers(2, (draws, len(g_uS)))
    statistics = ArrayStatistics(drift=of.drift, time_s=time_s)
    g = np.broadcast_to(1e-6 * g_uS, n.shape)
    return 1e6 * disturbed(g, statistics, of.g_min_S, of.g_max_S, lambda source: n, lambda source: n)


@pytest.mark.parametrize("time_s", [20.0, DAY_S, 30 * DAY_S])
def test_phase_change_drifts_as_a_power_of_the_time(time_s: float) -> None:
    draws, g = 200_000, np.array([0.1, 2.0, 10.0, 25.0])  # the first below the range: both limits hold
    nu = -np.log(drifted_uS("pcm", g, time_s, draws) / g) / math.log((time_s + 20.0) / 20.0)
    mean, sigma = published.pcm_nu(g)
    z = mean / sigma
    folded = sigma * math.sqrt(2 / math.pi) * np.exp(-(z**2) / 2) + mean * (1 - 2 * norm.cdf(-z))  # the mean of |nu|
    require_moments(nu, folded, np.sqrt(mean**2 + sigma**2 - folded**2))


def test_phase_change_drifts_by_what_it_was_to_be() -> None:
    of, g = device("pcm"), np.array([1e-6, 3e-6])  # where nu depends on it
    n = {"programming": np.array([1.5, -1.0]), "drift": np.zeros(2)}
    statistics = ArrayStatistics(programming=of.programming, drift=of.drift)
    before, after = (
        disturbed(g, replace(statistics, time_s=time_s), of.g_min_S, of.g_max_S, n.__getitem__, n.__getitem__)
        for time_s in (0.0, DAY_S)
    )
    np.testing.assert_allclose(-np.log(after / before) / math.log1p(DAY_S / 20), published.pcm_nu(1e6 * g)[0])


@pytest.mark.parametrize("time_s", [10.0, DAY_S])
def test_cmo_relaxes_with_the_logarithm_of_the_time(time_s: float) -> None:
    g = conductances("rram-cmo")
    shift, sigma = published.cmo_relaxed(time_s)
    require_moments(drifted_uS("rram-cmo", g, time_s, DRAWS), g + shift, np.full(9, sigma))
    np.testing.assert_allclose(drifted_uS("rram-cmo", g, 0.5, 1)[0], g, rtol=1e-12)


def test_sonos_moves_as_measured() -> None:
    g = np.linspace(0.5, 14, 9)
    shift = drifted_uS("sonos", g, 3 * DAY_S, 1)[0] - g
    np.testing.assert_allclose(shift, published.sonos_shift_nA(100 * g) / 100, rtol=1e-9)
    day, two = (drifted_uS("sonos", g, days * DAY_S, 1)[0] - g for days in (1, 2))
    np.testing.assert_allclose(drifted_uS("sonos", g, DAY_S / 4, 1)[0] - g, day / 4, rtol=1e-9)
    np.testing.assert_allclose(drifted_uS("sonos", g, 1.5 * DAY_S, 1)[0] - g, (day + two) / 2, rtol=1e-9)
    held = drifted_uS("sonos", np.array([14.0, 15.0, 16.0]), 3 * DAY_S, 1)[0] - [14, 15, 16]
    np.testing.assert_allclose(held, held[0], rtol=1e-9)


def read_uS(name: str, g_uS: Array, time_s: float, drift: bool = False) -> Array:
    of = device(name)
    zero, n = np.zeros((DRAWS, len(g_uS))), numbers(3, (DRAWS, len(g_uS)))
    statistics = ArrayStatistics(read_noise=of.read_noise, drift=of.drift if drift else None, time_s=time_s)
    g = np.broadcast_to(1e-6 * g_uS, n.shape)
    of_source = {"read noise": n, "drift": zero}
    return 1e6 * disturbed(g, statistics, of.g_min_S, of.g_max_S, lambda source: of_source[source], lambda source: n)


@pytest.mark.parametrize("time_s", [0.0, 3600.0, 30 * DAY_S])
def test_read_noise(time_s: float) -> None:
    g: Array = np.linspace(10, 25, 5)
    require_moments(read_uS("pcm", g, time_s), g, published.pcm_read(g, time_s))
    g = np.linspace(5, 40, 5)
    require_moments(read_uS("rram-wan", g, time_s), g, np.full(5, 0.01 * 40))
    g = np.linspace(2, 16, 5)
    require_moments(read_uS("sonos", g, time_s), g, published.sonos_read_nA(100 * g) / 100)
    g = conductances("rram-cmo")
    if time_s:
        require_moments(read_uS("rram-cmo", g, time_s), g, published.cmo_read(g, time_s))
    else:  # nothing has grown yet
        np.testing.assert_allclose(read_uS("rram-cmo", g, time_s)[:3], np.broadcast_to(g, (3, 9)), rtol=1e-12)


def test_the_noise_of_phase_change_is_a_share_of_what_was_programmed() -> None:
    """aihwkit takes the share before, the current after the drift."""
    g = np.array([15.0, 25.0])
    left = g * ((DAY_S + 20) / 20) ** -published.pcm_nu(g)[0]
    require_moments(read_uS("pcm", g, DAY_S, drift=True), left, left * published.pcm_read(g, DAY_S) / g)
    assert np.all(read_uS("pcm", np.array([0.3]), DAY_S).std(0) > 0.2 * 0.3)  # `largest` holds, and it is large


def test_the_drawing_is_made_by_one_command(tmp_path: Path) -> None:
    script = Path(__file__).parents[1] / "docs" / "devices.py"
    command = [sys.executable, str(script), "--draws", "50", "--out", str(tmp_path / "devices.svg")]
    environment = os.environ | {"PYTHONPATH": str(script.parents[1])}
    subprocess.run(command, env=environment, check=True, timeout=120)
    text = (tmp_path / "devices.svg").read_text()
    assert all(f">{name}</text>" in text for name in PROGRAMMING)


def with_memristor(ptm90: Technology, folder: Path, memristor: str) -> Path:
    """ptm90 with another [memristor], a user's own; the path of its TOML."""
    text = (ptm90.folder / "ptm90.toml").read_text()
    (folder / "ptm90.lib").write_bytes(ptm90.library.read_bytes())
    path = folder / "own.toml"
    path.write_text(f"{text[: text.index('[memristor]')]}{memristor}\n")
    return path


def test_a_technology_takes_a_device_and_builds_a_crossbar_of_it(ptm90: Technology, tmp_path: Path) -> None:
    of = load_technology(with_memristor(ptm90, tmp_path, '[memristor]\npreset = "pcm"'))
    assert of.memristor == device("pcm")
    assert of.fingerprint != ptm90.fingerprint  # another range
    statistics = statistics_of(of, VariationSettings(time_s=DAY_S))
    assert statistics.sources == tuple(
        name for name in SOURCES if name not in ("threshold", "threshold_scale", "levels", "stuck")
    )
    wanted = Crossbar(np.full((3, 2), 2e-5), np.full((3, 2), 1e-5), np.full(2, 5e-6), np.full(2, 1e-6))
    chip = built(wanted, of.memristor, statistics.array, Draw(7), 0)
    for name, g in vars(chip).items():
        assert g.shape == getattr(wanted, name).shape and np.all(g > 0) and len(set(g.flat)) == g.size
    assert chip.pos.mean() < 0.8 * 2e-5  # 8400 times t0: to the power of -0.05
    again = built(wanted, of.memristor, statistics.array, Draw(7), 0)
    np.testing.assert_array_equal(chip.pos, again.pos)
    assert np.all(built(wanted, of.memristor, statistics.array, Draw(8), 0).pos != chip.pos)


def test_own_keys_stand_in_place_of_the_presets(ptm90: Technology, tmp_path: Path) -> None:
    own = '[memristor]\npreset = "pcm"\ng_max_S = 2e-5\n[memristor.programming]\nform = "lognormal"\nsigma = 0.2\n'
    of = load_technology(with_memristor(ptm90, tmp_path, own + "[memristor.stuck]\nat_g_max = 0.01")).memristor
    shipped = device("pcm")
    assert (of.g_min_S, of.g_max_S) == (shipped.g_min_S, 2e-5)
    assert (of.drift, of.read_noise) == (shipped.drift, shipped.read_noise)
    assert of.programming is not None and of.programming.model_dump() == {"form": "lognormal", "sigma": 0.2}
    assert of.stuck is not None and of.stuck.at_g_max == 0.01


def test_a_device_of_ones_own_lies_beside_the_technology(ptm90: Technology, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('description = "mine"\n[memristor]\ng_min_S = 1e-6\ng_max_S = 3e-5\n')
    of = load_technology(with_memristor(ptm90, tmp_path, '[memristor]\npreset = "mine.toml"'))
    assert of.memristor.g_max_S == 3e-5


def test_statistics_are_not_of_the_fingerprint_and_the_range_is(ptm90: Technology, tmp_path: Path) -> None:
    """What is measured with the nominal circuit serves every device of that range."""
    held = "g_min_S = 1.2e-7\ng_max_S = 7.88e-6\nb_per_V = 0.05\n"
    texts = [f'[memristor]\npreset = "{name}"\n{held}' for name in PROGRAMMING]
    found = {load_technology(with_memristor(ptm90, tmp_path, text)).fingerprint for text in texts}
    assert found == {ptm90.fingerprint}
    other = held.replace("7.88", "7.89")
    assert load_technology(with_memristor(ptm90, tmp_path, f"[memristor]\n{other}")).fingerprint not in found


BASE = "[memristor]\ng_min_S = 1e-6\ng_max_S = 1e-5\n"


@pytest.mark.parametrize(
    ("memristor", "said"),
    [
        ('[memristor]\npreset = "rram-wann"', "Unknown device preset 'rram-wann'. Did you mean 'rram-wan'?"),
        ('[memristor]\npreset = "none.toml"', "There is no device preset"),
        ('[memristor]\npreset = "nested.toml"', "nested.toml: a device preset names no other one"),
        ('[memristor]\npreset = "wrong.toml"', "wrong.toml: memristor.programming.sigma = -1"),
        ("[memristor]\npreset = 3", "memristor.preset = 3 is not the name of a device preset"),
        ('[memristor]\npreset = "pcm"\ng_max_S = 1e-9', "g_min_S = 2.5e-07 is not below memristor.g_max_S = 1e-09"),
        ('[memristor]\npreset = "pcm"\ngmax_S = 1e-4', "'memristor.gmax_S'. Did you mean 'g_max_S'?"),
        (
            f'{BASE}programming = {{ form = "relative", sigma = -0.1 }}',
            "memristor.programming.sigma = -0.1: input should be greater than or equal to 0",
        ),
        (
            f'{BASE}programming = {{ form = "relativ", sigma = 0.1 }}',
            "memristor.programming.form = 'relativ': none of its values. Did you mean 'relative'?",
        ),
        (f"{BASE}programming = {{ sigma = 0.1 }}", "key 'memristor.programming.form' is missing"),
        (
            f'{BASE}programming = {{ form = "lognormal", sgima = 0.1 }}',
            "unknown key 'memristor.programming.sgima'. Did you mean 'sigma'?",
        ),
        (
            f'{BASE}programming = {{ form = "polynomial", scale_S = 1e-6, coefficients = [1], '
            "later = [{ time_s = 0.5, coefficients = [1] }] }",
            "memristor.programming: later: time_s = 0.5 is not after 1",
        ),
        (f"{BASE}stuck = {{ at_g_min = 1.1 }}", "memristor.stuck.at_g_min = 1.1: input should be less than or equal"),
        (f"{BASE}stuck = {{ at_g_min = 0.6, at_g_max = 0.5 }}", "shares of all devices: together 1 at most"),
        (f"{BASE}stuck = {{ at_g_mim = 0.6 }}", "'memristor.stuck.at_g_mim'. Did you mean 'at_g_min'?"),
        (f'{BASE}levels = {{ form = "log" }}', "levels of form 'log' need count"),
        (f'{BASE}levels = {{ form = "list", count = 3 }}', "levels of form 'list' need values_S"),
        (f'{BASE}levels = {{ form = "linear", count = 1 }}', "memristor.levels.count = 1"),
        (f'{BASE}drift = {{ form = "power", t0_s = 0, offset = 0.1 }}', "memristor.drift.t0_s = 0"),
        (f'{BASE}drift = {{ form = "power", t0_s = 1, offset = 0, low = 0.2, high = 0.1 }}', "low = 0.2 is above high"),
        (f'{BASE}read_noise = {{ form = "relative", factor = -1 }}', "memristor.read_noise.factor = -1"),
    ],
)
def test_a_wrong_device_is_refused_by_name(memristor: str, said: str, ptm90: Technology, tmp_path: Path) -> None:
    (tmp_path / "nested.toml").write_text('description = "of another"\n[memristor]\npreset = "pcm"\n')
    wrong = f'description = "wrong"\n{BASE}programming = {{ form = "relative", sigma = -1 }}\n'
    (tmp_path / "wrong.toml").write_text(wrong)
    with pytest.raises(TechnologyError) as caught:
        load_technology(with_memristor(ptm90, tmp_path, memristor))
    assert said in str(caught.value)
