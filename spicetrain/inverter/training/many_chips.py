"""Many chips of a network predicted at once, for a GPU. A CPU has its compiled steps, and takes one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spicetrain.array.of_chips import ChipConductances
from spicetrain.inverter.chip import Chip, InverterMismatch
from spicetrain.inverter.surrogates.current_surface import Mismatch
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.kcl import KCL
from spicetrain.inverter.training.parameters import row_signal
from spicetrain.training.common import require_unit_inputs
from spicetrain.training.settings import NoSettings

AT_ONCE = 2**15
"""Chips x images: of 784-100-10 in float32 1.2 GB, 36 kB each, measured on a CPU."""


def takes_many(circuit: FittedCircuit) -> bool:
    """Whether its chips can be predicted together: of ohmic devices without wires."""
    technology = circuit.technology
    return technology.segments is None and technology.memristor.sinh_between(circuit.rails) == 0


@torch.no_grad()
def outputs_of_chips(chips: Sequence[Chip], inputs: NDArray, circuit: FittedCircuit) -> NDArray[np.float64]:
    """Outputs [chips, images, outputs] of chips of one network in the kcl model, volts, for inputs [images, rows] in
    0..1; in the circuit's precision and on its device, AT_ONCE samples at a time. See `takes_many`.

    DomainError when an input is not in 0..1.
    """
    require_unit_inputs(inputs, "it would drive its row beyond the rails, where the inverter was not measured")
    network = chips[0].network
    sizes = [torch.as_tensor(size, dtype=circuit.dtype, device=circuit.device) for size in network.sizes]
    predictor = KCL.predictor(circuit, sizes, network.ground_S, NoSettings())
    x = torch.as_tensor(np.asarray(inputs), dtype=circuit.dtype, device=circuit.device)
    parts = row_signal(x, network.encoding, circuit.rails).split(AT_ONCE)
    group = max(1, AT_ONCE // len(inputs))
    found = []
    for first in range(0, len(chips), group):
        some = chips[first : first + group]
        boxes = zip(*(chip.network.crossbars for chip in some), strict=True)
        crossbars = [ChipConductances.of_chips(each, circuit.dtype, circuit.device) for each in boxes]
        outputs = [
            predictor(crossbars, sizes, signal, **_mismatch(some, len(signal), circuit)).outputs for signal in parts
        ]
        found.append(torch.cat([each.unflatten(0, (len(some), -1)) for each in outputs], 1).double().cpu().numpy())
    return np.concatenate(found)


def _mismatch(chips: Sequence[Chip], images: int, circuit: FittedCircuit) -> dict[str, list[Mismatch]]:
    """As the predictor takes it, of every chip's samples; nothing where transistors do not vary."""
    of_chips = [chip.mismatch for chip in chips if chip.mismatch is not None]
    if not of_chips:
        return {}
    return {"mismatch": [_of_layer(each, images, circuit) for each in zip(*of_chips, strict=True)]}


def _of_layer(chips: Sequence[InverterMismatch], images: int, circuit: FittedCircuit) -> Mismatch:
    def of_samples(values: Sequence[NDArray[np.float64]]) -> Tensor:
        """[2 (n, p), inverters of a column, samples, columns]"""
        stacked = torch.as_tensor(np.stack(values, 2), dtype=circuit.dtype, device=circuit.device)
        return stacked.repeat_interleave(images, 2)

    factors = [chip.factor for chip in chips]
    factor = None if all((each == 1).all() for each in factors) else of_samples(factors)
    return Mismatch(of_samples([chip.shift for chip in chips]), factor)
