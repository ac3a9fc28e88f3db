"""A setting chosen by validation, for a method that has one to choose: the frozen load of phax, the resistor of rim.

Each value trains with some training images kept out, and is judged by how many of them the trained network classifies
in the circuit, as its system judges that. Test images are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spicetrain.compare.cells import SEARCH, Cell
from spicetrain.compare.definition import Search, label, merged, nested
from spicetrain.experiment import Experiment
from spicetrain.keyed import Recipe
from spicetrain.run import Run
from spicetrain.storage import write_json

_SEARCH = Recipe("search", 2)

Prepare = Callable[[Run], None]


def trial_experiment(cell: Cell, search: Search, value: object) -> Experiment:
    """The cell's own with `value`, some training images kept out, and the search's epochs if it has its own."""
    training: dict[str, Any] = {"validation": search.validation}
    if search.epochs is not None:
        training["epochs"] = search.epochs
    return cell.experiment(merged({"training": training}, nested(search.setting, value)))


def run_search(cell: Cell, search: Search, open_run: Callable[..., Run], prepare: Prepare) -> dict[str, Any]:
    """Try every value; what is returned is written as search.json, and kept while nothing it depends on changes.

    cell     of the first seed
    prepare  gives a run its surrogates
    """
    trials = {label(value): trial_experiment(cell, search, value) for value in search.values}
    key = _key(trials)
    if (kept := cell.search()) is not None and kept["key"] == key:
        return kept
    scores = []
    for value, (name, experiment) in zip(search.values, trials.items(), strict=True):
        run = open_run(experiment, cell.group / "search" / name)
        prepare(run)
        scores.append({"value": value, **run.system.score(run, run.train())})
    best = max(range(len(scores)), key=lambda index: scores[index]["accuracy_circuit"])  # the first of equals
    found = {
        "setting": search.setting,
        "chosen": search.values[best],
        "seed": cell.seed,
        "validation": search.validation,
        "epochs": next(iter(trials.values())).training.epochs,
        "judged": "accuracy on kept-out training images in the circuit as kcl predicts it",
        "trials": scores,
        "key": key,
    }
    write_json(cell.group / SEARCH, found)
    return found


def _key(trials: dict[str, Experiment]) -> str:
    """Of everything that the scores depend on besides the technology, whose change the trials' own folders refuse."""
    return _SEARCH.key(trials={name: _text(experiment.trained_as()) for name, experiment in trials.items()})


def _text(settings: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in settings.items()}
