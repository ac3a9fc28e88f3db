"""The headline, and where everything comes from."""

from __future__ import annotations

import json
from typing import Any

from spicetrain.array.layered import shape_text
from spicetrain.errors import StorageError
from spicetrain.experiment import MANIFEST, NETWORK
from spicetrain.report.artefacts import RunFolder
from spicetrain.report.blocks import Block, Figures, Listing, Notice, Section, Table
from spicetrain.report.units import count, percent, quantity, seconds
from spicetrain.spiking.report.result import result_blocks
from spicetrain.storage import sha256_of_file


def headline(run: RunFolder) -> str:
    """mnist, 784-100-10, kcl; of a spiking system "spiking, circuit" at the end."""
    experiment = run.experiment
    method = f"{'spiking, ' if run.system == 'spiking' else ''}{experiment.training.method}"
    return f"{experiment.dataset.name}, {shape_text(experiment.network.layers)}, {method}"


def headline_section(run: RunFolder) -> Section:
    """The figures of summary.json, or what to do to get them."""
    summary = run.summary
    if summary is None:
        missing = Notice("This run has not been verified in ngspice: there are no results yet.", run.command("verify"))
        return Section("result", "Result", [missing])
    try:
        spiking, verify = run.system == "spiking", run.command("verify")
        blocks: list[Block] = result_blocks(summary, verify) if spiking else _results(summary)
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"{run.folder / 'summary.json'} is not what a verification writes ({error}). It was edited: remove it and "
            f"run `{run.command('verify')}` again."
        ) from error
    if _is_of_another_network(run):
        text = "network.safetensors has changed since it was verified: these figures belong to the network before."
        blocks.insert(0, Notice(text, run.command("verify")))
    return Section("result", "Result", blocks)


def _results(summary: dict[str, Any]) -> list[Block]:
    return [Figures(_tiles(summary)), _circumstances(summary)]


def _tiles(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    images = int(summary["images"])
    return [
        (percent(summary["accuracy_spice"]), "accuracy in SPICE", f"of {count(images, 'test image')}"),
        (percent(summary["accuracy_model"]), "accuracy of the model", "the same images"),
        (percent(summary["agreement"]), "agreement", "same class in both"),
        (quantity(summary["error_mean_V"], "V"), "mean output error", f"rms {quantity(summary['error_rms_V'], 'V')}"),
        (quantity(summary["error_max_V"], "V"), "largest output error", f"of {count(images, 'image')}, all outputs"),
    ]


def _circumstances(summary: dict[str, Any]) -> Table:
    took = seconds(summary["seconds_ngspice"])
    rows = [
        ("dataset", str(summary["dataset"])),
        ("layers", shape_text(summary["layers"])),
        ("method", str(summary["method"])),
        ("technology", str(summary["technology"])),
        ("netlist", str(summary["netlist"])),
        ("images", f"{int(summary['images']):,}"),
        ("ngspice", f"version {summary['ngspice_version']}, {took} summed over its processes"),
        ("verified in", seconds(summary["seconds_total"])),
    ]
    if flat := summary.get("flat"):
        difference, took = quantity(flat["difference_max_V"], "V"), seconds(flat["seconds_ngspice"])
        text = f"{difference} at most, on {count(int(flat['images']), 'image')} ({took} in ngspice, summed likewise)"
        rows.append(("flat less reduced netlist", text))
    return Table((), rows)


def provenance_section(run: RunFolder) -> Section:
    """manifest.json and experiment.toml."""
    manifest = run.manifest
    blocks: list[Block] = []
    if manifest is None:
        blocks.append(Notice(f"There is no {MANIFEST}: it cannot be said what this was made with."))
    else:
        try:
            blocks += [_versions(manifest), _rooms(manifest)]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise StorageError(f"{run.folder / MANIFEST} is not what spicetrain writes ({error!r}).") from error
    blocks.append(Listing("experiment.toml", run.definition))
    for name, content in (("summary.json", run.summary), (MANIFEST, manifest)):
        if content is not None:
            blocks.append(Listing(name, json.dumps(content, indent=2)))
    return Section("provenance", "Provenance", blocks)


def _versions(manifest: dict[str, Any]) -> Table:
    technology = manifest["technology"]
    rows = [
        ("spicetrain", manifest["spicetrain"]),
        ("git revision", manifest["git_revision"] or "an installed package"),
        ("python", manifest["python"]),
        *manifest["packages"].items(),
        ("cores", str(manifest["cores"])),
        ("technology", technology["name"]),
        ("technology fingerprint", technology["fingerprint"]),
        ("model library, sha256", technology["library_sha256"]),
    ]
    return Table((), rows)


def _rooms(manifest: dict[str, Any]) -> Table:
    rows = []
    for name, room in manifest["rooms"].items():
        known = ("seconds", "finished", "artefacts_sha256")
        details = ", ".join(f"{key} {value}" for key, value in room.items() if key not in known)
        rows.append((name, room["finished"], seconds(room["seconds"]), details))
    caption = "What each step took; a step whose result was there already is quick."
    return Table(("step", "finished", "took", "with"), rows, caption)


def _is_of_another_network(run: RunFolder) -> bool:
    path, manifest = run.path(NETWORK), run.manifest
    if path is None or manifest is None:
        return False
    verified = manifest["rooms"].get("verify", {}).get("artefacts_sha256", {}).get(NETWORK)
    return verified is not None and verified != sha256_of_file(path)
