"""spicetrain beside its peers, as ratios of one run, with everybody's version:

training      a step of kcl, beside plain torch (Linear and tanh) and aihwkit's inference tiles, noise on their weights
spiking       a step of `circuit` on a 1r array, beside the same network in plain snntorch
mesh          a crossbar whose wires resist: one solution and its gradient, beside a solution of badcrossbar
verification  an image of a network in ngspice: our sweep in one process, beside altering every source and asking for
              one .op per image, and beside a deck and an ngspice of its own for every image

aihwkit and badcrossbar are installed into an environment of their own (--environment) and timed in its processes, turn
by turn with ours. One that cannot be installed, or does not run, is said to be so. What each leaves out stands in
docs/peers.md. Target: who solves the same problem gives the same answer; the ratios have theirs in each part's script.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import snntorch
import torch
from circuits import SHAPE, circuit, network
from common import RESULTS, finish, parser, seconds
from mesh import SAME, problem, solved
from numpy.typing import NDArray
from peer_process import Peers
from spiking_circuits import data, measured
from spiking_step import PLAIN
from spiking_step import Benchmark as SpikingBenchmark
from training_step import batches_of, kcl_model, mlp_model, step_of
from verification_speed import SAME_V
from verification_speed import Benchmark as VerificationBenchmark

from spicetrain.inverter.definition import TrainingSettings
from spicetrain.inverter.netlists.network import network_deck
from spicetrain.inverter.verification.near_model import FEWEST
from spicetrain.netlists.cells import Form
from spicetrain.spice.ngspice import find_ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.spiking.definition import SpikingNetworkSettings

MINIBATCHES = 8
TILES = {"aihwkit": "aihwkit, tile in torch", "aihwkit-compiled": "aihwkit, compiled tile"}
Part = dict[str, Any]
"""Of a part: "seconds" by name, "ratios" by pair, "absent" by peer: why; "versions"; "same" answers."""


def main() -> None:
    arguments = parser("peers", __doc__)
    arguments.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    arguments.add_argument(
        "--environment", type=Path, default=RESULTS / "peers", help="of peers (default: %(default)s)"
    )
    arguments.add_argument("--threads", type=int, default=1, help="of torch, on both sides (default: %(default)s)")
    arguments.add_argument("--timeout-s", type=float, default=600.0, help="for one answer of a peer")
    arguments.add_argument("--layers", type=int, nargs="+", default=SHAPE, help="of all networks")
    arguments.add_argument("--batch", type=int, default=256)
    arguments.add_argument("--steps", type=int, default=10, help="clock steps of a spiking image")
    arguments.add_argument("--warm-up", type=int, default=40, help="steps before the clock starts")
    arguments.add_argument("--rounds", type=int, default=12, help="turns of each (default: %(default)s)")
    arguments.add_argument("--calls", type=int, default=5, help="training steps of a turn (default: %(default)s)")
    arguments.add_argument("--sizes", type=int, nargs="+", default=[30, 100, 200], help="of the mesh: rows = columns")
    arguments.add_argument("--ohm", type=float, default=1.0, help="of a segment of the mesh")
    arguments.add_argument("--images", type=int, default=300, help="swept (default: %(default)s)")
    arguments.add_argument("--altered", type=int, default=10, help="in one ngspice, altered")
    arguments.add_argument("--naive", type=int, default=5, help="in an ngspice each, reduced")
    arguments.add_argument("--naive-flat", type=int, default=1, help="in an ngspice each, flat; 0: none")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    found = {name: PARTS[name](options) for name in options.parts}
    rows = {row: text for part in found.values() for row, text in described(part).items()}
    result: Part = {"parts": found, "layers": list(options.layers), "batch": options.batch, "threads": options.threads}
    met = all(part.get("same", True) for part in found.values())
    finish(options.out, "spicetrain beside its peers", rows, result, met)


def described(part: Part) -> dict[str, str]:
    rows = {pair: f"{ratio:.3g}" for pair, ratio in part["ratios"].items()}
    rows |= part["absent"]
    if part["versions"]:
        rows[f"versions, {part['name']}"] = ", ".join(f"{name} {of}" for name, of in part["versions"].items())
    if "same" in part:
        rows[f"the same answers, {part['name']}"] = "yes" if part["same"] else "NO"
    return rows


def training(options: argparse.Namespace) -> Part:
    technology, surface = circuit(None)
    layers = tuple(options.layers)
    batches = list(islice(batches_of(layers, options.batch), MINIBATCHES))
    given = {"layers": np.array(layers)}
    given |= {"inputs": torch.stack([inputs for inputs, _ in batches]).numpy()}
    given |= {"labels": torch.stack([labels for _, labels in batches]).numpy()}
    model = kcl_model(technology, surface, layers, None)
    steps = {
        "kcl": step_of(model, endless(batches), technology.rails.mid_V, TrainingSettings().logit(technology.rails)),
        "plain torch": step_of(mlp_model(layers), endless(batches), 0.0, 1.0),
    }
    taken: dict[str, list[float]] = {}
    with Peers(TILES, given, options.environment, options.threads, options.timeout_s) as peers:
        for step in steps.values():
            for _ in range(options.warm_up):
                step()
        peers.turn(options.warm_up)
        for _ in range(options.rounds):
            turn = {name: repeated_s(step, options.calls) for name, step in steps.items()}
            turn |= {name: answer["seconds"] for name, answer in peers.turn(options.calls).items()}
            for name, value in turn.items():
                taken.setdefault(name, []).append(value)
    taken = {name: values for name, values in taken.items() if name not in peers.absent}
    pairs = [(name, "plain torch") for name in taken if name != "plain torch"]
    pairs += [("kcl", name) for name in peers.running]
    return part("training", taken, pairs, peers.absent, {"torch": torch.__version__} | peers.versions)


def endless(batches: list[tuple[torch.Tensor, torch.Tensor]]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    while True:
        yield from batches


def repeated_s(job: Callable[[], object], calls: int) -> float:
    """Of one call."""
    return seconds(lambda: [job() for _ in range(calls)]) / calls


def part(
    name: str,
    taken: Mapping[str, list[float]],
    pairs: list[tuple[str, str]],
    absent: dict[str, str],
    versions: dict[str, str],
) -> Part:
    """Medians, and their ratios."""
    of = {job: median(values) for job, values in taken.items()}
    ratios = {f"{name}: {one} / {other}": of[one] / of[other] for one, other in pairs}
    absent = {f"{name}: {peer}": reason for peer, reason in absent.items()}
    return {"name": name, "seconds": of, "ratios": ratios, "absent": absent, "versions": versions}


def spiking(options: argparse.Namespace) -> Part:
    """As spiking_step.py has it."""
    shape = SpikingNetworkSettings(layers=tuple(options.layers), steps=options.steps)
    benchmark = SpikingBenchmark(shape, data(shape.layers, 4 * options.batch), options.batch)
    found = benchmark.measure({"1r": measured("1r")}, options.warm_up, options.rounds)
    taken = {"circuit on 1r": [found["step_s"]["1r"]], PLAIN: [found["step_s"][PLAIN]]}
    return part("spiking", taken, [("circuit on 1r", PLAIN)], {}, {"snntorch": snntorch.__version__})


def mesh(options: argparse.Namespace) -> Part:
    """As mesh.py has it."""
    taken: dict[str, list[float]] = {}
    pairs, absent, versions, same = list[tuple[str, str]](), dict[str, str](), dict[str, str](), True
    gradient(*problem(5), 1.0)  # LAPACK is loaded
    for size in options.sizes:
        g, v_rows = problem(size)
        given = {"g": g, "v_rows": v_rows, "ohm": np.array(options.ohm)}
        ours, theirs = f"spicetrain with gradient, {size} x {size}", f"badcrossbar, {size} x {size}"
        currents_A = solved(g, options.ohm).columns(v_rows)[0] / options.ohm
        where = options.environment, options.threads, options.timeout_s
        with Peers({"badcrossbar": theirs}, given, *where) as peers:
            for _ in range(max(2, options.rounds // 4)):
                answers = peers.turn(1)
                taken.setdefault(ours, []).append(seconds(partial(gradient, g, v_rows, options.ohm)))
                for name, answer in answers.items():
                    taken.setdefault(name, []).append(answer["seconds"])
                    same &= bool(np.abs(answer["currents_A"] - currents_A).max() < SAME / options.ohm)
            pairs += [(name, ours) for name in peers.running]
        absent |= peers.absent
        versions |= peers.versions
    return part("mesh", taken, pairs, absent, versions) | {"same": same}


def gradient(g: NDArray, v_rows: NDArray, ohm: float) -> object:
    """Of a mesh that knows nothing yet, the solution with it."""
    return solved(g, ohm).gradient(v_rows, np.ones((1, v_rows.shape[1])))


def verification(options: argparse.Namespace) -> Part:
    """As verification_speed.py has it, reduced. Ours is charged with everything, altering with what an image after the
    first costs, an ngspice for every image with its process alone: the deck is there."""
    technology, surface = circuit(None)
    of = network(None, technology, tuple(options.layers))
    benchmark = VerificationBenchmark(of, technology, find_ngspice(), surface)
    inputs = benchmark.inputs(options.images)
    model_V = benchmark.model_V(inputs) if len(inputs) >= FEWEST else {}
    ours = "spicetrain"
    taken: dict[str, list[float]] = {}
    answers: dict[str, NDArray] = {}
    for _ in range(max(2, options.rounds // 4)):
        turn = {ours: seconds(lambda: answers.update({ours: benchmark.sweep("reduced", inputs, 1, model_V)}))}
        turn[ours] /= len(inputs)
        answers["altered"], turn["altered"] = benchmark.alter("reduced", inputs[: options.altered])
        answers["a deck an image"], turn["a deck an image"] = naive(benchmark, "reduced", inputs[: options.naive])
        for name, value in turn.items():
            taken.setdefault(name, []).append(value)
    if options.naive_flat:
        flat = "a flat deck an image"
        answers[flat], value = naive(benchmark, "flat", inputs[: options.naive_flat])
        taken[flat] = [value]
    off_V = {name: float(np.abs(v - answers[ours][: len(v)]).max()) for name, v in answers.items()}
    pairs = [(name, ours) for name in taken if name != ours]
    told = part("verification", taken, pairs, {}, {"ngspice": str(benchmark.ngspice.version)})
    return told | {"off_V": off_V, "same": max(off_V.values()) <= SAME_V}


def naive(benchmark: VerificationBenchmark, form: Form, inputs: NDArray) -> tuple[NDArray, float]:
    """(outputs [images, outputs], seconds an image) by a deck and a process each."""
    decks = [network_deck(benchmark.network, benchmark.technology, image[None], form) for image in inputs]
    found = [simulate(deck, benchmark.ngspice) for deck in decks]
    volts = [[of.values[name][0] for name in deck.saves] for deck, of in zip(decks, found, strict=True)]
    return np.array(volts), sum(of.seconds for of in found) / len(found)


PARTS: dict[str, Callable[[argparse.Namespace], Part]] = {
    "training": training,
    "spiking": spiking,
    "mesh": mesh,
    "verification": verification,
}


if __name__ == "__main__":
    main()
