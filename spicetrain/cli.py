"""The command line: parse, call one function, print, exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spicetrain.arguments import SHORT, VERBS, WITHOUT_SETTINGS, flags_of_verb, parser_of_verbs, targets
from spicetrain.errors import ConfigurationError, SpicetrainError, VerificationError, nearest
from spicetrain.interrupt import INTERRUPTED, comes_of_ctrl_c, raise_at_ctrl_c

if TYPE_CHECKING:
    import pandas as pd

    from spicetrain.experiment import Experiment
    from spicetrain.run import Run

_HELP = {"-h", "--help"}
_BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; the exit code is returned."""
    try:
        with _flushed():
            return _dispatch(list(sys.argv[1:] if arguments is None else arguments))
    except SpicetrainError as error:
        return _complain(str(error), error.exit_code)
    except BrokenPipeError:
        return _BROKEN_PIPE  # as a program that dies of it: who read our output has seen enough
    except OSError as error:
        return _complain(f"{error}. What is finished is kept; the same command resumes.", 2)
    except (Exception, KeyboardInterrupt) as error:
        if not comes_of_ctrl_c(error):
            raise
        return _complain(INTERRUPTED, 130)


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
    if not arguments:
        parser_of_verbs().print_help()
        return 0
    first = next((word for word in arguments if not word.startswith("-")), None)
    if first is not None and first not in VERBS:
        raise ConfigurationError(f"Unknown verb {first!r}.{nearest(first, VERBS)}")
    options, rest = parser_of_verbs().parse_known_args(arguments)
    if _HELP & set(rest):
        options.parser.print_help()
        if options.target is None or options.verb in WITHOUT_SETTINGS:
            return 0
        print()
    elif rest and options.verb in WITHOUT_SETTINGS:
        reason = WITHOUT_SETTINGS[options.verb]
        raise ConfigurationError(f"Unknown argument {rest[0]}.{nearest(rest[0], flags_of_verb(options))} {reason}")
    if options.verb == "presets":
        _presets(options)
        return 0
    if options.verb == "doctor":
        return _doctor(options)
    if options.verb == "completion":
        _completion(options)
        return 0
    if options.target is None:
        raise ConfigurationError(f"`spicetrain {options.verb}` needs a TARGET: {targets(options.verb)}.")
    if options.verb == "compare":
        _compare(options)
    elif options.verb == "technology":
        _technology(options)
    elif options.verb == "import-device":
        _import_device(options)
    elif options.verb == "show":
        _show(options, rest, arguments)
    elif not (options.verb == "report" and _report_of_comparison(options)):
        run = _open(options, rest, arguments)
        raise_at_ctrl_c()
        with _speaking(options), _on_cluster(options):
            _ACTIONS[options.verb](run, options)
    return 0


def _presets(options: argparse.Namespace) -> None:
    from spicetrain.shipped import as_json, as_lines

    if options.json:
        print(json.dumps(as_json(), indent=2))
    else:
        print(*as_lines(), sep="\n")


def _completion(options: argparse.Namespace) -> None:
    from spicetrain.completion import script

    print(script(options.shell))


def _doctor(options: argparse.Namespace) -> int:
    from spicetrain.doctor import examine, exit_code_of, print_findings

    raise_at_ctrl_c()
    findings = examine(options.ngspice)
    if not options.json:
        return print_findings(findings)
    exit_code = exit_code_of(findings)
    _print_json({"exit_code": exit_code, "findings": [asdict(one) for one in findings]})
    return exit_code


def _print_json(value: object) -> None:
    """All that --json writes to standard output."""
    from spicetrain.storage import json_text

    print(json_text(value))


def _records(frame: pd.DataFrame) -> Any:
    """A dictionary a row."""
    return json.loads(frame.to_json(orient="records"))


def _show(options: argparse.Namespace, rest: list[str], arguments: list[str]) -> None:
    """Settings, tables and rooms; nothing is done."""
    run = _open(options, rest, arguments)
    from spicetrain.flags import settings_named
    from spicetrain.show.show import as_json, as_lines, show

    by_flag = settings_named(type(run.experiment), rest, SHORT) if rest else ()
    shown = show(options.target, run, by_flag)
    if options.json:
        print(json.dumps(as_json(shown), indent=2))
    else:
        print(*as_lines(shown), sep="\n")


