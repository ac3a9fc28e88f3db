"""A spiking network as a graph of the Neuromorphic Intermediate Representation (neuroir.org): Affine, LIF, Affine ...

NIR's neurons live in continuous time, and every tool steps them in its own. Written is what snntorch writes and reads,
forward Euler in steps of TIME_STEP_S that begin at v = 0:

    v <- v + (TIME_STEP_S / tau) (v_leak - v + r I),   spike where v > v_threshold,   then v <- v_reset

so that one step of the clock is one of those, whatever the clock's. The graph's metadata says so, and how far the
spikes of this reading are from those of our own model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.exporting import Export, Format
from spicetrain.exporting.packages import package_of
from spicetrain.progress import say
from spicetrain.storage import write_atomic

TIME_STEP_S = 1e-4
_HOW = "forward Euler: v += dt/tau (v_leak - v + r I); spike where v > v_threshold, then v = v_reset; v = 0 at first"
_WHAT = {
    "regular": "the regular model of the network, exactly; not the circuit that it is programmed into",
    "circuit": "the circuit, linearised where each neuron fires in the mean: constant leaks, ideal wires, no chip's "
    "variation; not the circuit's own membranes",
}

Answers = list[tuple[NDArray[np.bool_], NDArray[np.float64]]]


def write(export: Export, path: Path) -> None:
    """ConfigurationError without the package, or when the system has no neurons that spike."""
    nir = package_of("nir")
    view = export.system.linear_view(export.bench, export.network, export.surrogates)
    graph = _graph(nir, view.layers)
    of_places, of_spikes, classes = view.differing(read(graph, view.inputs))
    graph.metadata = {
        "written_by": "spicetrain",
        "what": _WHAT[view.model],
        "model": view.model,
        "discretisation": _HOW,
        "dt_s": TIME_STEP_S,
        "clock_step_s": view.clock_step_s,
        "steps": int(view.inputs.shape[1]),
        "readout": view.readout,
        "test_images": len(view.inputs),
        "spike_disagreement": of_places,
        "spike_disagreement_of_spikes": of_spikes,
        "class_disagreement": classes,
    }
    with write_atomic(path) as temporary:
        nir.write(temporary, graph)
    say(
        f"NIR of the {view.model} model: on {len(view.inputs)} test images {of_places:.2%} of its spikes or silences "
        f"({of_spikes:.2%} of the number of spikes) and {classes:.2%} of its classes are others."
    )


def _graph(nir: Any, layers: Sequence[Any]) -> Any:
    """Membranes in thresholds; parameters as linearised.LinearNeurons has them."""
    nodes: dict[str, Any] = {"input": nir.Input(input_type={"input": np.array([layers[0].weights.shape[0]])})}
    for k, layer in enumerate(layers):
        tau, none = TIME_STEP_S / (1 - layer.left), np.zeros_like(layer.left)
        own = {"tau": tau, "r": tau / TIME_STEP_S, "v_leak": none}
        firing = {"v_threshold": none + 1, "v_reset": layer.reset}
        nodes[f"synapses_{k}"] = nir.Affine(weight=np.ascontiguousarray(layer.weights.T), bias=layer.bias)
        nodes[f"neurons_{k}"] = nir.LIF(**own, **firing) if layer.fires else nir.LI(**own)
    nodes["output"] = nir.Output(output_type={"output": np.array([layers[-1].weights.shape[1]])})
    names = list(nodes)
    return nir.NIRGraph(nodes=nodes, edges=list(zip(names, names[1:], strict=False)))


def read(graph: Any, inputs: NDArray[Any]) -> Answers:
    """Of every layer of neurons (spikes, membranes before their reset), [images, steps, columns], to inputs [images,
    steps, rows]."""
    signal, found = inputs.astype(np.float64), Answers()
    for node in graph.nodes.values():
        if hasattr(node, "weight"):
            signal = signal @ node.weight.T + node.bias
        elif hasattr(node, "tau"):
            found.append(_of_neurons(node, signal))
            signal = found[-1][0].astype(np.float64)
    return found


def _of_neurons(node: Any, currents: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    fires, share = hasattr(node, "v_threshold"), TIME_STEP_S / node.tau
    v, fired, membranes = np.zeros_like(currents[:, 0]), np.zeros(currents.shape, bool), np.empty_like(currents)
    for step in range(currents.shape[1]):
        v = v + share * (node.v_leak - v + node.r * currents[:, step])
        membranes[:, step] = v
        if fires:
            fired[:, step] = v > node.v_threshold
            v = np.where(fired[:, step], node.v_reset, v)
    return fired, membranes


FORMAT = Format("network.nir", write)
