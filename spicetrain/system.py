"""What a system brings: its definition, tables, rooms, summary, sections of the page, columns of a comparison."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from spicetrain.datasets import Dataset
from spicetrain.errors import ConfigurationError
from spicetrain.experiment import Experiment
from spicetrain.netlists.cells import Form
from spicetrain.report.page import Page
from spicetrain.runfolder import RunFolder
from spicetrain.technology import Technology

if TYPE_CHECKING:
    import pandas as pd

    from spicetrain.characterization.plan import Plan, TableKind
    from spicetrain.characterization.sweep import Subject
    from spicetrain.report.blocks import Block, Section, Table
    from spicetrain.spice.simulator import Simulator
    from spicetrain.verification.summary import Summary


class Bench(Protocol):
    """What the rooms of a run work with."""

    @property
    def experiment(self) -> Experiment: ...
    @property
    def files(self) -> RunFolder: ...
    @property
    def technology(self) -> Technology: ...
    @property
    def dataset(self) -> Dataset: ...
    @property
    def simulator(self) -> Simulator: ...
    @property
    def calibrating(self) -> bool: ...


class Network(Protocol):
    """What training makes and verification simulates."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def layers(self) -> tuple[int, ...]: ...
    @property
    def about(self) -> dict[str, Any]: ...
    def require_layers(self, layers: Sequence[int], source: str) -> None: ...
    def save(self, path: Path) -> None: ...


@dataclass(frozen=True)
class Column:
    """A column of a comparison's table: `key` of a summary or of `System.cell`, and how it is shown.

    show  "percent", or the unit of a quantity, or "number"
    cost  it belongs into the table of what a cell takes, not into that of how right it is
    """

    title: str
    key: str
    show: str
    cost: bool = False


