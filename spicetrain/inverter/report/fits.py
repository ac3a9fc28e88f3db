"""The surrogates: errors against baseline, certificate, residual plots."""

from __future__ import annotations

from typing import Any

from spicetrain.errors import StorageError
from spicetrain.report.blocks import Block, Drawing, Gallery, Notice, Paragraph, Section, Table
from spicetrain.report.fits import fit_drawing
from spicetrain.report.page import Page
from spicetrain.report.units import quantity, seconds

# (surrogate, path into its errors, what it is, how the errors' keys end, unit; "" is relative)
_QUANTITIES: tuple[tuple[str, tuple[str, ...], str, str, str], ...] = (
    ("current_surface", (), "output current, relative", "relative", ""),
    ("loaded_vtc", (), "loaded VTC", "V", "V"),
    ("effective_load", ("g_load",), "load conductance, relative", "relative", ""),
    ("effective_load", ("v_return",), "return voltage", "V", "V"),
)
_PLOTS = {
    "current_surface": "Current surface: output current over v_out, and where in the plane it errs. The gap is "
    "the VTC, where the current is too small for a relative error to mean anything.",
    "loaded_vtc": "Loaded VTC: dots measured, lines fitted, for three voltages the load goes to.",
    "effective_load": "Effective load: on the diagonal the fit is exact. Grey is the naive load, the row's sum "
    "to the mean column voltage.",
}


def surrogates_section(page: Page) -> Section:
    """How well the small networks stand for the measured tables."""
    title = "The surrogates, fitted"
    content = page.surrogates
    if content is None:
        missing = Notice("No surrogates have been fitted in this folder.", page.command("fit-surrogates"))
        return Section("surrogates", title, [missing])
    try:
        blocks: list[Block] = [_errors(content["surrogates"])]
        if surface := content["surrogates"].get("current_surface"):
            blocks.append(Paragraph(_certificate(surface["monotonicity"])))
        blocks += [Notice(f"{name}: not fitted. {why}") for name, why in content.get("skipped", {}).items()]
    except (KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{page.files.folder / 'surrogates.json'} is not what the fit writes ({error!r}). Remove it and run "
            f"`{page.command('fit-surrogates')}` again."
        ) from error
    return Section("surrogates", title, [*blocks, Gallery(_plots(page))])


def _errors(surrogates: dict[str, Any]) -> Table:
    rows = []
    for name, path, what, suffix, unit in _QUANTITIES:
        if name not in surrogates:
            continue
        errors, baseline = surrogates[name]["errors"], surrogates[name]["errors"]["baseline"]
        points = errors["points"]
        for key in path:
            errors, baseline = errors[key], baseline[key]
        values = [errors[f"{kind}_{suffix}"] for kind in ("rms", "q99", "max")]
        beside = baseline[f"rms_{suffix}"]
        texts = [quantity(value, unit) if unit else _share(value) for value in (*values, beside)]
        rows.append((what, *texts, _times(beside, values[0]), f"{points:,}"))
    methods = {name: one["errors"].get("baseline_method", "") for name, one in surrogates.items()}
    text = "; ".join(f"{name.replace('_', ' ')}: {method}" for name, method in methods.items() if method)
    took = seconds(sum(float(one["seconds"]) for one in surrogates.values()))
    caption = (
        "Errors on points kept out of the fit. The baseline is the plain regression that must be beaten; "
        f"1 × means it was not worth a network. Baselines: {text}. Fitted in {took}."
    )
    head = ("quantity", "rms", "99 % below", "largest", "baseline rms", "better by", "held-out points")
    return Table(head, rows, caption)


def _share(value: float) -> str:
    return f"{quantity(100 * value, '%')}" if value >= 1e-2 else f"{float(f'{1e6 * value:.3g}'):,g} ppm"


def _times(larger: float, smaller: float) -> str:
    return f"{float(f'{larger / smaller:.3g}'):,g} ×" if smaller else ""


def _certificate(found: dict[str, Any]) -> str:
    grid = f"on a grid of {found['grid']} x {found['grid']} with a bound on what happens between its points"
    if found["certified"]:
        text = (
            f"Monotone, certified: {grid}, the fitted output current falls with the output voltage everywhere, by at "
            f"least {quantity(found['margin_S'], 'S')} a finger. So each node's equation has exactly one solution "
            "whatever the load, and the solver cannot settle on a wrong one."
        )
    else:
        text = (
            f"Not certified as monotone: {grid}, the fitted output current may rise with the output voltage, by up to "
            f"{quantity(found['bound_di_dv_out_S'], 'S')} a finger. A node's solution is single only for loads above "
            f"{quantity(found['least_unique_load_S'], 'S')} a finger: fit again with more points or iterations."
        )
    also = "It falls" if found["falls_with_v_in"] else "It is not certain to fall"
    return f"{text} {also} with the input voltage as well."


def _plots(page: Page) -> list[Drawing]:
    paths = {page.files.path(f"surrogates-{name}.svg"): caption for name, caption in _PLOTS.items()}
    return [fit_drawing(path, caption) for path, caption in paths.items() if path is not None]
