"""What chips cost: a kcl training step under variation against one without, in turn; and how long 1,000 chips take on
1,000 images each in the model. Targets: at most 1.5 times; under 5 minutes on 2 cores.

Needs a run folder with a trained network in which chips were verified: `spicetrain run mnist-kcl`, then
`spicetrain verify runs/mnist-kcl --chips 2`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import alternate, finish, parser, seconds
from torch.nn.functional import cross_entropy

from spicetrain.datasets import load_dataset
from spicetrain.inverter.definition import NetworkSettings, TrainingSettings
from spicetrain.inverter.network import Network
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import TrainableNetwork
from spicetrain.inverter.training.variation import TrainingDraws
from spicetrain.inverter.verification.chips import Population, accuracies
from spicetrain.runfolder import NETWORK
from spicetrain.spice.ngspice import find_ngspice
from spicetrain.spice.simulator import Simulator
from spicetrain.systems import load_experiment
from spicetrain.technology import load_technology
from spicetrain.variation import VariationSettings, require_statistics
from spicetrain.verification.chips import evaluate_chips
from spicetrain.verification.conditions import Conditions

MOST_TIMES, MOST_SECONDS, WHOLE = 1.5, 300.0, 1000


def main() -> None:
    arguments = parser("chips", __doc__)
    arguments.add_argument("--run", type=Path, required=True, help="run folder with a network and a shifted surface")
    arguments.add_argument("--batch", type=int, default=256)
    arguments.add_argument("--rounds", type=int, default=40, help="timed steps of each, in turn (default: %(default)s)")
    arguments.add_argument("--chips", type=int, default=40, help="evaluated; 1,000 are reckoned from them")
    arguments.add_argument("--images", type=int, default=1000)
    options = arguments.parse_args()
    experiment, network = load_experiment(options.run), Network.load(options.run / NETWORK)
    technology, surrogates = load_technology(experiment.technology), Surrogates.load(options.run)
    dataset = load_dataset(experiment.dataset.name, experiment.dataset.folder)
    statistics = require_statistics(technology, VariationSettings())

    model = TrainableNetwork(
        NetworkSettings(
            layers=network.layers, inverter_sizes=tuple(float(s[0, 0]) for s in network.sizes),
            bias_pairs=network.bias_pairs,
        ),
        TrainingSettings(), FittedCircuit(technology, surrogates),
    )  # fmt: skip
    model.assign(network, str(options.run))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    x, labels = torch.from_numpy(dataset.train_inputs), torch.from_numpy(dataset.train_labels)
    random = torch.Generator().manual_seed(0)

    def step(drawn: Any) -> None:
        chosen = torch.randint(len(x), (options.batch,), generator=random)
        loss = cross_entropy(model.voltages(x[chosen], None, drawn).outputs / 0.05, labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    jobs = {"nominal": partial(step, None), "varying": partial(step, (TrainingDraws(technology, statistics), random))}
    alternate(jobs, 10)
    taken = {name: median(values) for name, values in alternate(jobs, options.rounds).items()}
    times = taken["varying"] / taken["nominal"]

    simulator = Simulator(find_ngspice())
    inputs, classes = dataset.test_inputs[: options.images], dataset.test_labels[: options.images]
    population = Population(network, Conditions(technology, technology), surrogates, statistics, inputs, classes)
    evaluate = partial(
        evaluate_chips, simulator, range(options.chips), partial(accuracies, population), population.key, "chips",
        images=options.images, size=5,
    )  # fmt: skip
    spent = seconds(evaluate)
    whole_s = spent * WHOLE / options.chips * WHOLE / options.images
    rows = {f"{name} step": f"{value * 1e3:.2f} ms" for name, value in taken.items()}
    rows |= {"ratio": f"{times:.2f} (target {MOST_TIMES:g})"}
    rows |= {f"{options.chips} chips x {options.images} images": f"{spent:.1f} s"}
    rows |= {"1,000 chips x 1,000 images": f"{whole_s:.0f} s (target {MOST_SECONDS:g})"}
    result = {"step_s": taken, "ratio": times, "chips": options.chips, "images": options.images, "seconds": spent}
    met = times <= MOST_TIMES and whole_s <= MOST_SECONDS
    finish(options.out, f"chips {list(network.layers)}", rows, result | {"seconds_1000_1000": whole_s}, met)


if __name__ == "__main__":
    main()
