"""Accuracy of the circuit in ngspice against a plain MLP of the same widths, from a finished comparison.

The MLP (ReLU, Adam, half a cosine) trains on the same images, with the same augmentation, as many epochs and in batches
of the same size; its learning rate is the best of a few on training images kept out. Target: the analog network is not
more than half a point below, mean over the comparison's seeds.
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from common import finish, parser
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from spicetrain.compare.cells import Cell
from spicetrain.compare.definition import load_comparison
from spicetrain.datasets import Dataset, load_dataset
from spicetrain.experiment import Experiment
from spicetrain.progress import track
from spicetrain.runfolder import SUMMARY
from spicetrain.storage import read_json
from spicetrain.training.augmentation import augmented
from spicetrain.training.held_out import held_out

TARGET_POINTS = -0.5


def main() -> None:
    arguments = parser("training_quality", __doc__)
    arguments.add_argument("comparison", type=Path, help="folder of a comparison with the cell")
    arguments.add_argument("--cell", default="kcl", help="(default: %(default)s)")
    arguments.add_argument("--rates", type=float, nargs="+", default=[5e-4, 1e-3, 2e-3, 4e-3], help="learning rates")
    arguments.add_argument("--kept-out", type=int, default=5000, help="training images (default: %(default)s)")
    options = arguments.parse_args()
    comparison = load_comparison(options.comparison)
    rows, result = {}, {}
    for dataset in comparison.datasets:
        cells = [Cell(comparison, options.comparison, dataset, options.cell, seed) for seed in comparison.seeds]
        circuit = [read_json(cell.folder / SUMMARY)["accuracy_spice"] for cell in cells]
        experiments = [cell.experiment() for cell in cells]
        images = load_dataset(dataset, experiments[0].dataset.folder)
        tried = {rate: mlp_accuracy(experiments[0], images, rate, options.kept_out) for rate in options.rates}
        rate = max(tried, key=lambda rate: tried[rate])
        plain = [mlp_accuracy(experiment, images, rate, 0) for experiment in experiments]
        rows[dataset] = (
            f"{options.cell} in ngspice {mean(circuit):.2%}, MLP {mean(plain):.2%} "
            f"({100 * (mean(circuit) - mean(plain)):+.2f} points), {len(cells)} seeds"
        )
        result[dataset] = {"circuit": circuit, "mlp": plain, "mlp_learning_rate": rate, "tried": tried}
    points = {name: 100 * (mean(found["circuit"]) - mean(found["mlp"])) for name, found in result.items()}
    met = all(value >= TARGET_POINTS for value in points.values())
    finish(options.out, "accuracy on the test images", rows, {"datasets": result, "points": points}, met)


def mlp_accuracy(experiment: Experiment, dataset: Dataset, rate: float, validation: int) -> float:
    """Accuracy on the test images, or on `validation` training images kept out."""
    settings = experiment.training
    torch.manual_seed(settings.seed)
    widths = experiment.network.layers
    layers: list[nn.Module] = []
    for rows, columns in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(rows, columns), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    shown, kept = held_out(dataset, validation)
    inputs, labels = (torch.from_numpy(a[shown]) for a in (dataset.train_inputs, dataset.train_labels))
    steps = settings.epochs * -(-len(inputs) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    random = torch.Generator().manual_seed(settings.seed)
    with track(f"MLP {dataset.name} {rate:g}", steps, "steps") as bar:
        for _ in range(settings.epochs):
            for chosen in torch.randperm(len(inputs), generator=random).split(settings.batch_size):
                images = augmented(inputs[chosen], dataset.image_shape, settings.augmentation, random)
                loss = cross_entropy(model(images), labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.advance()
    if validation:
        return accuracy(model, dataset.train_inputs[kept], dataset.train_labels[kept])
    return accuracy(model, dataset.test_inputs, dataset.test_labels)


@torch.no_grad()
def accuracy(model: nn.Module, inputs: Any, labels: Any) -> float:
    outputs: Tensor = model(torch.from_numpy(inputs))
    return float(np.mean(outputs.argmax(1).numpy() == labels))


if __name__ == "__main__":
    main()
