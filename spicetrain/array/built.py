"""A crossbar as it was built: its devices as one chip has them, in numpy."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.device import Device
from spicetrain.array.variation import ArrayStatistics, disturbed
from spicetrain.draw import Draw


def built(
    crossbar: Crossbar, device: Device, statistics: ArrayStatistics, draw: Draw, layer: int, bias_pairs: int = 1
) -> Crossbar:
    """The crossbar number `layer` of a chip that was programmed to be `crossbar`, siemens. A bias conductance is that
    of `bias_pairs` equal devices, whose errors are their own."""

    def normal(name: str, shape: tuple[int, ...], source: str) -> Any:
        # Which cells drift or are stuck is the chip's; a programming error is drawn anew with every writing.
        return draw.normal(f"{source} {layer} {name}", shape, writing=source == "programming")

    def uniform(name: str, shape: tuple[int, ...], source: str) -> Any:
        return draw.uniform(f"{source} {layer} {name}", shape)

    def devices(name: str, g: NDArray[np.float64]) -> Any:
        return disturbed(
            g, statistics, device.g_min_S, device.g_max_S,
            partial(normal, name, g.shape), partial(uniform, name, g.shape),
        )  # fmt: skip

    def biases(name: str, g: NDArray[np.float64]) -> Any:
        return devices(name, np.broadcast_to(g / bias_pairs, (bias_pairs, len(g)))).sum(0)

    of_name = {"bias_pos": biases, "bias_neg": biases}
    return Crossbar(**{name: of_name.get(name, devices)(name, g) for name, g in vars(crossbar).items()})
