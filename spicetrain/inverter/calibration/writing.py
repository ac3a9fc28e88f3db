"""What of a chip is programmed once more, and what it then is. Numpy only."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spicetrain.array.crossbar import Crossbar
from spicetrain.draw import Draw
from spicetrain.inverter.chip import Chip, chip_of
from spicetrain.inverter.definition import Trains
from spicetrain.inverter.network import Network
from spicetrain.technology import Technology
from spicetrain.variation import Statistics

BIASES = ("bias_pos", "bias_neg")
ALL = ("pos", "neg", *BIASES)


def programmed_again(trains: Trains, crossbars: int) -> list[tuple[str, ...]]:
    """Names of the arrays of each crossbar that are written anew: all; the last crossbar's and every bias; biases."""
    return [ALL if trains == "all" or (trains == "last" and i == crossbars - 1) else BIASES for i in range(crossbars)]


@dataclass(frozen=True)
class Chips:
    """Chips of one technology, by number."""

    technology: Technology
    statistics: Statistics

    def first(self, network: Network, number: int) -> Chip:
        """A chip that was programmed once."""
        return chip_of(network, self.technology, self.statistics, Draw(number))

    def again(self, first: Chip, wanted: Network, trains: Trains, number: int, writing: int) -> Chip:
        """The same chip programmed to be `wanted`, for the `writing`th time: what is written has errors drawn anew, all
        else stays as it is."""
        after = chip_of(wanted, self.technology, self.statistics, Draw(number, writing)).network
        return Chip(replace(wanted, crossbars=mixed(first.network, after, trains)), first.mismatch)


def mixed(before: Network, after: Network, trains: Trains) -> tuple[Crossbar, ...]:
    """The crossbars of `before` with what is programmed again from those of `after`."""
    names = programmed_again(trains, len(before.crossbars))
    return tuple(
        replace(old, **{name: getattr(new, name) for name in of_layer})
        for old, new, of_layer in zip(before.crossbars, after.crossbars, names, strict=True)
    )


def without_writing(statistics: Statistics) -> Statistics:
    """What of a chip is the same whenever it is programmed: mismatch, stuck devices, levels."""
    array = replace(statistics.array, programming=None, read_noise=None)
    return replace(statistics, array=array)
