"""The subcircuit in plain ngspice, from another working folder, against our own deck, verification and the model."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bent import BENDING, bending
from numpy.typing import NDArray
from test_maps import random_network
from tiny import finished

from spicetrain.array.wires import Wires
from spicetrain.cli import main
from spicetrain.errors import ConfigurationError, TechnologyError
from spicetrain.inverter.netlists.network import network_deck
from spicetrain.inverter.netlists.parts import MOST_PORTS, parts
from spicetrain.inverter.netlists.subcircuit import Shown, shown_deck, subcircuit
from spicetrain.inverter.network import Network
from spicetrain.netlists.models_beside import ModelsBeside
from spicetrain.run import Run
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.simulate import simulate
from spicetrain.systems import SYSTEMS
from spicetrain.technology import Technology


def printed(deck: Path, ngspice: Ngspice, folder: Path) -> NDArray[np.float64]:
    """v(o_0), v(o_1), ... as a plain ngspice -b prints them."""
    done = subprocess.run([ngspice.executable, "-b", str(deck)], capture_output=True, text=True, cwd=folder, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    found = dict(re.findall(r"^v\(o_(\d+)\) = (\S+)", done.stdout, re.MULTILINE))
    return np.array([float(found[str(j)]) for j in range(len(found))])


def written(network: Network, technology: Technology, inputs: NDArray, folder: Path, most: int = MOST_PORTS) -> Path:
    """The export of a network that no run made; the path of its deck."""
    models = ModelsBeside(technology, folder / "network-models")
    reads = [*models.lines, '.include "network.sub"']
    models.write()
    found = parts(network, technology, most)
    (folder / "network.sub").write_text(subcircuit(network, technology, found, reads))
    shown = Shown(0, inputs, "none", np.zeros(network.layers[-1]))
    (folder / "network-image-0.cir").write_text(shown_deck(network, technology, found, shown, reads))
    return folder / "network-image-0.cir"


def by_our_own(network: Network, technology: Technology, inputs: NDArray, ngspice: Ngspice) -> list[float]:
    answer = simulate(network_deck(network, technology, inputs[None], "flat"), ngspice).values
    return [answer[f"v(o_{j})"][0] for j in range(network.layers[-1])]


@pytest.mark.parametrize("kind", ["plain", "sinh", "tiles", "one tile", "mid-rail"])
def test_in_parts_of_fewer_ports_it_is_the_same(kind: str, ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    technology = bending(ptm90, "sinh") if kind == "sinh" else ptm90
    if "tile" in kind:
        wires = WIRES if kind == "tiles" else WIRES.model_copy(update={"tile_rows": None, "columns_sensed": "middle"})
        technology = ptm90.changed(wires=wires)
    network = replace(random_network(technology, 9, 4, 2), ground_S=1e-6 if kind == "mid-rail" else 0.0)
    inputs = np.random.default_rng(3).random(9)
    found = parts(network, technology, 16)
    assert len(found) > 2 and max(len(part.ports) for part in found) <= 16
    assert [part.name for part in found] == [*(f"network_rows_{k}" for k in range(len(found) - 1)), "network"]
    named = [port for part in found[:-1] for port in part.ports if port.startswith("x")]
    assert sorted(named) == sorted(f"x{i}_{sign}" for i in range(9) for sign in "pn")
    deck = written(network, technology, inputs, tmp_path / "out", 16)
    np.testing.assert_allclose(
        printed(deck, ngspice, tmp_path), by_our_own(network, technology, inputs, ngspice), rtol=0, atol=1e-7
    )


def test_as_many_ports_as_are_allowed_are_what_ngspice_takes(
    ptm90: Technology, ngspice: Ngspice, tmp_path: Path
) -> None:
    network, inputs = random_network(ptm90, 600, 2), np.random.default_rng(3).random(600)
    deck = written(network, ptm90, inputs, tmp_path / "out")
    assert "It is 3 subcircuits, network_rows_0 .. network," in (tmp_path / "out" / "network.sub").read_text()
    np.testing.assert_allclose(
        printed(deck, ngspice, tmp_path), by_our_own(network, ptm90, inputs, ngspice), rtol=0, atol=1e-7
    )


def test_more_columns_than_ports_are_refused(ptm90: Technology) -> None:
    with pytest.raises(ConfigurationError, match="a crossbar of 16 columns would have more than 16 ports"):
        parts(random_network(ptm90, 9, 16, 2), ptm90, 16)
    with pytest.raises(ConfigurationError, match="a crossbar of 6 columns would have more than 16 ports"):
        parts(random_network(ptm90, 9, 6, 2), ptm90.changed(wires=WIRES), 16)


WIRES = Wires(row_ohm=20.0, column_ohm=20.0, tile_rows=4, row_order="input variance")


@pytest.mark.parametrize("kind", ["plain", "wires", "section", "mid-rail", *BENDING])
@pytest.mark.parametrize("layers", [(5, 4, 3, 2), (1, 1)])
def test_a_network_is_the_same_in_its_own_deck(
    kind: str, layers: tuple[int, ...], ptm90: Technology, made_up: Technology, ngspice: Ngspice, tmp_path: Path
) -> None:
    technology = {"section": made_up, "wires": ptm90.changed(wires=WIRES)}.get(kind, ptm90)
    if kind in BENDING:
        technology = bending(ptm90, kind)
    if kind == "wires" and layers == (1, 1):
        technology = ptm90.changed(wires=WIRES.model_copy(update={"tile_rows": None}))
    network = replace(random_network(technology, *layers), ground_S=1e-6 if kind == "mid-rail" else 0.0)
    inputs = np.random.default_rng(3).random(layers[0])
    folder, elsewhere = tmp_path / "a folder", tmp_path / "elsewhere"
    elsewhere.mkdir()
    found = printed(written(network, technology, inputs, folder), ngspice, elsewhere)
    np.testing.assert_allclose(found, by_our_own(network, technology, inputs, ngspice), rtol=0, atol=1e-7)


def test_the_export_of_a_run_is_its_verification(
    ngspice: Ngspice, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where it was moved to: nothing in it names the place that it was made in."""
    run = finished().copy(tmp_path / "run")
    assert main(["export", str(run), "--to", "subckt", "--image", "3"]) == 0
    assert capsys.readouterr().out == f"{run / 'subckt' / 'network.sub'}\n"
    moved = Path(shutil.move(run / "subckt", tmp_path / "moved"))
    assert not any(str(tmp_path) in file.read_text() for file in moved.rglob("*") if file.is_file())
    deck = moved / "network-image-3.cir"
    found, text = printed(deck, ngspice, tmp_path), deck.read_text()
    row = pd.read_parquet(run / "verification.parquet").iloc[3]
    np.testing.assert_allclose(found, [row[f"spice_o_{j}_V"] for j in range(3)], rtol=0, atol=1e-6)
    expected = [float(v) for v in re.findall(r"^\*   v\(o_\d\) = (\S+)$", text, re.MULTILINE)]
    np.testing.assert_allclose(expected, [row[f"model_o_{j}_V"] for j in range(3)], rtol=0, atol=1e-8)
    assert ".options reltol=1e-05 vntol=1e-08 abstol=1e-14 temp=27.0" in text
    label, name = re.findall(r"test image 3, label (\d) \((\w+)\)", text)[0]
    assert (int(label), name) == (row["label"], Run.open(run).dataset.classes[int(row["label"])])


