"""The headline, and where everything comes from."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from spicetrain.array.layered import shape_text
from spicetrain.errors import StorageError
from spicetrain.report.blocks import Block, Listing, Notice, Section, Table
from spicetrain.report.page import Page
from spicetrain.report.units import quantity, seconds
from spicetrain.report.verdict import verdict
from spicetrain.runfolder import MANIFEST, NETWORK
from spicetrain.storage import sha256_of_file
from spicetrain.verification.summary import Summary


def headline(page: Page, system: str) -> str:
    """mnist, 784-100-10, kcl; with a word for the system where it has one."""
    experiment = page.experiment
    words = experiment.dataset.name, shape_text(experiment.network.layers), system, experiment.training.method
    return ", ".join(filter(None, words))


def result_section(page: Page, blocks: Callable[[Any, str], list[Block]]) -> Section:
    """The figures of the verification as the system's `blocks` show them, or what to do to get them."""
    if page.summary is None:
        missing = Notice("This run has not been verified in ngspice: there are no results yet.", page.command("verify"))
        return Section("result", "Result", [missing])
    verify = page.command("verify")
    shown = blocks(page.summary, verify)
    if page.summary.accuracy_spice is not None:  # of a regression chips are not verified
        shown.insert(0, verdict(page.summary, getattr(page.summary, "chips", None), verify))  # not of every system
    if _is_of_another_network(page):
        text = "network.safetensors has changed since it was verified: these figures belong to the network before."
        shown.insert(0, Notice(text, verify))
    return Section("result", "Result", shown)


def conditions_blocks(summary: Summary) -> list[Block]:
    """What differs between training, model and simulation, if something does."""
    trained, modelled, simulated = (
        one or {} for one in (summary.trained_in, summary.modelled_in, summary.simulated_in)
    )
    blocks: list[Block] = []
    if trained.get("fingerprint") != modelled.get("fingerprint"):
        text = f"The network was trained in the technology {trained.get('technology')}, which is not this run's."
        blocks.append(Notice(text))
    if not summary.model_is_of_the_circuit:
        differing = [
            f"{name} {modelled.get(name)} in the model, {value} in ngspice"
            for name, value in simulated.items()
            if name != "fingerprint" and modelled.get(name) != value
        ]
        text = f"Simulated under other conditions than modelled: {'; '.join(differing) or 'another library'}."
        blocks.append(Notice(text))
    return blocks


def operating_rows(summary: Summary) -> list[tuple[str, str]]:
    """Rails and temperature that were simulated, and the section of the library; of an older version none."""
    there = summary.simulated_in or {}
    if not {"vdd_V", "vss_V", "temperature_C"} <= there.keys():
        return []
    section = [("section of the library", str(there["section"]))] if there.get("section") else []
    rails = f"{quantity(there['vss_V'], 'V')} .. {quantity(there['vdd_V'], 'V')}"
    return [("rails", rails), ("temperature", f"{there['temperature_C']:g} °C"), *section]


def provenance_section(page: Page) -> Section:
    """manifest.json and experiment.toml."""
    manifest = page.manifest
    blocks: list[Block] = []
    if manifest is None:
        blocks.append(Notice(f"There is no {MANIFEST}: it cannot be said what this was made with."))
    else:
        try:
            blocks += [_versions(manifest), _rooms(manifest)]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise StorageError(f"{page.files / MANIFEST} is not what spicetrain writes ({error!r}).") from error
    blocks.append(Listing("experiment.toml", page.files.definition))
    for name, content in (("summary.json", page.summary and page.summary.to_json()), (MANIFEST, manifest)):
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


def _is_of_another_network(page: Page) -> bool:
    path, manifest = page.files.path(NETWORK), page.manifest
    if path is None or manifest is None:
        return False
    verified = manifest["rooms"].get("verify", {}).get("artefacts_sha256", {}).get(NETWORK)
    return verified is not None and verified != sha256_of_file(path)
