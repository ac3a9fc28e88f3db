"""The artefacts of a spiking network's verification besides summary.json.

verification.parquet  a row an image: image, label; class_own, class_model, class_spice; own_o_<j>, model_o_<j>,
                      spice_o_<j>: spikes of the outputs, or an integrator's membranes at the last latch (V);
                      mismatches, membrane_rms_V, energy_J, seconds
waveforms.parquet     image, layer, neuron, time_s, membrane_V, spike (0..1): chosen neurons in ngspice, all points
spikes.npz            see `spikes_file`
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.runfolder import VERIFICATION, WAVEFORMS
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.verification.figures import Layer, by_image, classes, output_figures
from spicetrain.spiking.verification.images import Neuron, SimulatedImages
from spicetrain.storage import write_atomic


def drawn_neurons(model: Sequence[Layer], image: int, integrator: int | None = None) -> tuple[Neuron, ...]:
    """Of each layer the neuron that fires most and, of those that never fire, the one that comes nearest to it; of an
    integrator the two whose membranes are highest at the last latch. Chosen by the model, so before anything is
    simulated."""
    chosen: list[Neuron] = []
    for layer, (spikes, v) in enumerate(model):
        if layer == integrator:
            chosen += [(layer, int(j)) for j in v[image, -1].argsort()[::-1][:2]]
            continue
        counts, highest = spikes[image].sum(0), v[image].max(0)
        chosen.append((layer, int(counts.argmax())))
        if not counts.all():
            silent = (layer, int(np.where(counts == 0, highest, -np.inf).argmax()))
            chosen += [silent] if silent not in chosen else []
    return tuple(chosen)


def write_images(
    folder: Path,
    labels: NDArray,
    own: Sequence[Layer],
    model: Sequence[Layer],
    spice: SimulatedImages,
    network: SpikingNetwork,
) -> None:
    """verification.parquet; StorageError when that fails."""
    import pandas as pd

    sides = {"own": own, "model": model, "spice": spice.layers}
    columns: dict[str, Any] = {"image": np.arange(len(labels)), "label": labels}
    columns |= {f"class_{side}": classes(layers, network) for side, layers in sides.items()}
    for side, layers in sides.items():
        columns |= {f"{side}_o_{j}": value for j, value in enumerate(output_figures(layers, network).T)}
    columns |= by_image(model, spice.layers)
    columns |= {"energy_J": spice.total_energy_J, "seconds": spice.seconds}
    with write_atomic(folder / VERIFICATION) as temporary:
        pd.DataFrame(columns).to_parquet(temporary, index=False)


def write_waveforms(folder: Path, drawn: Sequence[Sequence[Neuron]], spice: SimulatedImages) -> None:
    """waveforms.parquet of the images that have `drawn` neurons; none: one of an earlier verification goes."""
    import pandas as pd

    parts = []
    for image, neurons in enumerate(drawn):
        time_s, membranes, spikes = spice.waveform(image)
        for (layer, neuron), v, spike in zip(neurons, membranes.T, spikes.T, strict=True):
            identity = {"image": image, "layer": layer, "neuron": neuron}
            parts.append(pd.DataFrame(identity | {"time_s": time_s, "membrane_V": v, "spike": spike}))
    if not parts:
        (folder / WAVEFORMS).unlink(missing_ok=True)
        return
    with write_atomic(folder / WAVEFORMS) as temporary:
        pd.concat(parts).to_parquet(temporary, index=False)