def test_a_designers_own_deck_reads_it_as_its_header_says(ngspice: Ngspice, tmp_path: Path) -> None:
    run = Run.open(finished().folder)
    path = run.export("subckt", tmp_path / "mine.spice", image=2)
    text = path.read_text()
    header = [line for line in text.splitlines() if line.startswith("*")]
    reads = [line[1:].strip() for line in header if line.startswith("*   .")]
    assert reads == ['.include "mine-models/ptm90.lib"', '.include "mine.spice"']
    assert "* Inputs x = 0 .. 1: x<i>_p at 0 V + 0.25 V (2 x - 1), x<i>_n as far below" in header
    sources = ["Vup up 0 0.25", "Vdown down 0 -0.25"]
    for i, x in enumerate(run.dataset.test_inputs[2].astype(float).tolist()):
        sources += [f"Va{i} a{i} 0 {0.25 * (2 * x - 1)!r}", f"Vb{i} b{i} 0 {-0.25 * (2 * x - 1)!r}"]
    ports = " ".join(f"a{i} b{i}" for i in range(4)) + " o_0 o_1 o_2 up down"
    run_it = [".options reltol=1e-5 vntol=1e-8 abstol=1e-14", ".control", "op", "print v(o_0) v(o_1) v(o_2)", "quit"]
    lines = ["* mine", *reads, *sources, f"X1 {ports} network", *run_it, ".endc", ".end", ""]
    (tmp_path / "mine.cir").write_text("\n".join(lines))
    row = pd.read_parquet(run.folder / "verification.parquet").iloc[2]
    found = printed(tmp_path / "mine.cir", ngspice, tmp_path)
    np.testing.assert_allclose(found, [row[f"spice_o_{j}_V"] for j in range(3)], rtol=0, atol=1e-6)


