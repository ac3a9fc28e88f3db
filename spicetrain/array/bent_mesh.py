"""A crossbar with its wires, of devices that bend, exactly: Newton's method, a linear mesh (`mesh`) a step; in numpy.

A step has the devices' slopes at the last voltages in place of conductances, and beside each the current by which its
law is off that slope. The network minimizes a convex function of its voltages (its co-content, Millar, Phil. Mag. 42,
1951), whose derivative along a step is sum (i(v) - j) dv over the devices, with j the currents that fit the wires:
a step at whose end it still points far uphill is halved, so that the method converges from anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spicetrain.array.device import Device
from spicetrain.array.mesh import Array, Mesh, MeshVoltages, delivered, feeds_of
from spicetrain.array.wires import Segments
from spicetrain.errors import SimulationError

_STEPS, _HALVINGS = 100, 40
_NEAR_V = 1e-12
_ROUNDING_V = 1e-7  # from here on a step is far less than half of the last one, until only rounding is left
_UPHILL = 0.5  # of the slope at a step's beginning


@dataclass(frozen=True)
class BentMesh:
    """g [rows, columns] siemens of devices `device`, in the order of the wires. SimulationError when voltages are not
    found."""

    g: Array
    segments: Segments
    device: Device

    def columns(self, v_rows: Array) -> Array:
        """Voltages [samples, columns] where the columns are sensed, the rows' sources at v_rows [samples, rows]."""
        return np.concatenate([self._solved(v[None]).sensed for v in v_rows])

    def columns_and_delivered(self, v_rows: Array) -> tuple[Array, Array]:
        """The same, and what the sources deliver, [samples, rows] amperes."""
        feeds = feeds_of(self.segments, self.g.shape[1])
        at = [(v[None], self._solved(v[None])) for v in v_rows]
        fed = [delivered(v, one.row_nodes, feeds) for v, one in at]
        return np.concatenate([one.sensed for _, one in at]), np.concatenate(fed)

    @cached_property
    def _start(self) -> Mesh:
        return Mesh(self.g, self.segments)

    def _solved(self, v_rows: Array) -> MeshVoltages:
        """Of one sample, [1, rows]."""
        g, device = self.g, self.device
        at = self._start.nodes(v_rows)
        v = _across(at)
        fitting, last_V = g * v, np.inf
        for _ in range(_STEPS):
            i, slope = device.current(g, v), device.slope(g, v)
            to = Mesh(slope, self.segments).nodes(v_rows, i - slope * v)
            dv = _across(to) - v
            d_fitting = i + slope * dv - fitting
            share = _share(g, v, dv, fitting, d_fitting, device)
            v, fitting = v + share * dv, fitting + share * d_fitting
            step_V = float(np.abs(dv).max())
            if share == 1 and (step_V < _NEAR_V or last_V / 2 < step_V < _ROUNDING_V):
                return to
            last_V = step_V
        raise SimulationError(
            f"The mesh of {g.shape[0]} x {g.shape[1]} devices of form {device.form!r} is not solved after {_STEPS} "
            f"steps, the last of {last_V:.1e} V: likely the device's slope is not its current's, or its law jumps."
        )


def _across(at: MeshVoltages) -> Array:
    """Of every device, [rows, columns]."""
    across: Array = (at.row_nodes - at.column_nodes)[0]
    return across


def _share(g: Array, v: Array, dv: Array, fitting: Array, d_fitting: Array, device: Device) -> float:
    """Of the step that is taken."""
    downhill = float(((device.current(g, v) - fitting) * dv).sum())
    share = 1.0
    for _ in range(_HALVINGS):
        off = device.current(g, v + share * dv) - (fitting + share * d_fitting)
        if not (off * dv).sum() > _UPHILL * abs(downhill) or np.abs(dv).max() < _ROUNDING_V:
            return share
        share /= 2
    return share
