"""Energies against ngspice's own currents and closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ideal_laws import ideal_laws, open_cells

from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.verification.energy import cell_energy, energy_by_supply, row_energy
from spicetrain.spiking.verification.netlist import Netlist, SideCells
from spicetrain.technology import Technology
from spiking.verification.nets import random_spiking_network, small_circuit

STEPS = 4
SPIKES = np.random.default_rng(1).random((STEPS, 5)) < 0.5


def netlist_of(circuit: SpikingCircuit, technology: Technology, *layers: int) -> Netlist:
    network = random_spiking_network(technology, circuit, *layers)
    return Netlist.of(network, circuit, technology, ideal_laws(circuit))


@pytest.mark.parametrize("rest_V", [0.0, 0.03])
def test_rows_give_what_ngspice_says_their_sources_give(rest_V: float, ptm90: Technology, ngspice: Ngspice) -> None:
    circuit = small_circuit().model_copy(update={"rest_V": rest_V})
    netlist = netlist_of(circuit, ptm90, 5, 3)
    deck = netlist.deck(SPIKES, "flat")
    rows = [f"{side}0_{i}" for side in "ei" for i in range(6)]
    asked = (*deck.saves, *(f"v({row})" for row in rows), *(f"i(v{row})" for row in rows))
    values = simulate(replace(deck, saves=asked), ngspice).values
    time_s, membranes = values["time"], np.stack([values[f"v(m0_{j})"] for j in range(3)], 1)
    given = sum(np.trapezoid(-values[f"v({row})"] * values[f"i(v{row})"], time_s) for row in rows)
    found = row_energy(time_s, membranes, SPIKES, netlist.network.crossbars[0], circuit)
    assert found == pytest.approx(given, rel=1e-3, abs=0)
    assert given > 1e-14
    # What other supplies give is not in it, and the reduced form, which has no such rows, comes to the same.
    by_supply = energy_by_supply(values, netlist, {0: SPIKES}, "flat")
    assert by_supply["rows"] == found
    reduced = simulate(netlist.deck(SPIKES, "reduced"), ngspice).values
    assert energy_by_supply(reduced, netlist, {0: SPIKES}, "reduced")["rows"] == pytest.approx(found, rel=5e-3, abs=0)


@pytest.mark.parametrize("domain", [None, (-0.015, 0.1)])
def test_cells_take_their_current_as_long_as_rows_are_driven(domain: tuple[float, float] | None) -> None:
    """An ideal cell and a polynomial of constant membranes, a tangent beyond its domain: current times voltage times
    integrate_s, which linear edges do not change; the layer behind the first, one clock step later."""
    circuit = small_circuit("1t1r")
    clock, u = circuit.clock, np.array([0.01, -0.02])
    time_s = np.linspace(0, (STEPS + 1) * clock.step_s, 400_001)
    membranes = circuit.rest_V + np.tile(u, (len(time_s), 1))
    rng = np.random.default_rng(0)
    excitatory, inhibitory = (
        SideCells(open_cells(rail_V), rng.uniform(1e-7, 1e-6, (1, 6, 2)), rng.normal(0, 1e-6, (3, 6, 2)))
        for rail_V in (0.5, -0.5)
    )
    sides = excitatory, inhibitory
    active = np.hstack([SPIKES, np.ones((STEPS, 1))])
    wanted, held = 0.0, u if domain is None else np.clip(u, *domain)
    for level_V, cells in ((circuit.rails.vdd_V, sides[0]), (circuit.rails.vss_V, sides[1])):
        for i, j in np.ndindex(6, 2):
            a0, a1, a2 = cells.change[:, i, j]
            current = a0 + a1 * u[j] + a2 * held[j] * (2 * u[j] - held[j])
            current += cells.shares[0, i, j] * (level_V - circuit.rest_V - u[j])
            wanted += level_V * current * active[:, i].sum() * clock.integrate_s
    assert cell_energy(time_s, membranes, SPIKES, 1, sides, circuit, domain) == pytest.approx(wanted, rel=1e-4, abs=0)
    cut = time_s < clock.step_s
    assert cell_energy(time_s[cut], membranes[cut], SPIKES, 1, sides, circuit) == 0.0


def test_supplies_by_their_voltages_and_signs(ptm90: Technology) -> None:
    circuit = small_circuit("1t1r", threshold_V=0.1)
    netlist = netlist_of(circuit, ptm90, 5, 2, 3)
    time_s = np.array([0.0, 2e-9, 3e-9])
    values = {"time": time_s} | {
        f"v(m{layer}_{j})": np.zeros(3) for layer, width in ((0, 2), (1, 3)) for j in range(width)
    }
    nodes = ("vdd", "vss", "rest", "high0", "low0", "high1", "low1")
    values |= {f"i(v{node})": np.full(3, -1e-6 * (k + 1)) for k, node in enumerate(nodes)}  # out of the upper end
    found = energy_by_supply(values, netlist, {0: SPIKES, 1: np.zeros((STEPS, 2), bool)}, "flat")
    charge = 1e-6 * 3e-9
    half = circuit.neuron.half_supply_V
    threshold = (4 + 6) * (0.1 + half) + (5 + 7) * (0.1 - half)
    assert found == pytest.approx(
        {"vdd": 0.5 * charge, "vss": -0.5 * 2 * charge, "rest": 0.0, "threshold": threshold * charge}, abs=1e-24
    )
