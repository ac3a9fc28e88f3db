"""What a verification found, as a record: summary.json."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError


class Record(BaseModel):
    """Base of everything in summary.json: frozen; what a later version adds is left aside."""

    model_config = ConfigDict(extra="ignore", frozen=True, ser_json_inf_nan="constants")


class Summary(Record):
    """What the summaries of all systems hold; accuracies and agreement are shares; a regression
    has none.

    accuracy_model     in the method's own view
    trained_in         technology, temperature and rails of the training; of another technology than the model's its
                       name and fingerprint only
    modelled_in        those of the model's predictions
    simulated_in       those that ngspice simulated
    key                of everything that the figures depend on
    """

    system: str
    method: str
    dataset: str
    technology: str
    layers: tuple[int, ...]
    netlist: str
    images: int
    accuracy_model: float | None
    accuracy_spice: float | None
    agreement: float | None
    trained_in: dict[str, Any] | None = None
    modelled_in: dict[str, Any] | None = None
    simulated_in: dict[str, Any] | None = None
    seconds_ngspice: float
    seconds_total: float
    ngspice_version: int
    key: str

    @classmethod
    def of(cls, content: Any) -> Self | None:
        """What a file holds as this record; None when it does not."""
        try:
            return cls.model_validate(content)
        except ValidationError:
            return None

    @property
    def model_is_of_the_circuit(self) -> bool:
        """Whether the model predicts the very circuit that was simulated; also where an older version did not say."""
        return self.modelled_in == self.simulated_in

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return self.model_dump(mode="json", by_alias=True)
