"""How the tables of a spiking circuit are measured: the sections of a plan."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, PositiveFloat

from spicetrain.characterization.plan import PlanSection


class MembraneCurrentPlan(PlanSection):
    """Current of a whole neuron, or of a driver, or of cells, over `points` voltages."""

    points: int = Field(default=61, ge=2)


class CellCurrentPlan(MembraneCurrentPlan):
    """Current of 1t1r cells over the membrane, `g_points` conductances log-spaced over the device's range."""

    g_points: int = Field(default=13, ge=2)


class CellCapacitancePlan(PlanSection):
    """Capacitance of 1t1r cells, `g_points` conductances log-spaced over the device's range."""

    g_points: int = Field(default=7, ge=2)


class NeuronCapacitancePlan(MembraneCurrentPlan):
    """Capacitance of a whole neuron's transistors over `points` membranes."""

    points: int = Field(default=121, ge=4)


class CellPulsePlan(CellCapacitancePlan):
    """Charge that a spike brings, with `v_points` membranes as far around rest as the threshold is."""

    v_points: int = Field(default=3, ge=2)


class ThresholdPlan(PlanSection):
    """Trip voltage of the threshold inverter for ramps of +-`slopes_V_per_s`, and at DC; for membranes of these slopes
    that settle, with time constants of so many clock steps; all begin `ramp_V` off."""

    slopes_V_per_s: tuple[PositiveFloat, ...] = (1e6, 2e6, 5e6, 1e7, 2e7, 3e7)
    settling_steps: tuple[PositiveFloat, ...] = (2.0, 8.0)
    ramp_V: float = Field(default=0.05, gt=0)


class ResetResiduePlan(PlanSection):
    """What a reset leaves: `v_points` membranes log-spaced from half the threshold on, columns tied to rest by
    conductances (0: by none)."""

    g_columns_S: tuple[NonNegativeFloat, ...] = (0.0, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3)
    v_points: int = Field(default=9, ge=2)
