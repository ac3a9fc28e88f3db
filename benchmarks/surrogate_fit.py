"""Fit of the inverter's current surface: seconds and held-out error (targets: 20 s, 1e-4), and one step of our
Levenberg-Marquardt loop against one of scipy's (MINPACK)."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numpy as np
import pandas as pd
from circuits import measured
from common import alternate, finish, parser, seconds
from scipy.optimize import least_squares
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from spicetrain.inverter.surrogates.current_fit import fit_current_surface
from spicetrain.surrogates.levenberg_marquardt import minimise
from spicetrain.surrogates.mlp import Mlp
from spicetrain.surrogates.settings import SurrogateSettings
from spicetrain.technology import load_technology

LONGEST_S, LARGEST_RMS = 20.0, 1e-4


def main() -> None:
    arguments = parser("surrogate_fit", __doc__)
    arguments.add_argument("--points", type=int, default=201, help="grid points of each voltage (default: %(default)s)")
    arguments.add_argument("--steps", type=int, default=8, help="Levenberg-Marquardt steps a timing")
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    technology, settings = load_technology("ptm90"), SurrogateSettings()
    table = measured(technology, points=options.points)
    errors: dict = {}
    fit_s = seconds(lambda: errors.update(fit_current_surface(table, technology, settings)[1]))
    ours, minpack = one_step(table, settings, options.steps)
    ours()  # warm
    with threadpool_limits(1, user_api="blas"):  # as in the fit itself
        taken = alternate({"ours": ours, "minpack": minpack}, options.rounds)
    step_s = {name: median(times) / options.steps for name, times in taken.items()}
    ratio, rms = step_s["minpack"] / step_s["ours"], errors["rms_relative"]
    rows = {
        "fit of the current surface": f"{fit_s:.1f} s (target {LONGEST_S:g} s)",
        "relative rms, held out, |I| > 50 nA": f"{rms:.2e} (target {LARGEST_RMS:g})",
        "step of ours": f"{step_s['ours'] * 1e3:.1f} ms",
        "step of scipy's lm": f"{step_s['minpack'] * 1e3:.1f} ms",
        "ratio": f"{ratio:.1f}",
    }
    result = {"fit_s": fit_s, "rms_relative": rms, "step_s": step_s, "ratio": ratio, "errors": errors}
    title = f"current surface, {settings.hidden} neurons, {settings.points} points"
    finish(options.out, title, rows, result, fit_s <= LONGEST_S and rms <= LARGEST_RMS)


def one_step(
    table: pd.DataFrame, settings: SurrogateSettings, steps: int
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Both loops for `steps` Jacobians on the same residuals: the pMOS current's logarithm, by an MLP as in the fit."""
    rng, mlp = np.random.default_rng(0), Mlp(2, settings.hidden)
    usable = table[(table.i_vdd_A > 0) & (table.v_out_V < table.v_out_V.max())]
    chosen = usable.sample(min(settings.points, len(usable)), random_state=0)
    x = chosen[["v_in_V", "v_out_V"]].to_numpy() * 4
    y = np.log(chosen.i_vdd_A.to_numpy())
    y, weight, start = (y - y.mean()) / y.std(), np.ones(len(y)), mlp.start(rng)

    def residuals(p: np.ndarray) -> np.ndarray:
        return mlp.values(p, x) - y

    def jacobian(p: np.ndarray) -> np.ndarray:
        return mlp.jacobian(p, x, weight)

    def ours() -> None:
        assert minimise(residuals, jacobian, start, steps).steps == steps

    def minpack() -> None:
        jacobians = 0

        def counted(p: np.ndarray) -> np.ndarray:
            nonlocal jacobians
            jacobians += 1
            if jacobians > steps:
                raise StopIteration
            return jacobian(p)

        try:
            least_squares(residuals, start, counted, method="lm", max_nfev=100 * steps)
        except StopIteration:
            return
        raise AssertionError(f"scipy stopped after {jacobians} steps")

    return ours, minpack


if __name__ == "__main__":
    main()
