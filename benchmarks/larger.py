"""How cost grows with a network's size: a training step of kcl beside one of a plain torch MLP, writing the reduced
deck, some images in ngspice, and the memory of both. A size that ngspice does not answer in time is said to be so.

Then, of networks that are nothing but a crossbar between two layers of inverters (--coupled), what ngspice spends its
time on: the order of elimination, then elimination in every Newton iteration, beside the 2 n m^2 multiplications that
eliminating n inverter pairs between m columns takes. Every size is measured in a process of its own. Data are made.
Targets: every size of the first kind is answered within --timeout-s; a step of 784-500-300-10 takes at most 8 of the
MLP's.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from circuits import circuit, network
from common import alternate, finish, parser, save, seconds
from matplotlib.figure import Figure
from training_step import batches_of, kcl_model, mlp_model, step_of

from spicetrain.errors import SimulationError
from spicetrain.inverter.definition import TrainingSettings
from spicetrain.inverter.netlists.network import couplings, network_deck
from spicetrain.inverter.network import Network
from spicetrain.runfolder import NETWORK
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice, find_ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.technology import load_technology

SIZES = ["784-100-10", "784-500-300-10", "3072-1000-10"]
COUPLED = ["50-25", "100-50", "200-100"]
TARGETS = {"784-500-300-10": 8.0}  # a step, in the MLP's
INPUTS, OUTPUTS = 8, 10  # around a coupled crossbar
LOGGED = {"iterations": "Total iterations", "order_s": "Matrix reorder time", "eliminate_s": "Matrix factor time"}
Found = dict[str, Any]


def main() -> None:
    arguments = parser("larger", __doc__)
    arguments.add_argument("--sizes", nargs="*", default=SIZES, help="whole networks (default: %(default)s)")
    arguments.add_argument("--coupled", nargs="*", default=COUPLED, help="inverters-columns (default: %(default)s)")
    arguments.add_argument("--images", type=int, default=3, help="in ngspice (default: %(default)s)")
    arguments.add_argument("--batch", type=int, default=256)
    arguments.add_argument("--warm-up", type=int, default=2, help="steps before the clock starts")
    arguments.add_argument("--rounds", type=int, default=5, help="timed steps of each, in turn (default: %(default)s)")
    arguments.add_argument("--timeout-s", type=float, default=300.0, help="for ngspice (default: %(default)s)")
    arguments.add_argument("--ngspice", default=None, help="an executable (default: the one spicetrain would take)")
    arguments.add_argument("--run", type=Path, help="run folder: its network, where it has the size, takes the steps")
    arguments.add_argument("--alone", choices=(trained.__name__, simulated.__name__), help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.alone:
        print(json.dumps({trained.__name__: trained, simulated.__name__: simulated}[options.alone](options)))
        return
    whole = {size: alone(trained, size) | alone(simulated, size) for size in options.sizes}
    coupled = {size: alone(simulated, f"{INPUTS}-{size}-{OUTPUTS}") for size in options.coupled}
    rows = {size: described(found) for size, found in whole.items()}
    rows |= {f"{size} coupled": described(found) for size, found in coupled.items()}
    draw(whole, coupled, options.out.with_suffix(".png"))
    ngspice = find_ngspice(options.ngspice)
    result = {"whole": whole, "coupled": coupled, "images": options.images, "ngspice_version": ngspice.version}
    title = f"cost over size; {options.images} images in ngspice {ngspice.version}{' with KLU' if ngspice.klu else ''}"
    met = all("ngspice_s" in of and of["ratio"] <= TARGETS.get(size, math.inf) for size, of in whole.items())
    finish(options.out, title, rows, result, met)


def alone(measure: Callable[[argparse.Namespace], Found], size: str) -> Found:
    """In a process of its own, so that its memory is its own; with this command's other settings."""
    command = [sys.executable, __file__, *sys.argv[1:], "--alone", measure.__name__, "--sizes", size]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def layers_of(size: str) -> tuple[int, ...]:
    return tuple(int(width) for width in size.split("-"))


