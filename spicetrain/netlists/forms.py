"""Which form of a netlist a technology has, and how large one with wires may be."""

from __future__ import annotations

from collections.abc import Sequence

from spicetrain.errors import ConfigurationError
from spicetrain.netlists.cells import Form
from spicetrain.spice.ngspice import Ngspice
from spicetrain.spice.sparse import KLU_ADVICE, sparse_seconds, time_text
from spicetrain.technology import Technology

CHECK_S = 120.0
"""Flat images that only confirm another netlist are left out when ngspice would be longer at the first one."""


def plain_form(technology: Technology) -> Form:
    """Where none is asked for."""
    return "reduced" if technology.segments is None else "mesh"


def form_of(technology: Technology, asked: Form | None, table: str = "") -> Form:
    """The one that is asked for, `table` (such as "energy.") says where. ConfigurationError when there is none such."""
    form = plain_form(technology) if asked is None else asked
    if form == "reduced" and technology.segments is not None:
        raise ConfigurationError(
            f"{table}netlist = 'reduced', but {technology.name} has [wires], and a column behind wires that resist is "
            f"no one source: wires take --{table}netlist mesh or flat."
        )
    if form == "mesh" and technology.segments is None:
        raise ConfigurationError(
            f"{table}netlist = 'mesh', but {technology.name} has no [wires]: without them take --{table}netlist "
            "reduced or flat."
        )
    return form


def too_large(
    form: Form, technology: Technology, layers: Sequence[int], ngspice: Ngspice, limit_s: float
) -> str | None:
    """Why ngspice would need longer than `limit_s` for one image of a network's netlist; None where it does not. Only
    wires, and a build without KLU, make it so."""
    if technology.segments is None or ngspice.klu:
        return None
    shapes = [(2 * rows + 2, columns) for rows, columns in zip(layers, layers[1:], strict=False)]
    wired = shapes if form == "flat" else shapes[1:]
    seconds = sum(sparse_seconds(*shape) for shape in wired)
    if seconds <= limit_s:
        return None
    rows, columns = max(wired, key=lambda shape: sparse_seconds(*shape))
    return (
        f"{form} with wires, up to {rows} x {columns} cells, takes an ngspice without KLU some {time_text(seconds)} "
        "for the first image"
    )


def require_size(form: Form, technology: Technology, layers: Sequence[int], ngspice: Ngspice, limit_s: float) -> None:
    """ConfigurationError when ngspice would need longer than `limit_s`, the time limit of a piece, for one image."""
    reason = too_large(form, technology, layers, ngspice, limit_s)
    if reason is not None:
        other = " Or verify with --netlist mesh." if form == "flat" else ""
        raise ConfigurationError(
            f"netlist = {form!r}: {reason}; verification.timeout_s = {limit_s:g}. {KLU_ADVICE}{other}"
        )
