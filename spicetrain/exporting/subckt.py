"""The network as a SPICE subcircuit, the models beside it, and a deck of one test image that runs as it is."""

from __future__ import annotations

from pathlib import Path

from spicetrain.exporting import Export, Format
from spicetrain.exporting.dialects import DIALECTS
from spicetrain.netlists.models_beside import ModelsBeside
from spicetrain.storage import write_atomic
from spicetrain.verification.conditions import conditions_of


def write(export: Export, path: Path) -> None:
    """Besides `path` its <name>-image-<n>.cir and the folder <name>-models; a .spiceinit where the library asks for
    one."""
    bench = export.bench
    technology = conditions_of(bench.technology, bench.experiment.verification.conditions).simulated
    models = ModelsBeside(technology, path.parent.resolve() / f"{path.stem}-models")
    reads = [*models.lines, f'.include "{path.name}"']
    subcircuit, deck = export.system.subcircuit(bench, export.network, export.surrogates, export.image, reads)
    dialect = DIALECTS[export.dialect]
    subcircuit, deck = dialect.of_subcircuit(subcircuit), dialect.of_deck(deck)
    models.write()
    for file, text in ((path, subcircuit), (path.with_name(f"{path.stem}-image-{export.image}.cir"), deck)):
        with write_atomic(file) as temporary:
            temporary.write_text(text, encoding="utf-8")


FORMAT = Format("subckt/network.sub", write, dialects=True)