def test_a_library_of_several_files_is_copied_as_it_lies(ptm90: Technology, ngspice: Ngspice, tmp_path: Path) -> None:
    here = tmp_path / "pdk"
    (here / "corners").mkdir(parents=True)
    shutil.copy(ptm90.library, here / "cards.inc")
    (here / "corners" / "top.lib").write_text('* top\n.lib tt\n.include "../cards.inc"\n.endl\n')
    transistors = ptm90.transistors.model_copy(update={"library": "corners/top.lib", "section": "tt"})
    technology = ptm90.changed(transistors=transistors, folder=here)
    network, inputs = random_network(technology, 3, 2), np.array([0.1, 0.5, 0.9])
    deck = written(network, technology, inputs, tmp_path / "out")
    copied = {str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert {"network-models/cards.inc", "network-models/corners/top.lib"} <= copied
    shutil.rmtree(here)
    np.testing.assert_allclose(
        printed(deck, ngspice, tmp_path), by_our_own(network, ptm90, inputs, ngspice), rtol=0, atol=1e-7
    )


def test_links_that_lead_elsewhere_are_refused(ptm90: Technology, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    shutil.copy(ptm90.library, tmp_path / "real" / "cards.inc")
    (tmp_path / "cards.inc").symlink_to(tmp_path / "real" / "cards.inc")
    (tmp_path / "top.lib").write_text('* top\n.include "cards.inc"\n')
    transistors = ptm90.transistors.model_copy(update={"library": "top.lib"})
    models = ModelsBeside(ptm90.changed(transistors=transistors, folder=tmp_path), tmp_path / "out" / "models")
    with pytest.raises(TechnologyError, match="is not a file"):
        models.write()


def test_what_a_library_asks_of_ngspice_is_said_beside_it(ptm90: Technology, tmp_path: Path) -> None:
    transistors = ptm90.transistors.model_copy(update={"setup": {"ngbehavior": "hsa"}})
    models = ModelsBeside(ptm90.changed(transistors=transistors), tmp_path / "models")
    models.write()
    models.write()  # its own is no other
    assert (tmp_path / ".spiceinit").read_text() == "set ngbehavior=hsa\n"
    (tmp_path / ".spiceinit").write_text("set ngbehavior=ps\n")
    with pytest.raises(ConfigurationError, match="in a folder of its own by --out"):
        models.write()


def test_an_image_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(finished().folder), "--to", "subckt", "--image", "30"]) == 2
    assert "There is no test image 30: iris has 0 .. 29." in capsys.readouterr().err


def test_spiking_networks_have_none() -> None:
    run = Run.open(finished().folder)
    with pytest.raises(ConfigurationError, match="the system is 'spiking'"):
        SYSTEMS["spiking"].subcircuit(run, None, lambda: None, 0, [])
