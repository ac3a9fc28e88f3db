"""Spiking decks against closed forms, decks written by hand, and each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from spicetrain.array.crossbar import Crossbar
from spicetrain.errors import ConfigurationError
from spicetrain.netlists.cells import Form
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.spiking.circuit import SpikingCircuit, load_circuit
from spicetrain.spiking.netlists.columns import CellCoefficients
from spicetrain.spiking.netlists.network import latched, membranes_at_latch, saved_vectors, spiking_deck
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.technology import Technology

UNREACHED_V = 0.4
Answer = tuple[list[NDArray], list[NDArray], dict[str, NDArray]]


def circuit(array: str, **neuron: Any) -> SpikingCircuit:
    content = load_circuit(f"lif-{array}").model_dump()
    content["neuron"] |= neuron
    return SpikingCircuit.model_validate(content)


def random_network(technology: Technology, thresholds_V: tuple[float, ...], *layers: int) -> SpikingNetwork:
    rng, device = np.random.default_rng(sum(layers)), technology.memristor
    crossbars = []
    for rows, columns in zip(layers, layers[1:], strict=False):
        w = rng.normal(0.3, 0.4, (rows + 1, columns)).clip(-1, 1)
        pos, neg = (device.g_min_S + (device.g_max_S - device.g_min_S) * part.clip(0, 1) for part in (w, -w))
        crossbars.append(Crossbar(pos[:-1], neg[:-1], pos[-1], neg[-1]))
    return SpikingNetwork(tuple(crossbars), thresholds_V)


def random_spikes(steps: int, rows: int, share: float = 0.5) -> NDArray[np.bool_]:
    return np.random.default_rng(steps * rows).random((steps, rows)) < share


def run(
    network: SpikingNetwork,
    spiking: SpikingCircuit,
    technology: Technology,
    spikes: NDArray,
    form: Form,
    ngspice: Ngspice,
    cells: tuple[CellCoefficients, ...] | None = None,
) -> Answer:
    values = simulate(spiking_deck(network, spiking, technology, spikes, form, cells=cells), ngspice).values
    of_deck = (values, network, spiking, len(spikes))
    return membranes_at_latch(*of_deck), latched(*of_deck), values


@pytest.mark.parametrize("shape", [(1, 1), (5, 3)])
@pytest.mark.parametrize("form", ["reduced", "flat"])
def test_membranes_that_never_fire_are_the_exponential(
    shape: tuple[int, int], form: Form, ptm90: Technology, ngspice: Ngspice
) -> None:
    spiking = circuit("1r", capacitance_F=[2e-13], reset_fingers=[0.1])
    network, spikes = random_network(ptm90, (UNREACHED_V,), *shape), random_spikes(4, shape[0])
    membranes, fired, _ = run(network, spiking, ptm90, spikes, form, ngspice)
    box, clock, rails = network.crossbars[0], spiking.clock, spiking.rails
    G = box.column_sum / 2e-13
    driven = (spikes @ box.pos + box.bias_pos) * rails.vdd_V + (spikes @ box.neg + box.bias_neg) * rails.vss_V
    # From the middle of one edge to that of the next the rows are as good as driven.
    on, off = clock.integrate_s - clock.edge_s / 2, clock.rest_s + clock.edge_s / 2
    v = np.zeros(shape[1])
    for k, drive in enumerate(driven / box.column_sum):
        v = drive + (v - drive) * np.exp(-G * on)
        np.testing.assert_allclose(membranes[0][k], v, rtol=0.004, atol=4e-4)  # transistors at the membrane: 1 fF
        v = v * np.exp(-G * off)
    assert np.ptp(membranes[0]) > 0.02
    assert not fired[0].any()


@pytest.mark.parametrize("layers", [(5, 3, 2), (7, 4, 3, 1)])
def test_flat_and_reduced_1r_agree_at_every_membrane(
    layers: tuple[int, ...], ptm90: Technology, ngspice: Ngspice
) -> None:
    spiking = circuit("1r", capacitance_F=[1e-13], reset_fingers=[0.3])
    network, spikes = random_network(ptm90, (0.02,) * (len(layers) - 1), *layers), random_spikes(5, layers[0])
    flat, reduced = (run(network, spiking, ptm90, spikes, form, ngspice) for form in ("flat", "reduced"))
    for layer, width in enumerate(layers[1:]):
        assert flat[0][layer].shape == flat[1][layer].shape == (5, width)
        np.testing.assert_allclose(flat[0][layer], reduced[0][layer], rtol=0, atol=2e-5)
        np.testing.assert_array_equal(flat[1][layer], reduced[1][layer])
        assert flat[1][layer].any()


def test_the_decision_is_never_half_a_spike(ptm90: Technology, ngspice: Ngspice) -> None:
    """Membranes some 20 uV apart, across the trip: one changes over, all others are latched at 0 or 1."""
    columns = 61
    pos = np.full((2, columns), 4e-6) * (1 + np.linspace(-0.3, 0.3, columns) / 20)
    box = Crossbar(pos, np.full((2, columns), 3e-6), np.full(columns, 1e-6), np.full(columns, 1e-6))
    spiking = circuit("1r", capacitance_F=[1e-12], reset_fingers=[3])
    spikes = np.ones((1, 2), bool)
    membrane = run(SpikingNetwork((box,), (UNREACHED_V,)), spiking, ptm90, spikes, "reduced", ngspice)[0][0][0]
    assert 1e-5 < np.diff(membrane).max() < 3e-5
    # The inverter lags behind a membrane that still rises: its trip is above the threshold.
    network = SpikingNetwork((box,), (float(membrane[30]) - 5e-4,))
    membranes, fired, values = run(network, spiking, ptm90, spikes, "reduced", ngspice)
    held = values["time"] > spiking.clock.integrate_s + 5 * spiking.clock.edge_s
    level = np.stack([values[f"v(s0_{j})"][held] for j in range(columns)])
    assert np.minimum(level, 1 - level).max() < 1e-6
    assert 0 < fired[0].sum() < columns
    assert (np.diff(membranes[0][0][np.argsort(fired[0][0], kind="stable")]) > 0).all()


def test_a_spike_resets_its_neuron_and_drives_the_next_layer_one_step_later(
    ptm90: Technology, ngspice: Ngspice
) -> None:
    device, spiking = ptm90.memristor, circuit("1r", capacitance_F=[1e-12], reset_fingers=[3])
    strong, weak = np.full((1, 1), 2.5e-6), np.full((1, 1), device.g_min_S)
    none = np.full(1, device.g_min_S)
    box = Crossbar(np.repeat(strong, 6, 0), np.repeat(weak, 6, 0), none, none)
    network = SpikingNetwork((box, Crossbar(strong, weak, none, none)), (0.03, UNREACHED_V))
    spikes = np.zeros((5, 6), bool)
    spikes[1] = spikes[2] = True
    membranes, fired, values = run(network, spiking, ptm90, spikes, "reduced", ngspice)
    np.testing.assert_array_equal(fired[0][:, 0], [False, True, True, False, False])
    # Each integration begins at rest again, and the second layer's local step is the first one's, one clock step on.
    assert membranes[0][2, 0] == pytest.approx(membranes[0][1, 0], abs=2e-3)
    assert abs(membranes[0][3, 0]) < 2e-3
    second = membranes[1][:, 0]
    assert abs(second[0]) < 1e-3
    assert second[1] > 0.004
    assert second[2] > second[1] + 0.003
    assert second[3] < second[2]
    assert values["time"][-1] == pytest.approx(6 * spiking.clock.step_s)


def by_hand(technology: Technology, spiking: SpikingCircuit, g: tuple[float, float, float, float]) -> Deck:
    """One step of a 1t1r neuron with one row pair that spikes and its bias, without any of our builders."""
    on, edge, C = spiking.clock.integrate_s, spiking.clock.edge_s, spiking.capacitance_F(0)
    n, p = "w=240e-9 l=90e-9 rbodymod=0 rgatemod=0", "w=560e-9 l=90e-9 rbodymod=0 rgatemod=0"
    fingers = f"w=1e-6 l=90e-9 rbodymod=0 rgatemod=0 m={spiking.reset_fingers(0)}"
    threshold_V = UNREACHED_V
    lines = [
        f".include {technology.library}",
        "vup up 0 0.5",
        "vlow low 0 -0.5",
        f"vhigh high 0 {threshold_V + 0.25}",
        f"vbottom bottom 0 {threshold_V - 0.25}",
        f"vleak leak 0 {spiking.neuron.leak_gate_V}",
        f"vopen open 0 pwl(0.0 -0.5 {edge!r} 0.5 {on!r} 0.5)",
        f"vshut shut 0 pwl(0.0 0.5 {edge!r} -0.5 {on!r} -0.5)",
        f"cm m 0 {C!r}",
        f"ml m leak 0 low nmos {n}",
        f"mr m low 0 low nmos {fingers}",
        f"mn q m bottom bottom nmos {n}",
        f"mp q m high high pmos {p}",
    ]
    for k, (up, down) in enumerate((g[:2], g[2:])):
        lines += [f"re{k} up a{k} {1 / up!r}", f"me{k} a{k} open m low nmos {n}"]
        lines += [f"ri{k} low b{k} {1 / down!r}", f"mi{k} b{k} shut m up pmos {n}"]
    analysis = f".tran {edge / 10!r} {on!r} 0 {on / 500!r}"
    return Deck("\n".join(lines), analysis, ("v(m)",), points=None, options={"chgtol": 1e-18})


def test_a_flat_1t1r_neuron_is_the_circuit_it_should_be(ptm90: Technology, ngspice: Ngspice) -> None:
    spiking = circuit("1t1r", capacitance_F=[5e-13], reset_fingers=[2])
    g = (6e-6, 2e-7, 3e-6, 1e-6)
    box = Crossbar(*(np.array([[value]]) for value in g[:2]), *(np.array([value]) for value in g[2:]))
    network = SpikingNetwork((box,), (UNREACHED_V,))
    found = run(network, spiking, ptm90, np.ones((2, 1), bool), "flat", ngspice)[0][0]
    theirs = simulate(by_hand(ptm90, spiking, g), ngspice).values["v(m)"][-1]
    assert found[0, 0] == pytest.approx(theirs, abs=2e-4)
    assert theirs > 0.03
    silent = run(network, spiking, ptm90, np.zeros((2, 1), bool), "flat", ngspice)[0][0]
    assert silent[0, 0] < 0.6 * found[0, 0]


@pytest.mark.parametrize(("domain", "late_s"), [(None, 0.0), ((-0.02, 0.05), 5e-10)])
def test_a_reduced_1t1r_column_obeys_its_currents_and_charges(
    domain: tuple[float, float] | None, late_s: float, ptm90: Technology, ngspice: Ngspice
) -> None:
    """Two layers of cells with made-up laws, the second without input spikes: only its bias pair counts."""
    spiking = circuit("1t1r", capacitance_F=[4e-13], leak_gate_V=-0.5, reset_fingers=[0.1])
    rows, columns, steps = 5, 3, 3
    rng = np.random.default_rng(0)
    g, h = rng.uniform(1e-6, 5e-6, (rows + 1, columns)), rng.uniform(1e-7, 1e-6, (rows + 1, columns))
    current = np.stack([0.5 * (g - h), -(g + h), -2 * g])
    silent = np.array([2e-9, -1e-7, 0.0])
    network = random_network(ptm90, (UNREACHED_V,) * 2, rows, columns, 2)
    second = CellCoefficients(
        current[:, : columns + 1, :2], silent, late_s=late_s, ceases_s=0.2 * late_s, silent_F=3e-15
    )
    charges = replace(second, on_C=3e-16, spiking_F=2e-15, off_C=2e-16, off_F=8e-16)
    cells = (replace(charges, spiking=current, domain=domain), second)
    spikes = random_spikes(steps, rows)
    membranes, _, _ = run(network, spiking, ptm90, spikes, "reduced", ngspice, cells)

    def expected(laws: CellCoefficients, spikes: NDArray, j: int) -> list[float]:
        clock = spiking.clock
        pairs = laws.spiking.shape[1]
        C, u, found = 4e-13 + pairs * laws.silent_F, pairs * silent[0] / (pairs * -silent[1]), []
        for row in np.hstack([spikes, np.ones((len(spikes), 1))]):
            a = row @ (laws.spiking[:, :, j].T - silent) + pairs * silent
            on = C + row.sum() * laws.spiking_F
            u = (C * u + row.sum() * laws.on_C) / on
            before_s, after_s = laws.late_s, max(laws.ceases_s - clock.edge_s / 2, 0.0)
            u = _after(u, pairs * silent, on, before_s, laws.domain)
            u = _after(u, a, on, clock.integrate_s - clock.edge_s / 2 - before_s - after_s, laws.domain)
            u = _after(u, pairs * silent, on, after_s, laws.domain)
            found.append(u)
            u += row.sum() * (laws.off_F * u + laws.off_C) / C
            u = _after(u, pairs * silent, C, clock.rest_s + clock.edge_s / 2, laws.domain)
        return found

    for j in range(columns):
        np.testing.assert_allclose(membranes[0][:, j], expected(cells[0], spikes, j), rtol=0.005, atol=3e-4)
    for j in range(2):
        alone = expected(second, np.zeros((steps, columns)), j)
        np.testing.assert_allclose(membranes[1][:, j], alone, rtol=0.005, atol=3e-4)
    assert np.ptp(membranes[0]) > 0.05


def _after(u: float, a: NDArray, C: float, seconds: float, domain: tuple[float, float] | None) -> float:
    if seconds == 0:
        return u

    def slope(_: float, x: NDArray) -> NDArray:
        held = x if domain is None else np.clip(x, *domain)
        return (a[0] + a[1] * held + a[2] * held**2 + (x - held) * (a[1] + 2 * a[2] * held)) / C

    solution = solve_ivp(slope, (0, seconds), [u], rtol=1e-8, atol=1e-12, max_step=seconds / 50)
    return float(solution.y[0, -1])


def test_driven_inputs_sag_and_have_no_reduced_form(ptm90: Technology, ngspice: Ngspice) -> None:
    spiking = circuit("1r", capacitance_F=[1e-12], reset_fingers=[3])
    driven = spiking.model_copy(update={"inputs": "driven"})
    network, spikes = random_network(ptm90, (UNREACHED_V,), 3, 2), np.ones((2, 3), bool)
    ideal, sagging = (run(network, c, ptm90, spikes, "flat", ngspice)[0][0] for c in (spiking, driven))
    assert 1e-5 < np.abs(ideal - sagging).max() < 0.05 * np.abs(ideal).max()
    with pytest.raises(ConfigurationError, match="only for ideal inputs"):
        spiking_deck(network, driven, ptm90, spikes, "reduced")


def test_a_technology_of_subcircuits(made_up: Technology, ngspice: Ngspice) -> None:
    content = load_circuit("lif-1t1r").model_dump()
    size = {"wd": 1e-6, "lg": 1e-7}
    for part in (content["neuron"]["inverter"], content["access"], content["excitatory"], content["inhibitory"]):
        part |= {"nmos": size, "pmos": size}
    content["neuron"] |= {"leak": size, "reset": size, "leak_gate_V": -0.5}
    spiking = SpikingCircuit.model_validate(content)
    network = random_network(made_up, (0.05, 0.05), 3, 2, 1)
    membranes, _, values = run(network, spiking, made_up, np.ones((2, 3), bool), "flat", ngspice)
    assert membranes[0].max() > 0.05
    assert set(saved_vectors(network, spiking)) <= values.keys()


def test_boosted_word_lines_open_a_cell_to_its_resistor(ptm90: Technology, ngspice: Ngspice) -> None:
    """Against the exponential of the memristor alone; a second layer's drivers stand between the boosted supplies."""
    plain = circuit("1t1r", capacitance_F=[5e-14], reset_fingers=[0.1], leak_gate_V=-0.5)
    boosted, g = plain.changed(word_line_boost_V=0.5), ptm90.memristor.g_max_S
    box = Crossbar(*(np.full(shape, value) for shape, value in (((1, 1), g), ((1, 1), 1e-15), (1, g), (1, 1e-15))))
    network, spikes = SpikingNetwork((box,), (UNREACHED_V,)), np.ones((1, 1), bool)
    off = []
    for spiking in (plain, boosted):
        (membranes,), _, values = run(network, spiking, ptm90, spikes, "flat", ngspice)
        seconds = spiking.clock.integrate_s - spiking.clock.edge_s / 2
        ideal = spiking.rails.vdd_V * -np.expm1(-2 * g * seconds / 5e-14)
        off.append(abs(float(membranes[0, 0]) - ideal))
        assert set(saved_vectors(network, spiking)) <= values.keys()
        assert ("i(vword_high)" in values) == (spiking is boosted)
    assert off[1] < 0.1 * off[0] and off[0] > 0.05
    deep = spiking_deck(random_network(ptm90, (0.05, 0.05), 3, 2, 1), boosted, ptm90, np.ones((2, 3), bool), "flat")
    assert "Mpe1_0 e1_0 ge1_0 word_high word_high" in deep.text() and "Vword_high word_high 0 1.0" in deep.text()
    assert boosted.fingerprint != plain.fingerprint == plain.changed(word_line_boost_V=0.0).fingerprint
    with pytest.raises(ConfigurationError, match="no word lines"):
        circuit("1r").changed(word_line_boost_V=0.1)


