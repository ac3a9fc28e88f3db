"""A verification of one small network on iris."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bench import Counted
from ideal_laws import ideal_laws

from spicetrain.datasets import load_dataset
from spicetrain.runfolder import RunFolder
from spicetrain.spice.simulator import Simulator
from spicetrain.spiking.circuit import SpikingCircuit
from spicetrain.spiking.definition import SpikingNetworkSettings, SpikingVerificationSettings
from spicetrain.spiking.network import SpikingNetwork
from spicetrain.spiking.training.encoding import encode
from spicetrain.spiking.verification.summary import SpikingSummary
from spicetrain.spiking.verification.verify import SpikingVerification, cached_spiking_verification, verify_spiking
from spicetrain.technology import Technology
from spicetrain.verification.conditions import conditions_of
from spiking.verification.nets import DRIVER_S

IMAGES, STEPS = 3, 4
LAYERS = (4, 5, 3)
DEPTH = len(LAYERS) - 1
SETTINGS: dict[str, Any] = {"images": IMAGES, "flat_images": 2}


@dataclass
class Verifier:
    """verify_spiking of one network on iris; what is not given otherwise is as here."""

    technology: Technology
    simulator: Simulator
    folder: Path
    circuit: SpikingCircuit
    network: SpikingNetwork
    steps: int = STEPS

    def asked(self, **changes: Any) -> SpikingVerification:
        settings, laws = (
            SpikingVerificationSettings(**(SETTINGS | changes)),
            ideal_laws(self.circuit, driver_S=DRIVER_S),
        )
        conditions, iris = conditions_of(self.technology, settings.conditions), load_dataset("iris")
        return SpikingVerification(self.network, self.circuit, conditions, laws, iris, self.shape, settings)

    @property
    def shape(self) -> SpikingNetworkSettings:
        return SpikingNetworkSettings(layers=self.network.layers, steps=self.steps)

    @property
    def spikes(self) -> np.ndarray:
        return encode(load_dataset("iris").test_inputs[:IMAGES], self.shape, 0)

    def __call__(self, **changes: Any) -> SpikingSummary:
        return verify_spiking(self.asked(**changes), self.simulator, RunFolder(self.folder))

    def kept(self, **changes: Any) -> SpikingSummary | None:
        return cached_spiking_verification(self.asked(**changes), self.simulator, RunFolder(self.folder))

    def counted(self, interrupt_at: int = 0) -> Counted:
        """What its simulator answers from now on."""
        answer = Counted(interrupt_at)
        self.simulator = self.simulator.changed(answer=answer)
        return answer

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / f"{name}.parquet")
