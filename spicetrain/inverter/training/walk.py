"""From crossbar to crossbar with a closed form for every inverter pair: what all methods do that solve nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from spicetrain.array.columns import held_columns, open_columns
from spicetrain.array.conductances import Conductances
from spicetrain.inverter.training.voltages import LayerVoltages, Prediction
from spicetrain.technology import Technology

Pair = Callable[[int, Tensor, Conductances | None, Tensor], tuple[Tensor, Tensor | None]]
"""(layer, its columns v_col [samples, columns], the crossbar that its inverters drive, their fingers [columns, 2]) ->
(v_n, v_p), [samples, columns] volts; of the last layer, which drives nothing: crossbar None, [columns, 1], v_p None."""


Offsets = Sequence[tuple[Tensor, Tensor | None]]
"""Per crossbar what mismatch is at its columns, for v_n and for v_p (None: none), [samples or 1, columns] volts."""


def walk(
    crossbars: Sequence[Conductances],
    sizes: Sequence[Tensor],
    signal: Tensor,
    technology: Technology,
    pair: Pair,
    offsets: Offsets | None = None,
) -> Prediction:
    """Voltages of every layer, differentiable in conductances, sizes and signal; arguments as in kcl_voltages."""
    layers, rails, device = [], technology.rails, technology.memristor
    v_col = open_columns(crossbars[0], signal, rails, device)
    for layer, (driven, size) in enumerate(zip(crossbars[1:], sizes[:-1], strict=True)):
        if offsets is None:
            v_n, v_p = pair(layer, v_col, driven, size)
        else:
            of_n, of_p = offsets[layer]
            assert of_p is not None
            v_n, v_p = pair(layer, v_col - of_n, driven, size)[0], pair(layer, v_col - of_p, driven, size)[1]
        assert v_p is not None  # only the last layer has none
        layers.append(LayerVoltages(v_col, v_n, v_p))
        v_col = held_columns(driven, v_n, v_p, rails, device)
    v_in = v_col if offsets is None else v_col - offsets[-1][0]
    v_out, _ = pair(len(crossbars) - 1, v_in, None, sizes[-1])
    return Prediction([*layers, LayerVoltages(v_col, v_out)])
