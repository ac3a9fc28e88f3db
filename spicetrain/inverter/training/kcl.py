"""The kcl method: node voltages from Kirchhoff's current law, the inverter known by its current surface alone.

No load is assumed and none is neglected: each stage is solved together with the crossbar that loads it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.array.device import Device
from spicetrain.array.wires import Segments
from spicetrain.inverter.methods import Method
from spicetrain.inverter.surrogates.current_surface import Mismatch
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.newton import Tolerance
from spicetrain.inverter.training.output import solve_output
from spicetrain.inverter.training.voltages import Convergence, LayerVoltages, Prediction
from spicetrain.inverter.training.wired_stage import Held, input_columns, solve_wired_stage
from spicetrain.schema import Definition


def kcl_voltages(
    crossbars: Sequence[Conductances],
    sizes: Sequence[Tensor],
    signal: Tensor,
    inverters: Inverters,
    device: Device,
    tolerance: Tolerance,
    given: Sequence[LayerVoltages] | None = None,
    mismatch: Sequence[Mismatch] | None = None,
    wires: Segments | None = None,
    corrections: Sequence[Held] | None = None,
) -> Prediction:
    """Voltages of every layer, volts, differentiable in conductances, sizes, signal and mismatch.

    crossbars  siemens; sizes  per crossbar the fingers behind it, [columns, 2], the last [columns, 1]
    signal     [samples, rows]: deviation of the positive input rows from mid-rail, volts
    device     whose law the crossbars have
    given      the voltages of every layer as ngspice has them, in our precision: the values are then these, and each
               gradient is kcl's, linearized at them; nothing is solved
    mismatch   per crossbar of the inverters behind it, [2 (n, p), 2 (of a pair), samples or 1, columns], of the last
               [2, 1, samples or 1, columns]; with inverters that take one
    wires      of every crossbar; None: ideal ones
    corrections  of every crossbar, see `wired_stage.Held`; without them its fast form
    """
    layers, convergence, rails = [], Convergence(), inverters.rails
    held: Sequence[Held] = corrections or [None] * len(crossbars)
    v_col = input_columns(crossbars[0], signal, rails, device, wires, held[0])
    if given is not None:
        v_col = given[0].v_col + (v_col - v_col.detach())
    for index, (crossbar, size) in enumerate(zip(crossbars[1:], sizes[:-1], strict=True)):
        known = None if given is None else _stage_voltages(given[index], given[index + 1])
        of_stage = None if mismatch is None else mismatch[index]
        of_wires = wires, held[index + 1]
        stage = solve_wired_stage(v_col, crossbar, size, inverters, tolerance, device, *of_wires, known, of_stage)
        layers.append(LayerVoltages(v_col, stage.v_n, stage.v_p))
        v_col, convergence = stage.v_col, convergence + stage.convergence
    known_out, last = (
        None if given is None else given[-1].v_n,
        None if mismatch is None else mismatch[-1].of(0),
    )
    output = solve_output(v_col, sizes[-1][:, 0], inverters, tolerance, known_out, last)
    return Prediction([*layers, LayerVoltages(v_col, output.v_out)], convergence + output.convergence)


def _stage_voltages(layer: LayerVoltages, following: LayerVoltages) -> tuple[Tensor, Tensor, Tensor]:
    assert layer.v_p is not None  # only the last layer has none
    return layer.v_n, layer.v_p, following.v_col


def kcl(
    circuit: FittedCircuit, sizes: Sequence[Tensor], ground_S: float, settings: Definition
) -> Callable[..., Prediction]:
    """The method's predictor; see methods.Method. It takes `given` and `corrections` besides, as kcl_voltages does."""

    def predictor(
        crossbars: Sequence[Conductances],
        sizes: Sequence[Tensor],
        signal: Tensor,
        given: Sequence[LayerVoltages] | None = None,
        mismatch: Sequence[Mismatch] | None = None,
        corrections: Sequence[Held] | None = None,
    ) -> Prediction:
        inverters = circuit.inverters if mismatch is None else circuit.mismatched_inverters
        grounded = replace(inverters, ground_S=ground_S)
        device = circuit.technology.memristor
        return kcl_voltages(
            crossbars, sizes, signal, grounded, device, circuit.tolerance, given, mismatch,
            circuit.technology.segments, corrections,
        )  # fmt: skip

    return predictor


KCL = Method(kcl, ratios=False, knows_circuit=True, takes_mismatch=True, takes_wires=True)
