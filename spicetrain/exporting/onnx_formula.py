"""The ideal view of an inverter-based network in ONNX: Gemm, Tanh, Gemm ..., in float64.

With every voltage from mid-rail in half swings, a column is a normalised sum of its rows and an inverter -tanh(gain a):
what the training method `ideal` says, exactly, and nothing of loads. Its metadata says so, and by how much the
network's own method answers otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.exporting import Export, Format
from spicetrain.exporting.packages import package_of
from spicetrain.progress import say
from spicetrain.storage import write_atomic
from spicetrain.version import __version__

OPSET, IR_VERSION = 13, 8  # of 2021: old enough for every runtime that knows float64
INPUT, OUTPUT = "inputs", "outputs_V"
_WHAT = (
    "The ideal view: every column the normalised sum of its rows, every inverter -tanh of its unloaded gain. inputs "
    "[images, rows] in 0..1, outputs_V [images, outputs] in volts, of which the largest is the class."
)
_WHAT_NOT = (
    "Not the circuit: crossbars do not load the inverters, sizes, wires, transistors' mismatch and devices that bend "
    "are not in it. A network that was trained for its loads may answer otherwise here: see differing_*."
)


def write(export: Export, path: Path) -> None:
    """ConfigurationError without the package, when the system has no such view, or the network's devices bend."""
    onnx = package_of("onnx")
    view = export.system.ideal_view(export.bench, export.network, export.surrogates())
    model = _model(onnx, view)
    facts = {
        "written_by": f"spicetrain {__version__}", "what": _WHAT, "what_not": _WHAT_NOT, "method": view.method,
        "inverter_gain": repr(view.gain), "test_images": str(view.images), "differing_V": repr(view.differing_V),
    }  # fmt: skip
    if view.differing_classes is not None:
        facts["differing_classes"] = repr(view.differing_classes)
    onnx.helper.set_model_props(model, facts)
    onnx.checker.check_model(model)
    with write_atomic(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
    classes = "" if view.differing_classes is None else f" and {view.differing_classes:.2%} of the classes differ"
    say(
        f"ONNX of the ideal view: on {view.images} test images its outputs are {view.differing_V:.3g} V, rms, from "
        f"those of the method {view.method!r}{classes}."
    )


def _model(onnx: Any, view: Any) -> Any:
    """A node an operation; the gain in front of every first tanh is in its Gemm."""
    node, nodes, constants = onnx.helper.make_node, list[Any](), list[Any]()

    def constant(name: str, value: NDArray[np.float64]) -> str:
        constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(value, np.float64), name))
        return name

    signal, gain = INPUT, constant("gain", np.array(view.gain))
    for k, (weights, bias) in enumerate(view.maps):
        arrays = constant(f"weights_{k}", view.gain * weights), constant(f"bias_{k}", view.gain * bias)
        nodes += [
            node("Gemm", [signal, *arrays], [f"columns_{k}"]),
            node("Tanh", [f"columns_{k}"], [f"risen_{k}"]),
            node("Neg", [f"risen_{k}"], [f"v_n_{k}"]),
        ]
        if k < len(view.maps) - 1:
            nodes += [
                node("Mul", [f"v_n_{k}", gain], [f"second_{k}"]),
                node("Tanh", [f"second_{k}"], [f"fallen_{k}"]),
                node("Neg", [f"fallen_{k}"], [f"v_p_{k}"]),
                node("Concat", [f"v_n_{k}", f"v_p_{k}"], [f"pairs_{k}"], axis=1),
            ]
            signal = f"pairs_{k}"
    swing = constant("half_swing_V", np.array(view.rails.half_swing_V))
    mid = constant("mid_V", np.array(view.rails.mid_V))
    nodes += [
        node("Mul", [f"v_n_{len(view.maps) - 1}", swing], ["from_mid_V"]),
        node("Add", ["from_mid_V", mid], [OUTPUT]),
    ]
    shapes = (INPUT, view.maps[0][0].shape[0]), (OUTPUT, view.maps[-1][0].shape[1])
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, ["images", n]) for name, n in shapes]
    graph = onnx.helper.make_graph(nodes, "spicetrain_ideal_view", ends[:1], ends[1:], constants)
    opset = onnx.helper.make_opsetid("", OPSET)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="spicetrain")


FORMAT = Format("network.onnx", write)
