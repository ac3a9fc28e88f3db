"""A look at a technology before anything is measured of it: ngspice computes much that is wrong without a word.

Refused is what would go through every room and come out as a network of no circuit: swapped transistors, sizes in other
units, parameters without effect, a multiplicity that does not multiply, an inverter that does not invert.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from spicetrain.characterization.declared import PORTS, possible, require_declared, require_sizes
from spicetrain.characterization.examined import KINDS, Examined, remove
from spicetrain.characterization.gates import require_gates
from spicetrain.characterization.own_statistics import require_statistics_scale
from spicetrain.characterization.probe import FINGERS, Conduction, Probe
from spicetrain.errors import SimulationError, StorageError, TechnologyError, nearest
from spicetrain.keyed import Recipe
from spicetrain.netlists.cells import Kind, models_only, text_of
from spicetrain.spice.parameters import parameters_of
from spicetrain.spice.simulator import Simulator
from spicetrain.storage import cache_folder, read_json, write_json

_CHECK = Recipe("check", 3)
Figures = dict[str, dict[str, float]]

_LARGEST_A, _SMALLEST_A = 1.0, 1e-15  # what one finger may conduct, and must switch, between the rails
# How far m fingers may be from m times the current of one: relatively, and by ngspice's gmin, 1e-12 S beside a device.
_FACTOR, _GMIN_S, _SAME = 1e-3, 1e-11, 1e-6
_END, _RISE = (
    0.1,
    1e-3,
)  # in swings: how far the inverter's curve may end from the rails, how much it may rise in a step
_OF_MOST_MODELS = ("w", "l", "m", "nf", "ad", "as", "pd", "ps", "nrd", "nrs")
_PORTS = f"its ports are others than {PORTS}, in this order"


def check(examined: Examined, simulator: Simulator) -> Figures:
    """Look at the transistors, and at the inverter where there is one.

    Returns what was found, kept in the cache by all that it depends on: {"inverter.nmos": {"on_A": ..., "off_A": ...},
    ..., "inverter": {"v_out_max_V": ..., "v_out_min_V": ..., "switches_at_V": ..., "gain": ...}}.

    Raises TechnologyError when this cannot be the circuit that is meant, SimulationError when ngspice fails,
    StorageError when the cache cannot be written.
    """
    key = _CHECK.key(
        technology=examined.technology, rails=examined.rails, circuit=examined.circuit,
        transistors=[[one.where, one.kind, dict(one.geometry)] for one in examined.transistors],
        inverter=examined.add_inverter is not None, ngspice=simulator.version,
    )  # fmt: skip
    path = cache_folder() / "characterization" / key / "check.json"
    figures = _stored(path)
    if figures is None:
        figures = _figures(examined, simulator)
        write_json(path, figures)
    return figures


def _stored(path: Path) -> Figures | None:
    try:
        figures: Figures = read_json(path)
    except StorageError:
        return None
    return figures


def _figures(examined: Examined, simulator: Simulator) -> Figures:
    require_sizes(examined)
    require_declared(examined)
    _require_known_parameters(examined, simulator)
    found = _probed(examined, simulator)
    _require_metres(examined, found)
    _require_conduction(examined, found, simulator)
    _require_same_twice(examined, found)
    _require_multiplicity(examined, found)
    require_gates(examined, found, simulator)
    require_statistics_scale(examined, simulator)
    figures = {each.transistor.where: {"on_A": each.on_A, "off_A": each.off_A} for each in found.transistors}
    return figures if found.v_out_V is None else figures | {"inverter": _inversion(examined, found)}


def _require_known_parameters(examined: Examined, simulator: Simulator) -> None:
    """Of an M element ngspice refuses what it does not know, of a subcircuit it ignores it."""
    models = examined.technology.transistors
    if models.element == "M":
        return
    given: dict[str, dict[str, float]] = {}
    for each in examined.transistors:
        given.setdefault(examined.model(each.kind), dict.fromkeys(models.multiplicities, 1.0)).update(each.geometry)
    found = parameters_of(text_of(models_only(examined.technology)), 4, given, simulator)
    for model, name in found.ignored:
        raise _unknown(examined, name, [kind for kind in KINDS if examined.model(kind) == model], found.known[model])


def _unknown(examined: Examined, name: str, kinds: Sequence[Kind], known: Iterable[str]) -> TechnologyError:
    owners = [
        f"{each.where}.{key}"
        for each in examined.transistors
        for key in each.geometry
        if each.kind in kinds and key.lower() == name.lower()
    ]
    where = owners[0] if owners else f"transistors.multiplicity = {name!r}"
    models = " and ".join(repr(examined.model(kind)) for kind in kinds)
    return examined.error(f"{where} is not a parameter of {models}.{nearest(name, known)}")


def _probed(examined: Examined, simulator: Simulator) -> Probe:
    try:
        return examined.probe(simulator)
    except SimulationError as error:
        unknown = re.search(r"unknown parameter \(([a-z]\w*)\)", str(error), re.IGNORECASE)
        if unknown is not None and examined.technology.transistors.element == "M":
            remove(error)
            raise _unknown(examined, unknown[1], KINDS, _OF_MOST_MODELS) from error
        if "could not find a valid modelname" in str(error):
            remove(error)
            given = ", ".join(f"{each.where} {dict(each.geometry)}" for each in examined.transistors)
            raise examined.error(
                f"the library has no model for one of these sizes: {given}. Its models hold between the shortest and "
                "narrowest gate that it allows and the longest and widest. Likely: another unit than the library's, or "
                "a power of ten."
            ) from error
        alone = None if examined.add_inverter is None else examined.alone(simulator)
        if alone is not None:
            try:
                _require_metres(examined, alone)
                _require_conduction(examined, alone, simulator)
            except TechnologyError:
                remove(error)
                raise
        raise


def _require_metres(examined: Examined, found: Probe) -> None:
    """As ngspice has them: a library may scale what it is given."""
    for each in found.transistors:
        for name, value in each.size_m.items():
            if not possible(name, value):
                raise examined.error(
                    f"{each.transistor.where}.{name} is {value:g} m to ngspice: sizes are in metres, so 240 nm is "
                    f"240e-9. With it one finger conducts {each.on_A:.3g} A."
                )


def _require_conduction(examined: Examined, found: Probe, simulator: Simulator) -> None:
    wrong = _first_wrong(examined, found)
    if wrong is None:
        return
    other = examined.exchanged()
    alone = other.alone(simulator)
    if alone is not None and _first_wrong(other, alone) is None:
        raise examined.error(
            f"nmos and pmos are likely swapped: {wrong}; with transistors.nmos = {other.model('nmos')!r} and "
            f"transistors.pmos = {other.model('pmos')!r} both conduct as they should."
        )
    raise examined.error(
        f"{wrong}. Likely: its size is in another unit than the library's (metres, mostly); the rails do not suit it; "
        f"{_PORTS}; the model is one of the other kind."
    )


def _first_wrong(examined: Examined, found: Probe) -> str | None:
    """What the first transistor does that no transistor of its kind does."""
    return next(filter(None, (_wrong(examined, each) for each in found.transistors)), None)


def _wrong(examined: Examined, each: Conduction) -> str | None:
    rails, kind = examined.rails, each.transistor.kind
    what = f"one finger of {each.transistor.where} (transistors.{kind} = {examined.model(kind)!r})"
    opened, closed = (rails.vdd_V, rails.vss_V) if kind == "nmos" else (rails.vss_V, rails.vdd_V)
    if each.on_A > _LARGEST_A:
        return f"{what} conducts {each.on_A:.3g} A from rail to rail, its gate at {opened:g} V"
    if each.on_A <= 0 or each.on_A - each.off_A < _SMALLEST_A:
        return (
            f"{what} does not switch: it conducts {each.on_A:.3g} A from rail to rail with its gate at {opened:g} V, "
            f"which should open it, and {each.off_A:.3g} A at {closed:g} V"
        )
    return None


def _require_same_twice(examined: Examined, found: Probe) -> None:
    for each in found.transistors:
        if abs(each.twin_A - each.on_A) > _SAME * abs(each.on_A) + _SMALLEST_A:
            raise examined.error(
                f"two equal transistors differ: one finger of {each.transistor.where} "
                f"({examined.model(each.transistor.kind)!r}) conducts {each.on_A:.6g} A, another {each.twin_A:.6g} A. "
                "The library draws mismatch of its own; chips are drawn here. Switch it off by transistors.params, as "
                "{ sw_stat_mismatch = 0 } of gf180mcu, { MC_MM_SWITCH = 0 } of sky130."
            )


def _require_multiplicity(examined: Examined, found: Probe) -> None:
    gmin_A = _GMIN_S * (examined.rails.vdd_V - examined.rails.vss_V)
    for each in found.transistors:
        for fingers, open_A in zip(FINGERS, each.open_A, strict=True):
            if abs(open_A - fingers * each.on_A) > fingers * (_FACTOR * each.on_A + gmin_A):
                raise examined.error(
                    f"transistors.multiplicity = {examined.technology.transistors.multiplicity!r} does not multiply: "
                    f"{fingers:g} fingers of {each.transistor.where} ({examined.model(each.transistor.kind)!r}) carry "
                    f"{open_A / each.on_A:.4g} times the current of one. Likely: the subcircuit holds behavioural "
                    "sources, for which ngspice ignores m without a word (give it a parameter that multiplies all its "
                    "currents, and name that); or this parameter means something else, such as into how many fingers a "
                    "width is divided."
                )


def _inversion(examined: Examined, found: Probe) -> dict[str, float]:
    """Figures of the inverter's unloaded curve; TechnologyError when it does not fall from rail to rail."""
    assert found.v_out_V is not None
    v_in, v_out, rails = found.v_in_V, found.v_out_V, examined.rails
    high, low, swing = float(v_out[0]), float(v_out[-1]), rails.vdd_V - rails.vss_V
    gain = float(np.max(-np.diff(v_out) / np.diff(v_in)))
    ends = abs(high - rails.vdd_V) < _END * swing and abs(low - rails.vss_V) < _END * swing
    if not ends or gain <= 1 or np.max(np.diff(v_out)) > _RISE * swing:
        nmos, pmos = (each.on_A for each in found.transistors)
        raise examined.error(
            f"the inverter does not invert: without a load v_out goes from {high:.4g} V at v_in = {rails.vss_V:g} V to "
            f"{low:.4g} V at v_in = {rails.vdd_V:g} V, at no point steeper than {gain:.3g}, and should fall from about "
            f"{rails.vdd_V:g} V to about {rails.vss_V:g} V. Likely: the rails are too low for these transistors, or "
            f"too high; one of them is far too weak (a finger conducts {nmos:.3g} A, nMOS, and {pmos:.3g} A, pMOS: "
            f"change inverter.nmos or inverter.pmos); {_PORTS}."
        )
    switches_at = float(np.interp(-rails.mid_V, -v_out, v_in))
    return {"v_out_max_V": high, "v_out_min_V": low, "switches_at_V": switches_at, "gain": gain}
