"""What the values of a spiking circuit buy: membrane capacitor, threshold, clock step, reset, number of steps, range of
the devices, word lines, one at a time around the shipped graded 1r and 1t1r. There is no target; the shipped circuits
cite it.

Each variant is measured, trained for a while and scored on training images that were kept out, never on test images:
accuracy, spikes a neuron and step, what a step leaves of a membrane, the standard deviation of the thresholds that
costs a point (in the model, mean of some chips, interpolated), share of images whose class is a tie, energy in ngspice,
and area: memristors, gates of all transistors, membrane capacitors. What is finished is kept in --folder, and a rerun
goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from common import RESULTS, finish, parser
from numpy.typing import NDArray

from spicetrain.array.conductances import Conductances
from spicetrain.draw import Draw
from spicetrain.errors import ConfigurationError
from spicetrain.run import Run
from spicetrain.runfolder import NETWORK
from spicetrain.spiking.definition import SpikingExperiment
from spicetrain.spiking.inputs import Inputs
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.training.drawn import Deviation
from spicetrain.spiking.training.encoding import encode
from spicetrain.spiking.training.fitted import FittedSpikingCircuit
from spicetrain.spiking.training.predict import predict
from spicetrain.spiking.training.static import settled
from spicetrain.spiking.verification.area import area_of
from spicetrain.spiking.verification.figures import classes, tie_rate
from spicetrain.systems import parse_experiment
from spicetrain.technology import load_technology
from spicetrain.training.held_out import held_out
from spicetrain.verification.area import area_text

LADDER_V = (0.5e-3, 1e-3, 2e-3, 4e-3, 8e-3, 16e-3, 32e-3)
CHIPS = 3
POINT = 0.01
BASES: dict[str, dict[str, Any]] = {
    "1r": {"circuit.name": "lif-1r-graded", "network.encoder": "direct", "network.steps": 20},
    "1t1r": {"circuit.name": "lif-1t1r", "circuit.capacitance_F": [4e-12, 6e-12], "network.encoder": "dither",
             "network.steps": 12},
}  # fmt: skip
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "1r": {
        "as shipped": {},
        "C / 4": {"circuit.capacitance_F": [4e-12, 8e-12]},
        "C x 2": {"circuit.capacitance_F": [32e-12, 8e-12], "circuit.reset_fingers": [48, 12]},
        "threshold 10 mV": {"circuit.threshold_V": [0.01]},
        "threshold 40 mV": {"circuit.threshold_V": [0.04]},
        "reset to rest": {"circuit.reset_fingers": [96, 12]},
        "10 steps": {"network.steps": 10},
        "g_max / 4": {"device.g_max_S": 1.97e-6},
        "slow clock, small C": {"circuit.name": "lif-1r", "circuit.capacitance_F": [8e-12, 32e-12]},
    },
    "1t1r": {
        "as shipped": {},
        "C x 2": {"circuit.capacitance_F": [8e-12, 6e-12], "circuit.reset_fingers": [24, 6]},
        "threshold 25 mV": {"circuit.threshold_V": [0.025]},
        "threshold 100 mV": {"circuit.threshold_V": [0.1], "circuit.capacitance_F": [2e-12, 6e-12]},
        "6 steps": {"network.steps": 6},
        "word lines + 0.1 V": {"circuit.word_line_boost_V": 0.1},
        "word lines + 0.3 V": {"circuit.word_line_boost_V": 0.3},
    },
}
Shown = tuple[Inputs, NDArray[np.int64]]


@dataclass(frozen=True)
class Options:
    layers: tuple[int, ...]
    epochs: int
    static_epochs: int
    steps_per_epoch: int
    validation: int
    images: int
    farads_per_m2: float

    @property
    def name(self) -> str:
        """What was trained with others lies elsewhere."""
        widths = "-".join(str(width) for width in self.layers)
        return f"{widths}-{self.epochs}-{self.static_epochs}-{self.steps_per_epoch}-{self.validation}"


def main() -> None:
    arguments = parser("spiking_exploration", __doc__)
    arguments.add_argument("--folder", type=Path, default=RESULTS / "spiking_exploration", help="of the runs")
    arguments.add_argument("--arrays", nargs="+", choices=BASES, default=list(BASES))
    arguments.add_argument("--only", nargs="+", help="variants by name (default: all)")
    arguments.add_argument("--dataset", default="mnist")
    arguments.add_argument("--layers", type=int, nargs="+", default=[784, 100, 10])
    arguments.add_argument("--epochs", type=int, default=16)
    arguments.add_argument("--static-epochs", type=int, default=10)
    arguments.add_argument("--steps-per-epoch", type=int, default=0)
    arguments.add_argument("--validation", type=int, default=5000, help="training images that are kept out")
    arguments.add_argument("--tolerance-images", type=int, default=1000, help="of them, for the thresholds' tolerance")
    arguments.add_argument("--images", type=int, default=2, help="in ngspice, for the energy")
    arguments.add_argument("--fF-per-um2", type=float, default=2.0, help="of a metal-insulator-metal capacitor")
    asked = arguments.parse_args()
    options = Options(
        tuple(asked.layers), asked.epochs, asked.static_epochs, asked.steps_per_epoch, asked.validation, asked.images,
        asked.fF_per_um2 * 1e-3,
    )  # fmt: skip
    rows: dict[str, str] = {}
    results: dict[str, Any] = {}
    for array in asked.arrays:
        for name, changes in VARIANTS[array].items():
            if asked.only and name not in asked.only:
                continue
            folder = asked.folder / options.name / array / "".join(c if c.isalnum() else "-" for c in name)
            try:
                experiment = experiment_of(asked.dataset, BASES[array] | changes, options, folder)
                found = explored(Run(experiment, folder), options, asked.tolerance_images)
                rows[f"{array}, {name}"] = in_words(found)
            except ConfigurationError as error:
                found = {"impossible": str(error)}
                rows[f"{array}, {name}"] = f"impossible: {error}"
            results[f"{array}, {name}"] = found
            print(f"{array}, {name}: {rows[f'{array}, {name}']}", flush=True)
    finish(asked.out, "spiking circuits", rows, {"variants": results, "epochs": asked.epochs}, met=True)


def experiment_of(dataset: str, changes: dict[str, Any], options: Options, folder: Path) -> SpikingExperiment:
    content: dict[str, Any] = {
        "system": "spiking", "dataset": {"name": dataset},
        "network": {"layers": list(options.layers), "readout": "integrator"},
        "training": {
            "method": "circuit", "epochs": options.epochs, "static_epochs": options.static_epochs,
            "learning_rate": 0.01, "surrogate_slope": 8.0, "rate_logit": 60.0, "validation": options.validation,
            "steps_per_epoch": options.steps_per_epoch, "augmentation": {},
        },
        "verification": {"images": options.images, "waveform_images": 0},
    }  # fmt: skip
    changes, narrower = dict(changes), changes.get("device.g_max_S")
    if narrower is not None:
        del changes["device.g_max_S"]
        content["memristor"] = str(narrow_device(folder, narrower))
    for dotted, value in changes.items():
        table, key = dotted.split(".")
        content.setdefault(table, {})[key] = value
    return cast(SpikingExperiment, parse_experiment(content, "a variant"))


def narrow_device(folder: Path, g_max_S: float) -> Path:
    """The TOML of an ohmic device with the technology's lowest conductance."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "narrow.toml"
    g_min_S = load_technology("ptm90").memristor.g_min_S
    path.write_text(
        f'description = "ptm90, narrower"\n[memristor]\nform = "ohmic"\ng_min_S = {g_min_S!r}\ng_max_S = {g_max_S!r}\n'
    )
    return path.resolve()


