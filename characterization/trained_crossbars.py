"""Write trained-<shape>.safetensors: the crossbars of a trained run that load inverters, for the load table.

    python characterization/trained_crossbars.py runs/demo

The first crossbar is driven by the inputs, not by inverters, and is nearly all of a network's size: a stub is kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

from spicetrain.array.crossbar import Crossbar
from spicetrain.array.layered import shape_text
from spicetrain.inverter.network import Network


def main(run: Path) -> None:
    network = Network.load(run / "network.safetensors")
    first = network.crossbars[0]
    stub = Crossbar(first.pos[:1], first.neg[:1], first.bias_pos, first.bias_neg)
    about = network.about | {"made_by": "characterization/trained_crossbars.py"}
    kept = Network((stub, *network.crossbars[1:]), network.sizes, network.encoding, about)
    kept.save(Path(__file__).with_name(f"trained-{shape_text(network.layers[1:])}.safetensors"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
