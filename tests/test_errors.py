from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from spicetrain import errors
from spicetrain.errors import SimulationError, SpicetrainError, nearest


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SpicetrainError", 1),
        ("ConfigurationError", 2),
        ("TechnologyError", 2),
        ("DatasetError", 2),
        ("ArchitectureMismatch", 2),
        ("DomainError", 2),
        ("StorageError", 2),
        ("NgspiceError", 3),
        ("SimulationError", 4),
        ("VerificationError", 5),
    ],
)
def test_exit_codes_and_the_drawn_tree(name: str, code: int) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, SpicetrainError)
    assert kind.exit_code == code
    assert name in (errors.__doc__ or "")


def test_simulation_error_survives_the_way_back_from_a_worker() -> None:
    sent = SimulationError("0 of 861 points", folder=Path("/tmp/kept"))
    received = pickle.loads(pickle.dumps(sent))
    assert str(received) == "0 of 861 points"
    assert received.folder == Path("/tmp/kept")


def test_nearest_suggests_or_lists() -> None:
    assert nearest("learnin_rate", ["learning_rate", "epochs"]) == " Did you mean 'learning_rate'?"
    assert nearest("zzz", ["b", "a"]) == " Known: a, b."
    assert nearest("zzz", []) == ""