def explored(run: Run, options: Options, tolerance_images: int) -> dict[str, Any]:
    experiment = cast(SpikingExperiment, run.experiment)
    if not (run.folder / NETWORK).exists():
        for room in (run.characterize, run.fit_surrogates, run.train):
            room()
    network = SpikingNetwork.load(run.folder / NETWORK)
    summary = run.verify()
    kept = held_out(run.dataset, options.validation)[1]
    spikes = encode(run.dataset.train_inputs[kept], experiment.network, experiment.network.encoder_seed)
    labels = run.dataset.train_labels[kept]
    layers = answers(run, network, spikes)
    few = spikes[:tolerance_images], labels[:tolerance_images]
    area = area_of(network, experiment.circuit.load(), run.technology)
    return {
        "accuracy": float(np.mean(classes(layers, network) == labels)),
        "tie_rate": tie_rate(layers, network),
        "spikes": float(layers[0][0].mean()),
        "kept": kept_of_a_step(run, network, spikes),
        "tolerance_V": tolerance_V(run, network, few),
        "energy_J": float(summary.energy_per_inference_J),
        "inference_s": experiment.circuit.load().clock.step_s * (experiment.network.steps + len(options.layers) - 2),
        "memristors": area.memristors,
        "transistors": area.transistor_count,
        "gates_m2": area.gate_area_m2,
        "capacitors_m2": sum(layer.capacitance_F for layer in area.layers) / options.farads_per_m2,
    }


