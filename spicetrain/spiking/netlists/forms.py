"""Which forms of a netlist a spiking circuit has, and how large one with wires may be."""

from __future__ import annotations

from collections.abc import Sequence

from spicetrain.errors import ConfigurationError
from spicetrain.netlists.cells import Form
from spicetrain.netlists.forms import form_of
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.sparse import KLU_ADVICE, sparse_seconds, time_text
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.technology import Technology

# A clock step of an array with wires, in units of sparse_seconds: some 30 time points, each two or three solutions.
# Measured with ngspice 39 and, with KLU, 46, on two busy cores, seconds a step: 42 x 10 cells 0.14 and 0.05, 202 x 10
# 1.2 and 0.27, 62 x 30 5.8 and 0.90, 128 x 32 30 and 5.6.
_STEP, _STEP_KLU = 30.0, 6.0


def require_array(circuit: SpikingCircuit, technology: Technology) -> None:
    """ConfigurationError when the circuit's array is not known with the technology's wires."""
    if technology.wires is not None and circuit.array == "1t1r":
        raise ConfigurationError(
            f"The technology {technology.name!r} has [wires], and circuit {circuit.name!r} is a 1t1r: its cells are "
            "measured as one current of their column's membrane, but behind wires that resist every cell stands at a "
            "voltage of its own. Take a 1r circuit, or leave [wires] out."
        )


def require_form(form: Form, circuit: SpikingCircuit, technology: Technology) -> None:
    """ConfigurationError when the circuit has no netlist of that form."""
    require_array(circuit, technology)
    form_of(technology, form)
    ideal = circuit.inputs == "ideal" and technology.memristor.reduces
    if form != "flat" and circuit.array == "1r" and not ideal:
        raise ConfigurationError(
            f"inputs = {circuit.inputs!r} and memristor.form = {technology.memristor.form!r}: a first layer has a "
            "Thevenin equivalent only for ideal inputs and ohmic devices: verify with --netlist flat."
        )


def too_long(
    form: Form, technology: Technology, layers: Sequence[int], steps: int, ngspice: Ngspice, limit_s: float
) -> str | None:
    """Why ngspice would need longer than `limit_s` for one image of so many clock steps; None where it does not. Only
    wires make it so."""
    if technology.segments is None:
        return None
    shapes = [(2 * rows + 2, columns) for rows, columns in zip(layers, layers[1:], strict=False)]
    wired = shapes if form == "flat" else shapes[1:]
    of_step = _STEP_KLU if ngspice.klu else _STEP
    seconds = of_step * (steps + len(shapes) - 1) * sum(sparse_seconds(*shape) for shape in wired)
    if seconds <= limit_s:
        return None
    rows, columns = max(wired, key=lambda shape: sparse_seconds(*shape))
    return (
        f"{form} with wires, up to {rows} x {columns} cells, takes an ngspice {'with' if ngspice.klu else 'without'} "
        f"KLU some {time_text(seconds)} for an image of {steps} steps"
    )


def require_finishes(
    form: Form,
    technology: Technology,
    layers: Sequence[int],
    steps: int,
    ngspice: Ngspice,
    limit_s: float,
) -> None:
    """ConfigurationError when it would need longer, the time limit of a piece."""
    reason = too_long(form, technology, layers, steps, ngspice, limit_s)
    if reason is not None:
        advice = [] if ngspice.klu else [KLU_ADVICE]
        advice += ["Verify with --netlist mesh."] if form == "flat" else []
        further = " ".join(advice) or "Take smaller layers, or fewer steps."
        raise ConfigurationError(f"netlist = {form!r}: {reason}; verification.timeout_s = {limit_s:g}. {further}")
