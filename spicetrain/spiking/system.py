"""The spiking system: what stands in its place wherever a system is asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spicetrain.characterization.characterize import characterize
from spicetrain.characterization.plan import Plan
from spicetrain.characterization.sweep import Subject
from spicetrain.errors import ConfigurationError
from spicetrain.netlists.cells import Form
from spicetrain.netlists.forms import form_of, plain_form
from spicetrain.operating import scaled
from spicetrain.runfolder import CONDITIONS, SURROGATES, RunFolder
from spicetrain.runfolder import TABLES as TABLES_FOLDER
from spicetrain.spiking.characterization.check import examined
from spicetrain.spiking.characterization.chip_law import chip_law
from spicetrain.spiking.characterization.foreign_check import require_neuron
from spicetrain.spiking.characterization.tables import TABLES
from spicetrain.spiking.chip import require_known_mismatch
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.definition import SpikingExperiment
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.verification.summary import SpikingSummary
from spicetrain.system import Bench, Column, System
from spicetrain.technology import Technology
from spicetrain.variation import statistics_of
from spicetrain.verification.chips import conditions_asked, statistics_asked
from spicetrain.verification.conditions import conditions_of

if TYPE_CHECKING:
    import pandas as pd

    from spicetrain.report.blocks import Block, Section, Table
    from spicetrain.report.page import Page
    from spicetrain.spiking.surrogates.laws import SpikingLaws
    from spicetrain.spiking.verification.linear_view import LinearView
    from spicetrain.spiking.verification.verify import SpikingVerification


class SpikingSystem(System):
    name = "spiking"
    headline = "spiking"
    definition = SpikingExperiment
    tables = TABLES
    summary = SpikingSummary
    metrics = ("epoch", "loss", "learning_rate", "spike_rates", "seconds")
    first_fit = "leak_current"
    quick_images = 1
    quick_plans = MappingProxyType({"spiking": "spiking-quick"})
    quick_gates = MappingProxyType({"spike_agreement_min": 0.9, "membrane_rms_max": 0.5})
    columns = (
        Column("circuit model", "accuracy_circuit_model", "percent"),
        Column("ties", "tie_rate", "percent"),
        Column("spike agreement", "spike_agreement", "percent"),
        Column("membrane, rms", "membrane_rms_V", "V"),
    )

    def inputs(self, bench: Bench) -> dict[str, str]:
        return {"circuit": circuit_of(bench).fingerprint}

    def require(self, bench: Bench) -> None:
        from spicetrain.spiking.netlists.forms import require_array, require_finishes, require_form
        from spicetrain.spiking.training.loop import require_initial, require_spiking_fit
        from spicetrain.spiking.verification.verify import require_spiking_verification

        experiment, circuit, technology = _experiment(bench), circuit_of(bench), bench.technology
        require_array(circuit, technology)
        if circuit.array == "1r":  # of a 1t1r the cells are measured, whatever the device does
            technology.memristor.require_nearly_ohmic(circuit.rails.vdd_V - circuit.rails.vss_V)
        conditions = conditions_of(technology, experiment.verification.conditions)
        form = form_of(conditions.simulated, experiment.verification.netlist)
        require_form(form, circuit, conditions.simulated)
        shape, timeout_s = experiment.network, experiment.verification.timeout_s
        ngspice = bench.simulator.ngspice
        require_finishes(form, conditions.simulated, shape.layers, shape.steps, ngspice, timeout_s)
        if conditions.vdd_scale != 1:  # that there is such a circuit
            circuit.between(scaled(circuit.rails, conditions.vdd_scale, circuit.rest_V))
        _require_foreign(experiment, circuit, technology, conditions.modelled)
        initial = experiment.training.initial
        if initial is not None and initial.exists():  # of a comparison's cell another one may still have to train it
            require_initial(self.load_network(initial), experiment.training)
        require_spiking_fit(experiment.network, experiment.training, bench.dataset, circuit, technology)
        require_spiking_verification(experiment.verification, bench.dataset, experiment.network, technology)

    def measured(self, bench: Bench, plan: Plan) -> tuple[Subject, Plan]:
        return Subject(bench.technology, circuit_of(bench)), plan

    def characterize(self, bench: Bench, plan: Plan) -> dict[str, Path]:
        subject, plan = self.measured(bench, plan)
        require_neuron(subject.circuit, subject.technology, bench.simulator)
        folder, look = bench.files / TABLES_FOLDER, examined(subject.technology, subject.circuit)
        return characterize(subject, plan, bench.simulator, folder, examined=look)

    def fit(self, bench: Bench) -> dict[str, Any]:
        from spicetrain.spiking.surrogates.fit import fit_spiking_surrogates

        tables, settings = bench.files / TABLES_FOLDER, bench.experiment.surrogates
        return fit_spiking_surrogates(tables, bench.technology, circuit_of(bench), settings, bench.files.folder)

    def load_surrogates(self, path: Path) -> tuple[SpikingLaws, dict[str, Any]]:
        from spicetrain.spiking.surrogates.laws import load_laws

        return load_laws(path)

    def train(self, bench: Bench, surrogates: SpikingLaws, simulate: None) -> SpikingNetwork:
        from spicetrain.spiking.training.loop import train

        experiment = _experiment(bench)
        statistics = statistics_of(bench.technology, experiment.training.variation)
        return train(
            experiment.network, experiment.training, bench.dataset, bench.technology, circuit_of(bench), surrogates,
            bench.files.folder, law=chip_law(circuit_of(bench), bench.technology, statistics, bench.simulator),
        )  # fmt: skip

    def load_network(self, path: Path) -> SpikingNetwork:
        return SpikingNetwork.load(path)

    def plain_form(self, bench: Bench) -> Form:
        conditions = conditions_of(bench.technology, bench.experiment.verification.conditions)
        return "flat" if circuit_of(bench).inputs == "driven" else plain_form(conditions.simulated)

    def deck(self, bench: Bench, network: SpikingNetwork, image: int, form: Form) -> str:
        from spicetrain.spiking.training.encoding import encode

        laws = self.load_surrogates(bench.files / SURROGATES)[0]
        asked, shape = _verification(bench, network, laws), _experiment(bench).network
        asked.require()
        inputs = bench.dataset.test_inputs[image : image + 1]
        return asked.netlist.deck(encode(inputs, shape, shape.encoder_seed, first=image)[0], form).text()

    def linear_view(self, bench: Bench, network: SpikingNetwork, surrogates: Callable[[], SpikingLaws]) -> LinearView:
        from spicetrain.spiking.verification.linear_view import linear_view

        technology = conditions_of(bench.technology, bench.experiment.verification.conditions).modelled
        laws = None if network.about.get("method") == "regular" else surrogates()
        shape = _experiment(bench).network
        return linear_view(network, circuit_of(bench), laws, technology, bench.dataset, shape)

    def verify(self, bench: Bench, network: SpikingNetwork, surrogates: SpikingLaws) -> SpikingSummary:
        from spicetrain.spiking.verification.verify import verify_spiking

        return verify_spiking(_verification(bench, network, surrogates), bench.simulator, bench.files)

    def cached_verification(
        self, bench: Bench, network: SpikingNetwork, surrogates: SpikingLaws
    ) -> SpikingSummary | None:
        from spicetrain.spiking.verification.verify import cached_spiking_verification

        return cached_spiking_verification(_verification(bench, network, surrogates), bench.simulator, bench.files)

    def require_within(self, experiment: SpikingExperiment, summary: SpikingSummary) -> None:
        from spicetrain.spiking.verification.figures import require_within

        require_within(summary, experiment.verification)

    def summary_rows(self, summary: SpikingSummary) -> tuple[str, list[tuple[str, str]]]:
        from spicetrain.spiking.verification.figures import summary_rows

        return summary_rows(summary)

    def result(self, summary: SpikingSummary, verify: str) -> list[Block]:
        from spicetrain.spiking.report.result import result_blocks

        return result_blocks(summary, verify)

    def sections(self, page: Page) -> list[Section]:
        from spicetrain.spiking.report.sections import spiking_sections

        return spiking_sections(page)

    # A comparison's part

    def cell(self, network: SpikingNetwork | None, summary: SpikingSummary | None) -> dict[str, Any]:
        trained = {} if network is None else {"trained": trained_as(network)}
        found = {} if summary is None else {"array": summary.array, "threshold_share": summary.threshold_share}
        return trained | found

    def comparison_tables(self, ours: pd.DataFrame, root: Path, dataset: str) -> list[Table]:
        from spicetrain.spiking.comparison.outcomes import outcomes
        from spicetrain.spiking.comparison.robustness import robustness
        from spicetrain.spiking.comparison.severity import severity

        found = [severity(ours, dataset), *robustness(outcomes(ours, root, dataset), dataset)]
        return [table for table in found if table is not None]

    def comparison_frames(self, ours: pd.DataFrame, root: Path) -> dict[str, pd.DataFrame]:
        from spicetrain.spiking.comparison.outcomes import as_frame, outcomes

        rows = [one for dataset in dict.fromkeys(ours["dataset"]) for one in outcomes(ours, root, str(dataset))]
        return {"robustness": as_frame(rows)} if any(one.varied for one in rows) else {}

    def comparison_blocks(self, ours: pd.DataFrame, root: Path, dataset: str) -> list[Block]:
        from spicetrain.report.blocks import Gallery
        from spicetrain.spiking.comparison.outcomes import outcomes
        from spicetrain.spiking.comparison.robustness import sigma_drawing
        from spicetrain.spiking.comparison.severity import severity_drawing

        drawings = [severity_drawing(ours, dataset), sigma_drawing(outcomes(ours, root, dataset))]
        drawn = [drawing for drawing in drawings if drawing is not None]
        return [*self.comparison_tables(ours, root, dataset), *([Gallery(drawn)] if drawn else [])]


def trained_as(network: SpikingNetwork) -> str:
    """How a network came to be, for a comparison: its method, the calibration behind it, whether chips varied."""
    method, own = str(network.about.get("method", "")), network.about.get("regular", {})
    calibrated = method == "regular" and own.get("calibration_images", 0)
    by = f", calibrated by {own.get('calibration', 'layer')}" if calibrated else ""
    return method + by + (", under variation" if "varied" in network.about else "")


def circuit_of(bench: Bench) -> SpikingCircuit:
    """As the run has it."""
    return _experiment(bench).circuit.load()


def _require_foreign(
    experiment: SpikingExperiment, circuit: SpikingCircuit, trained: Technology, modelled: Technology
) -> None:
    """ConfigurationError when something is asked for that a foreign neuron has not."""
    foreign, settings = circuit.neuron.foreign, experiment.verification
    if foreign is None:
        return
    require_known_mismatch(circuit, statistics_of(trained, experiment.training.variation))
    for statistics in (statistics_asked(settings, modelled), *conditions_asked(settings, modelled).values()):
        if statistics is not None:
            require_known_mismatch(circuit, statistics)
    if experiment.training.method == "regular" and not foreign.follows_threshold:
        raise ConfigurationError(
            f"training.method = 'regular' sets the threshold of every layer, and the neuron of {foreign.path} has "
            "neither a port threshold nor high and low. Give it one, or take --method circuit."
        )


def _experiment(bench: Bench) -> SpikingExperiment:
    assert isinstance(bench.experiment, SpikingExperiment)
    return bench.experiment


def _verification(bench: Bench, network: SpikingNetwork, laws: SpikingLaws) -> SpikingVerification:
    from spicetrain.spiking.verification.verify import SpikingVerification

    experiment = _experiment(bench)
    return SpikingVerification(
        network, circuit_of(bench), conditions_of(bench.technology, experiment.verification.conditions), laws,
        bench.dataset, experiment.network, experiment.verification, partial(_laws_under, bench),
    )  # fmt: skip


def _laws_under(bench: Bench, name: str, technology: Technology, circuit: SpikingCircuit) -> SpikingLaws:
    """Measured and fitted under an operating condition, in conditions/<name>; what is there already is kept."""
    from spicetrain.characterization.plan import load_plan
    from spicetrain.spiking.surrogates.fit import fit_spiking_surrogates
    from spicetrain.spiking.surrogates.laws import load_laws

    experiment, files = bench.experiment, RunFolder(bench.files / CONDITIONS / name)
    simulator = bench.simulator.changed(timeout_s=experiment.characterization.timeout_s)
    plan, look = load_plan(experiment.characterization.plan, TABLES), examined(technology, circuit)
    characterize(Subject(technology, circuit), plan, simulator, files / TABLES_FOLDER, examined=look)
    fit_spiking_surrogates(files / TABLES_FOLDER, technology, circuit, experiment.surrogates, files.folder)
    return load_laws(files / SURROGATES)[0]


SYSTEM = SpikingSystem()
