"""Whole networks in ngspice against numpy, against each other, and against plain sources."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from bent import BENDING, bending
from numpy.typing import NDArray

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.open_column import open_column_voltage
from spicetrain.inverter.chip import InverterMismatch
from spicetrain.inverter.netlists.network import couplings, network_deck, saved_nodes
from spicetrain.inverter.network import Network, encode
from spicetrain.netlists.cells import VDD, VSS, Form
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology


def random_network(technology: Technology, *layers: int) -> Network:
    rng = np.random.default_rng(sum(layers))
    device = technology.memristor
    crossbars = []
    for rows, columns in zip(layers, layers[1:], strict=False):
        shapes = ((rows, columns), (rows, columns), (columns,), (columns,))
        crossbars.append(Crossbar(*(rng.uniform(device.g_min_S, device.g_max_S, shape) for shape in shapes)))
    hidden = [rng.uniform(0.5, 4.0, (columns, 2)) for columns in layers[1:-1]]
    return Network(tuple(crossbars), (*hidden, rng.uniform(0.5, 4.0, (layers[-1], 1))))


def voltages(
    network: Network, technology: Technology, inputs: NDArray, form: Form, ngspice: Ngspice
) -> dict[str, NDArray]:
    answer = simulate(network_deck(network, technology, inputs, form, hidden=True), ngspice)
    return {node: answer.values[f"v({node})"] for node in saved_nodes(network, hidden=True)}


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (3, 7)])
@pytest.mark.parametrize("form", ["flat", "reduced"])
def test_columns_float_where_kirchhoff_puts_them(
    shape: tuple[int, int], form: Form, ptm90: Technology, made_up: Technology, ngspice: Ngspice
) -> None:
    for technology in (ptm90, made_up):
        network = random_network(technology, *shape)
        inputs = np.random.default_rng(1).random((4, shape[0]))
        found = voltages(network, technology, inputs, form, ngspice)
        v_pos, v_neg = encode(inputs, network.encoding, technology.rails)
        expected = network.crossbars[0].open_column_voltage(v_pos, v_neg, technology.rails)
        for j in range(shape[1]):
            # The gates of the output inverters leak some pA.
            np.testing.assert_allclose(found[f"c0_{j}"], expected[:, j], rtol=0, atol=2e-6)


@pytest.mark.parametrize("layers", [(7, 5, 4, 3), (4, 3, 3), (2, 1, 1)])
def test_flat_and_reduced_agree_at_every_node(
    layers: tuple[int, ...], ptm90: Technology, made_up: Technology, ngspice: Ngspice
) -> None:
    for technology in (ptm90, made_up):
        network = random_network(technology, *layers)
        inputs = np.random.default_rng(2).random((6, layers[0]))
        flat, reduced = (voltages(network, technology, inputs, form, ngspice) for form in ("flat", "reduced"))
        assert flat.keys() == reduced.keys()
        assert len(flat) == layers[-1] + 3 * sum(layers[1:-1]) + layers[-1]
        for node, v in flat.items():
            np.testing.assert_allclose(v, reduced[node], rtol=0, atol=1e-6, err_msg=node)
        assert max(np.ptp(flat[f"n0_{j}"]) for j in range(layers[1])) > 0.01


def with_plain_sources(network: Network, technology: Technology, sample: NDArray) -> Deck:
    """One sample of a 4-3-3 network, written down without any of our builders."""
    rails, unit = technology.rails, technology.inverter
    lines = [f".include {technology.library}", f"vup {VDD} 0 {rails.vdd_V}", f"vlow {VSS} 0 {rails.vss_V}"]
    for i, x in enumerate(sample):
        lines += [f"vp{i} q0_{i}p 0 {float(x) * 0.25!r}", f"vn{i} q0_{i}n 0 {-float(x) * 0.25!r}"]

    def transistors(name: str, gate: str, drain: str, size: float) -> None:
        for kind, rail, geometry in (("n", VSS, unit.nmos), ("p", VDD, unit.pmos)):
            w_l = f"w={geometry['w']} l={geometry['l']}"
            lines.append(f"m{name}{kind} {drain} {gate} {rail} {rail} {kind}mos {w_l} m={size!r}")

    for layer, crossbar in enumerate(network.crossbars):
        for j in range(crossbar.columns):
            column = f"col{layer}_{j}"
            for i in range(crossbar.rows):
                lines.append(f"rp{layer}{i}{j} q{layer}_{i}p {column} {float(1 / crossbar.pos[i, j])!r}")
                lines.append(f"rn{layer}{i}{j} q{layer}_{i}n {column} {float(1 / crossbar.neg[i, j])!r}")
            lines.append(f"rbp{layer}{j} {VDD} {column} {float(1 / crossbar.bias_pos[j])!r}")
            lines.append(f"rbn{layer}{j} {VSS} {column} {float(1 / crossbar.bias_neg[j])!r}")
            sizes = [float(size) for size in network.sizes[layer][j]]
            if layer == 0:  # the positive row of the next crossbar is behind the first inverter
                transistors(f"a{j}", column, f"q1_{j}p", sizes[0])
                transistors(f"b{j}", f"q1_{j}p", f"q1_{j}n", sizes[1])
            else:
                transistors(f"o{j}", column, f"out{j}", sizes[0])
    return Deck("\n".join(lines), ".op", ("v(out0)", "v(out1)", "v(out2)"), points=1)


def test_the_index_sweep_is_one_run_with_plain_sources_per_sample(ptm90: Technology, ngspice: Ngspice) -> None:
    network = random_network(ptm90, 4, 3, 3)
    inputs = np.random.default_rng(3).random((5, 4))
    swept = voltages(network, ptm90, inputs, "flat", ngspice)
    for k, sample in enumerate(inputs):
        alone = simulate(with_plain_sources(network, ptm90, sample), ngspice).values
        for j in range(3):
            assert swept[f"o_{j}"][k] == pytest.approx(alone[f"v(out{j})"][0], abs=1e-6)


@pytest.mark.parametrize("form", BENDING)
def test_a_crossbar_that_bends_reduces_exactly(form: str, ptm90: Technology, ngspice: Ngspice) -> None:
    bent = bending(ptm90, form)
    network = random_network(ptm90, 5, 3, 2)
    inputs = np.random.default_rng(4).random((4, 5)) * (np.random.default_rng(5).random((4, 5)) < 0.7)
    reduced, flat = (voltages(network, bent, inputs, form, ngspice) for form in ("reduced", "flat"))
    box, rails = network.crossbars[0], bent.rails
    v_pos, v_neg = encode(inputs, "unipolar", rails)
    floating = open_column_voltage(box, v_pos, v_neg, rails, bent.memristor)
    for j in range(3):
        for answer in (reduced, flat):
            # The gates of the inverters leak some pA.
            np.testing.assert_allclose(answer[f"c0_{j}"], floating[:, j], rtol=0, atol=2e-6)
    for node in ("n0_1", "p0_2", "c1_0", "o_1"):
        np.testing.assert_allclose(reduced[node], flat[node], rtol=0, atol=2e-6)
    straight = box.open_column_voltage(v_pos, v_neg, rails)
    assert np.abs(floating - straight).max() > 1e-3


def test_only_outputs_are_saved_unless_hidden_is_asked_for(ptm90: Technology) -> None:
    network = random_network(ptm90, 4, 3, 2)
    inputs = np.zeros((2, 4))
    assert network_deck(network, ptm90, inputs, "reduced").saves == ("v(o_0)", "v(o_1)")
    assert replace(network_deck(network, ptm90, inputs, "flat")).points == 2


def drawn(network: Network) -> list[InverterMismatch]:
    rng = np.random.default_rng(0)
    shapes = [(2, *sizes.T.shape) for sizes in network.sizes]
    return [InverterMismatch(rng.normal(0, 0.02, shape), rng.normal(1, 0.05, shape)) for shape in shapes]


@pytest.mark.parametrize("form", ["flat", "reduced"])
def test_a_chips_deck_says_every_transistors_shift_and_factor(form: Form, ptm90: Technology) -> None:
    network = random_network(ptm90, 3, 2, 2)
    of = drawn(network)
    text = network_deck(network, ptm90, np.zeros((2, 3)), form, mismatch=of).text()
    found = {
        words[0].lower(): dict(re.findall(r"(\w+)=(\S+)", " ".join(words)))
        for words in (line.split() for line in text.splitlines())
        if words and re.match(r"x[npo]", words[0].lower())
    }
    assert sorted(found) == ["xn0_0", "xn0_1", "xo_0", "xo_1", "xp0_0", "xp0_1"]
    for name, given in found.items():
        layer, inverter, column = 1 if name[1] == "o" else 0, 1 if name[1] == "p" else 0, int(name[-1])
        assert float(given["size"]) == network.sizes[layer][column, inverter]
        for kind, key in enumerate("np"):
            assert float(given[f"shift_{key}"]) == of[layer].shift[kind, inverter, column]
            assert float(given[f"factor_{key}"]) == of[layer].factor[kind, inverter, column]


@pytest.mark.parametrize("form", ["flat", "reduced"])
def test_the_nominal_deck_knows_of_no_mismatch(form: Form, ptm90: Technology, made_up: Technology) -> None:
    for technology in (ptm90, made_up):
        text = network_deck(random_network(technology, 3, 2, 2), technology, np.zeros((2, 3)), form).text().lower()
        assert not re.search("shift|factor|gate|mismatch", text)
        assert text.count(".subckt inverter ") == 1


def test_no_mismatch_is_the_nominal_circuit_in_ngspice_too(
    ptm90: Technology, made_up: Technology, ngspice: Ngspice
) -> None:
    for technology in (ptm90, made_up):
        network, inputs = random_network(technology, 3, 2, 2), np.random.default_rng(1).random((3, 3))
        none = [InverterMismatch(0 * of.shift, 0 * of.shift + 1) for of in drawn(network)]
        nominal, chip = (
            simulate(network_deck(network, technology, inputs, "reduced", mismatch=of), ngspice).values
            for of in (None, none)
        )
        for node in ("v(o_0)", "v(o_1)"):
            np.testing.assert_allclose(chip[node], nominal[node], rtol=0, atol=1e-7)


def test_many_couplings_ask_for_klu_and_nothing_else_changes(ptm90: Technology, ngspice: Ngspice) -> None:
    with_klu = replace(ngspice, klu=True)
    few, many = (random_network(ptm90, 3, *hidden, 2) for hidden in ((100, 48), (100, 50)))
    assert (couplings(few), couplings(many)) == (2 * (100 * 48 + 48 * 2), 2 * (100 * 50 + 50 * 2))
    inputs = np.random.default_rng(1).random((3, 3))
    decks = [network_deck(network, ptm90, inputs, "reduced") for network in (few, many)]
    assert [" klu" in deck.text(with_klu) for deck in decks] == [False, True]
    deck = decks[1]
    assert deck.text(with_klu).replace(" klu", "") == deck.text(replace(ngspice, klu=False))
    if ngspice.klu:
        found, sparse = (simulate(of, ngspice).values for of in (deck, replace(deck, large=False)))
        for node in deck.saves:
            np.testing.assert_allclose(found[node], sparse[node], rtol=0, atol=5e-6)