def _open(options: argparse.Namespace, rest: list[str], arguments: list[str]) -> Run:
    from spicetrain.run import Run

    if rest and arguments.index(rest[0]) < arguments.index(options.target):
        raise ConfigurationError(
            f"{rest[0]} stands before TARGET, so {options.target!r} may be its value: write TARGET first, "
            f"`spicetrain {options.verb} TARGET {rest[0]} ...`."
        )
    experiment, folder = _experiment_and_folder(options)
    if rest:
        from spicetrain.flags import print_settings, with_flags

        if _HELP & set(rest):
            training = experiment.training
            own: dict[tuple[str, ...], Any] = {("training", str(training.method)): training.of(training.method)}
            print_settings(experiment, f"spicetrain {options.verb} TARGET", own)
        experiment = with_flags(experiment, rest, SHORT, flags_of_verb(options))
    if getattr(options, "further", None) not in (None, experiment.training.epochs):
        raise ConfigurationError(
            f"--further {options.further} and --epochs {experiment.training.epochs}: the first says how many epochs."
        )
    return Run(experiment, folder, **_simulating(options))


def _experiment_and_folder(options: argparse.Namespace) -> tuple[Experiment, Path]:
    """As the TOML states it, of --further as it goes on, before flags; and where it goes."""
    from spicetrain.systems import default_folder, load_experiment

    if getattr(options, "further", None) is not None:
        if options.quick:
            raise ConfigurationError(
                "--further and --quick: a further training goes on with the settings of its folder."
            )
        from spicetrain.further import continued, finished_folder, folder_of

        source = finished_folder(options.target)
        return continued(source, options.further), folder_of(source, options.further, options.out)
    if getattr(options, "quick", False):
        from spicetrain.quick import quick, quick_folder

        folder = quick_folder(options.target)
        return quick(load_experiment(options.target)), options.out or folder
    asked = None if options.verb == "export" else options.out  # there it is a file
    return load_experiment(options.target), asked or default_folder(options.target)


def _speaking(options: argparse.Namespace) -> AbstractContextManager[None]:
    from spicetrain.progress import speaking

    return speaking(quiet=getattr(options, "quiet", False))


def _simulating(options: argparse.Namespace) -> dict[str, Any]:
    """What a Run is reason of how to simulate."""
    given = {key: getattr(options, key) for key in ("ngspice", "workers", "executor") if hasattr(options, key)}
    cluster = getattr(options, "cluster", None)
    if given.get("executor") is not None:
        if cluster is not None:
            raise ConfigurationError(f"--cluster {cluster} and --executor {options.executor}: give one of them.")
        from spicetrain.spice.pool import executor_named

        given["executor"] = executor_named(given["executor"])
    if cluster is not None:
        from spicetrain.spice.cluster import Cluster

        options.cluster = Cluster(cluster, workers=options.workers, ngspice=options.ngspice)
        given |= {"executor": options.cluster, "workers": options.cluster.workers}
    return given


def _on_cluster(options: argparse.Namespace) -> AbstractContextManager[Any]:
    """The workers of --cluster, from here to its end; without one nothing."""
    return nullcontext() if getattr(options, "cluster", None) is None else options.cluster


def _characterize(run: Run, options: argparse.Namespace) -> None:
    tables = run.characterize()
    if options.json:
        return _print_json({"folder": run.folder, "tables": tables})
    for name, path in tables.items():
        print(f"{name:20} {path}")


def _fit_surrogates(run: Run, options: argparse.Namespace) -> None:
    found = run.fit_surrogates()
    if options.json:
        return _print_json({"folder": run.folder, **found})
    for name, report in found["surrogates"].items():
        rms = {key: value for key, value in report["errors"].items() if key.startswith("rms")}
        print(name, *(f"{key} {value:.3g}" for key, value in rms.items()), f"in {report['seconds']:.1f} s")


