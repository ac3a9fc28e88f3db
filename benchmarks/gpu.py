"""A kcl training step and one of a plain torch MLP of the same shape, in float32 on the CPU and on a GPU where there is
one, and how many chips a second are predicted, each with programming errors of its own: on the CPU one after the other,
as a verification's worker has them, on a GPU many at once. Without a GPU the CPU alone is measured, and that is said.
Target: on a GPU a kcl step, and a chip, in less time than on the CPU.

A step is forward, loss, backward, fused Adam; nothing is read back. The clock stops when all steps are done.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from circuits import SHAPE, circuit, network
from common import alternate, finish, parser
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from training_step import mlp_model

from spicetrain.inverter.definition import NetworkSettings, TrainingSettings
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import TrainableNetwork
from spicetrain.inverter.training.newton import tolerance_on
from spicetrain.inverter.verification.chips import Population
from spicetrain.technology import Technology
from spicetrain.variation import VariationSettings, require_statistics
from spicetrain.verification.conditions import Conditions

PROGRAMMING = 0.1
Found = dict[str, Any]


def main() -> None:
    arguments = parser("gpu", __doc__)
    arguments.add_argument("--layers", type=int, nargs="+", default=SHAPE, help="default: %(default)s")
    arguments.add_argument("--batch", type=int, default=256, help="default: %(default)s")
    arguments.add_argument("--steps", type=int, default=50, help="between looks at the clock (default: %(default)s)")
    arguments.add_argument("--rounds", type=int, default=5, help="of all jobs, in turn (default: %(default)s)")
    arguments.add_argument("--chips", type=int, default=100, help="default: %(default)s")
    arguments.add_argument("--images", type=int, default=1000, help="of each chip (default: %(default)s)")
    options = arguments.parse_args()
    torch.manual_seed(0)
    technology, surface = circuit(None)
    devices = [torch.device(name) for name in ("cpu", "cuda") if name == "cpu" or torch.cuda.is_available()]
    found = {device.type: on(device, technology, surface, options) for device in devices}
    rows: dict[str, str] = {}
    for name, of in found.items():
        rows |= {f"{name}: {kind} step": f"{seconds * 1e3:.2f} ms" for kind, seconds in of["step_s"].items()}
        rows |= {f"{name}: kcl / mlp": f"{of['ratio']:.2f}", f"{name}: chips a second": f"{of['chips_per_s']:.1f}"}
    met = None
    if "cuda" in found:
        cpu, gpu = found["cpu"], found["cuda"]
        met = gpu["step_s"]["kcl"] < cpu["step_s"]["kcl"] and gpu["chips_per_s"] > cpu["chips_per_s"]
        rows["GPU"] = torch.cuda.get_device_name()
    else:
        rows["GPU"] = "no GPU: the CPU alone was measured"
    result = {"devices": found, "layers": list(options.layers), "batch": options.batch, "chips": options.chips}
    title = f"{list(options.layers)}, batch {options.batch}, {options.chips} chips x {options.images} images"
    finish(options.out, title, rows, result | {"images": options.images}, met)


def on(device: torch.device, technology: Technology, surface: CurrentSurface, options: argparse.Namespace) -> Found:
    """Everything on one device; the first round only warms up."""
    layers, surrogates = tuple(options.layers), Surrogates(surface)
    seen = FittedCircuit(technology, surrogates, torch.float32, device, tolerance_on(device))
    shape = NetworkSettings(layers=layers, inverter_sizes=(1.0,) * (len(layers) - 1))
    kcl = TrainableNetwork(shape, TrainingSettings(), seen)
    inputs = torch.rand(options.batch, layers[0], device=device)
    labels = torch.randint(layers[-1], (options.batch,), device=device)
    logit_V = TrainingSettings().logit(technology.rails)
    trained: dict[str, Callable[[], object]] = {
        "kcl": step_of(kcl, inputs, labels, technology.rails.mid_V, logit_V),
        "mlp": step_of(mlp_model(layers).to(device), inputs, labels, 0.0, 1.0),
    }
    jobs = {name: partial(repeat, step, options.steps, device) for name, step in trained.items()}
    alternate(jobs, 1)
    step_s = {name: median(values) / options.steps for name, values in alternate(jobs, options.rounds).items()}
    rng = np.random.default_rng(0)
    images = rng.random((options.images, layers[0]), dtype=np.float32)
    population = Population(
        network(None, technology, layers), Conditions(technology, technology), surrogates,
        require_statistics(technology, VariationSettings(mismatch=0.0, programming=PROGRAMMING)),
        images, rng.integers(layers[-1], size=options.images), device,
    )  # fmt: skip
    chips = [population.chip(number) for number in range(options.chips)]
    predicted = {"chips": partial(population.accuracies, chips)}
    alternate(predicted, 1)
    chips_s = median(alternate(predicted, options.rounds)["chips"])
    with torch.no_grad():
        unconverged = kcl.voltages(inputs).convergence.read().unconverged
    return {
        "step_s": step_s,
        "ratio": step_s["kcl"] / step_s["mlp"],
        "chips_per_s": options.chips / chips_s,
        "unconverged": unconverged,
    }


def step_of(model: nn.Module, inputs: Tensor, labels: Tensor, mid: float, logit: float) -> Callable[[], object]:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy((model(inputs) - mid) / logit, labels).backward()
        optimizer.step()

    return step


def repeat(step: Callable[[], object], steps: int, device: torch.device) -> None:
    for _ in range(steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
