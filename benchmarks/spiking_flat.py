"""How far the reduced netlist of a `1t1r` is from every cell simulated: one image of a trained network, its first layer
flat, column by column, for as long as there is time.

Columns behind ideal word lines and supplies are independent of one another, so a part by columns is exact for those
columns. Each further layer is driven by the spikes that the reduced netlist of the whole network latched, behind ideal
word lines. Target: no spike differs in any column that was simulated.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import finish, parser
from numpy.typing import NDArray

from spicetrain.array.crossbar import Crossbar
from spicetrain.datasets import load_dataset
from spicetrain.errors import ConfigurationError
from spicetrain.runfolder import NETWORK, SURROGATES
from spicetrain.spice.ngspice import find_ngspice
from spicetrain.spice.simulator import Simulator
from spicetrain.spiking.circuit import Neuron, of_layer
from spicetrain.spiking.definition import SpikingExperiment
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.surrogates.laws import load_laws
from spicetrain.spiking.training.encoding import encode
from spicetrain.spiking.verification.images import Presented, simulate_image
from spicetrain.spiking.verification.netlist import Netlist
from spicetrain.systems import load_experiment
from spicetrain.technology import load_technology

Bools, Volts = NDArray[np.bool_], NDArray[np.float64]


def main() -> None:
    arguments = parser("spiking_flat", __doc__)
    arguments.add_argument("run", type=Path, help="run folder of a trained spiking network on a 1t1r")
    arguments.add_argument("--image", type=int, default=0, help="of the test images (default: %(default)s)")
    arguments.add_argument("--minutes", type=float, default=110.0, help="for new columns (default: %(default)s)")
    arguments.add_argument("--grow", type=int, nargs="*", default=[1, 2, 4, 8], help="columns at once, timed")
    options = arguments.parse_args()
    netlist, spikes = trained(options.run, options.image)
    simulator = Simulator(find_ngspice(), timeout_s=max(600.0, 120 * options.minutes))
    until = time.monotonic() + 60 * options.minutes
    reduced = simulate_image(netlist, "reduced", simulator, Presented(spikes))
    inputs = [spikes, *(np.asarray(reduced[f"spikes_{k}"]) for k in range(len(netlist.network.crossbars) - 1))]
    parts: list[dict[str, Any]] = []
    for layer, columns in order(netlist.network, options.grow):
        if parts and time.monotonic() + expected(parts, layer, columns) > until:
            break
        part = flat(netlist, layer, columns, inputs[layer], simulator)
        parts.append(compared(part, reduced, layer, columns))
    report(options.out, netlist.network, parts, float(np.asarray(reduced["seconds"])))


def trained(run: Path, image: int) -> tuple[Netlist, Bools]:
    """(the netlist, one image's spikes [steps, rows]) of a run folder."""
    experiment = load_experiment(run)
    if not isinstance(experiment, SpikingExperiment):
        raise ConfigurationError(f"{run} is of system {experiment.system!r}: give a run of the spiking system.")
    circuit = experiment.circuit.load()
    if circuit.array != "1t1r" or circuit.inputs != "ideal":
        raise ConfigurationError(f"{run} is a {circuit.array} with {circuit.inputs} inputs: give a 1t1r, ideal inputs.")
    technology, network = load_technology(experiment.technology), SpikingNetwork.load(run / NETWORK)
    dataset = load_dataset(experiment.dataset.name, experiment.dataset.folder)
    shape = experiment.network
    spikes = encode(dataset.test_inputs[image : image + 1], shape, shape.encoder_seed, first=image)[0]
    return Netlist.of(network, circuit, technology, load_laws(run / SURROGATES)[0]), spikes


def order(network: SpikingNetwork, grow: Sequence[int]) -> list[tuple[int, list[int]]]:
    """(layer, columns) of every simulation: later layers, then the first in the sizes of `grow`, then singly."""
    parts = [(k, list(range(one.columns))) for k, one in enumerate(network.crossbars) if k]
    left = list(range(network.crossbars[0].columns))
    for size in [*grow, *[1] * len(left)]:
        if size <= len(left):
            parts.append((0, left[:size]))
            left = left[size:]
    return parts


def expected(parts: Sequence[dict[str, Any]], layer: int, columns: Sequence[int]) -> float:
    """Seconds, from the dearest column so far of that layer."""
    each = [part["seconds"] / len(part["columns"]) for part in parts if part["layer"] == layer]
    return max(each, default=0.0) * len(columns)


def flat(netlist: Netlist, layer: int, columns: list[int], spikes: Bools, simulator: Simulator) -> dict[str, Any]:
    """Those columns alone, every cell a transistor and its memristor."""
    whole = netlist.network.crossbars[layer]
    some = Crossbar(*(array[..., columns] for array in (whole.pos, whole.neg, whole.bias_pos, whole.bias_neg)))
    of_layer = netlist.circuit.model_copy(update={"neuron": one_layer(netlist, layer)})
    network = SpikingNetwork((some,), (netlist.network.thresholds_V[layer],), netlist.network.about)
    part = replace(netlist, network=network, circuit=of_layer)
    return dict(simulate_image(part, "flat", simulator, Presented(spikes)))


def one_layer(netlist: Netlist, layer: int) -> Neuron:
    """The neurons of a layer as those of a circuit that has no other."""
    neuron = netlist.circuit.neuron
    per_layer = ("capacitance_F", "threshold_V", "reset_fingers", "inverter_fingers")
    return neuron.model_copy(update={name: (of_layer(getattr(neuron, name), layer),) for name in per_layer})


def compared(part: dict[str, Any], reduced: dict[str, Any], layer: int, columns: list[int]) -> dict[str, Any]:
    """Flat against the same columns reduced: membranes at every latch, spikes."""
    differ = np.asarray(part["spikes_0"]) != np.asarray(reduced[f"spikes_{layer}"])[:, columns]
    apart = np.abs(np.asarray(part["v_0"]) - np.asarray(reduced[f"v_{layer}"])[:, columns])
    return {
        "layer": layer,
        "columns": columns,
        "seconds": float(part["seconds"]),
        "difference_V": apart.max(0).tolist(),
        "spikes_differing": int(differ.sum()),
    }


def report(out: Path, network: SpikingNetwork, parts: Sequence[dict[str, Any]], reduced_s: float) -> None:
    first = [part for part in parts if part["layer"] == 0]
    sizes = {len(part["columns"]): part["seconds"] for part in reversed(first)}
    simulated, rows = {k: 0 for k in range(len(network.crossbars))}, {}
    for part in parts:
        simulated[part["layer"]] += len(part["columns"])
    for layer, crossbar in enumerate(network.crossbars):
        apart = [v for part in parts if part["layer"] == layer for v in part["difference_V"]]
        cells = 2 * (crossbar.rows + 1) * simulated[layer]
        text = f"{simulated[layer]} of {crossbar.columns} columns, {cells} cells"
        rows[f"layer {layer}, flat"] = f"{text}; membranes apart by up to {max(apart, default=0.0) * 1e6:.1f} uV"
    spikes = sum(part["spikes_differing"] for part in parts)
    rows["spikes that differ"] = str(spikes)
    rows |= {f"{n} columns at once": f"{s:.1f} s, {s / n:.1f} s a column" for n, s in sorted(sizes.items())}
    whole_s = None
    if sizes:
        whole_s = min(s / n for n, s in sizes.items()) * network.crossbars[0].columns
        rows["first layer flat, reckoned"] = f"{whole_s / 60:.1f} min on a core; reduced, whole: {reduced_s:.1f} s"
    largest = max(v for part in parts for v in part["difference_V"])
    result = {
        "layers": network.layers,
        "parts": list(parts),
        "difference_V": largest,
        "spikes_differing": spikes,
        "seconds_by_columns": {str(n): s for n, s in sizes.items()},
        "first_layer_s": whole_s,
        "reduced_s": reduced_s,
    }
    finish(out, f"{network.layers}: flat against reduced, one image", rows, result, spikes == 0)


if __name__ == "__main__":
    main()