def _train(run: Run, options: argparse.Namespace) -> None:
    if options.further is None:
        network = run.train()
    else:
        from spicetrain.further import finished_folder, finished_in, train_further

        source = finished_folder(options.target)
        if finished_in(run, source):
            text = f"{options.further} epochs more are finished in {run.folder} already: nothing was done"
            if not options.json:
                return print(text)
            from spicetrain.progress import say

            say(text)
            network = run.network()
        else:
            network = train_further(run, source)
    path = run.folder / "network.safetensors"
    if options.json:
        lines = run.files.metrics(run.system.metrics, run.experiment.training.last_epoch)
        last = lines[-1] if lines else None
        return _print_json({"folder": run.folder, "network": path, "layers": network.layers, "last_epoch": last})
    print(f"{'-'.join(map(str, network.layers))} in {path}")


def _verify(run: Run, options: argparse.Namespace) -> None:
    _print_summary(run, run.verify, options)


_SHOWN = {  # of calibration/chips.parquet
    "accuracy_nominal": "nominal", "accuracy_before": "before", "accuracy_wanted": "wanted",
    "accuracy_model": "written", "accuracy_spice": "SPICE", "agreement": "agree", "error_mean_V": "error, mean",
}  # fmt: skip


def _calibrate(run: Run, options: argparse.Namespace) -> None:
    """A row a chip, and their mean."""
    rows = run.calibrate()
    if options.json:
        return _print_json({"folder": run.folder, "chips": _records(rows)})
    from rich.console import Console
    from rich.table import Table

    rows = rows.dropna(axis="columns", how="all")
    names = [name for name in _SHOWN if name in rows]
    how = rows.iloc[0]
    table = Table("chip", title=f"{how['trains']} programmed once more, errors {how['errors']}")
    for name in names:
        table.add_column(_SHOWN[name], justify="right")
    for chip, values in [*zip(rows["chip"], rows[names].to_numpy(), strict=True), ("mean", rows[names].mean())]:
        table.add_row(str(chip), *(_shown(name, value) for name, value in zip(names, values, strict=True)))
    Console().print(table)
    print(f"All of it in {run.folder / 'calibration'}")


def _shown(name: str, value: float) -> str:
    if value != value:  # not simulated
        return ""
    return f"{value * 1e6:.2f} uV" if name.endswith("_V") else f"{value:.2%}"


def _placement(run: Run, options: argparse.Namespace) -> None:
    """A row a placement, the best one first."""
    rows = run.placement()
    if options.json:
        return _print_json({"folder": run.folder, "placements": _records(rows)})
    from rich.console import Console
    from rich.table import Table

    table = Table("columns sensed", "row order", title="in the model, on training images")
    for name in ("accuracy", "loss"):
        table.add_column(name, justify="right")
    for row in rows.itertuples():
        table.add_row(str(row.columns_sensed), str(row.row_order), f"{row.accuracy:.2%}", f"{row.loss:.4f}")
    Console().print(table)
    best = rows.iloc[0]
    print(f'least loss: [wires] columns_sensed = "{best.columns_sensed}", row_order = "{best.row_order}"')


def _run(run: Run, options: argparse.Namespace) -> None:
    _print_summary(run, run.all, options)


def _print_summary(run: Run, verb: Callable[[], Any], options: argparse.Namespace) -> None:
    """The figures of the verification that `verb` ends in, also when they are outside its tolerance."""
    try:
        verb()
    except VerificationError:
        _print_figures(run, options, within=False)
        raise
    _print_figures(run, options, within=True)
    if not options.json:
        print(f"All of it in {run.folder}")


