"""A chip is a number: everything that is random about it is drawn from that, in numpy, the same for model and deck.

The numbers of one source (the mismatch of the inverters behind crossbar 1, say) depend on the chip and on the source
alone, not on what else is drawn or in which order; so a source can be changed or left out, and all others stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

MOST_CHIPS = 2**32


@dataclass(frozen=True)
class Draw:
    """The random numbers of one chip.

    chip     its number, 0 .. 2^32 - 1
    writing  how often it was programmed before: what programming brings is then drawn anew
    """

    chip: int
    writing: int = 0

    def normal(self, source: str, shape: tuple[int, ...], *, writing: bool = False) -> NDArray[np.float64]:
        """Independent standard normal numbers; `writing`: others each time that the chip is programmed."""
        return self._generator(source, writing).standard_normal(shape)

    def uniform(self, source: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Independent numbers, uniform in 0 .. 1."""
        return self._generator(source, False).random(shape)

    def _generator(self, source: str, writing: bool) -> np.random.Generator:
        key = (crc32(source.encode()), self.writing if writing else 0)
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.chip, spawn_key=key)))
