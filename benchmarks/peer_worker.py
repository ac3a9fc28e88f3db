"""The other side of peers.py, run in the peers' environment: `peer_worker.py PEER PROBLEM.npz THREADS`. It says its
version, and for every line on its input the seconds of so many calls, as JSON (peer_process.py)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import cycle
from typing import Any

import numpy as np
import torch
from common import seconds
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

Problem = dict[str, np.ndarray]
Answer = dict[str, Any]
MODIFIER = 0.1  # of the largest weight: the noise that is added to the weights of a minibatch


def main() -> None:
    name, problem, threads = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a peer prints is no answer

    def say(answer: Answer) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        torch.set_num_threads(int(threads))
        torch.manual_seed(0)
        call = PEERS[name](dict(np.load(problem)))
        say({"versions": {of: version(of) for of in (name.split("-")[0], "torch", "numpy")}})
        for line in sys.stdin:
            say(turn(call, int(line)))
    except Exception as error:
        say({"failed": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no text'}"})


def turn(call: Callable[[], Answer], calls: int) -> Answer:
    """What the last of so many calls gave, and the seconds of one."""
    given: Answer = {}
    taken = [seconds(lambda: given.update(call())) for _ in range(calls)]
    return {"seconds": sum(taken) / calls} | given


def aihwkit(tile: str) -> Callable[[Problem], Callable[[], Answer]]:
    """A step of training that is aware of inference: AnalogLinear on an inference tile, its converters and output noise
    as by default, noise on the weights anew in every minibatch; one tile a layer, as there is one crossbar."""

    def made(problem: Problem) -> Callable[[], Answer]:
        from aihwkit.nn import AnalogLinear, AnalogSequential  # type: ignore[import-not-found]
        from aihwkit.optim import AnalogOptimizer  # type: ignore[import-not-found]
        from aihwkit.simulator import configs  # type: ignore[import-not-found]

        config = getattr(configs, tile)()
        config.mapping.max_input_size = config.mapping.max_output_size = 0
        config.modifier.type, config.modifier.std_dev = configs.WeightModifierType.ADD_NORMAL, MODIFIER
        layers, parts = problem["layers"].tolist(), list[nn.Module]()
        for rows, columns in zip(layers, layers[1:], strict=False):
            parts += [AnalogLinear(rows, columns, rpu_config=config), nn.Tanh()]
        model = AnalogSequential(*parts[:-1])
        optimizer = AnalogOptimizer(torch.optim.Adam, model.parameters(), lr=1e-3, fused=True)
        batches = minibatches(problem)

        def step() -> Answer:
            inputs, labels = next(batches)
            loss = cross_entropy(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return {"loss": loss.item()}

        return step

    return made


def minibatches(problem: Problem) -> Iterator[tuple[Tensor, Tensor]]:
    inputs, labels = torch.from_numpy(problem["inputs"]), torch.from_numpy(problem["labels"])
    return cycle(list(zip(inputs, labels, strict=True)))


def badcrossbar(problem: Problem) -> Callable[[], Answer]:
    """The currents of grounded columns, amperes, as mesh.py asks for them."""
    from mesh import by_badcrossbar

    def solved() -> Answer:
        return {"currents_A": by_badcrossbar(problem["g"], problem["v_rows"], float(problem["ohm"]))[0][0].tolist()}

    return solved


PEERS: dict[str, Callable[[Problem], Callable[[], Answer]]] = {
    "aihwkit": aihwkit("TorchInferenceRPUConfig"),
    "aihwkit-compiled": aihwkit("InferenceRPUConfig"),
    "badcrossbar": badcrossbar,
}


if __name__ == "__main__":
    main()