class System(ABC):
    """A system's rooms, each called by the verb of its name. `surrogates` are what `load_surrogates` gave, `network` is
    what `load_network` gave. Nothing is kept between the calls."""

    name: str
    headline: str = ""  # a word of it in a page's headline, beside the method
    definition: type[Experiment]
    tables: Mapping[str, TableKind]  # that a plan may ask for
    summary: type[Summary]
    metrics: tuple[str, ...]  # keys of every line of metrics.jsonl
    first_fit: str  # the entry of surrogates.json that is always there
    columns: Sequence[Column] = ()
    searches: bool = False  # a setting can be chosen by validation, see `score`
    # Of --quick: images in ngspice; plans by those that they stand for; gates where none is asked, see `quick`
    quick_images: int = 20
    quick_plans: Mapping[str, str] = MappingProxyType({})
    quick_gates: Mapping[str, float] = MappingProxyType({})

    def inputs(self, bench: Bench) -> dict[str, str]:
        """Checksums of what all of the run depends on besides settings and technology, by name."""
        return {}

    def trained_by_ngspice(self, experiment: Any) -> bool:
        return False

    @abstractmethod
    def require(self, bench: Bench) -> None:
        """What does not fit, before the work begins, from the definition, the technology and the dataset alone:
        ConfigurationError, ArchitectureMismatch."""

    def measured(self, bench: Bench, plan: Plan) -> tuple[Subject, Plan]:
        """What `characterize` measures, and the plan with what the experiment needs besides."""
        from spicetrain.characterization.sweep import Subject

        return Subject(bench.technology), plan

    @abstractmethod
    def characterize(self, bench: Bench, plan: Plan) -> dict[str, Path]: ...

    @abstractmethod
    def fit(self, bench: Bench) -> dict[str, Any]: ...

    @abstractmethod
    def load_surrogates(self, path: Path) -> tuple[Any, dict[str, Any]]:
        """(the surrogates, the reports stored with them)."""

    def lacks(self, bench: Bench, surrogates: Any) -> bool:
        """Whether the experiment needs surrogates that were not fitted, because earlier nobody asked for them."""
        return False

    def solving(self, bench: Bench) -> AbstractContextManager[Any]:
        """What solves the forward passes of a training that asks for ngspice; None otherwise."""
        return nullcontext()

    @abstractmethod
    def train(self, bench: Bench, surrogates: Any, simulate: Any) -> Network: ...

    @abstractmethod
    def load_network(self, path: Path) -> Network: ...

    @abstractmethod
    def plain_form(self, bench: Bench) -> Form:
        """The form of the deck that lies in every verified run folder."""

    @abstractmethod
    def deck(self, bench: Bench, network: Any, image: int, form: Form) -> str:
        """The deck of one test image, for plain ngspice."""

    def subcircuit(
        self, bench: Bench, network: Any, surrogates: Callable[[], Any], image: int, reads: Sequence[str]
    ) -> tuple[str, str]:
        """(the network as a subcircuit, a deck that shows it one test image and prints its outputs); `reads` are the
        lines by which that deck reads the models and the subcircuit. ConfigurationError where the system has none."""
        raise ConfigurationError(
            f"A subcircuit is written of the inverter system's networks; the system is {self.name!r}. `spicetrain "
            "netlist` writes the whole deck of one image."
        )

    def linear_view(self, bench: Bench, network: Any, surrogates: Callable[[], Any]) -> Any:
        """The network as leaky integrate-and-fire neurons, see spiking.verification.linear_view. ConfigurationError
        where the system's neurons do not spike."""
        raise ConfigurationError(
            f"NIR is of networks that spike; those of the system {self.name!r} do not. `spicetrain export --to onnx` "
            "writes inverter-based ones as closed formulas."
        )

    def ideal_view(self, bench: Bench, network: Any, surrogates: Any) -> Any:
        """The network as a closed formula, see inverter.verification.ideal_view. ConfigurationError where the system
        has none."""
        raise ConfigurationError(
            f"ONNX is of inverter-based networks; the system is {self.name!r}. `spicetrain export --to nir` writes "
            "networks that spike."
        )

    @abstractmethod
    def verify(self, bench: Bench, network: Any, surrogates: Any) -> Summary: ...

    @abstractmethod
    def cached_verification(self, bench: Bench, network: Any, surrogates: Any) -> Summary | None: ...

    def calibrate(self, bench: Bench, network: Any, surrogates: Any) -> pd.DataFrame:
        """Chips programmed once more, a row each; ConfigurationError where the system has no calibration."""
        raise ConfigurationError(
            f"`calibrate` programs chips of the inverter system once more; the system {self.name!r} has no calibration."
        )

    def placements(self, bench: Bench, network: Any, surrogates: Any) -> pd.DataFrame:
        """The wires of a trained network placed in every way, a row each, the best first; ConfigurationError where the
        system knows none."""
        raise ConfigurationError(
            f"`placement` tries where the wires of the inverter system's crossbars lead, and knows no others: the "
            f"system is {self.name!r}."
        )

    @abstractmethod
    def require_within(self, experiment: Any, summary: Any) -> None:
        """VerificationError when a figure is outside what the experiment asks, or the method claims."""

    @abstractmethod
    def summary_rows(self, summary: Any) -> tuple[str, list[tuple[str, str]]]:
        """The summary for a terminal: a title, and rows (figure, value)."""

    @abstractmethod
    def result(self, summary: Any, verify: str) -> list[Block]:
        """The summary at the head of the page; `verify` is the command that made it."""

    @abstractmethod
    def sections(self, page: Page) -> list[Section]:
        """Of the page, behind the result and before the provenance."""

    # A comparison's part

    def cell(self, network: Any, summary: Any) -> dict[str, Any]:
        """Further values of a cell's row, of what there is of the two."""
        return {}

    def score(self, bench: Bench, network: Any) -> dict[str, float]:
        """How right a network is on the training images that were kept out, accuracy_circuit and accuracy_model: what a
        search goes by, where `searches`."""
        raise NotImplementedError

    def after_cell(self, bench: Bench, others: Iterable[Experiment]) -> None:
        """What is done when a cell is verified; `others` are the experiments of its dataset, in order."""

    def comparison_frames(self, ours: pd.DataFrame, root: Path) -> dict[str, pd.DataFrame]:
        """Further tables to be written as <name>.csv. `ours`: rows of a comparison's table, folders below `root`."""
        return {}

    def comparison_tables(self, ours: pd.DataFrame, root: Path, dataset: str) -> list[Table]:
        """Its own tables of a comparison's results."""
        return []

    def comparison_blocks(self, ours: pd.DataFrame, root: Path, dataset: str) -> list[Block]:
        """Its own blocks of a comparison's page."""
        return []

    def comparison_remarks(self, ours: pd.DataFrame) -> list[str]:
        """What must stand beside the tables."""
        return []
