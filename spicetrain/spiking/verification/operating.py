"""The nominal chip under other operating conditions: simulated, and by a model that was measured there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.netlists.cells import Form
from spicetrain.spice.simulator import Simulator
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.verification.figures import Layer, accuracies, compare_spikes
from spicetrain.spiking.verification.images import Presented, simulate_images
from spicetrain.spiking.verification.netlist import Netlist
from spicetrain.spiking.verification.summary import OperatingFigures
from spicetrain.technology import Technology

if TYPE_CHECKING:
    from spicetrain.spiking.surrogates.laws import SpikingLaws

LawsUnder = Callable[[str, Technology, SpikingCircuit], "SpikingLaws"]
"""(the condition's name, the technology and the circuit under it) -> what is measured and fitted there."""


def operating_figures(
    netlist: Netlist,
    form: Form,
    spikes: Sequence[Any],
    labels: NDArray[np.int64],
    simulator: Simulator,
    nominal: Sequence[Layer],
    there: Sequence[Layer] | None,
) -> OperatingFigures:
    """Of the netlist under a condition, against the `nominal` model's layers and those of the model that was fitted
    under it; None: there is none. Finished images are kept as by `simulate_images`."""
    network = netlist.network
    spice = simulate_images(netlist, form, [Presented(one) for one in spikes], simulator)
    model = nominal if there is None else there
    figures = accuracies(nominal, model, spice.layers, labels, network)
    own = {"accuracy_model": figures["accuracy_circuit_model"], "agreement": figures["agreement"]}
    return OperatingFigures(
        images=len(labels),
        accuracy_spice=figures["accuracy_spice"],
        accuracy_nominal_model=figures["accuracy_model"],
        tie_rate=figures["tie_rate"],
        energy_per_inference_J=spice.mean_energy_J,
        **(
            {}
            if there is None
            else own
            | {"spike_agreement": compare_spikes(model, spice.layers, integrator=network.integrator)["spike_agreement"]}
        ),
        temperature_C=netlist.technology.temperature_C,
        vdd_V=netlist.circuit.rails.vdd_V,
        vss_V=netlist.circuit.rails.vss_V,
        seconds_ngspice=float(spice.seconds.sum()),
    )
