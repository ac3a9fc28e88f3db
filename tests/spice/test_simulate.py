"""Sound decks, and every way in which ngspice is known to lie (each with a real ngspice)."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from processes import processes_in

from spicetrain.errors import ConfigurationError, NgspiceError, SimulationError, StorageError
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import FAILED, simulate

from .conftest import eventually
from .decks import DIVIDER, ENDLESS

DC = ".dc v1 0.0 1.0 0.25"
pytestmark = pytest.mark.usefixtures("temporary")


def dc(circuit: str, *saves: str) -> Deck:
    return Deck(circuit, DC, saves, 5)


def failure(deck: Deck, ngspice: Ngspice, **options: float) -> SimulationError:
    with pytest.raises(SimulationError) as caught:
        simulate(deck, ngspice, **options)
    return caught.value


# Sound decks


def test_divider_follows_ohms_law_and_leaves_nothing(ngspice: Ngspice, temporary: Path) -> None:
    answer = simulate(DIVIDER, ngspice)
    v_in = np.linspace(0.0, 1.0, 5)
    assert set(answer.values) == {"v(out)", "i(v1)", "sweep"}
    np.testing.assert_allclose(answer.values["sweep"], v_in, atol=1e-15)
    np.testing.assert_allclose(answer.values["v(out)"], 0.75 * v_in, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(answer.values["i(v1)"], -v_in / 4000.0, rtol=1e-9, atol=1e-15)
    assert 0.0 < answer.seconds < 5.0
    assert "No. of Data Rows : 5" in answer.messages
    assert list(temporary.iterdir()) == []


def test_operating_point_has_one_point_and_no_sweep(ngspice: Ngspice) -> None:
    deck = replace(DIVIDER, circuit=DIVIDER.circuit.replace("0 0.0", "0 2.0"), analysis=".op", points=1)
    values = simulate(deck, ngspice).values
    assert set(values) == {"v(out)", "i(v1)"}
    np.testing.assert_allclose(values["v(out)"], [1.5], rtol=1e-9)


def test_transient_ends_at_its_stop_time(ngspice: Ngspice) -> None:
    circuit = "v1 in 0 1.0\nr1 in out 1000.0\nc1 out 0 1e-9 ic=0"
    values = simulate(Deck(circuit, ".tran 1e-8 5e-6 uic", ("v(out)",), None), ngspice).values
    assert values["time"][-1] == pytest.approx(5e-6, rel=1e-9)
    np.testing.assert_allclose(values["v(out)"], 1.0 - np.exp(-values["time"] / 1e-6), atol=1e-4)


def test_ac_is_complex_over_a_real_frequency(ngspice: Ngspice) -> None:
    circuit = "v1 in 0 0.0 ac 1.0\nr1 in out 1000.0\nc1 out 0 1e-9"
    values = simulate(Deck(circuit, ".ac dec 1 1e3 1e6", ("v(out)",), 4), ngspice).values
    assert values["frequency"].dtype == np.float64
    np.testing.assert_allclose(values["v(out)"], 1.0 / (1.0 + 2e-6j * np.pi * values["frequency"]), rtol=1e-6)


def test_nested_sweep_runs_through_the_first_source_fastest(ngspice: Ngspice) -> None:
    deck = Deck("v1 a 0 0.0\nv2 b 0 0.0\nr1 a b 1.0", ".dc v1 0 2 1 v2 0 1 1", ("v(a)", "v(b)", "i(v2)"), 6)
    values = simulate(deck, ngspice).values
    assert values["v(a)"].tolist() == values["sweep"].tolist() == [0, 1, 2, 0, 1, 2]
    assert values["v(b)"].tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(values["i(v2)"], values["v(a)"] - values["v(b)"], atol=1e-9)


def test_names_keep_the_spelling_of_the_deck(ngspice: Ngspice) -> None:
    circuit = "v1 In 0 0.5\nm1 In In 0 0 nch w=1e-6 l=1e-6\n.model nch nmos level=1 vto=0.1 kp=1e-4"
    values = simulate(Deck(circuit, ".op", ("v(In)", "I(V1)", "@m1[id]"), 1), ngspice).values
    assert values["v(In)"] == [0.5]
    assert values["@m1[id]"] == pytest.approx(0.5e-4 * 0.4**2, rel=1e-6)
    np.testing.assert_allclose(values["I(V1)"], -values["@m1[id]"], rtol=1e-6)


def test_code_models_work_beside_our_spiceinit(ngspice: Ngspice) -> None:
    table = "pwl(x_array=[0.0 0.5 1.0] y_array=[0.0 3.0 -1.0] input_domain=1e-9 fraction=false)"
    circuit = f"v1 in 0 0.0\na1 in out table\nr1 out 0 1000.0\n.model table {table}"
    np.testing.assert_allclose(simulate(dc(circuit, "v(out)"), ngspice).values["v(out)"], [0, 1.5, 3, 1, -1], atol=1e-6)


def test_users_own_spiceinit_is_not_read(ngspice: Ngspice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.spiceinit").write_text("set filetype=ascii\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert len(simulate(DIVIDER, ngspice).values["v(out)"]) == 5


def test_temperature_and_options_reach_ngspice(ngspice: Ngspice) -> None:
    deck = Deck("v1 in 0 1.0\nr1 in 0 1000.0 tc1=0.01", ".op", ("i(v1)",), 1, temperature_C=77.0)
    assert simulate(deck, ngspice).values["i(v1)"] == pytest.approx(-1e-3 / 1.5, rel=1e-9)
    deck = replace(deck, options={"tnom": 77.0})
    assert simulate(deck, ngspice).values["i(v1)"] == pytest.approx(-1e-3, rel=1e-9)


def test_klu_and_sparse_agree_on_a_mesh(ngspice: Ngspice) -> None:
    n = 12
    nodes = [(i, j) for i in range(n) for j in range(n)]
    wires = [f"rh{i}_{j} n{i}_{j} n{i}_{j + 1} {1.0 + i}" for i, j in nodes if j + 1 < n]
    cells = [f"rv{i}_{j} n{i}_{j} n{i + 1}_{j} {2e3 + 7 * j}" for i, j in nodes if i + 1 < n]
    diode = ["d1 n6_6 0 diode", ".model diode d"]
    circuit = "\n".join(["v1 n0_0 0 0.0", f"rg n{n - 1}_{n - 1} 0 50.0", *diode, *wires, *cells])
    deck = dc(circuit, "v(n6_6)", "v(n11_11)", "i(v1)")
    sparse, large = simulate(deck, ngspice), simulate(replace(deck, large=True), ngspice)
    assert ("Using KLU" in large.messages) == ngspice.klu
    assert "Using KLU" not in sparse.messages
    for name, column in sparse.values.items():
        np.testing.assert_allclose(large.values[name], column, rtol=1e-6, atol=1e-10)


# The fault table


@pytest.mark.parametrize("analysis", [DC, ".op"])
@pytest.mark.parametrize("large", [False, True])
def test_floating_node_is_refused_though_ngspice_ends_well(ngspice: Ngspice, analysis: str, large: bool) -> None:
    circuit = "v1 in 0 1.0\nr1 in 0 1000.0\nr2 a b 1000.0"
    points = 1 if analysis == ".op" else 5
    error = failure(Deck(circuit, analysis, ("v(a)", "v(in)"), points, large=large), ngspice)
    assert "singular matrix:  check node" in str(error)
    assert "no DC path to ground" in str(error)


def test_resistor_without_value_is_refused(ngspice: Ngspice) -> None:
    error = failure(dc("v1 in 0 0.0\nr1 in out\nr2 out 0 1000.0", "v(out)"), ngspice)
    assert "numbers that cannot be trusted" in str(error)
    assert "has no value" in str(error)


def test_meas_from_an_included_file_is_refused(ngspice: Ngspice, tmp_path: Path) -> None:
    (tmp_path / "cell.lib").write_text(".meas dc top max v(out)\n")
    error = failure(replace(DIVIDER, circuit=f"{DIVIDER.circuit}\n.include {tmp_path}/cell.lib"), ngspice)
    assert "a .meas line came in with a library" in str(error)


@pytest.mark.parametrize(
    "circuit",
    ["v1 out 0 0.0\nv2 out 0 2.0", "v1 in 0 0.0\nb1 out 0 v = v(out) > 0.5 ? 0.0 : 1.0\nr1 out 0 1000.0"],
    ids=["conflicting sources", "oscillating B source"],
)
def test_no_convergence_names_the_missing_points(ngspice: Ngspice, circuit: str) -> None:
    error = failure(dc(circuit, "v(out)"), ngspice)
    assert str(error).startswith("ngspice gave 0 of 5 points (exit code 1). Likely: ")
    assert "the circuit does not converge" in str(error)
    assert "imestep too small" in str(error)


def test_gmin_stepping_that_repairs_a_singular_first_guess_is_no_error(ngspice: Ngspice) -> None:
    circuit = "v1 in 0 0.0\nb1 0 out i = 0.1 - v(out)*v(out)*v(out)\nr1 in 0 1000.0"  # at v(out) = 0 the slope is 0
    answer = simulate(dc(circuit, "v(out)"), ngspice)
    assert "singular matrix" in answer.messages
    assert "Note: Dynamic gmin stepping completed" in answer.messages
    np.testing.assert_allclose(answer.values["v(out)"], 0.1 ** (1 / 3), rtol=1e-6)


def test_values_that_are_not_finite_are_refused(ngspice: Ngspice) -> None:
    deck = Deck("v1 in 0 0.0\nr1 in 0 1.0", ".dc v1 0.0 4e200 1e200", ("v(in)", "@r1[p]"), 5)  # (1e200 V)^2 / 1 Ohm
    assert str(failure(deck, ngspice)).startswith(
        "ngspice gave 4 values of @r1[p] that are not finite, from point 1 on."
    )


def test_a_suffix_is_refused_because_ngspice_misreads_it_in_silence(ngspice: Ngspice, tmp_path: Path) -> None:
    (tmp_path / "cell.lib").write_text("r1 in out 1M\n")  # an included file is its author's: not looked at
    values = simulate(dc(f"v1 in 0 0.0\n.include {tmp_path}/cell.lib\nr2 out 0 1e-3", "v(out)"), ngspice).values
    np.testing.assert_allclose(values["v(out)"], values["sweep"] / 2, rtol=1e-6)
    with pytest.raises(ConfigurationError, match="1M is 0.001"):
        dc("v1 in 0 0.0\nr1 in out 1M\nr2 out 0 1e-3", "v(out)")


def test_missing_vectors_are_named(ngspice: Ngspice) -> None:
    error = failure(dc(DIVIDER.circuit, "v(out)", "v(nowhere)", "i(v9)"), ngspice)
    assert str(error).startswith("ngspice did not give v(nowhere), i(v9).")


def test_wrong_number_of_points_is_refused_though_ngspice_ends_well(ngspice: Ngspice) -> None:
    error = failure(replace(DIVIDER, points=861), ngspice)
    assert str(error).startswith("ngspice gave 5 of 861 points (exit code 0).")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("m1 out in 0 0 nowhere w=1e-6 l=1e-6", "a model name is misspelt"),
        ("x1 out in nowhere", "a subcircuit name is misspelt"),
        (".include /nowhere/cards.lib", "an included file is missing"),
        ("r2 in 0 5.0", "two elements have the same name"),
        ("r3 in 0 5.0 zap=3.0", "a parameter its model does not know"),
    ],
)
def test_decks_that_ngspice_rejects_name_the_cause(ngspice: Ngspice, line: str, message: str) -> None:
    error = failure(replace(DIVIDER, circuit=f"{DIVIDER.circuit}\n{line}"), ngspice)
    assert str(error).startswith("ngspice gave 0 of 5 points (exit code 1).")
    assert message in str(error)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "line",
    [
        "r3 in 0 {}",
        "c3 in 0 {}",
        "v3 x 0 {}",
        "i3 in 0 pwl(0 0 1e-9 {})",
        "b3 in 0 i={{{}*sinh(v(in))}}",
        "x3 in cell size={}\n.subckt cell a size=1\nr1 a 0 {{size}}\n.ends",
    ],
    ids=lambda line: line[0],
)
def test_a_value_that_is_no_number_is_not_taken_for_a_misspelt_name(
    ngspice: Ngspice, line: str, value: str, tmp_path: Path
) -> None:
    """In a library, say: in our own decks none gets there."""
    (tmp_path / "own.lib").write_text(f"* own\n{line.format(value)}\n")
    error = str(failure(replace(DIVIDER, circuit=f'{DIVIDER.circuit}\n.include "{tmp_path}/own.lib"'), ngspice))
    assert "Likely: a value in the deck is nan or inf" in error
    assert "misspelt" not in error and "does not know" not in error


def test_sweep_of_a_source_that_does_not_exist_is_named(ngspice: Ngspice) -> None:
    assert "the swept source does not exist" in str(failure(replace(DIVIDER, analysis=".dc v7 0 1 0.25"), ngspice))


# Ends that are not ngspice's own


def test_time_limit(ngspice: Ngspice, temporary: Path) -> None:
    start = time.monotonic()
    error = failure(ENDLESS, ngspice, timeout_s=0.3)
    assert time.monotonic() - start < 3.0
    assert "the time limit being 0.3 s" in str(error)
    assert not processes_in(temporary)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_killed_from_outside_names_the_signal(ngspice: Ngspice, temporary: Path, number: signal.Signals) -> None:
    def kill() -> None:
        assert eventually(lambda: processes_in(temporary))
        time.sleep(0.1)
        for pid in processes_in(temporary):
            os.kill(pid, number)

    killer = threading.Thread(target=kill)
    killer.start()
    error = failure(ENDLESS, ngspice)
    killer.join()
    assert error.exit_code == 4
    assert str(error).startswith(f"ngspice was killed by {number.name} after 0.")
    assert ("crashed" in str(error)) == (number == signal.SIGSEGV)


def test_interrupt_kills_ngspice_and_removes_its_folder(ngspice: Ngspice, temporary: Path) -> None:
    def interrupt() -> None:
        assert eventually(lambda: processes_in(temporary))
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        simulate(ENDLESS, ngspice)
    interrupter.join()
    assert not processes_in(temporary)
    assert list(temporary.iterdir()) == []


def test_failed_run_is_kept_and_can_be_repeated_by_hand(ngspice: Ngspice, temporary: Path) -> None:
    error = failure(replace(DIVIDER, points=7), ngspice)
    assert error.folder is not None
    assert error.folder.name.startswith(FAILED)
    assert list(temporary.iterdir()) == [error.folder]
    assert str(error).endswith(f"Deck kept in {error.folder}.")
    assert (error.folder / "deck.cir").read_text() == replace(DIVIDER, points=7).text(ngspice)
    assert "No. of Data Rows : 5" in (error.folder / "ngspice.log").read_text()


def test_ngspice_that_vanished_is_an_ngspice_error() -> None:
    gone = Ngspice(Path("/nowhere/ngspice"), 39, klu=False, code_models=True)
    with pytest.raises(NgspiceError, match="does not start"):
        simulate(DIVIDER, gone)


def test_full_disk_is_a_storage_error(ngspice: Ngspice, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StorageError, match="The disk is full"):
        simulate(DIVIDER, ngspice)
    assert list(temporary.iterdir()) == []
