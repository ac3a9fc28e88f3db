"""Cold characterization: how much of the wall time ngspice itself is at work. Target: 90 %."""

from __future__ import annotations

import time

from common import empty_cache, finish, parser

from spicetrain.characterization.characterize import SUMMARY, characterize
from spicetrain.characterization.plan import load_plan
from spicetrain.spice.ngspice import find_ngspice
from spicetrain.storage import read_json
from spicetrain.technology import load_technology

TARGET = 0.90


def main() -> None:
    arguments = parser("characterization_share", __doc__)
    arguments.add_argument("--plan", default="inverter", help="plan's name or TOML (default: %(default)s)")
    arguments.add_argument("--workers", type=int, help="processes at a time (default: one a core)")
    options = arguments.parse_args()
    technology, plan, ngspice = load_technology("ptm90"), load_plan(options.plan), find_ngspice()
    with empty_cache() as folder:
        start = time.perf_counter()
        characterize(technology, plan, ngspice, folder / "tables", workers=options.workers)
        wall_s = time.perf_counter() - start
        summary = read_json(folder / "tables" / SUMMARY)
    share = summary["ngspice_s"] / wall_s
    rows = {"wall": f"{wall_s:.2f} s", "at least one ngspice at work": f"{summary['ngspice_s']:.2f} s"}
    rows |= {"share of ngspice": f"{share:.1%} (target {TARGET:.0%})"}
    result = {"plan": options.plan, "wall_s": wall_s, "ngspice_s": summary["ngspice_s"], "ngspice_share": share}
    finish(options.out, f"characterize {options.plan}, empty cache", rows, result, share >= TARGET)


if __name__ == "__main__":
    main()
