"""How long spicetrain takes to start, beside a bare Python and an import of torch, and the most memory that every room
has, of each experiment: its rooms in order, each a command of its own, then chips and the page.

`largest`: of a single process, as the kernel counts it. `all`: of the command, its workers and their ngspice together,
shared pages counted once; looked at every --every-s, so that a shorter peak is missed (Linux only). Targets:
`--help` within 0.3 s, `doctor` within 2 s, training on 60,000 images below 1 GB.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from typing import Any

from common import alternate, empty_cache, finish, parser, save
from matplotlib.figure import Figure

from spicetrain.errors import VerificationError

PYTHON, TORCH = "python -c pass", "import torch"
STARTS = ("--version", "--help", "train --help", "doctor")
SECONDS = {"--help": 0.3, "doctor": 2.0}
TRAINING_B = 1e9
PROC = Path("/proc")
ROOMS = {
    "characterize": "characterize {experiment} --out {folder} --epochs {epochs} --workers {workers} --quiet",
    "fit-surrogates": "fit-surrogates {folder} --quiet",
    "train": "train {folder} --quiet",
    "verify": "verify {folder} --images {images} --flat-images 1 --workers {workers} --quiet",
    "chips": "verify {folder} --images 1 --flat-images 0 --chips {chips} --chips-simulated 0 "
    "--chips-images {chips_images} --workers {workers} --quiet",
    "report": "report {folder}",
}
Room = dict[str, Any]


def main() -> None:
    arguments = parser("memory_and_start", __doc__)
    arguments.add_argument("--rounds", type=int, default=7, help="starts of each, in turn (default: %(default)s)")
    experiments = ["mnist-kcl", "mnist-snn-circuit"]
    arguments.add_argument("--experiments", nargs="*", default=experiments, help="default: %(default)s")
    arguments.add_argument("--rooms", nargs="+", choices=ROOMS, default=ROOMS, help="in this order (default: all)")
    arguments.add_argument("--epochs", type=int, default=1, help="of training (default: %(default)s)")
    images: dict[str, Any] = {
        "nargs": "+",
        "type": int,
        "help": "an experiment, the last for all others (default: %(default)s)",
    }
    arguments.add_argument("--images", default=[100, 10], **images)
    arguments.add_argument("--chips", type=int, default=20, help="predicted (default: %(default)s)")
    arguments.add_argument("--chips-images", default=[1000, 100], **images)
    arguments.add_argument("--workers", type=int, default=2, help="of ngspice (default: %(default)s)")
    arguments.add_argument("--every-s", type=float, default=0.05, help="memory is looked at (default: %(default)s)")
    options = arguments.parse_args()
    starts = started(options.rounds)
    with empty_cache() as folder:
        rooms = {
            name: rooms_of(name, i, folder / Path(name).stem, options) for i, name in enumerate(options.experiments)
        }
    rows = {f"start, {name}": told_start(name, starts) for name in starts}
    rows |= {f"{name}, {room}": told(found) for name, of in rooms.items() for room, found in of.items()}
    trained = [peak_B(of["train"]) for of in rooms.values() if "train" in of]
    met = all(starts[name] <= most for name, most in SECONDS.items()) and all(of <= TRAINING_B for of in trained)
    rows["largest training"] = f"{max(trained, default=0) / 1e9:.2f} GB (target {TRAINING_B / 1e9:g})"
    draw(rooms, options.out.with_suffix(".png"))
    result = {"start_s": starts, "rooms": rooms, "epochs": options.epochs, "images": options.images}
    finish(options.out, "memory and start", rows, result | {"chips": options.chips, "workers": options.workers}, met)


def command(words: str, **settings: object) -> list[str]:
    """Of the command line; `settings` fill what stands in braces."""
    return [sys.executable, "-m", "spicetrain", *(word.format_map(settings) for word in words.split())]


def started(rounds: int) -> dict[str, float]:
    """Median wall seconds of each, once more than `rounds`: the first finds files that are not in memory yet."""
    commands = {PYTHON: [sys.executable, "-c", "pass"], TORCH: [sys.executable, "-c", TORCH]}
    commands |= {name: command(name) for name in STARTS}
    quiet = partial(subprocess.run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    jobs = {name: partial(quiet, one) for name, one in commands.items()}
    alternate(jobs, 1)
    return {name: median(values) for name, values in alternate(jobs, rounds).items()}


def rooms_of(experiment: str, number: int, folder: Path, options: argparse.Namespace) -> dict[str, Room]:
    """Every room, in the order of a run."""
    settings = vars(options) | {"experiment": experiment, "folder": folder}
    settings |= {name: settings[name][: number + 1][-1] for name in ("images", "chips_images")}
    return {room: peak(command(ROOMS[room], **settings), options.every_s) for room in options.rooms}


def peak(words: list[str], every_s: float) -> Room:
    """Bytes and seconds of a command. Where it fails, what it says is shown; a verification's gate may be missed."""
    began, all_B, processes = time.perf_counter(), 0, 0
    with TemporaryFile("w+") as said:
        child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=said)
        while True:
            ended, status, used = os.wait4(child.pid, os.WNOHANG)
            if ended:
                break
            tree = processes_below(child.pid)
            now_B = sum(map(resident_B, tree))
            if now_B > all_B:
                all_B, processes = now_B, len(tree)
            time.sleep(every_s)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in (0, VerificationError.exit_code):
            said.seek(0)
            sys.exit(f"{' '.join(words[2:])}: {said.read()}")
    # ru_maxrss is the largest of the command and of all that it waited for.
    return {
        "largest_B": used.ru_maxrss * 1024,
        "all_B": all_B,
        "processes": processes,
        "seconds": time.perf_counter() - began,
    }


