"""Figures against what was asked of them."""

from __future__ import annotations

from collections.abc import Iterable

from spicetrain.errors import VerificationError

Limit = tuple[str, float | None, float | None, str]


def require(limits: Iterable[Limit], likely: str) -> None:
    """VerificationError naming every figure outside its limit, with the `likely` causes.

    limits  (name, figure, limit, "at least" or "at most"); without a figure or a limit there is nothing to judge
    """
    missed = [
        f"{name} = {value:.6g}, asked {sense} {limit:g}"
        for name, value, limit, sense in limits
        if value is not None
        and limit is not None
        # not (... >= ...): a figure that is not a number is outside
        and not (value >= limit if sense == "at least" else value <= limit)
    ]
    if missed:
        raise VerificationError(
            f"The verification is outside its tolerance: {'; '.join(missed)}. All figures are in summary.json. "
            f"Likely: {likely}."
        )
