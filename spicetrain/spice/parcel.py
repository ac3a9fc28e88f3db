"""What travels to a worker on another machine, and what is done with it there.

No file system is shared: work is bytes, the files that its decks read come along, and a deck that fails comes back.
"""

from __future__ import annotations

import io
import pickle
import shutil
import socket
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import cloudpickle

from spicetrain.errors import ConfigurationError, SimulationError, SpicetrainError
from spicetrain.include_tree import ModelFiles
from spicetrain.spice.carried import moved, reading
from spicetrain.spice.deck import Deck
from spicetrain.spice.installed import Installed, ngspice_here, require_same
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.process import DECK, LOG
from spicetrain.spice.simulate import FAILED, Simulation, simulate
from spicetrain.spice.simulator import Simulator


def pack(thing: object) -> tuple[bytes, frozenset[ModelFiles]]:
    """`thing` as bytes, and what decks read of the technologies and circuits in it, which say so by `read_by_decks`.

    A simulator in it arrives without its scratch folder, and simulates with the ngspice that is there.
    """
    stream = io.BytesIO()
    pickler = _Pickler(stream)
    pickler.dump(thing)
    return stream.getvalue(), frozenset(pickler.read)


def run_piece(function: bytes, item: bytes, models: bytes, wanted: Installed) -> Any:
    """In the worker: function(item), as they were packed, with `carried` models.

    Raises what the function raises, saying where; ConfigurationError when something else than `wanted` is installed.
    """
    require_same(wanted)
    with reading(models):
        try:
            return _loaded(function)(_loads(item))
        except SpicetrainError as error:
            _send_back(error)
            raise


def kept_here(error: BaseException) -> BaseException:
    """An error of `run_piece` where it arrives: the deck that came along is kept on this machine, and named."""
    files = getattr(error, "sent_back", None)
    if not isinstance(error, SimulationError) or not files:
        return error
    folder = Path(mkdtemp(prefix=FAILED))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return SimulationError(str(error).replace(str(error.folder), str(folder)), folder)


class _Pickler(cloudpickle.Pickler):
    """As the pool of processes pickles, but for simulators; and it notes what decks will read."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self.read: set[ModelFiles] = set()

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Simulator):
            answer = _simulate_here if obj.answer is simulate else obj.answer
            return Simulator, (obj.ngspice, 1, None, obj.timeout_s, None, answer)
        if hasattr(type(obj), "read_by_decks") and obj.read_by_decks is not None:
            self.read.add(obj.read_by_decks)
        return super().reducer_override(obj)


def _simulate_here(deck: Deck, ngspice: Ngspice, timeout_s: float) -> Simulation:
    return simulate(moved(deck), ngspice_here(ngspice), timeout_s)


def _send_back(error: SpicetrainError) -> None:
    """Say where it happened; what is left of a run comes along."""
    error.args = (f"{error} (It ran on {socket.gethostname()}.)", *error.args[1:])
    if isinstance(error, SimulationError) and error.folder is not None:
        kept = [error.folder / name for name in (DECK, LOG, ".spiceinit")]
        error.sent_back = {file.name: file.read_bytes() for file in kept if file.is_file()}  # type: ignore[attr-defined]
        shutil.rmtree(error.folder, ignore_errors=True)


@lru_cache(maxsize=2)
def _loaded(function: bytes) -> Any:
    return _loads(function)


def _loads(packed: bytes) -> Any:
    try:
        return pickle.loads(packed)
    except ModuleNotFoundError as error:  # of a device, method or double of one's own
        raise ConfigurationError(f"The worker lacks the module {error.name!r}: install it there too.") from error