def processes_below(pid: int) -> list[int]:
    """A process and all that it started, itself or they."""
    try:
        started = [(thread / "children").read_text() for thread in (PROC / f"{pid}/task").iterdir()]
    except OSError:  # it has ended
        return [pid]
    return [pid, *(below for child in " ".join(started).split() for below in processes_below(int(child)))]


def resident_B(pid: int) -> int:
    """Its share of what is in memory: a page that n processes have counts a n-th."""
    try:
        lines = (PROC / f"{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def peak_B(room: Room) -> int:
    return max(room["largest_B"], room["all_B"])


def told_start(name: str, starts: dict[str, float]) -> str:
    target = f" (target {SECONDS[name]:g} s)" if name in SECONDS else ""
    times = ", ".join(f"{starts[name] / starts[of]:.2f} x {of}" for of in (PYTHON, TORCH))
    return f"{starts[name]:.3f} s, {times}{target}"


def told(room: Room) -> str:
    sizes = f"largest {room['largest_B'] / 1e9:.2f} GB, all {room['all_B'] / 1e9:.2f} GB"
    return f"{sizes} ({room['processes']} processes), {room['seconds']:.0f} s"


def draw(rooms: dict[str, dict[str, Room]], path: Path) -> None:
    figure = Figure((9, 4), layout="constrained")
    axes = figure.subplots()
    for shift, (name, of) in enumerate(rooms.items()):
        for label, key, alpha in (("all", "all_B", 0.5), ("largest process", "largest_B", 1.0)):
            places = [place + 0.35 * shift for place in range(len(of))]
            sizes = [room[key] / 1e9 for room in of.values()]
            axes.bar(places, sizes, 0.3, color=f"C{shift}", alpha=alpha, label=f"{name}: {label}")
        axes.set_xticks(range(len(of)), list(of))
    axes.axhline(TRAINING_B / 1e9, color="k", lw=1, ls=":", label="target of training")
    axes.set(ylabel="GB")
    save(figure, path)


if __name__ == "__main__":
    main()
