"""Verification by `--cluster local` against the pool of processes, as many workers, the same images. Target: at most
1.05 times as long, and the same voltages bit for bit.

Both simulate the same pieces, A B A B. Starting the cluster is timed by itself: it is started once, for all rooms of a
run.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from statistics import median

import numpy as np
from circuits import SHAPE, network
from common import alternate, finish, parser, seconds
from numpy.typing import NDArray

from spicetrain.datasets import load_dataset
from spicetrain.inverter.network import Network
from spicetrain.inverter.verification.simulate_network import simulate_network
from spicetrain.spice.cluster import Cluster
from spicetrain.spice.ngspice import find_ngspice
from spicetrain.spice.pool import available_cores
from spicetrain.spice.simulator import Simulator
from spicetrain.technology import load_technology

TARGET = 1.05


def main() -> None:
    arguments = parser("cluster", __doc__)
    arguments.add_argument("--layers", type=int, nargs="+", default=SHAPE, help="of a network of random conductances")
    arguments.add_argument("--images", type=int, default=6000, help="a verification (default: %(default)s)")
    arguments.add_argument("--workers", type=int, default=available_cores(), help="of both (default: one a core)")
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    technology, ngspice = load_technology("ptm90"), find_ngspice()
    simulated = network(None, technology, tuple(options.layers))
    verify = partial(simulate_network, simulated, technology, inputs_of(simulated, options.images), "reduced")
    found: dict[str, NDArray] = {}
    with ExitStack() as stack:
        cluster = Cluster("local", workers=options.workers)
        start_s = seconds(lambda: stack.enter_context(cluster))

        def run(name: str, executor: Cluster | None) -> None:
            found[name] = verify(simulator=Simulator(ngspice, options.workers, executor)).voltages

        taken = alternate(
            {"pool": lambda: run("pool", None), "cluster": lambda: run("cluster", cluster)}, options.rounds
        )
    pool_s, cluster_s = median(taken["pool"]), median(taken["cluster"])
    same = found["pool"].tobytes() == found["cluster"].tobytes()
    rows = {
        "pool of processes": f"{pool_s:.1f} s",
        "--cluster local": f"{cluster_s:.1f} s",
        "starting the cluster": f"{start_s:.1f} s",
        "ratio": f"{cluster_s / pool_s:.3f} (target {TARGET:g})",
        "the same bits": "yes" if same else "NO",
    }
    result = {
        "layers": list(simulated.layers), "images": options.images, "workers": options.workers, "seconds": taken,
        "start_s": start_s, "ratio": cluster_s / pool_s, "same_bits": same, "ngspice_version": ngspice.version,
    }  # fmt: skip
    title = f"{options.images} images of {result['layers']}, {options.workers} workers"
    finish(options.out, title, rows, result, same and cluster_s <= TARGET * pool_s)


def inputs_of(simulated: Network, images: int) -> NDArray[np.float32]:
    """MNIST's where it has as many inputs, else random ones."""
    if simulated.layers[0] == 784:
        return load_dataset("mnist").test_inputs[:images]
    return np.random.default_rng(1).random((images, simulated.layers[0])).astype(np.float32)


if __name__ == "__main__":
    main()
