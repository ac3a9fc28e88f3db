"""Figures against what was asked of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from spicetrain.errors import VerificationError

SURE = 0.01
"""A share of few images misses its limit only where chance would miss it so far less often than this."""


@dataclass(frozen=True)
class Limit:
    """A figure and what is asked of it; without one of the two there is nothing to judge.

    images  when the figure is a share of so many images: it is then judged as a binomial sample of the limit
    likely  what is behind a figure outside its limit, in order
    counted  what it is a share of
    """

    name: str
    figure: float | None
    limit: float | None
    sense: Literal["at least", "at most"]
    images: int | None = None
    likely: str = ""
    counted: str = "images"

    @property
    def missed(self) -> bool:
        if self.figure is None or self.limit is None:
            return False
        # not (... >= ...): a figure that is not a number is outside
        outside = not (self.figure >= self.limit if self.sense == "at least" else self.figure <= self.limit)
        return outside and self._by_more_than_chance(self.figure, self.limit)

    def _by_more_than_chance(self, figure: float, limit: float) -> bool:
        if self.images is None or not 0 <= figure <= 1:
            return True
        from scipy.stats import binom

        count = round(figure * self.images)
        tail = (
            binom.cdf(count, self.images, limit)
            if self.sense == "at least"
            else binom.sf(count - 1, self.images, limit)
        )
        return bool(tail < SURE)

    def __str__(self) -> str:
        of = "" if self.images is None else f" of {self.images} {self.counted}"
        return f"{self.name} = {self.figure:.6g}{of}, asked {self.sense} {self.limit:g}"


def asked(limit: float | None, claimed: float | None) -> float | None:
    """What the settings ask, 0 too, in place of what the method claims."""
    return claimed if limit is None else limit


def require(limits: Iterable[Limit]) -> None:
    """VerificationError naming every figure outside its limit, with the likely causes."""
    missed = [limit for limit in limits if limit.missed]
    if missed:
        causes = list(dict.fromkeys(limit.likely for limit in missed if limit.likely))
        raise VerificationError(
            f"The verification is outside its tolerance: {'; '.join(map(str, missed))}. All figures are in "
            f"summary.json. Likely: {'; '.join(causes)}."
        )