@pytest.mark.parametrize("shape", [(3,), (2, 4), (0, 3), (2, 3, 1)])
def test_spikes_of_another_shape_are_refused(shape: tuple[int, ...], ptm90: Technology) -> None:
    network = random_network(ptm90, (0.02,), 3, 2)
    with pytest.raises(ConfigurationError, match=r"\[time steps, 3\] are wanted"):
        spiking_deck(network, circuit("1r"), ptm90, np.zeros(shape, bool), "reduced")


def test_reduced_1t1r_needs_coefficients_of_every_layer(ptm90: Technology) -> None:
    network = random_network(ptm90, (0.02, 0.02), 3, 2, 1)
    one = CellCoefficients(np.zeros((2, 4, 2)), np.zeros(2))
    for cells, given in ((None, "none"), ((one,), "1")):
        with pytest.raises(ConfigurationError, match=f"each of its 2 layers, and {given} are given"):
            spiking_deck(network, circuit("1t1r"), ptm90, np.zeros((2, 3), bool), "reduced", cells=cells)


def test_columns_share_the_drives_that_are_the_same_in_all_of_them() -> None:
    same, differing = np.full((1, 3, 2), 1e-6), np.arange(6.0).reshape(1, 3, 2) * 1e-6
    cells = CellCoefficients(np.concatenate([same, differing]), np.zeros(2), shares=differing)
    nodes = cells.nodes(0)
    assert nodes == {"a0": ["a0_0_all"] * 2, "a1": ["a1_0_0", "a1_0_1"], "h0": ["h0_0_0", "h0_0_1"]}
