"""NIR graphs, read back by nir and stepped here from their edges, against our own models."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ideal_laws import ideal_laws
from numpy.typing import NDArray
from spiking.training.simple import random_crossbar
from tiny import finished

from spicetrain.cli import main
from spicetrain.datasets import load_dataset
from spicetrain.errors import ConfigurationError
from spicetrain.exporting import EXPORTS, Export
from spicetrain.spiking.definition import SpikingExperiment
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.training.encoding import encode
from spicetrain.spiking.training.linearised import circuit_neurons
from spicetrain.spiking.training.predict import predict
from spicetrain.systems import SYSTEMS
from spicetrain.technology import Technology

CIRCUITS = {
    "1r": {"name": "lif-1r", "capacitance_F": (1.5e-13,), "threshold_V": (0.02,)},
    "graded": {"name": "lif-1r-graded", "capacitance_F": (6e-13,), "threshold_V": (0.02,)},
    "1t1r": {"name": "lif-1t1r", "capacitance_F": (4e-13,), "threshold_V": (0.05,)},
}


def needed() -> Any:
    return pytest.importorskip("nir", reason="the extra [nir] is not installed")


def exported(
    folder: Path, technology: Technology, circuit: str, method: str = "circuit", **shape: Any
) -> tuple[Export, Path]:
    """The export of a random 4-6-3 on iris."""
    content = {"dataset": {"name": "iris"}, "circuit": CIRCUITS[circuit]}
    experiment = SpikingExperiment.model_validate(
        content | {"network": {"layers": (4, 6, 3), "steps": 20, "encoder": "dither"} | shape}
    )
    crossbars = tuple(random_crossbar(technology.memristor, *of, seed=k) for k, of in enumerate([(4, 6), (6, 3)]))
    about = {"method": method, "beta": 0.9, "readout": experiment.network.readout, "regular_thresholds_V": [0.5, 0.6]}
    laws = ideal_laws(experiment.circuit.load())
    bench = SimpleNamespace(experiment=experiment, technology=technology, dataset=load_dataset("iris"))
    threshold_V = CIRCUITS[circuit]["threshold_V"][0]
    network = SpikingNetwork(crossbars, (threshold_V, threshold_V), about)  # type: ignore[arg-type]
    export = Export(bench, SYSTEMS["spiking"], network, lambda: laws)
    EXPORTS["nir"].write(export, folder / "network.nir")
    return export, folder / "network.nir"


def stepped(graph: Any, inputs: NDArray) -> list[NDArray]:
    """Spikes of every LIF (of an LI its membranes), [images, steps, columns], along the graph's edges."""
    after, dt = dict(graph.edges), float(graph.metadata["dt_s"])
    node, signal, found = after["input"], inputs.astype(float), []
    while node != "output":
        of = graph.nodes[node]
        if "weight" in vars(of):
            signal = np.einsum("oi,nki->nko", of.weight, signal) + of.bias
        else:
            v, out = np.zeros_like(signal[:, 0]), []
            for current in np.moveaxis(signal, 1, 0):
                v = v + dt / of.tau * (of.v_leak - v + of.r * current)
                if type(of).__name__ == "LIF":
                    out.append(v > of.v_threshold)
                    v = np.where(out[-1], of.v_reset, v)
                else:
                    out.append(v)
            found.append(np.stack(out, 1))
            signal = found[-1].astype(float)
        node = after[node]
    return found


def inputs_of(export: Export) -> NDArray:
    shape = export.bench.experiment.network
    return encode(export.bench.dataset.test_inputs, shape, shape.encoder_seed)


@pytest.mark.parametrize("readout", ["counts", "integrator"])
def test_a_regular_network_spikes_as_its_own_model(readout: str, ptm90: Technology, tmp_path: Path) -> None:
    nir = needed()
    export, path = exported(tmp_path, ptm90, "1r", "regular", readout=readout)
    graph, inputs = nir.read(path), inputs_of(export)
    circuit = export.bench.experiment.circuit.load()  # type: ignore[attr-defined]
    own = predict(export.network, inputs, circuit, None, "regular")
    found = stepped(graph, inputs)
    assert np.array_equal(found[0], own[0][0]) and 0.05 < found[0].mean() < 0.95
    if readout == "counts":
        assert np.array_equal(found[1], own[1][0]) and 0.05 < found[1].mean() < 0.95
    else:
        np.testing.assert_allclose(found[1] * 0.6, own[1][1], rtol=1e-9, atol=1e-12)
    assert graph.metadata["spike_disagreement"] == graph.metadata["class_disagreement"] == 0
    assert graph.metadata["model"] == "regular" and "exactly" in graph.metadata["what"]


@pytest.mark.parametrize("circuit, most", [("1r", 0.01), ("graded", 0.01), ("1t1r", 0.03)])
def test_a_circuit_is_linearised_and_says_by_how_much_it_is_off(
    circuit: str, most: float, ptm90: Technology, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nir = needed()
    export, path = exported(tmp_path, ptm90, circuit)
    graph, inputs = nir.read(path), inputs_of(export)
    own = predict(export.network, inputs, export.bench.experiment.circuit.load(), export.surrogates())  # type: ignore[attr-defined]
    found = stepped(graph, inputs)
    assert all(0.05 < one.mean() < 0.8 for one in found)
    pairs = list(zip(found, (fired for fired, _ in own), strict=True))
    share = sum((a != b).sum() for a, b in pairs) / sum(a.size for a, _ in pairs)
    assert graph.metadata["spike_disagreement"] == pytest.approx(share, abs=1e-12) and share < most
    assert f"{share:.2%} of its spikes or silences" in capsys.readouterr().err
    assert graph.metadata["clock_step_s"] == export.bench.experiment.circuit.load().clock.step_s  # type: ignore[attr-defined]


def test_a_passive_column_forgets_as_resistor_and_capacitor_do(ptm90: Technology, tmp_path: Path) -> None:
    """Closed form: every device conducts in every phase, so a step leaves exp(-G t / C)."""
    needed()
    export, _ = exported(tmp_path, ptm90, "1r")
    circuit, network = export.bench.experiment.circuit.load(), export.network  # type: ignore[attr-defined]
    layer = circuit_neurons(network, circuit, export.surrogates(), inputs_of(export))[0]
    box = network.crossbars[0]
    G = box.pos.sum(0) + box.neg.sum(0) + box.bias_pos + box.bias_neg + 1e-9
    np.testing.assert_allclose(layer.left, np.exp(-G * circuit.clock.step_s / circuit.capacitance_F(0)), rtol=1e-2)
    assert (layer.weights > 0).sum() == (box.pos > box.neg).sum()


def test_without_the_package_it_says_how_to_get_it(
    ptm90: Technology, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(ConfigurationError, match=r"pip install spicetrain\[nir\]"):
        exported(tmp_path, ptm90, "1r")
    assert not list(tmp_path.glob("network*"))


def test_an_inverter_network_does_not_spike(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    needed()
    assert main(["export", str(finished().folder), "--to", "nir", "--out", str(tmp_path / "x.nir")]) == 2
    assert "NIR is of networks that spike" in capsys.readouterr().err
