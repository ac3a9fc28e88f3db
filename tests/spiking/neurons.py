"""Neurons as subcircuits, written by hand: the one of lif-1r.toml, and ideal ones that may be spoilt."""

from __future__ import annotations

from pathlib import Path

from spicetrain import assets
from spicetrain.spiking.circuit import SpikingCircuit, load_circuit

X = "rbodymod=0 rgatemod=0"
OWN = f"""* leak, reset and threshold inverter of lif-1r.toml
.subckt mine membrane spike_b reset bias
+ high low rest vss reset_fingers=1
ml membrane bias rest vss nmos w=240e-9 l=90e-9 {X}
mr membrane reset rest vss nmos w=1e-6 l=90e-9 m={{reset_fingers}} {X}
mp spike_b membrane high high pmos w=560e-9 l=90e-9 {X}
mn spike_b membrane low low nmos w=240e-9 l=90e-9 {X}
.ends
"""


def ideal(extra: str = "", spike: str = "0.5*tanh(400*(v(membrane)-0.02))", reset: str = "v(membrane)") -> str:
    """A neuron of behavioural sources: spikes at 20 mV, leaks 1 uS, is reset by 10 mS."""
    return f"""
.subckt mine membrane spike reset rest
bs spike 0 v={spike}
bl membrane rest i=1e-6*v(membrane,rest)
br membrane rest i=5e-3*(1+tanh(20*v(reset)))*{reset}
{extra}
.ends
"""


OTA = assets.netlists_folder() / "spiking" / "ota.cir"


def written(folder: Path, text: str, name: str = "mine.cir") -> Path:
    (folder / name).write_text(text)
    return folder / name


def circuit_with(path: Path, base: str = "lif-1r", **neuron: object) -> SpikingCircuit:
    """A shipped circuit with the neuron in the file in place of its own."""
    changed = load_circuit(base).changed(None, None, subcircuit=path)
    return changed.model_copy(update={"neuron": changed.neuron.model_copy(update=neuron)})
