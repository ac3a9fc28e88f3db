"""Which points of a table are fitted, and which are kept out to say how good the fit is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spicetrain.surrogates.settings import SurrogateSettings


def fitted_and_held_out(
    points: NDArray[np.intp], settings: SurrogateSettings
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """A share settings.held_out of the points is held out, at random."""
    from sklearn.model_selection import train_test_split  # here: scikit-learn takes a second to import

    fitted, held_out = train_test_split(points, test_size=settings.held_out, random_state=settings.seed)
    return fitted, held_out
