"""The tables of a spiking circuit, and which array has which."""

from __future__ import annotations

from functools import partial

from spicetrain.characterization.plan import TableKind
from spicetrain.characterization.sweep import Subject
from spicetrain.spiking.characterization import currents, plans, transients
from spicetrain.spiking.circuit import ArrayKind


def _of(array: ArrayKind, subject: Subject) -> bool:
    return bool(subject.circuit.array == array)


_passive, _cells = partial(_of, "1r"), partial(_of, "1t1r")
_Kind = partial(TableKind, of_circuit=True)

TABLES = {
    "driver_current": _Kind(plans.MembraneCurrentPlan, currents.driver_sweeps, applies=_passive),
    "cell_current": _Kind(plans.CellCurrentPlan, currents.cell_sweeps, applies=_cells),
    "cell_pulse": _Kind(plans.CellPulsePlan, transients.pulse_sweeps, version=4, applies=_cells),
    "cell_capacitance": _Kind(plans.CellCapacitancePlan, transients.capacitance_sweeps, version=4, applies=_cells),
    "leak_current": _Kind(plans.MembraneCurrentPlan, currents.leak_sweeps),
    "reset_current": _Kind(plans.MembraneCurrentPlan, currents.reset_sweeps),
    "neuron_capacitance": _Kind(plans.NeuronCapacitancePlan, transients.neuron_capacitance_sweeps),
    "threshold": _Kind(plans.ThresholdPlan, transients.threshold_sweeps, version=6),
    "reset_residue": _Kind(plans.ResetResiduePlan, transients.residue_sweeps, version=4),
}
