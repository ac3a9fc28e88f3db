"""The inverter system's steps of a run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from spicetrain.experiment.definition import InverterExperiment
from spicetrain.experiment.system import System
from spicetrain.storage import write_atomic

if TYPE_CHECKING:
    from spicetrain.characterization.plan import Plan
    from spicetrain.inverter.network import Network
    from spicetrain.inverter.surrogates.store import Surrogates
    from spicetrain.inverter.training.voltages import Simulate


class InverterSystem(System):
    first_fit = "current_surface"

    @property
    def experiment(self) -> InverterExperiment:
        assert isinstance(self.run.experiment, InverterExperiment)
        return self.run.experiment

    @property
    def trained_by_ngspice(self) -> bool:
        return self.experiment.training.forward == "spice"

    def require(self) -> None:
        from spicetrain.inverter.training.loop import require_fit
        from spicetrain.inverter.verification.energy import require_energy
        from spicetrain.inverter.verification.verify import require_images

        run, experiment = self.run, self.experiment
        require_fit(experiment.network, experiment.training, run.dataset)
        require_images(experiment.verification, run.dataset)
        require_energy(experiment.energy, run.dataset, run.technology)

    def characterize(self, plan: Plan) -> dict[str, Path]:
        from spicetrain.characterization.characterize import characterize

        run = self.run
        return characterize(run.technology, plan, run.ngspice, run.folder / "characterization", workers=run.workers)

    def fit(self) -> dict[str, Any]:
        from spicetrain.inverter.surrogates.fit import fit_surrogates

        run = self.run
        return fit_surrogates(run.folder / "characterization", run.technology, self.experiment.surrogates, run.folder)

    def load_surrogates(self, path: Path) -> tuple[Surrogates, dict[str, Any]]:
        from spicetrain.inverter.surrogates.store import Surrogates, load_surrogates

        return Surrogates.load(path), load_surrogates(path)[1]

    def simulator(self) -> AbstractContextManager[Any]:
        if not self.trained_by_ngspice:
            return nullcontext()
        from spicetrain.inverter.verification.spice_forward import spice_forward

        return spice_forward(self.run.technology, self.run.ngspice, self.run.workers)

    def train(self, surrogates: Surrogates, simulate: Simulate | None) -> Network:
        from spicetrain.inverter.training.loop import train

        run, experiment = self.run, self.experiment
        return train(
            experiment.network, experiment.training, run.dataset, run.technology, surrogates, run.folder, simulate
        )

    def load_network(self, path: Path) -> Network:
        from spicetrain.inverter.network import Network

        return Network.load(path)

    @property
    def plain_form(self) -> Literal["reduced", "flat"]:
        return "reduced" if self.run.technology.memristor.reduces else "flat"

    def write_deck(self, network_file: Path, image: int, form: Literal["reduced", "flat"], path: Path) -> None:
        from spicetrain.inverter.netlists.network import network_deck

        network, inputs = self.load_network(network_file), self.run.dataset.test_inputs
        network.require_layers((inputs.shape[1], *network.layers[1:]), str(network_file))
        deck = network_deck(network, self.run.technology, inputs[image : image + 1], form)
        with write_atomic(path) as temporary:
            temporary.write_text(deck.text())

    def verify(self, network_file: Path, surrogates: Surrogates) -> dict[str, Any]:
        from spicetrain.inverter.verification.verify import verify

        return verify(*self._verification(network_file, surrogates), workers=self.run.workers)

    def kept_verification(self, network_file: Path, surrogates: Surrogates) -> dict[str, Any] | None:
        from spicetrain.inverter.verification.verify import kept_verification

        return kept_verification(*self._verification(network_file, surrogates))

    def require_within(self, summary: dict[str, Any]) -> None:
        from spicetrain.inverter.verification.figures import require_within

        require_within(summary, self.experiment.verification)

    def _verification(self, network_file: Path, surrogates: Surrogates) -> tuple[Any, ...]:
        run, experiment = self.run, self.experiment
        return (
            network_file, run.technology, surrogates, run.dataset, experiment.verification, run.ngspice, run.folder,
            experiment.energy,
        )  # fmt: skip
