"""Programming maps, read back without our own code, against the network and against its flat deck."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import finished

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.layered import Layered
from spicetrain.array.programming import Levels
from spicetrain.array.wires import Segments, Wires
from spicetrain.cli import main
from spicetrain.errors import ConfigurationError
from spicetrain.exporting import EXPORTS, Export, Format
from spicetrain.exporting.programming_map import programming_map
from spicetrain.inverter.netlists.network import network_deck
from spicetrain.inverter.network import Network
from spicetrain.run import Run
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.technology import Technology

COLUMNS = ["device", "crossbar", "row", "column", "side", "parallel", "conductance_S", "resistance_ohm"]
COLUMNS += ["level", "level_S", "row_wire", "tile"]


def random_network(technology: Technology, *layers: int, bias_pairs: int = 1) -> Network:
    rng, device = np.random.default_rng(sum(layers)), technology.memristor
    crossbars = []
    for rows, columns in zip(layers, layers[1:], strict=False):
        shapes = ((rows, columns), (rows, columns), (columns,), (columns,))
        crossbars.append(Crossbar(*(rng.uniform(device.g_min_S, device.g_max_S, shape) for shape in shapes)))
    sizes = [np.full((columns, 2), 2.0) for columns in layers[1:-1]]
    ranking = rng.permutation(layers[0])
    return Network(
        tuple(crossbars), (*sizes, np.full((layers[-1], 1), 1.0)), bias_pairs=bias_pairs, row_ranking=ranking
    )


def rows_of_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def rows_of_npz(path: Path) -> list[dict[str, Any]]:
    with np.load(path) as stored:
        columns = {name: stored[name].tolist() for name in stored.files}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def read_back(rows: list[dict[str, Any]], layers: tuple[int, ...]) -> list[Crossbar]:
    """The crossbars of a map's rows, NaN where it has none; a conductance that is there twice is an error."""
    empty = [
        {
            **{side: np.full((count, columns), np.nan) for side in ("pos", "neg")},
            **{side: np.full((1, columns), np.nan) for side in ("bias_pos", "bias_neg")},
        }
        for count, columns in zip(layers, layers[1:], strict=False)
    ]
    for row in rows:
        array = empty[int(row["crossbar"])][row["side"]]
        at = (0 if row["side"].startswith("bias") else int(row["row"]), int(row["column"]))
        assert np.isnan(array[at])
        array[at] = float(row["conductance_S"]) * int(row["parallel"])
        assert float(row["resistance_ohm"]) == 1 / float(row["conductance_S"])
    return [Crossbar(one["pos"], one["neg"], one["bias_pos"][0], one["bias_neg"][0]) for one in empty]


def require_equal(found: list[Crossbar], network: Layered) -> None:
    for one, other in zip(found, network.crossbars, strict=True):
        for name, array in vars(other).items():
            np.testing.assert_allclose(vars(one)[name], array, rtol=2e-16, atol=0)


@pytest.mark.parametrize(("to", "read"), [("csv", rows_of_csv), ("npz", rows_of_npz)])
def test_a_trained_network_is_read_back_as_it_is(
    to: str, read: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, elsewhere = finished().folder, tmp_path / "new" / f"mine.{to}"
    assert main(["export", str(folder), "--to", to, "--out", str(elsewhere)]) == 0
    assert capsys.readouterr().out == f"{elsewhere}\n"
    rows = read(elsewhere)
    assert list(rows[0]) == COLUMNS
    network = Network.load(folder / "network.safetensors")
    assert len(rows) == sum(crossbar.devices for crossbar in network.crossbars)
    require_equal(read_back(rows, network.layers), network)
    assert {int(row["level"]) for row in rows} == {-1}
    assert {str(row["level_S"]) for row in rows} <= {"", "nan"}


def test_without_a_file_named_it_lies_in_the_run_folder(tmp_path: Path) -> None:
    run = Run.open(finished().copy(tmp_path / "run"))
    assert run.export("csv") == tmp_path / "run" / "programming.csv"
    assert len(rows_of_csv(tmp_path / "run" / "programming.csv")) > 40


@pytest.mark.parametrize("layers", [(5, 3, 2), (1, 1), (3, 7)])
@pytest.mark.parametrize("pairs", [1, 3])
def test_devices_are_the_elements_of_the_flat_deck(layers: tuple[int, ...], pairs: int, ptm90: Technology) -> None:
    network = random_network(ptm90, *layers, bias_pairs=pairs)
    deck = network_deck(network, ptm90, np.zeros((1, layers[0])), "flat").text()
    elements = [line.split() for line in deck.splitlines() if line[:2] in ("Rm", "Rb")]
    found = programming_map(network, ptm90.memristor, None)
    ohm = found["resistance_ohm"] / found["parallel"]
    assert sorted(f"R{name}" for name in found["device"]) == sorted(words[0] for words in elements)
    by_name = dict(zip(found["device"].tolist(), ohm.tolist(), strict=True))
    for name, *_, value in elements:
        assert float(value) == pytest.approx(by_name[name[1:]], rel=1e-15)
    require_equal(read_back(rows_of(found), layers), network)


def rows_of(found: Any) -> list[dict[str, Any]]:
    return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]


