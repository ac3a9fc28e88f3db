"""What is to be measured, from one TOML file; a table whose section is left out is not measured."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from spicetrain import assets
from spicetrain.errors import ConfigurationError
from spicetrain.schema import Definition, find_toml, parse, read_toml

Distribution = Literal["uniform", "log_uniform", "sparse"]


class CurrentSurfacePlan(Definition):
    """Currents of the unit inverter over `points` x `points` of (v_in, v_out), exactly the rails."""

    points: int = Field(default=201, ge=2)


class LoadedVtcPlan(Definition):
    """v_out of the unit inverter over v_in, the load's voltage and its conductance (0, then log-spaced)."""

    v_in_points: int = Field(default=201, ge=2)
    v_load_points: int = Field(default=41, ge=2)
    g_load_points: int = Field(default=24, ge=2)
    g_load_min_S: float = Field(default=1e-7, gt=0)
    g_load_max_S: float = Field(default=3e-4, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.g_load_min_S >= self.g_load_max_S:
            raise ValueError(f"g_load_min_S = {self.g_load_min_S} is not below g_load_max_S = {self.g_load_max_S}")
        return self


class EffectiveLoadPlan(Definition):
    """What row drivers see: random crossbars, and those of trained networks from the second on.

    shapes         [row pairs, columns]
    distributions  of the conductances over the device's range
    crossbars      random crossbars for each shape and distribution
    samples        sets of random row voltages for each crossbar
    trained        network files, absolute or relative to the plan
    """

    shapes: tuple[tuple[PositiveInt, PositiveInt], ...] = ((5, 3), (16, 8), (64, 10), (100, 10))
    distributions: tuple[Distribution, ...] = ("uniform", "log_uniform", "sparse")
    crossbars: PositiveInt = 2
    samples: PositiveInt = 4
    seed: int = Field(default=1, ge=0)
    trained: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.trained and not (self.shapes and self.distributions):
            raise ValueError("no crossbar: give shapes and distributions, or trained networks")
        return self


class MemristorIvPlan(Definition):
    """I-V of the memristor, g log-spaced over its range, v from -(VDD - VSS) to VDD - VSS."""

    g_points: int = Field(default=9, ge=2)
    v_points: int = Field(default=101, ge=2)


class MembraneCurrentPlan(Definition):
    """Current of a whole neuron, or of a driver, or of cells, over `points` voltages."""

    points: int = Field(default=61, ge=2)


class CellCurrentPlan(MembraneCurrentPlan):
    """Current of 1t1r cells over the membrane, `g_points` conductances log-spaced over the device's range."""

    g_points: int = Field(default=13, ge=2)


class CellCapacitancePlan(Definition):
    """Capacitance of 1t1r cells, `g_points` conductances log-spaced over the device's range."""

    g_points: int = Field(default=7, ge=2)


class CellPulsePlan(CellCapacitancePlan):
    """Charge that a spike brings, with `v_points` membranes as far around rest as the threshold is."""

    v_points: int = Field(default=3, ge=2)


class ThresholdPlan(Definition):
    """Trip voltage of the threshold inverter for ramps of +-`slopes_V_per_s`, and at DC; ramps begin `ramp_V` off."""

    slopes_V_per_s: tuple[PositiveFloat, ...] = (1e6, 3e6, 1e7, 3e7, 1e8)
    ramp_V: float = Field(default=0.05, gt=0)


class ResetResiduePlan(Definition):
    """What a reset leaves: `v_points` membranes log-spaced from half the threshold on, columns tied to rest by
    conductances (0: by none)."""

    g_columns_S: tuple[NonNegativeFloat, ...] = (0.0, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3)
    v_points: int = Field(default=9, ge=2)


class Plan(Definition):
    """A characterization as its TOML file states it. `folder` is where the file lies.

    The first four tables are of the inverter system, the others of a spiking circuit: driver_current of a 1r array
    only, cell_current, cell_pulse and cell_capacitance of a 1t1r array only.
    """

    description: str = ""
    current_surface: CurrentSurfacePlan | None = None
    loaded_vtc: LoadedVtcPlan | None = None
    effective_load: EffectiveLoadPlan | None = None
    memristor_iv: MemristorIvPlan | None = None
    driver_current: MembraneCurrentPlan | None = None
    cell_current: CellCurrentPlan | None = None
    cell_pulse: CellPulsePlan | None = None
    cell_capacitance: CellCapacitancePlan | None = None
    leak_current: MembraneCurrentPlan | None = None
    reset_current: MembraneCurrentPlan | None = None
    threshold: ThresholdPlan | None = None
    reset_residue: ResetResiduePlan | None = None
    folder: Path

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        names = [name for name in Plan.model_fields if name not in ("description", "folder")]
        if not any(getattr(self, name) for name in names):
            tables = ", ".join(f"[{name}]" for name in names)
            raise ValueError(f"the plan measures nothing; give at least one section of {tables}")
        return self

    def trained_networks(self) -> list[Path]:
        """The files named in effective_load.trained."""
        names = self.effective_load.trained if self.effective_load else ()
        return [self.folder / Path(name).expanduser() for name in names]


def load_plan(name: str | Path) -> Plan:
    """A shipped plan by name, or a user's by the path of its TOML file.

    Raises ConfigurationError: unknown name, missing file, unknown key, impossible value, missing network.
    """
    path = find_toml(name, assets.characterization_folder(), "plan")
    content = read_toml(path)
    if "folder" in content:
        raise ConfigurationError(f"{path}: 'folder' is not a key; paths are relative to the file.")
    plan = parse(Plan, content | {"folder": path.resolve().parent}, str(path))
    for network in plan.trained_networks():
        if not network.is_file():
            raise ConfigurationError(
                f"{path}: effective_load.trained names {network}, which is not a file. "
                "The path is relative to the plan; it should be the network.safetensors of a run."
            )
    return plan
