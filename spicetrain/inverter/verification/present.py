"""Images through the netlist in time: one transient a piece, the pieces in parallel, each kept at once."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicetrain.inverter.netlists.transient import RAIL_CURRENTS, Timing, Wiring, transient_deck
from spicetrain.inverter.network import Network
from spicetrain.inverter.verification.settling import part
from spicetrain.rails import Rails
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import Simulation, simulate
from spicetrain.storage import content_hash, sha256_of_file
from spicetrain.technology import Technology
from spicetrain.verification.pieces import TIMEOUT_S, Arrays, run_pieces


@dataclass(frozen=True)
class Waveform:
    """What one image does: time_s [points] from its edge to the end of its period, v_out_V [points, outputs], power_W
    [points] of both rails."""

    time_s: NDArray[np.float64]
    v_out_V: NDArray[np.float64]
    power_W: NDArray[np.float64]


def present_images(
    network_file: Path,
    technology: Technology,
    inputs: NDArray[np.float32],
    timing: Timing,
    wiring: Wiring,
    ngspice: Ngspice,
    scratch: Path,
    size: int,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
) -> tuple[list[Waveform], float]:
    """(a waveform for each image of `inputs` [images + 1, rows] but the first, ngspice's seconds over all processes).

    size     images of a piece; it starts from the DC point of the image before its first one
    scratch  where finished pieces are kept until the caller removes it, as in `simulate_network`

    Raises SimulationError, StorageError; ConfigurationError when the reduced form does not exist.
    """
    network, images = Network.load(network_file), len(inputs) - 1
    pieces = [inputs[start : start + size + 1] for start in range(0, images, size)]
    common = sha256_of_file(network_file), technology.fingerprint, vars(timing), vars(wiring), ngspice.version
    keys = [content_hash(*common, np.ascontiguousarray(piece).tobytes()) for piece in pieces]
    done = run_pieces(
        partial(_simulate_piece, network, technology, timing, wiring, ngspice),
        pieces,
        [scratch / f"transient-{key[:16]}.npz" for key in keys],
        [len(piece) - 1 for piece in pieces],
        "energy",
        workers=workers,
        executor=executor,
    )
    waveforms = [
        _waveform(kept, k, timing) for piece, kept in zip(pieces, done, strict=True) for k in range(len(piece) - 1)
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
    ngspice: Ngspice,
    inputs: NDArray[np.float32],
) -> dict[str, ArrayLike]:
    deck = transient_deck(network, technology, inputs, timing, wiring)
    answer = simulate(deck, ngspice, timeout_s=TIMEOUT_S)
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
