"""Cold characterization: how much of the wall time ngspice itself is at work. Target: 90 %."""

from __future__ import annotations

import time

from common import empty_cache, finish, parser

from spicetrain.characterization.characterize import RECORD, characterize
from spicetrain.characterization.plan import load_plan
from spicetrain.characterization.sweep import Subject
from spicetrain.inverter.characterization.tables import TABLES
from spicetrain.spice.ngspice import find_ngspice
from spicetrain.spice.simulator import Simulator
from spicetrain.storage import read_json
from spicetrain.technology import load_technology

TARGET = 0.90


def main() -> None:
    arguments = parser("characterization_share", __doc__)
    arguments.add_argument("--plan", default="inverter", help="plan's name or TOML (default: %(default)s)")
    arguments.add_argument("--workers", type=int, help="processes at a time (default: one a core)")
    options = arguments.parse_args()
    subject, plan = Subject(load_technology("ptm90")), load_plan(options.plan, TABLES)
    simulator = Simulator(find_ngspice(), options.workers)
    with empty_cache() as folder:
        start = time.perf_counter()
        characterize(subject, plan, simulator, folder / "tables")
        wall_s = time.perf_counter() - start
        summary = read_json(folder / "tables" / RECORD)
    share = summary["ngspice_s"] / wall_s
    rows = {"wall": f"{wall_s:.2f} s", "at least one ngspice at work": f"{summary['ngspice_s']:.2f} s"}
    rows |= {"share of ngspice": f"{share:.1%} (target {TARGET:.0%})"}
    result = {"plan": options.plan, "wall_s": wall_s, "ngspice_s": summary["ngspice_s"], "ngspice_share": share}
    finish(options.out, f"characterize {options.plan}, empty cache", rows, result, share >= TARGET)


if __name__ == "__main__":
    main()
