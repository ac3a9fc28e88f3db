"""The tables of the inverter system."""

from __future__ import annotations

from spicetrain.characterization.memristor_iv import MEMRISTOR_IV
from spicetrain.characterization.plan import TableKind
from spicetrain.inverter.characterization import current_surface, effective_load, loaded_vtc
from spicetrain.inverter.characterization.crossbars import EffectiveLoadPlan

# The dearest first: its decks take longest.
TABLES = {
    "effective_load": TableKind(EffectiveLoadPlan, effective_load.sweeps, version=2),
    "current_surface": TableKind(current_surface.CurrentSurfacePlan, current_surface.sweeps),
    "shifted_surface": TableKind(current_surface.ShiftedSurfacePlan, current_surface.sweeps),
    "memristor_iv": MEMRISTOR_IV,
    "loaded_vtc": TableKind(loaded_vtc.LoadedVtcPlan, loaded_vtc.sweeps),
}
