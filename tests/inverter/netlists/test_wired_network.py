"""Whole networks with wires in ngspice: the mesh form against the flat one, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench import simulator
from bent import bending

from inverter.netlists.test_network_deck import drawn, random_network, voltages
from spicetrain.array.wires import Place, Wires
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.netlists.network import network_deck
from spicetrain.inverter.verification.spice_forward import measured_voltages
from spicetrain.netlists.cells import Form
from spicetrain.netlists.forms import form_of, plain_form, require_size, too_large
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import Technology

INPUTS = np.random.default_rng(2).random((6, 5))
SPARSE = Ngspice(Path("/bin/ngspice"), 39, klu=False, code_models=True)
KLU = Ngspice(Path("/bin/ngspice"), 46, klu=True, code_models=True)


def wired(
    technology: Technology,
    driven: Place = "one end",
    sensed: Place = "one end",
    ohm: float = 100.0,
    tile_rows: int | None = None,
) -> Technology:
    """So resistive that a small network feels it."""
    wires = Wires(row_ohm=ohm, column_ohm=2 * ohm, feed_ohm=3 * ohm, rows_driven=driven, columns_sensed=sensed)
    return technology.changed(wires=wires.model_copy(update={"tile_rows": tile_rows}))


@pytest.mark.parametrize(
    ("driven", "sensed", "tile_rows"),
    [
        ("one end", "one end", None),
        ("both ends", "middle", None),
        ("middle", "both ends", None),
        ("one end", "one end", 4),
        ("one end", "both ends", 10),
    ],
)
def test_mesh_and_flat_agree_at_every_node(
    driven: Place, sensed: Place, tile_rows: int | None, ptm90: Technology, made_up: Technology, either_ngspice: Ngspice
) -> None:
    for technology in (ptm90, made_up):
        network = random_network(technology, 5, 4, 3)
        resists = wired(technology, driven, sensed, tile_rows=tile_rows)
        mesh, flat = (voltages(network, resists, INPUTS, form, either_ngspice) for form in ("mesh", "flat"))
        ideal = voltages(network, technology, INPUTS, "reduced", either_ngspice)
        assert mesh.keys() == flat.keys()
        for node, v in flat.items():
            np.testing.assert_allclose(mesh[node], v, rtol=0, atol=1e-7, err_msg=node)
        assert max(np.abs(flat[f"o_{j}"] - ideal[f"o_{j}"]).max() for j in range(3)) > 1e-4


@pytest.mark.parametrize("form", ["sinh", "power", "table"])
def test_devices_that_bend_too(form: str, ptm90: Technology, either_ngspice: Ngspice) -> None:
    """By ngspice's own tolerance of 1e-5 the two are microvolts apart behind the gain of two stages."""
    bent = wired(bending(ptm90, form))
    network = random_network(bent, 5, 3, 2)
    decks = [network_deck(network, bent, INPUTS, netlist, hidden=True) for netlist in ("mesh", "flat")]
    mesh, flat = (simulate(replace(deck, options={"reltol": 1e-8}), either_ngspice).values for deck in decks)
    for node in decks[0].saves:
        np.testing.assert_allclose(mesh[node], flat[node], rtol=0, atol=1e-7, err_msg=node)


def test_a_chip_has_wires_and_mismatch(ptm90: Technology, ngspice: Ngspice) -> None:
    resists, network = wired(ptm90), random_network(ptm90, 5, 3, 2)
    mesh, flat = (
        simulate(network_deck(network, resists, INPUTS, form, mismatch=drawn(network)), ngspice).values
        for form in ("mesh", "flat")
    )
    nominal = simulate(network_deck(network, resists, INPUTS, "mesh"), ngspice).values
    np.testing.assert_allclose(mesh["v(o_1)"], flat["v(o_1)"], rtol=0, atol=1e-7)
    assert np.abs(mesh["v(o_1)"] - nominal["v(o_1)"]).max() > 1e-3


