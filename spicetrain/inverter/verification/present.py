"""Images through the netlist in time: one transient a piece, the pieces in parallel, each kept at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicetrain.inverter.netlists.transient import RAIL_CURRENTS, Timing, Wiring, transient_deck
from spicetrain.inverter.network import Network
from spicetrain.inverter.verification.settling import part
from spicetrain.keyed import Recipe
from spicetrain.netlists.cells import Form
from spicetrain.rails import Rails
from spicetrain.spice.simulate import Simulation
from spicetrain.spice.simulator import Simulator
from spicetrain.technology import Technology
from spicetrain.verification.pieces import Arrays, Piece, run_pieces


@dataclass(frozen=True)
class Waveform:
    """What one image does: time_s [points] from its edge to the end of its period, v_out_V [points, outputs], power_W
    [points] of both rails."""

    time_s: NDArray[np.float64]
    v_out_V: NDArray[np.float64]
    power_W: NDArray[np.float64]


_COURSE = Recipe("transient", 3)


def present_images(
    network: Network,
    technology: Technology,
    inputs: NDArray[np.float32],
    timing: Timing,
    wiring: Wiring,
    simulator: Simulator,
    *,
    size: int,
    form: Form,
) -> tuple[list[Waveform], float]:
    """(a waveform for each image of `inputs` [images + 1, rows] but the first, ngspice's seconds over all processes).

    size  images of a piece; it starts from the DC point of the image before its first one

    Raises SimulationError, StorageError; ConfigurationError when the technology has no such form.
    """
    parts = [inputs[start : start + size + 1] for start in range(0, len(inputs) - 1, size)]
    course = {"network": network, "technology": technology, "timing": vars(timing), "wiring": vars(wiring)}
    course["form"] = form
    pieces = [
        Piece(part, _COURSE.key(**course, inputs=part, ngspice=simulator.version), len(part) - 1) for part in parts
    ]
    done = run_pieces(simulator, partial(_simulate_piece, network, technology, timing, wiring, form), pieces, "energy")
    waveforms = [
        _waveform(kept, k, timing) for part, kept in zip(parts, done, strict=True) for k in range(len(part) - 1)
    ]
    return waveforms, float(sum(kept["seconds"] for kept in done))


def outputs_of(simulation: Simulation, network: Network) -> NDArray[np.float64]:
    """Output voltages [points, outputs]."""
    return np.stack([simulation.values[f"v(o_{j})"] for j in range(network.layers[-1])], 1)


def rail_power(simulation: Simulation, rails: Rails) -> NDArray[np.float64]:
    """Power [points] in watts that both rails deliver, referred to mid-rail, which so delivers none itself."""
    i_vdd, i_vss = (simulation.values[name] for name in RAIL_CURRENTS)
    power: NDArray[np.float64] = rails.half_swing_V * (i_vss - i_vdd)
    return power


def _simulate_piece(
    network: Network,
    technology: Technology,
    timing: Timing,
    wiring: Wiring,
    form: Form,
    simulator: Simulator,
    inputs: NDArray[np.float32],
) -> dict[str, ArrayLike]:
    answer = simulator.simulate(transient_deck(network, technology, inputs, timing, wiring, form))
    return {
        "time_s": answer.values["time"],
        "v_out_V": outputs_of(answer, network),
        "power_W": rail_power(answer, technology.rails),
        "seconds": answer.seconds,
    }


def _waveform(kept: Arrays, k: int, timing: Timing) -> Waveform:
    start, stop = k * timing.period_s, (k + 1) * timing.period_s
    time_s, v_out_V = part(kept["time_s"], kept["v_out_V"], start, stop)
    return Waveform(time_s - start, v_out_V, part(kept["time_s"], kept["power_W"], start, stop)[1])
