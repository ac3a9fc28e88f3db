"""The LATIM-style method: the fitted curve of a loaded inverter, its load recomputed from the conductances each step.

After IEEE TCAS-II 2021 (10.1109/TCSII.2021.3072289), of which we know the abstract. Our reading: a small NN gives v_out
of (v_in, effective load, size); both inverters of a pair are the same unit cell, and m fingers under a load g are one
under g / m, exactly, so one NN serves all (surrogates.LoadedVtc). The crossbar is one resistor to mid-rail at each
inverter:

    latim     R_eff = 1 / sum g of the row
    latim-nn  as the small NN fitted on measured crossbars predicts it from the weights (surrogates.EffectiveLoad); at
              most what latim takes: columns that float cannot load more than columns that are held

plus the network's own resistor to mid-rail. What samples do to the load's voltage, both leave out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from spicetrain.array.conductances import Conductances
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.methods import Method
from spicetrain.inverter.surrogates.effective_load import EffectiveLoad
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.voltages import Prediction, Predictor
from spicetrain.inverter.training.walk import Offsets, walk
from spicetrain.schema import Definition
from spicetrain.surrogates.extrapolation import NONE, Extrapolation, outside
from spicetrain.technology import Technology

# A crossbar -> the load of the first and of the second inverter of each pair, siemens to mid-rail, [rows] each.
Loads = Callable[[Conductances], tuple[Tensor, Tensor]]


def predicted_loads(surrogate: EffectiveLoad, crossbar: Conductances) -> tuple[Tensor, Tensor]:
    """Loads as `surrogate` predicts them from the weights alone: row and columns at mid-rail."""
    column_sum = crossbar.column_sum()

    def load(g: Tensor) -> Tensor:
        g_load, _ = surrogate(*_row_inputs(g, column_sum))
        return torch.minimum(g_load, g.sum(1))

    return load(crossbar.pos), load(crossbar.neg)


def _row_inputs(g: Tensor, column_sum: Tensor) -> tuple[Tensor, ...]:
    """What EffectiveLoad takes of rows [rows, columns] at mid-rail, [rows] each."""
    g_sum, mid = g.sum(1), torch.zeros_like(g[:, 0])  # only the voltage across the row counts: there is none
    return g_sum, g.square().sum(1), g @ column_sum / g_sum, mid, mid


def _per_finger(load_S: Tensor, fingers: Tensor, ground_S: float) -> Tensor:
    return (load_S + ground_S) / fingers


@torch.no_grad()
def latim_extrapolation(
    circuit: FittedCircuit, crossbars: Sequence[Conductances], sizes: Sequence[Tensor], ground_S: float
) -> Extrapolation:
    """What the method asks of the loaded VTC outside its domain; see methods.Method. One inverter is one value, in
    siemens per finger, and is taken for the nearest end of the domain."""
    return _of_loaded_vtc(circuit, crossbars, sizes, ground_S, Conductances.row_sums)


@torch.no_grad()
def latim_nn_extrapolation(
    circuit: FittedCircuit, crossbars: Sequence[Conductances], sizes: Sequence[Tensor], ground_S: float
) -> Extrapolation:
    """The same, and of the effective load, where one row is one value of each of its features."""
    surrogate = circuit.surrogates.effective_load
    if surrogate is None:
        raise _not_fitted("latim-nn", "effective_load")
    fitted = surrogate.to(circuit.dtype, circuit.device)
    rows = [_row_inputs(g, box.column_sum()) for box in crossbars[1:] for g in (box.pos, box.neg)]
    of_loads = fitted.extrapolation(*(torch.cat(values) for values in zip(*rows, strict=True))) if rows else NONE
    return of_loads + _of_loaded_vtc(circuit, crossbars, sizes, ground_S, partial(predicted_loads, fitted))


def _of_loaded_vtc(
    circuit: FittedCircuit,
    crossbars: Sequence[Conductances],
    sizes: Sequence[Tensor],
    ground_S: float,
    loads: Loads,
) -> Extrapolation:
    vtc, last = circuit.surrogates.loaded_vtc, sizes[-1][:, 0]
    if vtc is None:
        raise _not_fitted("latim", "loaded_vtc")
    asked = [_per_finger(torch.zeros_like(last), last, ground_S)]
    for crossbar, size in zip(crossbars[1:], sizes[:-1], strict=True):
        asked += [_per_finger(load, size[:, k], ground_S) for k, load in enumerate(loads(crossbar))]
    return outside("loaded_vtc.g_load_S", torch.cat(asked), vtc.domain[1])


def latim_voltages(
    crossbars: Sequence[Conductances],
    sizes: Sequence[Tensor],
    signal: Tensor,
    technology: Technology,
    vtc: Callable[[Tensor, Tensor, Tensor], Tensor],
    loads: Loads,
    *,
    offsets: Offsets | None = None,
) -> Prediction:
    """Voltages of every layer, differentiable in conductances and sizes; arguments as in kcl_voltages.

    vtc  (v_in, load of an inverter in siemens, its fingers) -> v_out
    """

    def pair(layer: int, v_col: Tensor, driven: Conductances | None, size: Tensor) -> tuple[Tensor, Tensor | None]:
        if driven is None:
            return vtc(v_col, torch.zeros_like(size[:, 0]), size[:, 0]), None
        load_n, load_p = loads(driven)
        v_n = vtc(v_col, load_n, size[:, 0])
        return v_n, vtc(v_n, load_p, size[:, 1])

    return walk(crossbars, sizes, signal, technology, pair, offsets)


def latim(circuit: FittedCircuit, sizes: Sequence[Tensor], ground_S: float, settings: Definition) -> Predictor:
    """The predictor with R_eff = 1 / sum g; see methods.Method. ConfigurationError: the loaded VTC is not fitted."""
    return _predictor(circuit, Conductances.row_sums, ground_S)


def latim_nn(circuit: FittedCircuit, sizes: Sequence[Tensor], ground_S: float, settings: Definition) -> Predictor:
    """The predictor with the fitted load; see methods.Method. ConfigurationError: a surrogate is not fitted."""
    surrogate = circuit.surrogates.effective_load
    if surrogate is None:
        raise _not_fitted("latim-nn", "effective_load")
    fitted = surrogate.to(circuit.dtype, circuit.device)
    return _predictor(circuit, partial(predicted_loads, fitted), ground_S)


def _predictor(circuit: FittedCircuit, loads: Loads, ground_S: float) -> Predictor:
    if circuit.surrogates.loaded_vtc is None:
        raise _not_fitted("latim", "loaded_vtc")
    fitted, rails = circuit.surrogates.loaded_vtc.to(circuit.dtype, circuit.device), circuit.rails

    def vtc(v_in: Tensor, load_S: Tensor, fingers: Tensor) -> Tensor:
        per_finger = _per_finger(load_S, fingers, ground_S).clamp(*fitted.domain[1])
        return fitted(v_in, per_finger, v_in.new_tensor(rails.mid_V))

    return lambda crossbars, sizes, signal, mismatch=None: latim_voltages(
        crossbars, sizes, signal, circuit.technology, vtc, loads, offsets=circuit.offsets(mismatch)
    )


def _not_fitted(method: str, table: str) -> ConfigurationError:
    return ConfigurationError(
        f"Method {method!r} needs the surrogate {table}, which is not fitted: its table was not measured, or the fit "
        f"was interrupted. Give the characterization plan a section [{table}] (the shipped plan 'inverter' has one), "
        "then run `spicetrain characterize` and `spicetrain fit-surrogates` again."
    )


LATIM = Method(
    latim,
    ratios=False,
    surrogates=("current_surface", "loaded_vtc"),
    extrapolation=latim_extrapolation,
    takes_mismatch=True,
)
LATIM_NN = Method(
    latim_nn, ratios=False, surrogates=("current_surface", "loaded_vtc", "effective_load"),
    extrapolation=latim_nn_extrapolation, takes_mismatch=True,
)  # fmt: skip
