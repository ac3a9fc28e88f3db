"""The wires of a crossbar, as it is laid out: every row and every column a chain of equal segments from cell to cell.

Row wires lie in the order p0, n0, p1, n1 ..., a pair's positive and negative row beside each other, and the two bias
rows last; columns in their order. A row's source feeds its wire through `feed`, a column is sensed by gates, which draw
no current: what leads there drops nothing.

Which input drives which pair of row wires is free: the nearer it is to where columns are sensed, the less it loses.

A crossbar of many row wires may be built as tiles, one under the other. A row wire is in one tile alone, fed there as
ever; a column has a wire of its own in every tile, sensed there, and an ideal wire joins what is sensed to one node.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from spicetrain.array.crossbar import Array, Crossbar
from spicetrain.errors import ConfigurationError
from spicetrain.schema import Definition

Place = Literal["one end", "both ends", "middle"]
RowOrder = Literal["as given", "input variance"]
REFERENCE_C = 27.0

# Below the first a microsiemens beside 1 / r loses its sixth digit; beyond the last a crossbar conducts nothing.
_LEAST_OHM, _MOST_OHM = 1e-4, 1e9


class Segments(NamedTuple):
    """Wires at one temperature: ohms of a segment, of what feeds a row; where rows are driven and columns sensed; how
    many row wires a tile has at most, None: one tile has them all; in which order inputs drive the pairs."""

    row_ohm: float
    column_ohm: float
    feed_ohm: float
    rows_driven: Place = "one end"
    columns_sensed: Place = "one end"
    tile_rows: int | None = None
    row_order: RowOrder = "as given"

    def driven(self, columns: int) -> tuple[int, ...]:
        """The columns at which every row is fed."""
        return _places(self.rows_driven, columns, first=True)

    def sensed(self, rows: int) -> tuple[int, ...]:
        """The row wires at which every column is sensed; where there are several, they are tied."""
        return tuple(
            tile.start + k
            for tile in self.tiles(rows)
            for k in _places(self.columns_sensed, len(tile), first=False)
        )  # fmt: skip

    def tiles(self, rows: int) -> tuple[range, ...]:
        """The row wires of every tile: as few tiles as there can be, as equal as whole pairs allow."""
        if self.tile_rows is None or rows <= self.tile_rows:
            return (range(rows),)
        pairs = -(-rows // 2)
        count = -(-pairs // (self.tile_rows // 2))
        first = [2 * (k * pairs // count) for k in range(count)]
        return tuple(range(*ends) for ends in pairwise([*first, rows]))


class SegmentFarads(NamedTuple):
    """What a segment of the wires has to ground, farads: in a deck one at every cell of the row, and of the column."""

    row_F: float
    column_F: float


def _places(place: Place, count: int, *, first: bool) -> tuple[int, ...]:
    if place == "middle":
        return (count // 2,)
    if place == "both ends" and count > 1:
        return 0, count - 1
    return (0,) if first else (count - 1,)


class Wires(Definition):
    """The [wires] of a technology. A segment's resistance is given, or follows from the sheet's.

    row_ohm, column_ohm        of a segment, from one cell to the next, at 27 degrees
    row_sheet_ohm, row_width_m, column_sheet_ohm, column_width_m, pitch_m   ohm per square; a segment is pitch_m long
    tc_per_K                   by which a resistance grows
    feed_ohm                   contact and driver, between a row's source and its wire; None: a row's segment
    row_F, column_F            of a segment to ground: energy and delay know it
    row_F_per_m, column_F_per_m  the same by length, of a wire of that width; a segment is pitch_m long
    rows_driven                where the sources are: at the first column, at both ends, at the middle column
    columns_sensed             where the gates are: behind the last row, at both ends, which are tied, at the middle row
    tile_rows                  row wires, an even number: a crossbar of more is built as tiles of at most so many, in
                               each of which its columns are sensed; what is sensed of a column is tied
    row_order                  of the first crossbar: "input variance" has the inputs that vary most over the training
                               images drive the pairs nearest to where columns are sensed
    """

    row_ohm: float | None = Field(default=None, gt=0)
    column_ohm: float | None = Field(default=None, gt=0)
    row_sheet_ohm: float | None = Field(default=None, gt=0)
    row_width_m: float | None = Field(default=None, gt=0)
    column_sheet_ohm: float | None = Field(default=None, gt=0)
    column_width_m: float | None = Field(default=None, gt=0)
    pitch_m: float | None = Field(default=None, gt=0)
    tc_per_K: float = Field(default=0.0, ge=0, lt=0.1)
    feed_ohm: float | None = Field(default=None, gt=0)
    row_F: float = Field(default=0.0, ge=0)
    column_F: float = Field(default=0.0, ge=0)
    row_F_per_m: float | None = Field(default=None, ge=0)
    column_F_per_m: float | None = Field(default=None, ge=0)
    rows_driven: Place = "one end"
    columns_sensed: Place = "one end"
    tile_rows: int | None = None
    row_order: RowOrder = "as given"

    @model_validator(mode="after")
    def _one_way_or_the_other(self) -> Self:
        for side in ("row", "column"):
            ohm, sheet, width = (getattr(self, f"{side}_{what}") for what in ("ohm", "sheet_ohm", "width_m"))
            whole = None not in (sheet, width, self.pitch_m)
            if (ohm is None) != whole or (ohm is not None and (sheet, width) != (None, None)):
                raise ValueError(
                    f"wires: give {side}_ohm, or {side}_sheet_ohm and {side}_width_m and pitch_m; given are {side}_ohm "
                    f"= {ohm}, {side}_sheet_ohm = {sheet}, {side}_width_m = {width}, pitch_m = {self.pitch_m}"
                )
        return self

    @field_validator("tile_rows")
    @classmethod
    def _whole_pairs(cls, tile_rows: int | None) -> int | None:
        if tile_rows is not None and (tile_rows < 2 or tile_rows % 2):
            raise ValueError("a tile has whole pairs of row wires: an even number from 2 on is wanted")
        return tile_rows

    def require_tiles(self, layers: Sequence[int]) -> None:
        """ConfigurationError when no crossbar of a network is so large that it is built as tiles."""
        largest = 2 * max(layers[:-1]) + 2
        if self.tile_rows is not None and self.tile_rows >= largest:
            raise ConfigurationError(
                f"wires.tile_rows = {self.tile_rows}, but the largest crossbar of {'-'.join(map(str, layers))} has "
                f"{largest} row wires (a pair an input, and the bias pair): no tile would be smaller than a crossbar. "
                "Give fewer, or leave tile_rows out: one tile has them all."
            )

    @model_validator(mode="after")
    def _ohms_of_wires(self) -> Self:
        found = {side: self._segment_ohm(side) for side in ("row", "column")}
        found |= {} if self.feed_ohm is None else {"feed": self.feed_ohm}
        for name, ohm in found.items():
            if not _LEAST_OHM <= ohm <= _MOST_OHM:
                raise ValueError(
                    f"wires: {ohm:g} ohm ({name}) is not from {_LEAST_OHM:g} to {_MOST_OHM:g} ohm: wires that do not "
                    "resist are those of a technology without [wires]; of sheets, look at their width_m and at pitch_m"
                )
        return self

    @model_validator(mode="after")
    def _one_capacitance(self) -> Self:
        for side in ("row", "column"):
            farad, per_m = getattr(self, f"{side}_F"), getattr(self, f"{side}_F_per_m")
            if per_m and (farad or self.pitch_m is None):
                raise ValueError(
                    f"wires: {side}_F_per_m = {per_m:g} takes pitch_m, the length of a segment, and no {side}_F; given "
                    f"are pitch_m = {self.pitch_m}, {side}_F = {farad:g}"
                )
        return self

    @property
    def farads(self) -> SegmentFarads:
        """Of a segment."""
        pitch_m = self.pitch_m or 0.0
        return SegmentFarads(
            self.row_F or pitch_m * (self.row_F_per_m or 0.0), self.column_F or pitch_m * (self.column_F_per_m or 0.0)
        )

    def at(self, temperature_C: float) -> Segments:
        """The resistances at a temperature. The feed's does not depend on it. ConfigurationError where tc_per_K leaves
        nothing of them."""
        warmer = 1 + self.tc_per_K * (temperature_C - REFERENCE_C)
        if warmer <= 0:
            raise ConfigurationError(
                f"wires.tc_per_K = {self.tc_per_K:g} at {temperature_C:g} degrees C makes {warmer:.3g} of the wires' "
                f"resistance at {REFERENCE_C:g}: a metal's rise is about 0.003 to 0.004 a kelvin. Correct it, or the "
                "temperature."
            )
        row, column = (warmer * self._segment_ohm(side) for side in ("row", "column"))
        feed = row if self.feed_ohm is None else self.feed_ohm
        return Segments(row, column, feed, self.rows_driven, self.columns_sensed, self.tile_rows, self.row_order)

    def _segment_ohm(self, side: str) -> float:
        ohm = getattr(self, f"{side}_ohm")
        if ohm is None:
            ohm = getattr(self, f"{side}_sheet_ohm") * self.pitch_m / getattr(self, f"{side}_width_m")
        return float(ohm)


def row_wires(crossbar: Crossbar) -> Array:
    """The conductances [row wires, columns] in the order of the wires, bias rows last."""
    pairs = np.stack((crossbar.pos, crossbar.neg), 1).reshape(-1, crossbar.columns)
    return np.concatenate((pairs, crossbar.bias_pos[None], crossbar.bias_neg[None]))


def row_voltages(v_pos: NDArray, v_neg: NDArray, high_V: float, low_V: float) -> Array:
    """Of all row wires in their order, [samples, row wires], of the pairs' [samples, rows]."""
    bias = np.tile([high_V, low_V], (len(v_pos), 1))
    return np.concatenate((np.stack((v_pos, v_neg), 2).reshape(len(v_pos), -1), bias), 1)
