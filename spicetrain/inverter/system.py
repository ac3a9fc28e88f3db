"""The inverter system: what stands in its place wherever a system is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spicetrain.characterization.characterize import characterize
from spicetrain.characterization.plan import Plan
from spicetrain.characterization.sweep import Subject
from spicetrain.errors import ConfigurationError
from spicetrain.experiment import Experiment
from spicetrain.inverter.characterization.check import examined
from spicetrain.inverter.characterization.current_surface import ShiftedSurfacePlan
from spicetrain.inverter.characterization.tables import TABLES
from spicetrain.inverter.definition import InverterExperiment
from spicetrain.inverter.methods import METHODS
from spicetrain.inverter.network import Network
from spicetrain.inverter.verification.summary import InverterSummary
from spicetrain.netlists.cells import Form
from spicetrain.netlists.forms import form_of, plain_form, require_size
from spicetrain.operating import conditions_in
from spicetrain.runfolder import TABLES as TABLES_FOLDER
from spicetrain.system import Bench, Column, System
from spicetrain.technology import Technology
from spicetrain.variation import VariationSettings, require_statistics, statistics_of
from spicetrain.verification.chips import chip_images
from spicetrain.verification.conditions import conditions_of

if TYPE_CHECKING:
    import pandas as pd

    from spicetrain.inverter.surrogates.store import Surrogates
    from spicetrain.inverter.training.voltages import Simulate
    from spicetrain.inverter.verification.fitting import Fitting
    from spicetrain.inverter.verification.ideal_view import IdealView
    from spicetrain.inverter.verification.verify import Verification
    from spicetrain.report.blocks import Block, Section, Table
    from spicetrain.report.page import Page


SHIFTED = "shifted_surface"  # the table and surrogate that mismatch needs


class InverterSystem(System):
    name = "inverter"
    definition = InverterExperiment
    tables = TABLES
    summary = InverterSummary
    metrics = ("epoch", "loss", "learning_rate", "solver_step_V", "solver_unconverged", "seconds")
    first_fit = "current_surface"
    searches = True
    quick_plans = MappingProxyType({"inverter": "quick"})
    quick_gates = MappingProxyType({"agreement_min": 0.8, "error_mean_max": 0.05})
    columns = (
        Column("error, mean", "error_mean_V", "V"),
        Column("error, rms", "error_rms_V", "V"),
        Column("error, max", "error_max_V", "V"),
        Column("unconverged", "solver_unconverged", "number"),
        Column("hold time", "hold_time_s", "s", cost=True),
        Column("static power", "static_power_W", "W", cost=True),
        Column("source power", "source_power_W", "W", cost=True),
        Column("fingers", "fingers", "number", cost=True),
    )

    def trained_by_ngspice(self, experiment: InverterExperiment) -> bool:
        return experiment.training.forward == "spice"

    def require(self, bench: Bench) -> None:
        from spicetrain.inverter.training.conditions import training_conditions
        from spicetrain.inverter.training.loop import require_fit
        from spicetrain.inverter.verification.energy import require_energy, require_energy_size
        from spicetrain.inverter.verification.regression import require_task
        from spicetrain.inverter.verification.verify import require_images

        experiment = _experiment(bench)
        conditions = conditions_of(bench.technology, experiment.verification.conditions)
        under = [*conditions_in(bench.technology, experiment.verification.grid)]
        under += training_conditions(experiment.training, bench.technology)
        for technology in (bench.technology, *(one.technology for one in under)):
            require_device(experiment, technology)
        for technology in (bench.technology, conditions.simulated):
            if technology.wires is not None:
                technology.wires.require_tiles(experiment.network.layers)
        require_fit(experiment.network, experiment.training, bench.dataset)
        require_task(experiment.verification, bench.dataset)
        require_images(experiment.verification, bench.dataset)
        require_energy(experiment.energy, bench.dataset, conditions.simulated)
        form = form_of(conditions.simulated, experiment.verification.netlist)
        layers, timeout_s = experiment.network.layers, experiment.verification.timeout_s
        require_size(form, conditions.simulated, layers, bench.simulator.ngspice, timeout_s)
        require_energy_size(experiment.energy, conditions.simulated, layers, bench.simulator)
        require_tables(experiment.training.method, experiment.characterization.plan)
        require_variation(bench)

    def measured(self, bench: Bench, plan: Plan) -> tuple[Subject, Plan]:
        if needs_shifted_surface(bench) and SHIFTED not in plan.sections:
            plan = Plan({**plan.sections, SHIFTED: ShiftedSurfacePlan()}, plan.kinds)
        return Subject(bench.technology), plan

    def characterize(self, bench: Bench, plan: Plan) -> dict[str, Path]:
        subject, plan = self.measured(bench, plan)
        folder, look = bench.files / TABLES_FOLDER, examined(subject.technology)
        return characterize(subject, plan, bench.simulator, folder, examined=look)

    def fit(self, bench: Bench) -> dict[str, Any]:
        from spicetrain.inverter.surrogates.fit import fit_surrogates

        tables, settings = bench.files / TABLES_FOLDER, bench.experiment.surrogates
        return fit_surrogates(tables, bench.technology, settings, bench.files.folder)

    def load_surrogates(self, path: Path) -> tuple[Surrogates, dict[str, Any]]:
        from spicetrain.inverter.surrogates.store import Surrogates, load_surrogates

        return Surrogates.load(path), load_surrogates(path)[1]

    def lacks(self, bench: Bench, surrogates: Surrogates) -> bool:
        require_variation(bench)  # before what is lacking is made
        return surrogates.shifted_surface is None and needs_shifted_surface(bench)

    def solving(self, bench: Bench) -> AbstractContextManager[Any]:
        if not self.trained_by_ngspice(_experiment(bench)):
            return nullcontext()
        from spicetrain.inverter.verification.spice_forward import spice_forward

        return spice_forward(bench.technology, bench.simulator)

    def train(self, bench: Bench, surrogates: Surrogates, simulate: Simulate | None) -> Network:
        from spicetrain.inverter.training.conditions import FittedCondition, training_conditions
        from spicetrain.inverter.training.loop import train

        experiment, technology = _experiment(bench), bench.technology
        fitting = _fitting(bench, mismatch=statistics_of(technology, experiment.training.variation).transistors)
        fitted = [
            FittedCondition(condition, fitting.under(condition, bench.simulator))
            for condition in training_conditions(experiment.training, technology)
        ]
        return train(
            experiment.network, experiment.training, bench.dataset, technology, surrogates, bench.files.folder,
            simulate=simulate, fitted=fitted,
        )  # fmt: skip

    def load_network(self, path: Path) -> Network:
        return Network.load(path)

    def plain_form(self, bench: Bench) -> Form:
        return plain_form(_simulated_in(bench))

    def deck(self, bench: Bench, network: Network, image: int, form: Form) -> str:
        from spicetrain.inverter.netlists.network import network_deck

        inputs = bench.dataset.test_inputs
        network.require_layers((inputs.shape[1], *network.layers[1:]), "network.safetensors")
        return network_deck(network, _simulated_in(bench), inputs[image : image + 1], form).text()

    def subcircuit(
        self, bench: Bench, network: Network, surrogates: Callable[[], Surrogates], image: int, reads: Sequence[str]
    ) -> tuple[str, str]:
        from spicetrain.inverter.netlists.parts import parts
        from spicetrain.inverter.netlists.subcircuit import shown_deck, subcircuit
        from spicetrain.inverter.verification.shown import shown_image

        inputs, technology = bench.dataset.test_inputs, _simulated_in(bench)
        network.require_layers((inputs.shape[1], *network.layers[1:]), "network.safetensors")
        shown = shown_image(network, bench.technology, surrogates(), bench.dataset, image)
        found = parts(network, technology)
        return subcircuit(network, technology, found, reads), shown_deck(network, technology, found, shown, reads)

    def ideal_view(self, bench: Bench, network: Network, surrogates: Surrogates) -> IdealView:
        from spicetrain.inverter.verification.ideal_view import ideal_view

        technology = conditions_of(bench.technology, bench.experiment.verification.conditions).modelled
        return ideal_view(network, technology, surrogates, bench.dataset)

    def verify(self, bench: Bench, network: Network, surrogates: Surrogates) -> InverterSummary:
        from spicetrain.inverter.verification.verify import verify

        return verify(_verification(bench, network, surrogates), bench.simulator, bench.files)

    def cached_verification(self, bench: Bench, network: Network, surrogates: Surrogates) -> InverterSummary | None:
        from spicetrain.inverter.verification.verify import cached_verification

        return cached_verification(_verification(bench, network, surrogates), bench.simulator, bench.files)

    def calibrate(self, bench: Bench, network: Network, surrogates: Surrogates) -> pd.DataFrame:
        from spicetrain.inverter.calibration.calibrate import Calibration
        from spicetrain.inverter.calibration.run import calibrate_chips
        from spicetrain.inverter.verification.chips import Population
        from spicetrain.verification.conditions import Conditions

        experiment, dataset, technology = _experiment(bench), bench.dataset, bench.technology
        settings, judged = experiment.calibration, slice(experiment.calibration.images)
        population = Population(
            network, Conditions(technology, technology), surrogates, require_statistics(technology, settings.variation),
            dataset.test_inputs[judged], dataset.test_labels[judged],
        )  # fmt: skip
        logit_V = experiment.training.logit(technology.rails)
        asked = Calibration(population, settings, dataset.train_inputs, dataset.train_labels, logit_V)
        return calibrate_chips(asked, bench.simulator, bench.files)

    def placements(self, bench: Bench, network: Network, surrogates: Surrogates) -> pd.DataFrame:
        from spicetrain.inverter.verification.placements import placements

        training, technology = _experiment(bench).training, bench.technology
        technology = technology.changed(wires=_simulated_in(bench).wires)
        kept_out, logit_V = training.validation, training.logit(technology.rails)
        return placements(network, technology, surrogates, bench.dataset, kept_out=kept_out, logit_V=logit_V)

    def require_within(self, experiment: InverterExperiment, summary: InverterSummary) -> None:
        from spicetrain.inverter.verification.figures import require_within

        require_within(summary, experiment.verification)

    def summary_rows(self, summary: InverterSummary) -> tuple[str, list[tuple[str, str]]]:
        from spicetrain.inverter.verification.figures import summary_rows

        return summary_rows(summary)

    def result(self, summary: InverterSummary, verify: str) -> list[Block]:
        from spicetrain.inverter.report.result import result_blocks

        return result_blocks(summary, verify)

    def sections(self, page: Page) -> list[Section]:
        from spicetrain.inverter.report.sections import inverter_sections

        return inverter_sections(page)

    # A comparison's part

    def cell(self, network: Network | None, summary: InverterSummary | None) -> dict[str, Any]:
        from spicetrain.inverter.comparison.tables import sizes_text

        energy = None if summary is None else summary.energy
        names = ("energy_per_inference_J", "hold_time_s", "static_power_W", "source_power_W")
        row: dict[str, Any] = {} if energy is None else {name: getattr(energy, name) for name in names}
        if network is not None:
            fingers = sum(float(sizes.sum()) for sizes in network.sizes)
            row |= {"fingers": fingers, "inverter_sizes": sizes_text(network.sizes)}
        return row

    def score(self, bench: Bench, network: Network) -> dict[str, float]:
        from spicetrain.inverter.comparison.score import score

        return score(bench, network)

    def after_cell(self, bench: Bench, others: Iterable[Experiment]) -> None:
        from spicetrain.inverter.comparison.cross import cross_scores

        cross_scores(bench, others)

    def comparison_frames(self, ours: pd.DataFrame, root: Path) -> dict[str, pd.DataFrame]:
        from spicetrain.inverter.comparison.cross import cross_table

        return {"cross": cross_table(ours, root)}

    def comparison_tables(self, ours: pd.DataFrame, root: Path, dataset: str) -> list[Table]:
        from spicetrain.inverter.comparison.blocks import comparison_tables

        return comparison_tables(ours, root, dataset)

    def comparison_blocks(self, ours: pd.DataFrame, root: Path, dataset: str) -> list[Block]:
        from spicetrain.inverter.comparison.blocks import comparison_blocks

        return comparison_blocks(ours, root, dataset)

    def comparison_remarks(self, ours: pd.DataFrame) -> list[str]:
        from spicetrain.inverter.comparison.published import CAVEAT

        return [CAVEAT] if ours["error_mean_V"].notna().any() else []


def needs_shifted_surface(bench: Bench) -> bool:
    """Whether mismatch shifts gates beyond the rails: in training, in verification, or of chips to be calibrated."""
    asked = [_experiment(bench).training.variation, *_of_chips(bench)]
    return any(statistics_of(bench.technology, one).transistors for one in asked)


def _of_chips(bench: Bench) -> list[VariationSettings]:
    """What is asked to vary from chip to chip, in verification and in calibration."""
    experiment, found = _experiment(bench), list[VariationSettings]()
    if experiment.verification.chips:
        found += [experiment.verification.variation, *experiment.verification.chips_conditions.values()]
    return [*found, experiment.calibration.variation] if bench.calibrating else found


def require_variation(bench: Bench) -> None:
    """ConfigurationError, TechnologyError: what does not fit the task, what `training_statistics` refuses, chips of
    which nothing varies, of a technology that does not say how, or of more images than there are."""
    from spicetrain.inverter.chip import sigmas_of
    from spicetrain.inverter.training.variation import training_statistics
    from spicetrain.inverter.verification.regression import require_task
    from spicetrain.inverter.verification.verify import require_images

    experiment, technology = _experiment(bench), bench.technology
    require_task(experiment.verification, bench.dataset)
    if bench.calibrating and bench.dataset.targets is not None:
        raise ConfigurationError(
            f"`calibrate` programs a chip to choose the right classes, and {bench.dataset.name} is a regression."
        )
    training_statistics(experiment.training, technology)
    for asked in _of_chips(bench):
        sigmas_of(technology, require_statistics(technology, asked))
    if experiment.verification.chips:
        chip_images(experiment.verification, len(bench.dataset.test_inputs))
    if bench.calibrating:
        require_images(experiment.calibration, bench.dataset, "calibration")


def require_device(experiment: InverterExperiment, technology: Technology) -> None:
    """ConfigurationError when the device was not measured up to the rails, or bias pairs are not n times one."""
    device, rails, pairs = technology.memristor, technology.rails, experiment.network.bias_pairs
    device.require_range(rails.vdd_V - rails.vss_V)
    if technology.segments is not None and device.sinh_per_V is None:
        raise ConfigurationError(
            f"[wires] with devices of memristor.form = {device.form!r}: between wires that resist, devices are trained "
            "that are ohmic or of form 'sinh'. Leave out [wires], or fit a sinh to the device."
        )
    if pairs > 1 and not device.proportional:
        raise ConfigurationError(
            f"network.bias_pairs = {pairs}, but devices of memristor.form = {device.form!r} do not conduct in "
            "proportion to their conductance: equal ones in parallel are no device of the sum. Take bias_pairs = 1."
        )


def require_tables(method: str, plan: str) -> None:
    """ConfigurationError when the plan does not measure what the method needs."""
    from spicetrain.characterization.plan import load_plan

    sections: Mapping[str, Any] = load_plan(plan, TABLES).sections
    missing = [name for name in METHODS[method].surrogates if name not in sections]
    if missing:
        raise ConfigurationError(
            f"The method {method!r} needs {', '.join(missing)}, which the plan {plan!r} does not measure: give it "
            f"{', '.join(f'[{name}]' for name in missing)}, or take the shipped plan 'inverter'."
        )


def _experiment(bench: Bench) -> InverterExperiment:
    assert isinstance(bench.experiment, InverterExperiment)
    return bench.experiment


def _simulated_in(bench: Bench) -> Technology:
    return conditions_of(bench.technology, bench.experiment.verification.conditions).simulated


def _verification(bench: Bench, network: Network, surrogates: Surrogates) -> Verification:
    from spicetrain.inverter.verification.verify import Verification

    experiment = _experiment(bench)
    conditions = conditions_of(bench.technology, experiment.verification.conditions)
    fitting = _fitting(bench, network.about["method"]) if experiment.verification.grid else None
    device = "cpu" if experiment.training.device == "cpu" else "auto"  # a GPU it was trained on need not be here
    return Verification(
        network, conditions, surrogates, bench.dataset, experiment.verification, experiment.energy, fitting, device
    )


def _fitting(bench: Bench, method: str | None = None, *, mismatch: bool = False) -> Fitting:
    """Of the tables that the method (None: that of the training) needs, with the gates beyond the rails for
    mismatch."""
    from spicetrain.characterization.plan import load_plan
    from spicetrain.inverter.verification.fitting import Fitting

    experiment = _experiment(bench)
    asked = experiment.characterization
    needed = {"current_surface", *METHODS[method or experiment.training.method].surrogates}
    sections = {name: one for name, one in load_plan(asked.plan, TABLES).sections.items() if name in needed}
    if mismatch:
        sections.setdefault(SHIFTED, ShiftedSurfacePlan())
    return Fitting(Plan(sections, TABLES), experiment.surrogates, asked.timeout_s, bench.files)


SYSTEM = InverterSystem()
