"""Which input drives which pair of row wires of a crossbar: the nearer a pair is to where its columns are sensed, the
less of it is lost in their wires."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.wires import Segments
from spicetrain.errors import ConfigurationError

Order = NDArray[np.int64]
"""[pairs]: the input that drives the pair at every place."""


def variance_ranking(inputs: NDArray) -> Order:
    """The columns of inputs [samples, rows], those first that vary most; equal ones in their order."""
    variances = np.array([of_one.var(dtype=np.float64) for of_one in inputs.T])
    return np.argsort(-variances, kind="stable")


def row_order(ranking: Order | None, segments: Segments | None) -> Order | None:
    """None: as given. ConfigurationError when wires ask for an order and there is no ranking."""
    if segments is None or segments.row_order == "as given":
        return None
    if ranking is None:
        raise ConfigurationError(
            f"wires.row_order = {segments.row_order!r}, but this network does not say which inputs vary most: an older "
            "version wrote its file, or it was made without training images. `spicetrain train` on its folder writes "
            "the file again, from the checkpoint; or take row_order = 'as given'."
        )
    return nearest_first(ranking, segments)


def nearest_first(ranking: Order, segments: Segments) -> Order:
    """The first inputs of `ranking` at the pairs nearest to where their tile's columns are sensed; among equally near
    pairs from the first on."""
    wires, away = 2 * len(ranking) + 2, np.empty(len(ranking))
    sensed = np.array(segments.sensed(wires))
    for tile in segments.tiles(wires):
        ends = sensed[(tile.start <= sensed) & (sensed < tile.stop)]
        pairs = np.arange(tile.start // 2, min(tile.stop // 2, len(ranking)))
        away[pairs] = np.abs(2 * pairs[:, None] + 0.5 - ends).min(1)
    order = np.empty_like(ranking)
    order[np.argsort(away, kind="stable")] = ranking
    return order
