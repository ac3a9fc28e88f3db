"""One sweep over an image index against altering every source and asking for one .op per image, same netlist, same
ngspice. Targets: reduced 8 times, flat 40 times faster per image.

The sweep is charged with everything (building the deck, starting ngspice, ordering the matrix); altering only with
what one more image costs inside a running process. From 100 images on, reduced, the sweep starts each at the model's
voltages, as `spicetrain verify` does; predicting them is not charged, for a verification predicts anyway. Newton
iterations are counted with and without. The sweep is timed in one process, and in as many as there are cores, which is
how `spicetrain verify` runs it; the target is held against the latter. Altering the flat netlist is timed twice: on our
deck, and on the same deck with its first crossbar written row by row, as one would write it and as it was when the
target was set; ngspice orders that matrix many times more slowly. The target is held against the second.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from circuits import SHAPE, circuit, network
from common import finish, parser, seconds
from numpy.typing import NDArray

from spicetrain.datasets import load_dataset
from spicetrain.inverter.netlists.network import inverter_outputs, network_deck
from spicetrain.inverter.netlists.start import Start
from spicetrain.inverter.network import Network, encode
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.model import predict
from spicetrain.inverter.training.newton import EXACT
from spicetrain.inverter.training.voltages import named_voltages
from spicetrain.inverter.verification.near_model import FEWEST, simulate_near
from spicetrain.netlists.cells import Form
from spicetrain.spice.deck import Deck
from spicetrain.spice.ngspice import Ngspice, find_ngspice
from spicetrain.spice.pool import available_cores
from spicetrain.spice.simulate import simulate
from spicetrain.spice.simulator import Simulator
from spicetrain.systems import load_experiment
from spicetrain.technology import Technology, load_technology

TARGET = {"reduced": 8.0, "flat": 40.0}
SAME_V = 5e-6  # ngspice itself stops at reltol 1e-5 of a quarter volt, 2.5 uV


def main() -> None:
    arguments = parser("verification_speed", __doc__)
    arguments.add_argument("--run", type=Path, help="run folder with a trained network (default: random conductances)")
    arguments.add_argument("--layers", type=int, nargs="+", default=SHAPE, help="of the random network")
    arguments.add_argument("--images", type=int, default=1000, help="swept, reduced (default: %(default)s)")
    arguments.add_argument("--altered", type=int, default=40, help="altered, reduced (default: %(default)s)")
    arguments.add_argument("--flat-images", type=int, default=100, help="swept, flat; 0: none (default: %(default)s)")
    arguments.add_argument("--flat-altered", type=int, default=3, help="altered, flat (default: %(default)s)")
    arguments.add_argument("--rounds", type=int, default=3, help="of the reduced form; flat has one")
    options = arguments.parse_args()
    technology = load_technology(load_experiment(options.run).technology if options.run else "ptm90")
    found_network = network(options.run, technology, tuple(options.layers))
    surface = circuit(options.run)[1] if options.images >= FEWEST else None
    benchmark = Benchmark(found_network, technology, find_ngspice(), surface)
    result: dict[str, Any] = {
        "layers": list(benchmark.network.layers),
        "ngspice_version": benchmark.ngspice.version,
        "reduced": benchmark.compare("reduced", options.images, options.altered, options.rounds),
        "iterations": benchmark.iterations(options.altered),
    }
    if options.flat_images:
        result["flat"] = benchmark.compare("flat", options.flat_images, options.flat_altered, 1)
        result["flat"] |= benchmark.marginal(options.flat_images, result["flat"]["sweep_s"])
        result["flat"] |= benchmark.row_by_row(options.flat_altered, result["flat"])
    found = {form: result[form] for form in TARGET if form in result}
    met = all(part["ratio"] >= TARGET[form] and part["difference_V"] <= SAME_V for form, part in found.items())
    rows = {f"{form}, {name}": text for form, part in found.items() for name, text in described(form, part).items()}
    whole_s = 1e4 * result["reduced"]["parallel_s_per_image"]
    rows["reduced, 10,000 images as verify runs it"] = f"{whole_s:.0f} s, reckoned"
    for name, count in result["iterations"].items():
        rows[f"reduced, Newton iterations an image, {name}"] = f"{count:.1f}"
    finish(options.out, f"{result['layers']} in ngspice {benchmark.ngspice.version}, one process", rows, result, met)


def described(form: str, part: dict[str, Any]) -> dict[str, str]:
    each = {key: f"{part[f'{key}_s_per_image'] * 1e3:.1f} ms an image" for key in ("sweep", "parallel", "alter")}
    rows = {
        "sweep, one process": f"{each['sweep']} ({part['images']} images)",
        "sweep, as verify runs it": f"{each['parallel']}, {part['workers']} processes",
        "alter and .op": each["alter"],
        "ratio, one process": f"{part['ratio_one_process']:.1f}",
        "ratio, as verify runs it": f"{part['ratio']:.1f} (target {TARGET[form]:g})",
        "largest difference": f"{part['difference_V'] * 1e6:.3f} uV",
    }
    if "row_by_row_s_per_image" in part:
        rows["alter and .op, written row by row"] = f"{part['row_by_row_s_per_image']:.1f} s an image"
        rows["ratio on our own deck"] = f"{part['ratio_own_deck']:.1f}"
    if "set_up_s" in part:
        rows["sweep, set-up and each further image"] = f"{part['set_up_s']:.1f} s, {part['marginal_s'] * 1e3:.1f} ms"
    return rows


class Benchmark:
    """One network, whose images are MNIST's where it has as many inputs, else random ones."""

    def __init__(
        self, network: Network, technology: Technology, ngspice: Ngspice, surface: CurrentSurface | None
    ) -> None:
        self.network, self.technology, self.ngspice, self.surface = network, technology, ngspice, surface

    def model_V(self, inputs: NDArray[np.float32]) -> dict[str, NDArray]:
        """What kcl says of every node, [images] each."""
        if self.surface is None:
            return {}
        fitted = FittedCircuit(self.technology, Surrogates(self.surface), torch.float64, tolerance=EXACT)
        return named_voltages(predict(self.network, inputs, fitted, "kcl").layers)

    def iterations(self, images: int) -> dict[str, float]:
        """An image, on the reduced netlist: from the image before, and from the model's voltages."""
        inputs = self.inputs(images)
        decks = {"from the image before": network_deck(self.network, self.technology, inputs, "reduced")}
        if self.surface is not None:
            model_V, nodes = self.model_V(inputs), inverter_outputs(self.network.layers)
            start = {node: model_V[node] for node in nodes}
            decks["from the model"] = network_deck(self.network, self.technology, inputs, "reduced", start=start)
        return {name: self._iterations(deck) / images for name, deck in decks.items()}

    def _iterations(self, deck: Deck) -> int:
        messages = simulate(replace(deck, options={"acct": True}), self.ngspice).messages
        found = re.search(r"Total iterations = (\d+)", messages)
        assert found is not None
        return int(found[1])

    def inputs(self, images: int) -> NDArray[np.float32]:
        if self.network.layers[0] == 784:
            return load_dataset("mnist").test_inputs[:images]
        return np.random.default_rng(1).random((images, self.network.layers[0])).astype(np.float32)

    def compare(self, form: Form, images: int, altered: int, rounds: int) -> dict[str, Any]:
        inputs = self.inputs(images)
        workers, model_V = available_cores(), self.model_V(inputs) if images >= FEWEST else {}
        sweep_s, parallel_s, alter_s = [], [], []
        for _ in range(rounds):  # A B C A B C
            swept: list[NDArray] = []
            sweep_s.append(seconds(lambda swept=swept: swept.append(self.sweep(form, inputs, 1, model_V))))  # type: ignore[misc]
            parallel_s.append(seconds(lambda: self.sweep(form, inputs, workers, model_V)))
            in_turn, each_s = self.alter(form, inputs[:altered])
            alter_s.append(each_s)
        per_image, parallel = median(sweep_s) / images, median(parallel_s) / images
        return {
            "images": images,
            "altered": altered,
            "sweep_s": median(sweep_s),
            "sweep_s_per_image": per_image,
            "alter_s_per_image": median(alter_s),
            "parallel_s_per_image": parallel,
            "workers": workers,
            "ratio_one_process": median(alter_s) / per_image,
            "ratio": median(alter_s) / parallel,
            "difference_V": float(np.abs(swept[0][:altered] - in_turn).max()),
        }

    def sweep(self, form: Form, inputs: NDArray[np.float32], workers: int, model_V: Start) -> NDArray[np.float64]:
        """Outputs [images, outputs] as the verification gets them."""
        with tempfile.TemporaryDirectory(prefix="spicetrain-benchmark-") as name:
            simulator = Simulator(self.ngspice, workers, scratch=Path(name))
            return simulate_near(self.network, self.technology, inputs, form, simulator, model_V=model_V).voltages

    def marginal(self, images: int, sweep_s: float) -> dict[str, float]:
        """What a flat sweep costs before its first image, and for each: from a second, short one."""
        few = 2
        short_s = seconds(lambda: self.sweep("flat", self.inputs(few), 1, {}))
        each = (sweep_s - short_s) / (images - few)
        return {"set_up_s": short_s - few * each, "marginal_s": each}

    def row_by_row(self, altered: int, flat: dict[str, Any]) -> dict[str, float]:
        """The flat ratios against altering a deck that is written row by row."""
        _, each_s = self.alter("flat", self.inputs(altered), order=first_crossbar_row_by_row)
        return {
            "row_by_row_s_per_image": each_s,
            "ratio_own_deck": flat["ratio"],
            "ratio": each_s / flat["parallel_s_per_image"],
            "ratio_one_process": each_s / flat["sweep_s_per_image"],
        }

    def alter(
        self, form: Form, inputs: NDArray[np.float32], order: Callable[[str], str] = str
    ) -> tuple[NDArray[np.float64], float]:
        """(outputs [images, outputs], seconds for each image after the first) by alter and op in one process."""
        # A deck of one image has plain sources.
        deck = network_deck(self.network, self.technology, inputs[:1], form)
        text = order(deck.text(self.ngspice)).replace(f"\n{deck.analysis}\n", "\n").removesuffix(".end\n")
        stamp, names = "shell sh stamp", self.sources(form, inputs[:1])
        images = []
        for values in zip(*self.sources(form, inputs).values(), strict=True):
            settings = [f"alter {name} = {float(v)!r}" for name, v in zip(names, values, strict=True)]
            images.append([*settings, "op", *(f"print {name}" for name in deck.saves), "destroy all"])
        commands = [*images[0], stamp, *(line for image in images[1:] for line in image), stamp]
        control = [".control", "set numdgt=12", *commands, "quit", ".endc", ".end", ""]
        log, times = self.run(text + "\n".join(control))
        volts = [float(line.split("=")[1]) for line in log.splitlines() if line.startswith("v(o_")]
        return np.reshape(volts, (len(inputs), -1)), (times[1] - times[0]) / (len(inputs) - 1)

    def sources(self, form: Form, inputs: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
        """Voltages [images] of the input sources of the netlist, by name."""
        v_pos, v_neg = encode(inputs, self.network.encoding, self.technology.rails)
        if form == "reduced":
            v = self.network.crossbars[0].open_column_voltage(v_pos, v_neg, self.technology.rails)
            return named("vt_{}", v)
        return named("vx{}_p", v_pos) | named("vx{}_n", v_neg)

    def run(self, text: str) -> tuple[str, list[float]]:
        """What ngspice prints, and the times it stamped."""
        with tempfile.TemporaryDirectory(prefix="spicetrain-benchmark-") as name:
            folder = Path(name)
            (folder / "deck.cir").write_text(text)
            (folder / "stamp").write_text("date +%s.%N >> times")  # ngspice would take >> for its own
            (folder / ".spiceinit").write_text("set num_threads=1\nset no_mem_check\n")
            command = [str(self.ngspice.executable), "-b", "deck.cir"]
            log = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
            return log, [float(line) for line in (folder / "times").read_text().split()]


def first_crossbar_row_by_row(text: str) -> str:
    """The deck with its first crossbar in the order of the rows: all positive devices, then all negative ones."""
    lines = text.split("\n")
    places = [place for place, line in enumerate(lines) if line.startswith("Rm0_")]

    def row_first(line: str) -> tuple[bool, int, int]:
        row, column = line.split()[0].removeprefix("Rm0_")[:-1].split("_")
        return line.split()[0].endswith("n"), int(row), int(column)

    for place, line in zip(places, sorted((lines[place] for place in places), key=row_first), strict=True):
        lines[place] = line
    return "\n".join(lines)


def named(pattern: str, columns: Iterable[NDArray]) -> dict[str, NDArray]:
    return {pattern.format(i): column for i, column in enumerate(np.asarray(columns).T)}


if __name__ == "__main__":
    main()
