"""What the spiking model knows of its circuit: every law fitted to a table of ngspice, as polynomials but
for cells.

Voltages in the polynomials are u = v - rest_V, so that a membrane at rest is at 0:

    membrane   C du/dt = cells or rows - leak(u) [- reset(u) in the rest phase of a neuron that fired]
    neuron     q = neuron_F u + excess(u)   held by its transistors' gates and junctions, a part of C u; the threshold
               inverter's own output makes it more around the trip
    cell       i(g, u) = sign sum_m share_m(g) volts_m(u)      into the column; 1t1r, its row spiking: cell_curves.py
               q = pairs cell_silent_F u + spiking pairs (cell_spiking_F u - cell_on_C)     held at the column
               of which spiking pairs (cell_off_F u + cell_off_C) returns to it when word lines fall
    driver     i(x) = sum_k driver[k] x^k, x = v_row - level_V               out of the driver into the row; 1r
    threshold  a neuron fires when its membrane at the latch is above threshold_V + trip(du/dt) + rate bend(du/dt),
               rate: at which du/dt changes, of a membrane that settles -1 / its time constant
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors.numpy import save

from spicetrain.spiking.cell_curves import CellCurves
from spicetrain.spiking.circuit import SIDES, Side
from spicetrain.storage import content_hash, write_atomic
from spicetrain.surrogates.fitted_file import header, read_fitted
from spicetrain.surrogates.levenberg_marquardt import Vector

FORMAT = "spicetrain-spiking-laws-5"
Range = tuple[float, float]


@dataclass(frozen=True)
class Driver:
    """A row driver in one of its two states.

    current   [K+1]: A / V^k, out of the driver into its row, in x = v_row - level_V
    level_V   where it drives an unloaded row
    domain_V  lowest and highest v_row measured
    """

    current: Vector
    level_V: float
    domain_V: Range


@dataclass(frozen=True)
class SpikingLaws:
    """Of one circuit in one technology. Per layer: the last value holds for all deeper layers.

    leak, reset     per layer [K+1], A / V^k: out of the membrane, of the whole neuron with its reset off and on
    coarse_leak     per layer: the same with at most a cubic, for training
    reset_charge_C  per layer: what the falling reset gate injects into the membrane, coulomb; reset_rise_C  and what
                    the rising one does
    reset_lost_s    by how much shorter than clock.rest_s the reset conducts, half of it at each end
    trip, trip_bend [K+1], V / (V/s)^k and V s / (V/s)^k: see the module
    neuron_F        per layer: see the module; the mean between rest and threshold
    neuron_excess_C per layer [points] over equally spaced u of the domain `charge`
    drivers         (side, spiking) -> Driver; 1r only
    cells           by side; 1t1r only
    silent_cells    side -> [K+1], A / V^k: a cell whose row does not spike
    cell_on_C       what the word lines of a pair couple into a column at rest when they rise, and cell_off_C when they
                    fall, coulomb
    cell_silent_F   what a row pair puts at its column, farad; cell_spiking_F  how much more when it spikes, of which
                    cell_off_F gives its charge back when the word lines fall
    cell_late_s     by how much later than the middle of a rising edge a cell conducts; cell_ceases_s  and by how much
                    earlier than the middle of a falling one it does not
    domains         name -> lowest and highest u (V): leak, reset, cell, silent, charge; beyond, the model takes
                    tangents of what is a polynomial
    """

    rest_V: float
    leak: tuple[Vector, ...]
    reset: tuple[Vector, ...]
    reset_charge_C: tuple[float, ...] = (0.0,)
    reset_rise_C: tuple[float, ...] = (0.0,)
    reset_lost_s: float = 0.0
    trip: Vector = field(default_factory=lambda: np.zeros(2))
    trip_bend: Vector = field(default_factory=lambda: np.zeros(2))
    neuron_F: tuple[float, ...] = (0.0,)
    neuron_excess_C: tuple[Vector, ...] = ()
    drivers: Mapping[tuple[Side, bool], Driver] = field(default_factory=dict)
    cells: Mapping[Side, CellCurves] = field(default_factory=dict)
    coarse_leak: tuple[Vector, ...] = ()
    silent_cells: Mapping[Side, Vector] = field(default_factory=dict)
    cell_on_C: float = 0.0
    cell_off_C: float = 0.0
    cell_silent_F: float = 0.0
    cell_spiking_F: float = 0.0
    cell_off_F: float = 0.0
    cell_late_s: float = 0.0
    cell_ceases_s: float = 0.0
    domains: Mapping[str, Range] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what all of them compute."""
        arrays, plain = _taken_apart(self)
        return content_hash(*(arrays[name].tobytes() for name in sorted(arrays)), sorted(arrays), plain)

    def save(self, path: Path, reports: dict[str, Any]) -> None:
        """Write safetensors with a report on each law in its header, atomically; StorageError when that fails."""
        arrays, plain = _taken_apart(self)
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        with write_atomic(path) as temporary:
            temporary.write_bytes(save(whole, header(FORMAT, plain, reports)))

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote; `path` is the file or its folder. StorageError: missing, damaged, or something else."""
        return load_laws(path)[0]  # type: ignore[return-value]


def load_laws(path: Path) -> tuple[SpikingLaws, dict[str, Any]]:
    """(laws, reports) of what `SpikingLaws.save` wrote; see there."""
    return read_fitted(path, FORMAT, "numpy", lambda arrays, plain, reports: (_rebuilt(arrays, plain), reports))


def _taken_apart(laws: SpikingLaws) -> tuple[dict[str, Vector], dict[str, Any]]:
    arrays: dict[str, Vector] = {f"leak.{layer}": value for layer, value in enumerate(laws.leak)}
    arrays |= {f"coarse_leak.{layer}": value for layer, value in enumerate(laws.coarse_leak)}
    arrays |= {f"reset.{layer}": value for layer, value in enumerate(laws.reset)}
    arrays |= {f"neuron_excess.{layer}": value for layer, value in enumerate(laws.neuron_excess_C)}
    arrays |= {"trip": laws.trip, "trip_bend": laws.trip_bend}
    arrays |= {f"driver.{_state(*key)}": driver.current for key, driver in laws.drivers.items()}
    arrays |= {f"cell.{side}": curves.table for side, curves in laws.cells.items()}
    arrays |= {f"silent_cell.{side}": value for side, value in laws.silent_cells.items()}
    plain = {name: getattr(laws, name) for name in _PLAIN}
    plain["cells"] = {side: curves.plain for side, curves in laws.cells.items()}
    plain["drivers"] = {_state(*key): [driver.level_V, *driver.domain_V] for key, driver in laws.drivers.items()}
    return arrays, plain


_PLAIN = (
    *("rest_V", "neuron_F", "reset_charge_C", "reset_rise_C", "reset_lost_s", "domains"),
    *("cell_on_C", "cell_off_C", "cell_silent_F", "cell_spiking_F", "cell_off_F", "cell_late_s", "cell_ceases_s"),
)


def _state(side: Side, spiking: bool) -> str:
    return f"{side}.{'spiking' if spiking else 'silent'}"


def _rebuilt(arrays: dict[str, Vector], plain: dict[str, Any]) -> SpikingLaws:
    states = [(side, spiking) for side in SIDES for spiking in (True, False)]
    drivers = {
        key: Driver(arrays[f"driver.{_state(*key)}"], low_high[0], (low_high[1], low_high[2]))
        for key in states
        if (low_high := plain["drivers"].get(_state(*key)))
    }
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value := plain[name], list) else value for name in _PLAIN
    }
    values["domains"] = {name: tuple(pair) for name, pair in plain["domains"].items()}
    return SpikingLaws(
        leak=_numbered(arrays, "leak"),
        coarse_leak=_numbered(arrays, "coarse_leak"),
        reset=_numbered(arrays, "reset"),
        neuron_excess_C=_numbered(arrays, "neuron_excess"),
        trip=arrays["trip"],
        trip_bend=arrays["trip_bend"],
        drivers=drivers,
        cells={side: CellCurves.of(table, plain["cells"][side]) for side, table in _by_side(arrays, "cell").items()},
        silent_cells=_by_side(arrays, "silent_cell"),
        **values,
    )


def _numbered(arrays: dict[str, Vector], name: str) -> tuple[Vector, ...]:
    return tuple(arrays[f"{name}.{layer}"] for layer in range(sum(key.startswith(f"{name}.") for key in arrays)))


def _by_side(arrays: dict[str, Vector], name: str) -> dict[Side, Vector]:
    return {side: arrays[f"{name}.{side}"] for side in SIDES if f"{name}.{side}" in arrays}
