"""Energy and delay of a trained network in ngspice: images one after the other, each held until the outputs stand.

hold time              from an image's edge until the last output stays within `settled` of its step; the worst of all
                       images is how long every image must be held
energy per inference   both rails' power integrated over the hold time from the edge on, mean over images: inverters and
                       bias rows from the second crossbar on
static power           the rails' power at the DC point of an image, mean over images
source power           what the first crossbar takes from the sources of its rows and its bias rows, which a sensor or a
                       DAC has to give: at the DC point, apart, not in the energy per inference

With [wires] all of it has their resistance, and time has the capacitance to ground that they give a segment. What the
rails and the sources deliver is then what devices and wires turn into heat. The charge that the rows of the first
crossbar take from their sources is in none of the figures.

What the model cards constrain, and what they do not. BSIM4 with capmod 2 has intrinsic charges, overlap and fringe
(cgso, cgdo, cgsl, cgdl) and junctions (cjs, cjsws, cjswgs), so the gates that columns drive are modelled. The shipped
technology's instances give no AD, AS, PD, PS and the cards' dmcg and dmci are 0, so a diffusion has no area: a drain of
240 nm has 0.16 fF where one with a diffusion 240 nm long has 0.41 fF, and with those a trained 784-100-10 network holds
39 % longer (give ad, as, pd, ps in the technology's [inverter] to count them). Wires, memristor electrodes and whatever
drives the rows are not in any card: they are [wires], column_capacitance_F and row_capacitance_F, 0 unless given, and
ideal sources with edges of edge_s. A memristor here is a resistor without a capacitance. So hold times without those
capacitances are lower bounds; static power does not depend on any of this, only on the cards' currents, which are what
PTM predicts for 90 nm and no measured process.

The worst hold time is an extreme value: it grows with the images and with smaller step_min_V (a trained 784-100-10
network, 20 images: 9.4 ns when steps from 1 mV on count, 6.1 ns from 10 mV on), and the energy with it. Compare
networks with the same settings only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.array.mesh_in_time import mesh_heat
from spicetrain.array.open_column import heat
from spicetrain.datasets import Dataset
from spicetrain.errors import ConfigurationError, SimulationError
from spicetrain.inverter.definition import EnergySettings
from spicetrain.inverter.netlists.network import network_deck
from spicetrain.inverter.netlists.transient import RAIL_CURRENTS, Timing, Wiring
from spicetrain.inverter.network import Network, encode
from spicetrain.inverter.verification.present import Waveform, outputs_of, present_images, rail_power
from spicetrain.inverter.verification.settling import hold_times, integral
from spicetrain.inverter.verification.summary import EnergyFigures
from spicetrain.keyed import Recipe
from spicetrain.netlists.cells import Form
from spicetrain.netlists.forms import form_of, plain_form, too_large
from spicetrain.spice.simulator import Simulator
from spicetrain.spice.sparse import KLU_ADVICE
from spicetrain.technology import Technology

ENERGY = Recipe("energy", 1)

PIECE = 10  # images of one transient
DRAWN = 3  # images of which the waveforms are kept

# For the first guess of the period only: several times what a finger of 90 nm has.
_GATE_F = 1e-14
_MOST_DOUBLINGS = 16
_FULL = 0.8  # of a period, that the worst hold time may take
_SOLUTIONS = 50  # first images of a sweep that an image in time costs an ngspice without KLU


@dataclass(frozen=True)
class Energy:
    """figures: those of the summary. by_image: steps (outputs that had to settle), hold_time_s, energy_J,
    static_power_W, source_power_W, [images] each. waveforms: of the first images."""

    figures: EnergyFigures
    by_image: dict[str, NDArray]
    waveforms: list[Waveform]


def require_energy(settings: EnergySettings, dataset: Dataset, technology: Technology) -> None:
    """ConfigurationError when there are not so many test images, or no form of the netlist in time."""
    if not settings.images:
        return
    if settings.images > len(dataset.test_inputs):
        raise ConfigurationError(
            f"energy.images = {settings.images}, but {dataset.name} has {len(dataset.test_inputs)} test images."
        )
    _form(settings, technology)  # that there is such a netlist
    if technology.segments is not None and not technology.memristor.reduces:
        raise ConfigurationError(
            f"energy.images = {settings.images} with [wires] in {technology.name}, whose memristors are of form "
            f"{technology.memristor.form!r}: with wires energy is that of ohmic devices. Leave it out with "
            "energy.images = 0, leave out [wires], or take memristor.form = 'ohmic'."
        )
    if technology.memristor.sinh_per_V is None:
        raise ConfigurationError(
            f"energy.images = {settings.images}, but memristor.form = {technology.memristor.form!r}: energy is "
            "measured in time on the reduced netlist, which only the forms 'ohmic' and 'sinh' have. Leave it out with "
            "energy.images = 0."
        )


def require_energy_size(
    settings: EnergySettings, technology: Technology, layers: Sequence[int], simulator: Simulator
) -> None:
    """ConfigurationError when ngspice would need longer for a piece of the images than it is given."""
    if settings.images:
        images = _piece(settings.images, simulator.cores)
        limit_s = simulator.timeout_s / (_SOLUTIONS * images)
        form = _form(settings, technology)
        if reason := too_large(form, technology, layers, simulator.ngspice, limit_s):
            raise ConfigurationError(
                f"energy.images = {settings.images} on energy.netlist = {form!r}: {reason} of a sweep, and each of "
                f"{images} images in time {_SOLUTIONS} times that; verification.timeout_s = {simulator.timeout_s:g}. "
                f"{KLU_ADVICE}{' Or measure it with --energy.netlist mesh.' if form == 'flat' else ''}"
            )


def measure_energy(
    network: Network,
    technology: Technology,
    inputs: NDArray[np.float32],
    settings: EnergySettings,
    simulator: Simulator,
) -> Energy:
    """Present `inputs` [images, rows] (0..1) in order, the last one before the first, and measure.

    The period is found: a guess from conductances and capacitances, doubled until the worst hold time takes less than
    0.8 of it and every output is back at its DC point at its end.

    Raises SimulationError, also when the outputs do not settle however long they are given; StorageError.
    """
    rails = technology.rails
    wiring = Wiring(settings.column_capacitance_F, settings.row_capacitance_F)
    sweep = network_deck(network, technology, inputs, plain_form(technology))
    dc = simulator.simulate(replace(sweep, saves=(*sweep.saves, *RAIL_CURRENTS)))
    dc_V, seconds = outputs_of(dc, network), {0.0: dc.seconds}
    in_order = np.concatenate((inputs[-1:], inputs))

    size, form = _piece(len(inputs), simulator.cores), _form(settings, technology)

    def held(period_s: float, images: int) -> list[_Image]:
        timing = Timing(period_s, settings.edge_s)
        waveforms, seconds[period_s] = present_images(
            network, technology, in_order[: images + 1], timing, wiring, simulator, size=size, form=form
        )
        return [_Image.of(wave, dc_V[k - 1], dc_V[k], settings) for k, wave in enumerate(waveforms)]

    period_s = _first_guess_s(network, technology, wiring, settings.edge_s)
    for images in sorted(
        {min(size * simulator.cores, len(inputs)), len(inputs)}
    ):  # a few find the period, all confirm it
        period_s, shown = _until_settled(held, period_s, images, settings)
    hold_s = max(image.hold_s for image in shown)
    v_pos, v_neg = encode(inputs, network.encoding, rails)
    by_image = {
        "steps": np.array([image.steps for image in shown]),
        "hold_time_s": np.array([image.hold_s for image in shown]),
        "energy_J": np.array([integral(image.wave.time_s, image.wave.power_W, hold_s) for image in shown]),
        "static_power_W": rail_power(dc, rails),
        "source_power_W": _source_power(network, technology, v_pos, v_neg),
    }
    figures = EnergyFigures(
        **_figures(by_image),
        **settings.model_dump(exclude={"images", "netlist"}),
        **({} if technology.wires is None else technology.wires.farads._asdict()),
        netlist=form,
        period_s=period_s,
        fingers=float(sum(sizes.sum() for sizes in network.sizes)),
        seconds_ngspice=sum(seconds.values()),
    )
    return Energy(figures, by_image, [image.wave for image in shown[:DRAWN]])


@dataclass(frozen=True)
class _Image:
    """steps: outputs that had to settle; hold_s: until the last of them has; left_V: how far an output is from its DC
    point at the end."""

    wave: Waveform
    steps: int
    hold_s: float
    left_V: float

    @classmethod
    def of(cls, wave: Waveform, before_V: NDArray, after_V: NDArray, settings: EnergySettings) -> _Image:
        times = hold_times(wave.time_s, wave.v_out_V, before_V, after_V, settings.settled, settings.step_min_V)
        steps = int(np.count_nonzero(np.abs(after_V - before_V) >= settings.step_min_V))
        return cls(wave, steps, float(times.max()), float(np.abs(wave.v_out_V[-1] - after_V).max()))


def _form(settings: EnergySettings, technology: Technology) -> Form:
    return form_of(technology, settings.netlist, "energy.")


def _piece(images: int, cores: int) -> int:
    """Images of one transient."""
    return min(PIECE, -(-images // cores))


def _source_power(network: Network, technology: Technology, v_pos: NDArray, v_neg: NDArray) -> NDArray:
    first, segments = network.crossbars[0], technology.segments
    if segments is None:
        return heat(first, v_pos, v_neg, technology.rails, technology.memristor)
    return mesh_heat(first, v_pos, v_neg, technology.rails, segments)


def _until_settled(
    held: Callable[[float, int], list[_Image]], period_s: float, images: int, settings: EnergySettings
) -> tuple[float, list[_Image]]:
    """The period, doubled as often as need be, and the images with it."""
    near_V = settings.settled * settings.step_min_V / 2
    for _ in range(_MOST_DOUBLINGS):
        shown = held(period_s, images)
        slowest, left_V = max(image.hold_s for image in shown), max(image.left_V for image in shown)
        if slowest < _FULL * period_s and left_V < near_V:
            return period_s, shown
        period_s *= 2
    raise SimulationError(
        f"Held for {period_s / 2:.3g} s an image's outputs do not settle: the last comes within its step after "
        f"{slowest:.3g} s, and at the end one is {left_V:.3g} V from its DC point, {near_V:.3g} V being asked. "
        "Likely: the circuit oscillates, a capacitance is far too large, or step_min_V is below what ngspice resolves: "
        "look at energy.column_capacitance_F, energy.row_capacitance_F and energy.step_min_V."
    )


def _first_guess_s(network: Network, technology: Technology, wiring: Wiring, edge_s: float) -> float:
    """Ten times the edge and the slowest RC of every crossbar: its columns, and the rows that drive them."""
    total = edge_s
    row_F, column_F = (0.0, 0.0) if technology.wires is None else technology.wires.farads
    for layer, (crossbar, sizes) in enumerate(zip(network.crossbars, network.sizes, strict=True)):
        gate_F = _GATE_F * float(sizes.max())
        of_column_F, of_row_F = 2 * (crossbar.rows + 1) * column_F, crossbar.columns * row_F
        total += (wiring.column_F + of_column_F + gate_F) / float(crossbar.column_sum.min())
        if layer:
            total += (wiring.row_F + of_row_F + gate_F) / float(min(sums.min() for sums in crossbar.row_sums))
    return 10 * total


def _figures(by_image: dict[str, NDArray]) -> dict[str, Any]:
    hold, source = by_image["hold_time_s"], float(by_image["source_power_W"].mean())
    return {
        "images": len(hold),
        "steps": int(by_image["steps"].sum()),
        "hold_time_s": float(hold.max()),
        "hold_time_median_s": float(np.median(hold)),
        "energy_per_inference_J": float(by_image["energy_J"].mean()),
        "static_power_W": float(by_image["static_power_W"].mean()),
        "source_power_W": source,
        "source_energy_J": source * float(hold.max()),
    }
