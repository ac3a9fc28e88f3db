"""A trained network with its wires placed in every way: the table, against ngspice's classes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny

from inverter.netlists.test_network_deck import voltages
from spicetrain.array.wires import Wires
from spicetrain.cli import main
from spicetrain.errors import ConfigurationError
from spicetrain.inverter.network import Network
from spicetrain.run import Run
from spicetrain.spice.ngspice import Ngspice
from spicetrain.training.held_out import held_out

from .reopened import reopened

FLAGS = ["--verification.conditions.wires.row-ohm", "3000", "--verification.conditions.wires.column-ohm", "3000"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    tiny.finished().copy(tmp_path / "run")
    return reopened(tmp_path / "run", conditions={"wires": {"row_ohm": 3000.0, "column_ohm": 3000.0}})


def test_a_placement_is_judged_as_ngspice_judges_it(run: Run, ngspice: Ngspice) -> None:
    found = run.placement()
    assert sorted(found["loss"]) == found["loss"].tolist()
    assert len(found) == len(found.drop_duplicates(["columns_sensed", "row_order"])) == 6
    assert found["loss"].nunique() > 3
    images = held_out(run.dataset, len(run.dataset.train_labels) // 2)[1]
    network = run.network()
    assert isinstance(network, Network) and network.row_ranking is not None  # by the training images
    for row in (found.iloc[0], found.iloc[-1]):
        wires = Wires(row_ohm=3000.0, column_ohm=3000.0, columns_sensed=row.columns_sensed, row_order=row.row_order)
        technology = run.technology.changed(wires=wires)
        spice = voltages(network, technology, run.dataset.train_inputs[images], "mesh", ngspice)
        outputs = np.stack([spice[f"o_{j}"] for j in range(3)], 1)
        right = np.mean(outputs.argmax(1) == run.dataset.train_labels[images])
        assert row.accuracy == pytest.approx(right, abs=1.5 / len(images))


def test_the_command_says_which_is_best(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["placement", str(run.folder), *FLAGS]) == 0
    shown, best = capsys.readouterr().out, run.placement().iloc[0]
    assert f'columns_sensed = "{best.columns_sensed}", row_order = "{best.row_order}"' in shown
    assert shown.count("%") == 6


def test_without_wires_there_is_nothing_to_place(run: Run) -> None:
    with pytest.raises(ConfigurationError, match=r"ptm90 has no \[wires\]\. .*--verification.conditions.wires.row-ohm"):
        Run.open(run.folder).placement()