def _print_figures(run: Run, options: argparse.Namespace, *, within: bool) -> None:
    if options.json:
        from spicetrain.runfolder import SUMMARY

        figures = run.files.json(SUMMARY, (), "verify")
        return _print_json({"folder": run.folder, "within_tolerance": within, "summary": figures})
    from rich.console import Console
    from rich.table import Table

    from spicetrain.systems import read_summary

    title, rows = run.system.summary_rows(read_summary(run.files))
    table = Table(title=title)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _compare(options: argparse.Namespace) -> None:
    """Run a comparison, and print its tables, also when cells of it failed."""
    from spicetrain.compare.definition import default_folder, load_comparison
    from spicetrain.compare.markdown import print_tables
    from spicetrain.compare.results import Results
    from spicetrain.compare.run import Compare, raise_worst

    chosen = {key: getattr(options, key) for key in ("datasets", "seeds", "cells")}
    folder = options.out or default_folder(options.target)
    compare = Compare(load_comparison(options.target), folder, **chosen, **_simulating(options))
    raise_at_ctrl_c()
    with _speaking(options), _on_cluster(options):
        cells = compare.run_missing()
    results = Results.read(folder)
    if options.json:
        _print_json({"folder": folder, "cells": _records(results.frame)})
        return raise_worst(cells)
    print_tables(results.tables())
    raise_worst(cells)
    print(f"All of it in {folder / 'comparison.html'}")


def _technology(options: argparse.Namespace) -> None:
    """A row a question, and the page."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from spicetrain.look.look import look
    from spicetrain.spice.ngspice import find_ngspice
    from spicetrain.spice.simulator import Simulator
    from spicetrain.technology import load_technology

    technology = load_technology(options.target)
    if options.corner is not None:
        technology = technology.at_corner(options.corner)
    folder = options.out or Path("runs") / f"technology-{technology.name}"
    given = _simulating(options)
    ngspice = find_ngspice(given.pop("ngspice", None))
    raise_at_ctrl_c()
    with _speaking(options), _on_cluster(options):
        rows, page = look(technology, Simulator(ngspice, **given), folder)
    if options.json:
        return _print_json({"page": page, "rows": [asdict(row) for row in rows]})
    table = Table("", "", "", "", show_header=False)
    for row in rows:
        table.add_row(*map(escape, (row.what, row.state, row.figure, row.advice)))
    Console().print(table)
    print(f"All of it in {page}")


def _import_device(options: argparse.Namespace) -> None:
    """What was fitted, and the device's file."""
    from spicetrain.importing.device import Request, import_device
    from spicetrain.importing.show import show
    from spicetrain.importing.write import write

    target, names = Path(options.target), ("programming", "reset", "read_voltage", "form")
    given = {name: getattr(options, name) for name in names}
    raise_at_ctrl_c()
    imported = import_device(Request(target, range_S=options.range, **given))
    path = write(imported, options.out or Path("runs") / f"device-{target.stem}")
    show(imported)
    print(f'{path}: a technology names it, [memristor] preset = "{path.name}", from its own folder')


def _netlist(run: Run, options: argparse.Namespace) -> None:
    print(run.netlist(options.image, options.form))


def _export(run: Run, options: argparse.Namespace) -> None:
    if options.to is None:
        from spicetrain.exporting import EXPORTS

        raise ConfigurationError(f"`spicetrain export` needs --to FORMAT.{nearest('', EXPORTS)}")
    print(run.export(options.to, options.out, image=options.image, dialect=options.dialect))


def _report_of_comparison(options: argparse.Namespace) -> bool:
    """Whether TARGET is a comparison's folder; then its tables and its page are written."""
    from spicetrain.compare.definition import is_comparison_folder

    if not is_comparison_folder(options.target):
        return False
    if options.out is not None:
        raise ConfigurationError(f"--out {options.out}: a comparison's page is written into its folder, not elsewhere.")
    from spicetrain.compare.write import write_results

    raise_at_ctrl_c()
    print(write_results(Path(options.target).expanduser()))
    return True


def _report(run: Run, options: argparse.Namespace) -> None:
    print(run.report())


_ACTIONS: dict[str, Callable[[Any, argparse.Namespace], None]] = {
    "run": _run,
    "characterize": _characterize,
    "fit-surrogates": _fit_surrogates,
    "train": _train,
    "verify": _verify,
    "calibrate": _calibrate,
    "placement": _placement,
    "netlist": _netlist,
    "export": _export,
    "report": _report,
}
