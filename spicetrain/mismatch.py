"""Mismatch of transistors: by what two of the same drawing differ (Pelgrom et al., IEEE JSSC 24, 1433, 1989).

    sigma(V_T) = A_VT / sqrt(W L m)        sigma(beta) / beta = A_beta / sqrt(W L m)

W and L may be effective ones, more or less than what is drawn.

A_VT is published as that of the difference of a pair, or as that of one transistor, which is 1 / sqrt 2 of it; in
which sense a technology gives it, it says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from spicetrain.errors import TechnologyError
from spicetrain.schema import Definition

Kind = Literal["nmos", "pmos"]


class TransistorMismatch(Definition):
    """A_VT_Vm   volts times metres: 3.5 mV um is 3.5e-9
    A_beta_m  of the relative current factor, metres: 1 % um is 1e-8
    w_more_m, l_more_m  the effective width and length of a gate less those that are drawn, metres
    area_m2   of one finger's gate; None: its effective w times its effective l
    """

    A_VT_Vm: Annotated[float, Field(ge=0, lt=1e-6)]
    A_beta_m: Annotated[float, Field(ge=0, lt=1e-6)] = 0.0
    w_more_m: Annotated[float, Field(gt=-1e-4, lt=1e-4)] = 0.0
    l_more_m: Annotated[float, Field(gt=-1e-4, lt=1e-4)] = 0.0
    area_m2: Annotated[float, Field(gt=0)] | None = None


class Mismatch(Definition):
    """convention  "single": A_VT and A_beta are of one transistor; "pair": of the difference of two"""

    convention: Literal["single", "pair"]
    nmos: TransistorMismatch
    pmos: TransistorMismatch

    def sigma(self, kind: Kind, geometry: Mapping[str, float], unit_m: float = 1.0) -> tuple[float, float]:
        """(sigma(V_T) in volts, sigma(beta) / beta) of one transistor of one finger of these instance parameters, their
        w and l in so many metres.

        TechnologyError when its gate's area is not known.
        """
        of: TransistorMismatch = getattr(self, kind)
        sizes = {name.lower(): value for name, value in geometry.items()}
        w_m, l_m = (unit_m * sizes.get(name, 0.0) for name in ("w", "l"))
        area_m2 = of.area_m2 or max(w_m + of.w_more_m, 0.0) * max(l_m + of.l_more_m, 0.0)
        if not 1e-18 < area_m2 < 1e-6:
            raise TechnologyError(
                f"mismatch.{kind}: the area of a gate is {area_m2:g} m2, by its w and l in units of {unit_m:g} m "
                f"(transistors.geometry_unit_m). Correct that, or give mismatch.{kind}.area_m2, of one finger of the "
                "unit inverter."
            )
        single = math.sqrt(area_m2 * (2 if self.convention == "pair" else 1))
        return of.A_VT_Vm / single, of.A_beta_m / single
