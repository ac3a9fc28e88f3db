"""What a spiking layer is made of: array, drivers, neuron, clock, from one TOML file (netlists/spiking/<name>.toml).

Transistor models, memristor and temperature are the technology's; everything that a designer of the neuron chooses
stands here. Rows are driven between `rest_V` and a rail: excitatory ones to `vdd_V` (the reversal potential V_S),
inhibitory ones to `vss_V` (V_I).
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import numpy as np
from pydantic import Field, model_validator

from spicetrain import assets
from spicetrain.array.device import Device
from spicetrain.errors import ConfigurationError
from spicetrain.include_tree import ModelFiles
from spicetrain.rails import Rails
from spicetrain.schema import Definition, find_toml, parse, read_toml
from spicetrain.spiking.foreign import ForeignNeuron, read_neuron
from spicetrain.storage import content_hash

LATCH_FOLLOWS_S = 1e-12
"""Of the ideal latch that every neuron has in the netlist."""

Positive = Annotated[float, Field(gt=0)]
Geometry = dict[str, float]
PerLayer = Annotated[tuple[float, ...], Field(min_length=1)]
Fingers = Annotated[tuple[Positive, ...], Field(min_length=1)]
ArrayKind = Literal["1r", "1t1r"]
Side = Literal["excitatory", "inhibitory"]
SIDES: tuple[Side, Side] = ("excitatory", "inhibitory")
Value = TypeVar("Value")


class Clock(Definition):
    """Seconds. A time step is `integrate_s` with the rows driven by the spikes, then `rest_s` with the rows at rest, in
    which the neurons that fired are reset. The latch takes the threshold inverter's answer at the end of integrate_s.
    All edges are linear and last `edge_s`."""

    integrate_s: Positive
    rest_s: Positive
    edge_s: Positive

    @property
    def step_s(self) -> float:
        return self.integrate_s + self.rest_s

    @property
    def closing_s(self) -> float:
        """How long before the end of integrate_s the latch begins to close."""
        return 0.1 * self.edge_s

    @property
    def latch_early_s(self) -> float:
        """By how much before the end of integrate_s the latch takes its answer, in the mean over its memory: it follows
        with LATCH_FOLLOWS_S, ever more slowly while it closes."""
        t, c = LATCH_FOLLOWS_S, self.closing_s
        return math.sqrt(math.pi * c * t / 2) * math.erf(math.sqrt(c / (2 * t))) + t * math.exp(-c / (2 * t))

    @model_validator(mode="after")
    def _edges_fit(self) -> Self:
        if 4 * self.edge_s > min(self.integrate_s, self.rest_s):
            raise ValueError(
                f"edge_s = {self.edge_s:g} is more than a quarter of integrate_s = {self.integrate_s:g} or rest_s = "
                f"{self.rest_s:g}: nothing is left of a phase between its edges"
            )
        return self


class Pair(Definition):
    """An nMOS and a pMOS, instance parameters of each."""

    nmos: Geometry
    pmos: Geometry


class Neuron(Definition):
    """capacitance_F, threshold_V  of each layer; the last value holds for all deeper ones
    half_supply_V       the threshold inverter stands between threshold_V - half_supply_V and + half_supply_V, bulks too
    leak, leak_gate_V   nMOS from the membrane to rest
    reset               nMOS from the membrane to rest, its gate between vss_V and vdd_V: one of its fingers
    reset_fingers       of each layer, likewise
    inverter_fingers    of each layer: so many `inverter`s in parallel. They trip at the same membrane, and the more of
                        them there are, the less it differs from neuron to neuron
    subcircuit          file of a SPICE subcircuit that stands in place of leak, reset and inverter, which are then left
                        out (foreign.py): its port `bias` is at leak_gate_V, its parameter reset_fingers is that of the
                        layer, and half_supply_V is needed only where it has the ports high and low
    capacitor_F_per_m2  of the membranes' capacitors, by which the area they take is reckoned; None: it is not
    """

    capacitance_F: PerLayer
    threshold_V: PerLayer
    half_supply_V: Positive = 0.0
    inverter: Pair = Pair(nmos={}, pmos={})
    leak: Geometry = {}
    leak_gate_V: float = 0.0
    reset: Geometry = {}
    reset_fingers: PerLayer = (1.0,)
    inverter_fingers: Fingers = (1.0,)
    subcircuit: Path | None = None
    capacitor_F_per_m2: Positive | None = None

    @cached_property
    def foreign(self) -> ForeignNeuron | None:
        """What its file says; None: leak, reset and inverter are transistors of the circuit. ConfigurationError when
        the file is not such a neuron."""
        return None if self.subcircuit is None else read_neuron(self.subcircuit)

    @property
    def read_by_decks(self) -> ModelFiles | None:
        """Its file with all that it includes; None: there is none."""
        return None if self.foreign is None else ModelFiles(((self.foreign.path, None),), (), self.foreign.checksums)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        foreign, given = self.foreign, self.model_fields_set
        if foreign is None:
            if missing := [name for name in _NEEDED if name not in given]:
                raise ValueError(f"{', '.join(missing)}: missing, and there is no neuron.subcircuit in their place")
            return self
        if idle := [name for name in _REPLACED if name in given]:
            raise ValueError(f"{', '.join(idle)}: {foreign.path} stands in their place, leave them out")
        if len(set(self.threshold_V)) > 1:
            raise ValueError(
                f"threshold_V = {list(self.threshold_V)}: where the neuron of {foreign.path} trips is measured at one "
                "threshold, give one for all layers"
            )
        if foreign.split_supply and not self.half_supply_V:
            raise ValueError(f"half_supply_V: missing, and {foreign.path} has the ports high and low")
        return self


_REPLACED = ("inverter", "leak", "reset", "inverter_fingers")
_NEEDED = ("half_supply_V", "inverter", "leak", "leak_gate_V", "reset")


class SpikingCircuit(Definition):
    """A spiking circuit as its TOML file states it.

    array        "1r": passive, silent rows held at rest by their drivers; "1t1r": rows are supplies, a spike opens the
                 cell's access transistor (nMOS on the excitatory, pMOS on the inhibitory side, both at the column)
    inputs       rows of the first layer: "ideal" pulse sources, or "driven" by transistors like all others
    excitatory   row driver between rest_V and vdd_V (1r); word-line driver between vss_V and vdd_V (1t1r)
    inhibitory   row driver between vss_V and rest_V (1r); word-line driver likewise (1t1r)
    access       of a 1t1r cell
    word_line_boost_V   of a 1t1r: its word lines go so far beyond both rails. An access transistor is the wider open,
                 the more so the closer its membrane is to the threshold
    """

    name: str
    description: str = ""
    array: ArrayKind
    inputs: Literal["ideal", "driven"] = "ideal"
    rails: Rails
    rest_V: float
    clock: Clock
    neuron: Neuron
    excitatory: Pair
    inhibitory: Pair
    access: Pair | None = None
    word_line_boost_V: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        low, high = self.rails.vss_V, self.rails.vdd_V
        if not low < self.rest_V < high:
            raise ValueError(f"rest_V = {self.rest_V} is not between the rails ({low} .. {high} V)")
        for threshold in self.neuron.threshold_V:
            if not self.rest_V < threshold < high:
                raise ValueError(
                    f"neuron.threshold_V = {threshold} is outside rest_V .. rails.vdd_V ({self.rest_V} .. {high}): no "
                    "membrane gets there, or every one is there at rest"
                )
        if self.array == "1t1r" and self.access is None:
            raise ValueError("array = '1t1r' needs the access transistors: give [access]")
        if self.array == "1r" and self.word_line_boost_V:
            raise ValueError("word_line_boost_V is of array = '1t1r': a 1r has no word lines")
        return self

    @property
    def drivers_V(self) -> tuple[float, float]:
        """Lowest and highest voltage at the gates of drivers; of a 1t1r of its word lines, too."""
        return self.rails.vss_V - self.word_line_boost_V, self.rails.vdd_V + self.word_line_boost_V

    def capacitance_F(self, layer: int) -> float:
        return of_layer(self.neuron.capacitance_F, layer)

    def threshold_V(self, layer: int) -> float:
        return of_layer(self.neuron.threshold_V, layer)

    def reset_fingers(self, layer: int) -> float:
        return of_layer(self.neuron.reset_fingers, layer)

    def inverter_fingers(self, layer: int) -> float:
        return of_layer(self.neuron.inverter_fingers, layer)

    def changed(
        self,
        threshold_V: tuple[float, ...] | None = None,
        capacitance_F: tuple[float, ...] | None = None,
        *,
        inverter_fingers: tuple[float, ...] | None = None,
        reset_fingers: tuple[float, ...] | None = None,
        word_line_boost_V: float | None = None,
        subcircuit: Path | None = None,
    ) -> Self:
        """The same with others of these, where given; ConfigurationError when impossible."""
        of_neuron = {
            "threshold_V": threshold_V, "capacitance_F": capacitance_F, "inverter_fingers": inverter_fingers,
            "reset_fingers": reset_fingers,
        }  # fmt: skip
        content = self.model_dump(exclude_unset=True)
        if subcircuit is not None:
            content["neuron"] = {key: value for key, value in content["neuron"].items() if key not in _REPLACED}
            content["neuron"]["subcircuit"] = subcircuit
        content["neuron"] |= {key: value for key, value in of_neuron.items() if value is not None}
        if word_line_boost_V is not None:
            content["word_line_boost_V"] = word_line_boost_V
        return parse(type(self), content, f"circuit {self.name}")

    def between(self, rails: Rails) -> Self:
        """The same between other rails; ConfigurationError when impossible."""
        content = self.model_dump(exclude_unset=True) | {"rails": rails.model_dump()}
        return parse(type(self), content, f"circuit {self.name} between {rails.vss_V:g} and {rails.vdd_V:g} V")

    @property
    def distinct_layers(self) -> int:
        """Number of layers that differ from all before them; deeper ones are as the last of these."""
        neuron = self.neuron
        varied = (neuron.capacitance_F, neuron.threshold_V, neuron.reset_fingers, neuron.inverter_fingers)
        return max(len(values) for values in varied)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything a simulation depends on, besides the technology."""
        content = self.model_dump(mode="json", exclude={"name", "description"})
        if self.neuron.inverter_fingers == (1.0,):  # what was before there was a choice
            del content["neuron"]["inverter_fingers"]
        if not self.word_line_boost_V:
            del content["word_line_boost_V"]
        for name in ("subcircuit", "capacitor_F_per_m2"):
            del content["neuron"][name]
        if self.neuron.foreign is not None:  # what it says, wherever it lies
            content["neuron"]["subcircuit"] = self.neuron.foreign.checksums
        return content_hash(content)

    def latch_level_V(self, threshold_V: float) -> float:
        """The neuron's output at which the latch decides: the middle of the supply that it swings between."""
        foreign = self.neuron.foreign
        if foreign is None or foreign.split_supply:
            return threshold_V
        return (self.rails.vdd_V + self.rails.vss_V) / 2

    def require_chargeable(self, layers: tuple[int, ...], steps: int, memristor: Device) -> None:
        """ConfigurationError when even the strongest input, every excitatory device at g_max and every inhibitory one
        at g_min, does not lift a membrane over its threshold in all `steps` time steps."""
        for layer, rows in enumerate(layers[:-1]):
            G = (rows + 1) * (memristor.g_max_S + memristor.g_min_S)
            pull = (rows + 1) * (memristor.g_max_S * self.rails.vdd_V + memristor.g_min_S * self.rails.vss_V) / G
            share = -np.expm1(-G * steps * self.clock.integrate_s / self.capacitance_F(layer))
            reached, threshold = self.rest_V + share * (pull - self.rest_V), self.threshold_V(layer)
            if reached < threshold:
                raise ConfigurationError(
                    f"A time step is too short to charge layer {layer + 1}: {steps} steps of clock.integrate_s = "
                    f"{self.clock.integrate_s:g} s lift its membrane to {reached:.3g} V at most, and its threshold is "
                    f"{threshold:.3g} V. Lengthen clock.integrate_s, or lower neuron.capacitance_F or threshold_V."
                )


def of_layer(values: tuple[Value, ...], layer: int) -> Value:
    """The layer's value; the last one holds for all deeper layers."""
    return values[min(layer, len(values) - 1)]


def load_circuit(name: str | Path) -> SpikingCircuit:
    """A shipped spiking circuit by name, or a user's by the path of its TOML file.

    Raises ConfigurationError: unknown name, missing file, unknown key, impossible value.
    """
    path = find_toml(name, assets.netlists_folder() / "spiking", "spiking circuit")
    content = {"name": path.stem, **read_toml(path)}
    if isinstance(neuron := content.get("neuron"), dict) and isinstance(file := neuron.get("subcircuit"), str):
        content["neuron"] = neuron | {"subcircuit": str(path.parent.resolve() / Path(file).expanduser())}
    return parse(SpikingCircuit, content, str(path))
