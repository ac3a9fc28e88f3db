"""Which form of a netlist a technology has."""

from __future__ import annotations

from spicetrain.errors import ConfigurationError
from spicetrain.netlists.cells import Form
from spicetrain.technology import Technology


def plain_form(technology: Technology) -> Form:
    """Where none is asked for."""
    return "reduced" if technology.segments is None else "mesh"


def form_of(technology: Technology, asked: Form | None) -> Form:
    """The one that is asked for. ConfigurationError when the technology has none such."""
    form = plain_form(technology) if asked is None else asked
    if form == "reduced" and technology.segments is not None:
        raise ConfigurationError(
            f"netlist = 'reduced', but {technology.name} has [wires], and a column behind wires that resist is no one "
            "source: wires take --netlist mesh or flat."
        )
    if form == "mesh" and technology.segments is None:
        raise ConfigurationError(
            f"netlist = 'mesh', but {technology.name} has no [wires]: without them take --netlist reduced or flat."
        )
    return form
