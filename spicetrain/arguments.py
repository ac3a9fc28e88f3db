"""The words of the command line: verbs, their options, short names of settings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from spicetrain.errors import ConfigurationError
from spicetrain.version import __version__

VERBS = {
    "run": "characterize, fit-surrogates, train, verify and report, in this order",
    "characterize": "measure the technology in ngspice",
    "fit-surrogates": "fit the small NNs to the measured tables",
    "train": "train the network with the circuit in the loop",
    "verify": "simulate the trained network in ngspice and compare",
    "calibrate": "program chips of the trained network once more, each for its own errors",
    "placement": "try, in the model, where columns are sensed and how rows lie, of a trained network with wires",
    "netlist": "write the deck of one test image, for plain ngspice",
    "export": "write the trained network for others: a programming map (csv, npz), a subcircuit, NIR, ONNX",
    "report": "draw everything a run folder holds on one page",
    "compare": "methods x datasets x seeds: run what is missing, one table and one page of all",
    "technology": "check a technology in ngspice, and draw what its transistors and its inverter do",
    "import-device": "fit a device to measured I-V, programming errors or pulses, for a technology to name",
    "show": "say what an experiment's settings are, what of it is finished and what would run",
    "presets": "list the presets and comparisons that are shipped, and what each is",
    "doctor": "say what this machine has and lacks",
    "completion": "print a script by which a shell completes verbs, targets, flags and their values at Tab",
}
WITHOUT_SETTINGS = {
    "report": "It draws what the folder holds: settings are of the verbs that fill it.",
    "compare": "Settings are in the TOML.",
    "technology": "Settings are in its TOML.",
    "import-device": "What it writes is a TOML: change it there.",
    "presets": "It takes no settings.",
    "doctor": "It takes no settings.",
    "completion": "It takes no settings.",
}
WITHOUT_TARGET = ("presets", "doctor", "completion")
SHELLS = ("bash", "zsh", "fish")
_WORKING = (
    "run", "characterize", "fit-surrogates", "train", "verify", "calibrate", "placement", "compare", "technology",
)  # fmt: skip
_SIMULATING = ("run", "characterize", "train", "verify", "calibrate", "compare", "technology")

# Short names for what is asked for most often.
SHORT = {
    "--images": "--verification.images",
    "--netlist": "--verification.netlist",
    "--flat-images": "--verification.flat-images",
    "--hidden": "--verification.hidden",
    "--energy-images": "--energy.images",
    "--chips": "--verification.chips",
    "--corner": "--verification.conditions.corner",
    "--temperature": "--verification.conditions.temperature-C",
    "--vdd-scale": "--verification.conditions.vdd-scale",
    "--corners": "--verification.grid.corners",
    "--temperatures": "--verification.grid.temperatures-C",
    "--vdd-scales": "--verification.grid.vdd-scales",
    "--chips-simulated": "--verification.chips-simulated",
    "--chips-images": "--verification.chips-images",
    "--chip": "--calibration.first",
    "--data": "--dataset.folder",
    "--epochs": "--training.epochs",
    "--method": "--training.method",
    "--forward": "--training.forward",
    "--initial": "--training.initial",
}

_EPILOG = """TARGET is a preset ({presets}),
the path of an experiment's TOML, or an existing run folder. It comes first, right behind the verb.
Every setting of the experiment is a flag too (--training.epochs 5); `spicetrain run TARGET --help` lists them.
Short for the commonest: {short}.

