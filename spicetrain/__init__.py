"""spicetrain: memristive neural networks trained with the real circuit in the loop, on ngspice.

The commands are methods of a `Run`, an experiment and its run folder:

    from spicetrain import Run

    run = Run("iris-kcl", "runs/iris-kcl")
    run.characterize()
    run.fit_surrogates()
    run.train()
    print(run.verify().accuracy_spice)

`run.all()` does these and `run.report()`, and keeps what is there already; `run.netlist(0)` writes a deck for plain
ngspice. `load_experiment` takes a preset's name, the path of a TOML or a run folder. Every error is a
`spicetrain.errors.SpicetrainError`. Importing this package does nothing: the two names are looked up when asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "load_experiment"]
_FOUND_IN = {"Run": "spicetrain.run", "load_experiment": "spicetrain.systems"}


def __getattr__(name: str) -> object:
    if name in _FOUND_IN:
        return getattr(import_module(_FOUND_IN[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