@pytest.mark.parametrize("sensed", ["one end", "middle"])
def test_row_wires_are_where_the_deck_with_wires_has_them(sensed: Any, ptm90: Technology) -> None:
    """In that deck devices are named by their place, row wires are fed by the inputs' nodes."""
    segments = Segments(5.0, 5.0, 5.0, columns_sensed=sensed, tile_rows=4, row_order="input variance")
    network = random_network(ptm90, 5, 3, 2)
    found = programming_map(network, ptm90.memristor, segments)
    wires = Wires(row_ohm=5.0, column_ohm=5.0, columns_sensed=sensed, tile_rows=4, row_order="input variance")
    deck = network_deck(network, ptm90.changed(wires=wires), np.zeros((1, 5)), "flat").text()
    ohms = {line.split()[0]: float(line.split()[3]) for line in deck.splitlines() if line.startswith("Rm")}
    feeds = {line.split()[0]: line.split()[1] for line in deck.splitlines() if line.startswith("Rf")}
    for row in rows_of(found):
        wire, last = int(row["row_wire"]), 2 * (5, 3)[row["crossbar"]]
        name = f"{wire // 2}{'pn'[wire % 2]}" if wire < last else f"b{'pn'[wire % 2]}"
        assert ohms[f"Rm{row['crossbar']}_{name}_{row['column']}"] == pytest.approx(row["resistance_ohm"], rel=1e-15)
        if row["crossbar"] == 0 and wire < last:
            assert feeds[f"Rf0_{name}_0"] == f"x{row['row']}_{'pn'[wire % 2]}"
    first = found["crossbar"] == 0
    assert not np.array_equal(found["row_wire"][first] // 2, found["row"][first])
    tiles = [np.unique(found["row_wire"][first & (found["tile"] == k)]) for k in range(3)]
    assert [len(tile) for tile in tiles] == [4, 4, 4]  # 12 row wires, at most 4 a tile
    assert np.concatenate(tiles).tolist() == list(range(12))


def test_levels_are_the_nearest_of_the_memristors(ptm90: Technology) -> None:
    device = ptm90.memristor.model_copy(update={"levels": Levels(form="linear", count=9)})
    network = random_network(ptm90, 4, 3, bias_pairs=2)
    found = programming_map(network, device, None)
    levels = np.linspace(device.g_min_S, device.g_max_S, 9)
    away = np.abs(found["conductance_S"][:, None] - levels)
    assert found["level"].tolist() == away.argmin(1).tolist()
    np.testing.assert_array_equal(found["level_S"], levels[found["level"]])


def test_a_spiking_network_has_a_map_too(ptm90: Technology) -> None:
    network = SpikingNetwork(random_network(ptm90, 4, 3, 2).crossbars, (0.02, 0.02))
    found = programming_map(network, ptm90.memristor, Segments(1.0, 1.0, 1.0))
    require_equal(read_back(rows_of(found), (4, 3, 2)), network)
    assert set(found["parallel"].tolist()) == {1}


def test_a_format_of_ones_own(tmp_path: Path) -> None:
    def write(export: Export, path: Path) -> None:
        path.write_text(str(export.network.layers))

    EXPORTS.register("layers", Format("layers.txt", write))
    try:
        run = Run.open(finished().copy(tmp_path / "run"))
        assert run.export("layers").read_text() == "(4, 3, 3)"
    finally:
        EXPORTS.remove("layers")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--to", "cvs"], "Unknown export format 'cvs'. Did you mean 'csv'?"),
        ([], "`spicetrain export` needs --to FORMAT. Known: csv, nir, npz, onnx, subckt"),
        (["--to", "csv", "--out", "."], "is a folder: name a file by --out"),
    ],
)
def test_what_cannot_be_exported(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(finished().folder), *arguments]) == 2
    assert told in capsys.readouterr().err


def test_a_network_that_does_not_know_its_ranking(ptm90: Technology) -> None:
    network = replace(random_network(ptm90, 4, 3), row_ranking=None)
    with pytest.raises(ConfigurationError, match="does not say which inputs vary most"):
        programming_map(network, ptm90.memristor, Segments(1.0, 1.0, 1.0, row_order="input variance"))
