"""Spiking decks of arrays with wires: every segment in ngspice against the exact multiport, and the model of both."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spicetrain.array.wires import Wires
from spicetrain.errors import ConfigurationError
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spiking.circuit import load_circuit
from spicetrain.spiking.netlists.forms import require_finishes, too_long
from spicetrain.spiking.netlists.network import spiking_deck
from spicetrain.technology import Technology
from spiking.netlists.test_deck import UNREACHED_V, circuit, random_network, random_spikes, run

WIRES = Wires(row_ohm=2000.0, column_ohm=3000.0, feed_ohm=500.0)


def wired(technology: Technology, **changes: Any) -> Technology:
    return technology.changed(wires=WIRES.model_copy(update=changes))


@pytest.mark.parametrize("layers", [(1, 1), (5, 3, 2)])
@pytest.mark.parametrize(
    ("driven", "sensed"), [("one end", "one end"), ("both ends", "middle"), ("middle", "both ends")]
)
def test_every_segment_and_the_exact_multiport_agree_at_every_membrane(
    layers: tuple[int, ...], driven: str, sensed: str, ptm90: Technology, either_ngspice: Ngspice
) -> None:
    technology = wired(ptm90, rows_driven=driven, columns_sensed=sensed)
    spiking = circuit("1r", capacitance_F=[1e-13], reset_fingers=[0.3])
    network, spikes = random_network(ptm90, (0.02,) * (len(layers) - 1), *layers), random_spikes(4, layers[0])
    flat, mesh = (run(network, spiking, technology, spikes, form, either_ngspice) for form in ("flat", "mesh"))
    ideal = run(network, spiking, ptm90, spikes, "reduced", either_ngspice)
    for layer in range(len(layers) - 1):
        np.testing.assert_allclose(flat[0][layer], mesh[0][layer], rtol=0, atol=2e-5)
        np.testing.assert_array_equal(flat[1][layer], mesh[1][layer])
        assert flat[1][layer].any()
    assert np.abs(ideal[0][0] - mesh[0][0]).max() > 1e-4


@pytest.mark.parametrize(("row_ohm", "column_ohm", "rows"), [(2000.0, 2000.0, 5), (50.0, 500.0, 60)])
def test_the_capacitance_of_a_wire_is_at_its_membrane_as_far_as_it_reaches(
    row_ohm: float, column_ohm: float, rows: int, ptm90: Technology, ngspice: Ngspice
) -> None:
    """3 % of a membrane's, on a wire that the membrane sees all of, or a quarter: in its place, at the segments, it
    moves membranes of 0.1 V by little more."""
    C = 2e-14 * rows
    bare = wired(ptm90, row_ohm=row_ohm, column_ohm=column_ohm)
    technology = wired(ptm90, row_ohm=row_ohm, column_ohm=column_ohm, column_F=0.03 * C / (2 * rows + 2))
    spiking = circuit("1r", capacitance_F=[C], reset_fingers=[0.3])
    network, spikes = random_network(ptm90, (UNREACHED_V,), rows, 3), random_spikes(4, rows)
    flat, mesh = (run(network, spiking, technology, spikes, form, ngspice)[0][0] for form in ("flat", "mesh"))
    without = run(network, spiking, bare, spikes, "mesh", ngspice)[0][0]
    off, off_without = (float(np.sqrt(np.mean((flat - v) ** 2))) for v in (mesh, without))
    assert off < 4e-4 and off < 0.4 * off_without


def test_the_capacitance_of_rows_hardly_counts(ptm90: Technology, ngspice: Ngspice) -> None:
    """Their sources hold them: it is in the flat netlist alone."""
    spiking, network = circuit("1r", capacitance_F=[1e-13]), random_network(ptm90, (UNREACHED_V,), 5, 3)
    spikes = random_spikes(3, 5)
    texts, membranes = [], []
    for row_F in (0.0, 5e-16):
        technology = wired(ptm90, row_F=row_F)
        texts.append(spiking_deck(network, spiking, technology, spikes, "flat").text())
        membranes.append(run(network, spiking, technology, spikes, "flat", ngspice)[0][0])
    assert [len(re.findall(r"^Cw0_\S+ \S+ 0 5e-16$", text, re.M)) for text in texts] == [0, 36]
    assert 1e-7 < np.abs(membranes[0] - membranes[1]).max() < 2e-4


def test_what_cannot_finish_is_refused(ptm90: Technology, ngspice: Ngspice) -> None:
    technology, plain, klu = wired(ptm90), replace(ngspice, klu=False), replace(ngspice, klu=True)
    assert too_long("flat", ptm90, (784, 100, 10), 10, plain, 1.0) is None  # without wires
    assert too_long("mesh", technology, (784, 100, 10), 10, plain, 60.0) is None
    require_finishes("mesh", technology, (784, 100, 10), 10, plain, 60.0)
    with pytest.raises(
        ConfigurationError, match=r"202 x 10 cells.*without KLU some 14 seconds for an image of 10 steps"
    ):
        require_finishes("mesh", technology, (784, 100, 10), 10, plain, 5.0)
    with pytest.raises(ConfigurationError, match=r"1570 x 100.*days.*ngspice with KLU does it.*--netlist mesh"):
        require_finishes("flat", technology, (784, 100, 10), 10, plain, 3600.0)
    with pytest.raises(ConfigurationError, match=r"1570 x 100.*with KLU some .*3600. Verify with --netlist mesh"):
        require_finishes("flat", technology, (784, 100, 10), 10, klu, 3600.0)


@pytest.mark.parametrize(
    ("array", "form", "said"),
    [
        ("1t1r", "flat", "is a 1t1r: its cells are measured as one current"),
        ("1r", "reduced", "netlist = 'reduced', but .* has .wires."),
    ],
)
def test_what_there_is_no_netlist_of(array: str, form: Any, said: str, ptm90: Technology) -> None:
    network, spikes = random_network(ptm90, (0.02,), 5, 3), random_spikes(2, 5)
    with pytest.raises(ConfigurationError, match=said):
        spiking_deck(network, load_circuit(f"lif-{array}"), wired(ptm90), spikes, form)
    with pytest.raises(ConfigurationError, match="netlist = 'mesh', but .* has no .wires."):
        spiking_deck(network, load_circuit("lif-1r"), ptm90, spikes, "mesh")
