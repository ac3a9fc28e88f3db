"""How long ngspice's own matrix solver, Sparse, takes for a crossbar with wires; KLU takes a hundredth of it.

Measured with ngspice 39, one image of a flat deck, seconds: 128 x 32 cells 1.3, 256 x 32 3.7, 768 x 32 37, 128 x 64 11,
256 x 64 60, 128 x 128 69, 402 x 50 96, 1568 x 10 1.2. The law here is within a factor of 2.1 of them; every further
image takes 0.4 of the first.
"""

from __future__ import annotations

from spicetrain.spice.ngspice import VARIABLE

_SCALE_S, _CELLS, _NARROW = 3.3e-10, 2.0, 1.5

KLU_ADVICE = (
    "An ngspice with KLU does it: on Debian 12 that is version 46 of its backports (apt-get install -t "
    f"bookworm-backports ngspice), chosen by --ngspice PATH or ${VARIABLE}."
)


def sparse_seconds(rows: int, columns: int) -> float:
    """For the first image of a crossbar of so many row wires and columns."""
    return float(_SCALE_S * (rows * columns) ** _CELLS * min(rows, columns) ** _NARROW)


def largest_square(seconds: float) -> int:
    """Rows and columns of the square crossbar that takes so long."""
    return int((seconds / _SCALE_S) ** (1 / (2 * _CELLS + _NARROW)))


def time_text(seconds: float) -> str:
    """Roughly."""
    for unit, of in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * of:
            return f"{seconds / of:.0f} {unit}"
    return f"{seconds:.0f} seconds"
