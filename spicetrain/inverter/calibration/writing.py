"""What of a chip is programmed once more, and what it then is."""

from __future__ import annotations

from dataclasses import replace

from spicetrain.array.crossbar import Crossbar
from spicetrain.draw import Draw
from spicetrain.inverter.chip import Chip, chip_of
from spicetrain.inverter.definition import Trains
from spicetrain.inverter.network import Network
from spicetrain.inverter.verification.chips import Population
from spicetrain.variation import Statistics

BIASES = ("bias_pos", "bias_neg")
ALL = ("pos", "neg", *BIASES)


def programmed_again(trains: Trains, crossbars: int) -> list[tuple[str, ...]]:
    """Names of the arrays of each crossbar that are written anew: all; the last crossbar's and every bias; biases."""
    return [ALL if trains == "all" or (trains == "last" and i == crossbars - 1) else BIASES for i in range(crossbars)]


def written_again(population: Population, first: Chip, wanted: Network, trains: Trains, draw: Draw) -> Chip:
    """The chip `first` programmed to be `wanted`, for the `draw.writing`th time: what is written has errors drawn anew,
    all else stays as it is."""
    after = chip_of(wanted, population.technology, population.statistics, draw).network
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