def trained(options: argparse.Namespace) -> Found:
    (size,) = options.sizes
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layers = layers_of(size)
    run = options.run if options.run and Network.load(options.run / NETWORK).layers == layers else None
    technology, surface = circuit(run)
    before_B = memory_B()
    batches, logit_V = batches_of(layers, options.batch), TrainingSettings().logit(technology.rails)
    steps = {
        "kcl": step_of(kcl_model(technology, surface, layers, run), batches, technology.rails.mid_V, logit_V),
        "mlp": step_of(mlp_model(layers), batches, 0.0, 1.0),
    }
    for step in steps.values():
        for _ in range(options.warm_up):
            step()
    taken = {name: median(values) for name, values in alternate(steps, options.rounds).items()}
    found = {"step_s": taken, "ratio": taken["kcl"] / taken["mlp"], "memory_B": memory_B(), "before_B": before_B}
    return found | {"trained": run is not None}


def memory_B() -> int:
    """The most that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def simulated(options: argparse.Namespace) -> Found:
    technology, ngspice, (size,) = load_technology("ptm90"), find_ngspice(options.ngspice), options.sizes
    made = network(None, technology, layers_of(size))
    inputs = np.random.default_rng(1).random((options.images, made.layers[0])).astype(np.float32)
    decks: list[Deck] = []
    deck_s = seconds(lambda: decks.append(network_deck(made, technology, inputs, "reduced")))
    found: Found = {"deck_s": deck_s, "couplings": couplings(made), "multiplications": multiplications(made)}
    return found | answered(replace(decks[0], options={"acct": True}), ngspice, options.timeout_s)


def multiplications(made: Network) -> int:
    """Of one elimination: every inverter pair takes all columns behind it from one another."""
    return sum(2 * crossbar.rows * crossbar.columns**2 for crossbar in made.crossbars[1:])


def answered(deck: Deck, ngspice: Ngspice, timeout_s: float) -> Found:
    try:
        answer = simulate(deck, ngspice, timeout_s)
    except SimulationError as error:
        if error.folder is not None:
            shutil.rmtree(error.folder, ignore_errors=True)
        return {"failed": str(error).splitlines()[0]}
    logged = {name: re.search(rf"{said} = ([\d.e+-]+)", answer.messages) for name, said in LOGGED.items()}
    size = re.search(r"Maximum ngspice program size = +([\d.]+) MB", answer.messages)
    found = {name: float(match[1]) for name, match in logged.items() if match}
    return found | {"ngspice_s": answer.seconds} | ({"ngspice_B": float(size[1]) * 1e6} if size else {})


def described(found: Found) -> str:
    parts = []
    if "ratio" in found:
        of = "trained" if found["trained"] else "as made"
        parts += [f"kcl step ({of}) {found['ratio']:.2f} MLP's, {found['memory_B'] / 1e9:.2f} GB"]
    parts += [f"{found['couplings']:,} couplings, deck in {found['deck_s']:.2f} s"]
    if "ngspice_s" not in found:
        return "; ".join([*parts, found["failed"]])
    share = [
        f"{name.removesuffix('_s')} {found[name] / found['ngspice_s']:.0%}" for name in LOGGED if name[-2:] == "_s"
    ]
    size = f", {found['ngspice_B'] / 1e9:.2f} GB" if "ngspice_B" in found else ""
    return "; ".join([*parts, f"ngspice {found['ngspice_s']:.2f} s ({', '.join(share)}){size}"])


def draw(whole: dict[str, Found], coupled: dict[str, Found], path: Path) -> None:
    figure = Figure((9, 4), layout="constrained")
    steps, spice = figure.subplots(1, 2)
    sizes = list(whole)
    for name in ("kcl", "mlp"):
        steps.semilogy(sizes, [whole[size]["step_s"][name] for size in sizes], "o-", label=f"{name}, a training step")
    for label, found in (("whole networks", whole), ("a coupled crossbar", coupled)):
        points = sorted((of["multiplications"], of["ngspice_s"]) for of in found.values() if "ngspice_s" in of)
        spice.loglog([x for x, _ in points], [y for _, y in points], "o-", label=label)
    steps.set(ylabel="seconds")
    steps.tick_params("x", labelsize=7)
    spice.set(xlabel="multiplications of one elimination", ylabel="seconds of ngspice")
    save(figure, path)


if __name__ == "__main__":
    main()
