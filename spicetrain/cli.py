"""The command line: parse, call one function, print, exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spicetrain import __version__
from spicetrain.compare.definition import default_folder
from spicetrain.errors import ConfigurationError, SimulationError, SpicetrainError, VerificationError, nearest
from spicetrain.run import Run
from spicetrain.systems import load_experiment, presets

if TYPE_CHECKING:
    from pydantic import BaseModel

    from spicetrain.experiment import Experiment

_VERBS = {
    "run": "characterize, fit-surrogates, train, verify and report, in this order",
    "characterize": "measure the technology in ngspice",
    "fit-surrogates": "fit the small NNs to the measured tables",
    "train": "train the network with the circuit in the loop",
    "verify": "simulate the trained network in ngspice and compare",
    "netlist": "write the deck of one test image, for plain ngspice",
    "report": "draw everything a run folder holds on one page",
    "compare": "methods x datasets x seeds: run what is missing, one table and one page of all",
    "doctor": "say what this machine has and lacks",
}
_SIMULATING = ("run", "characterize", "train", "verify", "compare")

# Short names for what is asked for most often.
_SHORT = {
    "--images": "--verification.images",
    "--netlist": "--verification.netlist",
    "--flat-images": "--verification.flat-images",
    "--hidden": "--verification.hidden",
    "--energy-images": "--energy.images",
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

_TARGET = ("preset, TOML or run folder", "comparison, TOML or a comparison's folder")

_BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; the exit code is returned."""
    try:
        with _flushed():
            return _dispatch(list(sys.argv[1:] if arguments is None else arguments))
    except SpicetrainError as error:
        return _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _complain("interrupted. What is finished is kept; the same command resumes.", 130)
    except BrokenPipeError:
        return _BROKEN_PIPE  # as a program that dies of it: who read our output has seen enough
    except OSError as error:
        return _complain(f"{error}. What is finished is kept; the same command resumes.", 2)


def _complain(text: str, exit_code: int) -> int:
    print(f"spicetrain: {text}", file=sys.stderr)
    return exit_code


@contextmanager
def _flushed() -> Iterator[None]:
    """Print all of it here, where an error can be answered, and not when Python exits."""
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush
            raise


def _dispatch(arguments: list[str]) -> int:
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if options.verb == "doctor":
        if rest:
            raise ConfigurationError(f"Unknown arguments: {' '.join(rest)}.")
        from spicetrain.doctor import examine, print_findings

        return print_findings(examine(options.ngspice))
    if {"-h", "--help"} & set(rest):
        options.parser.print_help()
        if options.target is None or options.verb == "compare":
            return 0
        print()
    if options.verb == "report" and options.target:
        from spicetrain.compare.definition import is_comparison_folder

        if is_comparison_folder(options.target):
            from spicetrain.compare.write import write_results

            print(write_results(Path(options.target).expanduser()))
            return 0
    if options.verb == "compare":
        _compare(options, rest)
        return 0
    _ACTIONS[options.verb](_open(options, rest, arguments), options)
    return 0


