"""A crossbar as it was built: its devices as one chip has them, in numpy."""

from __future__ import annotations

from functools import partial
from typing import Any

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.device import Device
from spicetrain.array.variation import ArrayStatistics, disturbed
from spicetrain.draw import Draw


def built(crossbar: Crossbar, device: Device, statistics: ArrayStatistics, draw: Draw, layer: int) -> Crossbar:
    """The crossbar number `layer` of a chip that was programmed to be `crossbar`, siemens."""

    def normal(name: str, shape: tuple[int, ...], source: str) -> Any:
        # Which cells drift or are stuck is the chip's; a programming error is drawn anew with every writing.
        return draw.normal(f"{source} {layer} {name}", shape, writing=source == "programming")

    def uniform(name: str, shape: tuple[int, ...], source: str) -> Any:
        return draw.uniform(f"{source} {layer} {name}", shape)

    return Crossbar(
        **{
            name: disturbed(
                g, statistics, device.g_min_S, device.g_max_S,
                partial(normal, name, g.shape), partial(uniform, name, g.shape),
            )
            for name, g in vars(crossbar).items()
        }
    )  # fmt: skip
