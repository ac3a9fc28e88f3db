"""What a run does differently from one system to the other; `run.py` is the same for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from spicetrain.experiment.run import Run
    from spicetrain.inverter.network import Network
    from spicetrain.spiking.network import SpikingNetwork


class System(ABC):
    """The steps of one system, each called by the verb of its name; `surrogates` are what `load_surrogates` gave."""

    first_fit: str  # the entry of surrogates.json that is always there

    def __init__(self, run: Run):
        self.run = run

    @property
    def inputs(self) -> dict[str, str]:
        """Checksums of what all of the run depends on besides settings and technology, by name."""
        return {}

    @property
    def trained_by_ngspice(self) -> bool:
        return False

    @abstractmethod
    def require(self) -> None:
        """What does not fit, before the work begins: ConfigurationError, ArchitectureMismatch."""

    @abstractmethod
    def characterize(self, plan: Any) -> dict[str, Path]: ...

    @abstractmethod
    def fit(self) -> dict[str, Any]: ...

    @abstractmethod
    def load_surrogates(self, path: Path) -> tuple[Any, dict[str, Any]]:
        """(the surrogates, the reports stored with them)."""

    def simulator(self) -> AbstractContextManager[Any]:
        """What solves the forward passes of a training that asks for ngspice; None otherwise."""
        return nullcontext()

    @abstractmethod
    def train(self, surrogates: Any, simulate: Any) -> Network | SpikingNetwork: ...

    @abstractmethod
    def load_network(self, path: Path) -> Network | SpikingNetwork: ...

    @abstractmethod
    def write_deck(self, network_file: Path, image: int, form: Literal["reduced", "flat"], path: Path) -> None: ...

    @property
    @abstractmethod
    def plain_form(self) -> Literal["reduced", "flat"]:
        """The form of the deck that lies in every verified run folder."""

    @abstractmethod
    def verify(self, network_file: Path, surrogates: Any) -> dict[str, Any]: ...

    @abstractmethod
    def kept_verification(self, network_file: Path, surrogates: Any) -> dict[str, Any] | None: ...

    @abstractmethod
    def require_within(self, summary: dict[str, Any]) -> None: ...
