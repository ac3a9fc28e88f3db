"""spicetrain: memristive neural networks trained with the real circuit in the loop, on ngspice.

The commands are methods of a `Run`, an experiment and its run folder:

    from spicetrain import Run

    run = Run.open("iris-kcl", "runs/iris-kcl")
    run.characterize()
    run.fit_surrogates()
    run.train()
    print(run.verify().accuracy_spice)

`run.all()` does these and `run.report()`, and keeps what is there already; `run.netlist(0)` writes a deck for plain
ngspice. `Run.open` takes a preset's name, the path of a TOML or a run folder, `Run` also an experiment as
`load_experiment` reads it, changed or not. Every error is a `spicetrain.errors.SpicetrainError`. Importing this
package does nothing: the two names are looked up when asked for.
"""

import sys

if sys.argv[:1] == ["-m"]:  # Python looks for `python -m spicetrain...`: nothing of ours runs before this
    from spicetrain.interrupt import end_at_ctrl_c

    end_at_ctrl_c()

TYPE_CHECKING = False  # typing has it too, and takes milliseconds to import
if TYPE_CHECKING:
    from spicetrain.run import Run
    from spicetrain.systems import load_experiment

from spicetrain.version import __version__  # noqa: E402  # behind the first answer to Ctrl-C

__all__ = ["Run", "__version__", "load_experiment"]
_FOUND_IN = {"Run": "spicetrain.run", "load_experiment": "spicetrain.systems"}


def __getattr__(name: str) -> object:
    if name in _FOUND_IN:
        from importlib import import_module

        return getattr(import_module(_FOUND_IN[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