def test_a_training_step_in_ngspice_has_the_wires(ptm90: Technology, ngspice: Ngspice) -> None:
    resists, network = wired(ptm90), random_network(ptm90, 5, 3, 2)
    layers = measured_voltages(network, resists, INPUTS, simulator(), None)
    flat = voltages(network, resists, INPUTS, "flat", ngspice)
    np.testing.assert_allclose(layers[0].v_col[:, 2], flat["c0_2"], rtol=0, atol=1e-7)
    np.testing.assert_allclose(layers[1].v_n[:, 1], flat["o_1"], rtol=0, atol=1e-7)


def test_every_crossbar_has_its_segments_and_feeds_at_the_technologys_temperature(ptm90: Technology) -> None:
    wires = Wires(row_ohm=2.0, column_ohm=3.0, tc_per_K=1e-2)
    hot = ptm90.changed(wires=wires, temperature_C=77.0)
    network = random_network(hot, 5, 4, 3)

    def found(form: Form) -> list[tuple[str, float]]:
        text = network_deck(network, hot, INPUTS, form).text()
        return [(kind, float(ohm)) for kind, ohm in re.findall(r"^R([fwu]\d)_\S+ \S+ \S+ (\S+)$", text, re.M)]

    expected = {("w1", 3.0): 10 * 2, ("u1", 4.5): 9 * 3, ("f1", 3.0): 10}
    assert {kind: found("mesh").count(kind) for kind in set(found("mesh"))} == expected
    expected |= {("w0", 3.0): 12 * 3, ("u0", 4.5): 11 * 4, ("f0", 3.0): 12}
    assert {kind: found("flat").count(kind) for kind in set(found("flat"))} == expected


def test_the_form_follows_the_technology(ptm90: Technology) -> None:
    resists = wired(ptm90)
    assert (plain_form(ptm90), plain_form(resists)) == ("reduced", "mesh")
    assert (form_of(ptm90, None), form_of(resists, None), form_of(resists, "flat")) == ("reduced", "mesh", "flat")
    network = random_network(ptm90, 5, 2)
    with pytest.raises(ConfigurationError, match="wires that resist .* take --netlist mesh or flat"):
        network_deck(network, resists, INPUTS, "reduced")
    with pytest.raises(ConfigurationError, match=r"ptm90 has no \[wires\]"):
        network_deck(network, ptm90, INPUTS, "mesh")


def test_what_cannot_finish_is_refused(ptm90: Technology) -> None:
    resists, layers = wired(ptm90), (784, 100, 10)
    with pytest.raises(ConfigurationError, match=r"1570 x 100 cells, .* 2 hours .*bookworm-backports.*--netlist mesh"):
        require_size("flat", resists, layers, SPARSE, 3600.0)
    require_size("flat", resists, layers, KLU, 3600.0)
    require_size("flat", ptm90, layers, SPARSE, 3600.0)
    require_size("mesh", resists, layers, SPARSE, 3600.0)
    with pytest.raises(ConfigurationError, match=r"netlist = 'mesh': .* 1002 x 500 cells"):
        require_size("mesh", resists, (784, 500, 500, 10), SPARSE, 3600.0)
    assert too_large("flat", resists, (4, 5, 3), SPARSE, 1.0) is None


def test_the_estimate_is_not_far_off(ptm90: Technology, ngspice: Ngspice) -> None:
    """Of the machine that it was measured on, within a factor of ten on others."""
    if ngspice.klu:
        pytest.skip("the estimate is of ngspice without KLU")
    from spicetrain.spice.sparse import sparse_seconds

    resists = wired(ptm90, ohm=1.0)
    deck = network_deck(random_network(resists, 63, 32), resists, np.random.default_rng(0).random((1, 63)), "flat")
    assert 0.1 < simulate(deck, ngspice).seconds / sparse_seconds(128, 32) < 10