def _parser() -> argparse.ArgumentParser:
    from spicetrain.assets import presets_folder

    names = ", ".join(sorted(path.stem for path in presets_folder().glob("*.toml")))
    epilog = _EPILOG.format(presets=names, short=", ".join(_SHORT))
    style: Any = {"epilog": epilog, "formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = argparse.ArgumentParser(
        prog="spicetrain", description="Train memristive neural networks with the real circuit in the loop.", **style
    )
    parser.add_argument("--version", action="version", version=f"spicetrain {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, text in _VERBS.items():
        # --help is answered in _dispatch: behind a TARGET the list of settings follows.
        one = verbs.add_parser(verb, help=text, description=text, add_help=verb == "doctor", **style)
        one.set_defaults(parser=one)
        if verb != "doctor":
            one.add_argument("target", metavar="TARGET", nargs="?", help=_TARGET[verb == "compare"])
            one.add_argument("--out", type=Path, metavar="FOLDER", help="run folder (default: runs/TARGET)")
        if verb in (*_SIMULATING, "doctor"):
            one.add_argument("--ngspice", metavar="PATH", help="the ngspice to use")
        if verb in _SIMULATING:
            one.add_argument("--workers", type=int, metavar="N", help="processes at a time (default: one a core)")
        if verb == "compare":
            one.add_argument("--datasets", nargs="+", default=(), metavar="NAME", help="only these of its datasets")
            one.add_argument("--seeds", nargs="+", default=(), type=int, metavar="N", help="only these of its seeds")
            one.add_argument("--cells", nargs="+", default=(), metavar="NAME", help="only these of its cells")
        if verb == "netlist":
            one.add_argument("--image", type=int, default=0, metavar="N", help="number of the test image")
            one.add_argument("--form", choices=("flat", "reduced"), default="flat")
    return parser


def _open(options: argparse.Namespace, rest: list[str], arguments: list[str]) -> Run:
    pass

    if options.target is None:
        raise ConfigurationError(
            f"`spicetrain {options.verb}` needs a TARGET: a preset ({', '.join(presets())}), a TOML or a run folder."
        )
    if rest and arguments.index(rest[0]) < arguments.index(options.target):
        raise ConfigurationError(
            f"{rest[0]} stands before TARGET, so {options.target!r} may be its value: write TARGET first, "
            f"`spicetrain {options.verb} TARGET {rest[0]} ...`."
        )
    experiment = load_experiment(options.target)
    if rest:
        experiment = _with_flags(experiment, rest, options.verb)
    folder = options.out or default_folder(options.target)
    simulating = {key: getattr(options, key) for key in ("ngspice", "workers") if hasattr(options, key)}
    return Run(experiment, folder, **simulating)


def _with_flags(experiment: Experiment, rest: list[str], verb: str) -> Experiment:
    """The experiment with the settings given as flags, typed as in the TOML."""
    import tyro
    from pydantic import ValidationError

    words = [word.partition("=") for word in rest]
    kind = type(experiment)
    settings = set(_settings(kind))
    known = {*settings, *(short for short, name in _SHORT.items() if name in settings), "-h", "--help"}
    for name, _, _ in words:
        if name.startswith("--") and name.replace("_", "-") not in known:
            raise ConfigurationError(f"Unknown flag {name}.{nearest(name, known)}")
    flags = [_SHORT.get(name, name) + equals + value for name, equals, value in words]
    try:
        return tyro.cli(kind, args=flags, default=experiment, prog=f"spicetrain {verb} TARGET")
    except ValidationError as error:
        from spicetrain.schema import explain

        raise ConfigurationError("flags: " + explain(kind, error)) from None


def _settings(definition: type[BaseModel], table: str = "") -> Iterator[str]:
    """The flags that tyro makes of a definition."""
    for key, field in definition.model_fields.items():
        name = key.replace("_", "-")
        if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
            yield from _settings(field.annotation, f"{table}{name}.")
        else:
            yield f"--{table}{name}"
            if field.annotation is bool:
                yield f"--{table}no-{name}"


def _print_tables(paths: dict[str, Path]) -> None:
    for name, path in paths.items():
        print(f"{name:20} {path}")


def _characterize(run: Run, options: argparse.Namespace) -> None:
    _print_tables(run.characterize())


def _fit_surrogates(run: Run, options: argparse.Namespace) -> None:
    for name, report in run.fit_surrogates()["surrogates"].items():
        rms = {key: value for key, value in report["errors"].items() if key.startswith("rms")}
        print(name, *(f"{key} {value:.3g}" for key, value in rms.items()), f"in {report['seconds']:.1f} s")


def _train(run: Run, options: argparse.Namespace) -> None:
    network = run.train()
    print(f"{'-'.join(map(str, network.layers))} in {run.folder / 'network.safetensors'}")


def _verify(run: Run, options: argparse.Namespace) -> None:
    _print_summary(run, run.verify)


def _run(run: Run, options: argparse.Namespace) -> None:
    _print_summary(run, run.all)


def _print_summary(run: Run, verb: Callable[[], Any]) -> None:
    """The figures of the verification that `verb` ends in, also when they are outside its tolerance."""
    try:
        verb()
    except VerificationError:
        _print_figures(run)
        raise
    _print_figures(run)
    print(f"All of it in {run.folder}")


def _print_figures(run: Run) -> None:
    from rich.console import Console
    from rich.table import Table

    from spicetrain.pages import read_summary

    title, rows = run.system.summary_rows(read_summary(run.files))
    table = Table(title=title)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _compare(options: argparse.Namespace, rest: list[str]) -> None:
    """Run a comparison, and print its tables, also when cells of it failed."""
    from spicetrain.compare.definition import comparisons, default_folder, load_comparison
    from spicetrain.compare.markdown import print_tables
    from spicetrain.compare.results import Results
    from spicetrain.compare.run import Compare

    if options.target is None:
        raise ConfigurationError(
            f"`spicetrain compare` needs a TARGET: a comparison ({', '.join(comparisons())}), a TOML or its folder."
        )
    if rest:
        known = ("--out", "--ngspice", "--workers", "--datasets", "--seeds", "--cells")
        raise ConfigurationError(f"Unknown argument {rest[0]}.{nearest(rest[0], known)} Settings are in the TOML.")
    chosen = {key: getattr(options, key) for key in ("datasets", "seeds", "cells", "ngspice", "workers")}
    folder = options.out or default_folder(options.target)
    compare = Compare(load_comparison(options.target), folder, **chosen)
    try:
        compare.run()
    except (VerificationError, SimulationError):
        print_tables(Results.read(folder).tables())
        raise
    print_tables(Results.read(folder).tables())
    print(f"All of it in {folder / 'comparison.html'}")


def _netlist(run: Run, options: argparse.Namespace) -> None:
    print(run.netlist(options.image, options.form))


def _report(run: Run, options: argparse.Namespace) -> None:
    print(run.report())


_ACTIONS: dict[str, Callable[[Any, argparse.Namespace], None]] = {
    "run": _run,
    "characterize": _characterize,
    "fit-surrogates": _fit_surrogates,
    "train": _train,
    "verify": _verify,
    "netlist": _netlist,
    "report": _report,
}

if __name__ == "__main__":
    raise SystemExit(main())
