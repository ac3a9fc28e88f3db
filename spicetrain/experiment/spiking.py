"""The spiking system's steps of a run."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from spicetrain.experiment.definition import SpikingExperiment
from spicetrain.experiment.system import System
from spicetrain.spiking.circuit import SpikingCircuit, load_circuit

if TYPE_CHECKING:
    from spicetrain.characterization.plan import Plan
    from spicetrain.spiking.network import SpikingNetwork
    from spicetrain.spiking.surrogates.laws import SpikingLaws


class SpikingSystem(System):
    first_fit = "leak_current"

    @property
    def experiment(self) -> SpikingExperiment:
        assert isinstance(self.run.experiment, SpikingExperiment)
        return self.run.experiment

    @cached_property
    def circuit(self) -> SpikingCircuit:
        settings = self.experiment.circuit
        return load_circuit(settings.name).changed(settings.threshold_V, settings.capacitance_F)

    @property
    def inputs(self) -> dict[str, str]:
        return {"circuit": self.circuit.fingerprint}

    def require(self) -> None:
        from spicetrain.spiking.netlists.network import require_reduced
        from spicetrain.spiking.training.loop import require_spiking_fit
        from spicetrain.spiking.verification.verify import require_spiking_verification

        run, experiment = self.run, self.experiment
        require_spiking_fit(experiment.network, experiment.training, run.dataset, self.circuit, run.technology)
        require_spiking_verification(experiment.verification, run.dataset, experiment.network)
        if experiment.verification.netlist == "reduced":
            require_reduced(self.circuit, run.technology)

    def characterize(self, plan: Plan) -> dict[str, Path]:
        from spicetrain.characterization.characterize import characterize

        run, folder = self.run, self.run.folder / "characterization"
        return characterize(run.technology, plan, run.ngspice, folder, circuit=self.circuit, workers=run.workers)

    def fit(self) -> dict[str, Any]:
        from spicetrain.spiking.surrogates.fit import fit_spiking_surrogates

        run, tables = self.run, self.run.folder / "characterization"
        return fit_spiking_surrogates(tables, run.technology, self.circuit, self.experiment.surrogates, run.folder)

    def load_surrogates(self, path: Path) -> tuple[SpikingLaws, dict[str, Any]]:
        from spicetrain.spiking.surrogates.laws import load_laws

        return load_laws(path)

    def train(self, surrogates: SpikingLaws, simulate: None) -> SpikingNetwork:
        from spicetrain.spiking.training.loop import train

        run, experiment = self.run, self.experiment
        return train(
            experiment.network, experiment.training, run.dataset, run.technology, self.circuit, surrogates, run.folder
        )

    def load_network(self, path: Path) -> SpikingNetwork:
        from spicetrain.spiking.network import SpikingNetwork

        return SpikingNetwork.load(path)

    @property
    def plain_form(self) -> Literal["reduced", "flat"]:
        return "flat" if self.circuit.inputs == "driven" else "reduced"

    def write_deck(self, network_file: Path, image: int, form: Literal["reduced", "flat"], path: Path) -> None:
        from spicetrain.spiking.verification.verify import write_spiking_deck

        run, experiment = self.run, self.experiment
        laws = self.load_surrogates(run.folder)[0]
        write_spiking_deck(
            network_file, self.circuit, run.technology, laws, run.dataset, experiment.network, image, form, path
        )

    def verify(self, network_file: Path, surrogates: SpikingLaws) -> dict[str, Any]:
        from spicetrain.spiking.verification.verify import verify_spiking

        return verify_spiking(*self._verification(network_file, surrogates), workers=self.run.workers)

    def kept_verification(self, network_file: Path, surrogates: SpikingLaws) -> dict[str, Any] | None:
        from spicetrain.spiking.verification.verify import kept_spiking_verification

        return kept_spiking_verification(*self._verification(network_file, surrogates))

    def require_within(self, summary: dict[str, Any]) -> None:
        from spicetrain.spiking.verification.verify import require_within

        require_within(summary, self.experiment.verification)

    def _verification(self, network_file: Path, surrogates: SpikingLaws) -> tuple[Any, ...]:
        run, experiment = self.run, self.experiment
        return (
            network_file, self.circuit, run.technology, surrogates, run.dataset, experiment.network,
            experiment.verification, run.ngspice, run.folder,
        )  # fmt: skip