def answers(run: Run, network: SpikingNetwork, spikes: Inputs, deviations: list[Deviation] | None = None) -> Any:
    circuit = cast(SpikingExperiment, run.experiment).circuit.load()
    return predict(network, spikes, circuit, run.surrogates(), deviations=deviations, technology=run.technology)


def tolerance_V(run: Run, network: SpikingNetwork, shown: Shown) -> float | None:
    """Standard deviation of the thresholds that costs a point; None where not even the last of LADDER_V does."""
    inputs, labels = shown

    def accuracy(sigma_V: float) -> float:
        found = []
        for chip in range(CHIPS if sigma_V else 1):
            draw = Draw(chip)
            deviations = [
                Deviation(torch.as_tensor(sigma_V * draw.normal(f"threshold {layer}", (width,))), torch.ones(width))
                for layer, width in enumerate(network.layers[1:])
            ]
            found.append(np.mean(classes(answers(run, network, inputs, deviations), network) == labels))
        return float(np.mean(found))

    wanted, before = accuracy(0.0) - POINT, (0.0, POINT)
    for sigma_V in LADDER_V:
        left = accuracy(sigma_V) - wanted
        if left < 0:
            return before[0] + (sigma_V - before[0]) * before[1] / (before[1] - left)
        before = sigma_V, max(left, 1e-9)
    return None


def kept_of_a_step(run: Run, network: SpikingNetwork, spikes: Inputs) -> float:
    """What a step leaves of a membrane of the first layer, the median of its columns, at the inputs' mean rates."""
    circuit = cast(SpikingExperiment, run.experiment).circuit.load()
    fitted = FittedSpikingCircuit(circuit, run.surrogates(), torch.float64, simple=True)
    rates = torch.as_tensor(np.asarray(spikes[:100], dtype=float).mean(1))
    x = settled(rates, Conductances.of(network.crossbars[0], torch.float64), 0, fitted).x
    return float(torch.exp(-x).median())


def in_words(found: dict[str, Any]) -> str:
    cost = found["tolerance_V"]
    tolerated = f"not even {1e3 * LADDER_V[-1]:g} mV" if cost is None else f"{1e3 * cost:.1f} mV"
    silent = "" if found["spikes"] else "SILENT, "
    return (
        f"{silent}{found['accuracy']:.2%}, ties {found['tie_rate']:.2%}, {found['spikes']:.3f} spikes a step, "
        f"a step keeps {found['kept']:.2f}, "
        f"{tolerated} cost a point, {1e12 * found['energy_J']:.0f} pJ in "
        f"{1e9 * found['inference_s']:.0f} ns, {found['memristors']:,} memristors, {found['transistors']:,} "
        f"transistors of {area_text(found['gates_m2'])}, capacitors {area_text(found['capacitors_m2'])}"
    )


if __name__ == "__main__":
    main()