Exit codes: 0 ok, 2 configuration or input, 3 ngspice missing or unusable, 4 simulation failed,
5 verification outside its tolerance, 130 interrupted. What is finished is kept; the same command resumes."""

_TARGET = {
    "compare": "comparison, TOML or a comparison's folder",
    "technology": "a technology's name, or its TOML",
    "import-device": "a file of measured columns, .csv, .npz or .mat (docs/devices.md)",
}

_RUN_FOLDER: dict[str, Any] = {"metavar": "FOLDER", "help": "run folder (default: runs/TARGET)"}
_OUT: dict[str, dict[str, Any]] = {"export": {"metavar": "FILE", "help": "what to write (default: in the run folder)"}}

_EXECUTOR = "what gives a concurrent.futures executor, as of a cluster, to simulate on instead of processes here"

_CLUSTER = "simulate on dask.distributed: local, the address of a scheduler (tcp://HOST:8786), or a TOML of jobs"

QUICK = ("run", "characterize", "fit-surrogates", "train", "verify", "show")
_QUICK = "the short form: fewer images and epochs, coarser fits, relaxed gates, in runs/TARGET-quick"
_FURTHER = "train N epochs more behind the finished training of TARGET, in a folder of its own (TARGET-further-N)"


def parser_of_verbs() -> argparse.ArgumentParser:
    from spicetrain.assets import presets_folder

    epilog = _EPILOG.format(presets=_listed(presets_folder()), short=", ".join(SHORT))
    style: Any = {"epilog": epilog, "formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = _Parser(
        prog="spicetrain", description="Train memristive neural networks with the real circuit in the loop.", **style
    )
    parser.add_argument("--version", action="version", version=f"spicetrain {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, text in VERBS.items():
        # --help is answered in _dispatch: behind a TARGET the list of settings follows.
        one = verbs.add_parser(verb, help=text, description=text, add_help=verb in WITHOUT_TARGET, **style)
        one.set_defaults(parser=one)
        if verb not in WITHOUT_TARGET:
            one.add_argument(
                "target", metavar="TARGET", nargs="?", help=_TARGET.get(verb, "preset, TOML or run folder")
            )
            one.add_argument("--out", type=Path, **_OUT.get(verb, _RUN_FOLDER))
        if verb in _WORKING:
            one.add_argument("--quiet", action="store_true", help="no progress on stderr; so does $SPICETRAIN_QUIET=1")
        if verb in (*_SIMULATING, "doctor"):
            one.add_argument("--ngspice", metavar="PATH", help="the ngspice to use")
        if verb in _SIMULATING:
            one.add_argument("--workers", type=int, metavar="N", help="processes at a time (default: one a core)")
            one.add_argument("--executor", metavar="MODULE:CALLABLE", help=_EXECUTOR)
            one.add_argument("--cluster", metavar="WHERE", help=_CLUSTER)
        if verb == "train":
            one.add_argument("--further", type=int, metavar="N", help=_FURTHER)
        if verb in QUICK:
            one.add_argument("--quick", action="store_true", help=_QUICK)
        if verb in (*_WORKING, "presets", "show", "doctor"):
            one.add_argument("--json", action="store_true", help="what is printed as JSON, and nothing else on stdout")
        if verb == "compare":
            one.add_argument("--datasets", nargs="+", default=(), metavar="NAME", help="only these of its datasets")
            one.add_argument("--seeds", nargs="+", default=(), type=int, metavar="N", help="only these of its seeds")
            one.add_argument("--cells", nargs="+", default=(), metavar="NAME", help="only these of its cells")
        if verb == "technology":
            one.add_argument("--corner", metavar="NAME", help="one of its corners, in place of the nominal circuit")
        if verb == "import-device":
            _add_measured(one)
        if verb == "export":
            one.add_argument("--to", metavar="FORMAT", help="csv, nir, npz, onnx, subckt, or one that was registered")
            one.add_argument("--dialect", metavar="NAME", help="of --to subckt: ngspice (default), hspice, xyce")
        if verb in ("netlist", "export"):
            one.add_argument("--image", type=int, default=0, metavar="N", help="number of the test image")
        if verb == "netlist":
            one.add_argument("--form", choices=("flat", "reduced", "mesh"), default="flat")
        if verb == "completion":
            one.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    return parser


def _add_measured(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--programming", type=Path, metavar="FILE", help="programming data of the same device")
    add("--range", type=float, nargs=2, metavar=("LOW", "HIGH"), help="siemens, if not those that were measured")
    add("--form", metavar="NAME", help="the form to take (default: the simplest that the data allow)")
    add("--read-voltage", type=float, metavar="V", help="TARGET is CrossSim's set.csv, currents read at V volts")
    add("--reset", type=Path, metavar="FILE", help="CrossSim's reset.csv")


class _Parser(argparse.ArgumentParser):
    """Answers as every other error is answered: in one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(f"{message}. `{self.prog} --help` says what may be given.")


def targets(verb: str) -> str:
    from spicetrain.assets import comparisons_folder, netlists_folder, presets_folder

    if verb == "compare":
        return f"a comparison ({_listed(comparisons_folder())}), a TOML or its folder"
    if verb == "technology":
        return f"a technology ({_listed(netlists_folder() / 'technologies')}) or its TOML"
    if verb == "import-device":
        return _TARGET[verb]
    return f"a preset ({_listed(presets_folder())}), a TOML or a run folder"


def _listed(folder: Path) -> str:
    from spicetrain.assets import names_in

    return ", ".join(names_in(folder))


def flags_of_verb(options: argparse.Namespace) -> list[str]:
    """The flags of the verb, but for its settings."""
    return [f"--{name}" for name in vars(options) if name not in ("verb", "target", "parser")] + ["--help"]
