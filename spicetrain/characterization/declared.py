"""What can be said of a technology's transistors without ngspice: their names, ports and sizes."""

from __future__ import annotations

from spicetrain.characterization.examined import KINDS, Examined
from spicetrain.characterization.probe import SIZES
from spicetrain.errors import nearest
from spicetrain.include_tree import definitions

PORTS = "drain, gate, source, bulk"
_ORDER = "dgsb"
LARGEST_m, SMALLEST_m = {"w": 1e-3, "l": 5e-5}, 5e-9
"""Of a finger of an inverter; foundries' models end at gates of 20 to 100 um."""


def require_declared(examined: Examined) -> None:
    """TechnologyError: the library has no such transistor, or one with other ports."""
    technology = examined.technology
    found: dict[str, tuple[str, ...] | None] = {}
    for path in technology.includes:
        found |= definitions(path, None)
    found |= definitions(technology.library, technology.transistors.section)
    subcircuits = technology.transistors.element == "X"
    of_its_sort = [name for name, ports in found.items() if (ports is not None) == subcircuits]
    by_name = {name.lower(): name for name in of_its_sort}
    for kind in KINDS:
        model = examined.model(kind)
        what = f"transistors.{kind} = {model!r}"
        if model.lower() in by_name:
            if (ports := found[by_name[model.lower()]]) is not None:
                _require_ports(examined, what, ports)
            continue
        if model.lower() in map(str.lower, found):
            other, element = (".model", "M") if subcircuits else (".subckt", "X")
            raise examined.error(f"{what} is a {other} there: transistors.element = {element!r} is of those.")
        sort = ".subckt" if subcircuits else ".model"
        raise examined.error(f"{what}: the library has no {sort} of that name.{nearest(model, of_its_sort[:200])}")


def _require_ports(examined: Examined, what: str, ports: tuple[str, ...]) -> None:
    listed = " ".join(ports)
    if len(ports) != len(_ORDER):
        raise examined.error(
            f"{what} has {len(ports)} ports ({listed}), and an instance has four: {PORTS}. Wrap it in a .subckt "
            "that has them."
        )
    for letters in ("".join(port[at] for port in ports).lower() for at in (0, -1)):
        if sorted(letters) == sorted(_ORDER) and letters != _ORDER:
            raise examined.error(
                f"{what} has its ports in another order ({listed}) than an instance's: {PORTS}. Wrap it in a .subckt "
                "that has them in this one."
            )


def require_sizes(examined: Examined) -> None:
    """Of a subcircuit little: what its parameters mean is its author's, but for w and l."""
    models = examined.technology.transistors
    for transistor in examined.transistors:
        for name, value in transistor.geometry.items():
            if name.lower() in [one.lower() for one in models.multiplicities]:
                raise examined.error(f"{transistor.where}.{name} is also transistors.multiplicity: leave it out there.")
            if models.element == "M" and name.lower() in SIZES and value <= 0:
                raise examined.error(f"{transistor.where}.{name} = {value}: a size is above 0, in metres.")
            size_m = value * models.geometry_unit_m
            if models.element == "X" and name.lower() in SIZES and not possible(name, size_m):
                raise examined.error(
                    f"{transistor.where}.{name} = {value:g} is {size_m:g} m, by transistors.geometry_unit_m = "
                    f"{models.geometry_unit_m:g}: no gate of an inverter is. {units_text(value)}"
                )
        if models.element == "M" and not transistor.geometry:
            raise examined.error(
                f"{transistor.where} is empty: ngspice would take sizes of its own. Give w and l, in metres."
            )


def possible(name: str, size_m: float) -> bool:
    """Whether a gate can be as wide, or as long."""
    return SMALLEST_m <= size_m <= LARGEST_m[name.lower()]


def units_text(value: float) -> str:
    return (
        "Likely: the library takes micrometres and transistors.geometry_unit_m = 1e-6 is missing (then it is "
        f"{value:g} um), or metres and it is there though it should not; or the size is off by a power of ten."
    )
