"""The images to look at: largest output errors, disagreements, wrong classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from spicetrain.drawing import thumbnail
from spicetrain.inverter.verification.outputs import Outputs
from spicetrain.report.blocks import Block, Card, Cards, Notice, Paragraph, Section
from spicetrain.report.page import Page
from spicetrain.report.units import count, quantity

if TYPE_CHECKING:
    import pandas as pd

_MOST_CARDS = 8

Inputs = NDArray[np.float32]


@dataclass(frozen=True)
class _Words:
    """What the bars and the ticks of a card are, and what lies between them."""

    bars: str = "SPICE"
    ticks: str = "model"
    between: str = "error"


_SPICE = _Words()
_CHIP = _Words("this chip", "nominal", "moved by")


def worst_section(
    page: Page, outputs: Outputs | None, inputs: Inputs | None, classes: tuple[str, ...], why_not: str
) -> Section:
    """`inputs` are the test images in 0..1, [images, rows, columns], or [images, features] when they are none; None
    with the reason in `why_not`."""
    title = "Images to look at"
    if outputs is None:
        missing = Notice("They are chosen from the verification.", page.command("verify"))
        return Section("worst", title, [missing])
    blocks: list[Block] = [Notice(f"Without pictures: {why_not}")] if inputs is None else []
    low, high = float(outputs.spice_V.min()), float(outputs.spice_V.max())
    legend = (
        "Bars are the outputs in SPICE, ticks the model's; the true class is dark, the one chosen wrongly amber. "
        f"All bars are drawn on one scale, {quantity(low, 'V')} to {quantity(high, 'V')}."
    )
    blocks.append(Paragraph(legend))
    largest = outputs.error.max(1)
    differ = np.flatnonzero(outputs.model_class != outputs.spice_class)
    wrong = np.flatnonzero(outputs.spice_class != outputs.label)
    for name, chosen, caption in (
        ("Largest output error", np.argsort(-largest), "Where the model errs most about a voltage; the class may "
         "still be right."),
        ("Model and SPICE disagree", differ[np.argsort(-largest[differ])], _of(differ, "image") + " in all. These "
         "decide the agreement: usually two outputs so close that a small error turns them round."),
        ("Wrong in SPICE", wrong[np.argsort(outputs.margin[wrong])], _of(wrong, "image") + " in all, surest mistakes "
         "first: the margin is the true class's output less the winner's."),
    ):  # fmt: skip
        if len(chosen):
            cards = [_card(outputs, i, inputs, classes) for i in chosen[:_MOST_CARDS]]
            blocks.append(Cards(name, cards, caption))
        else:
            blocks.append(Paragraph(f"{name}: none of {count(len(outputs.label), 'image')}."))
    return Section("worst", title, blocks)


def worst_chip_blocks(
    chip: pd.DataFrame | None, outputs: Outputs | None, inputs: Inputs | None, classes: tuple[str, ...]
) -> list[Block]:
    """The surest mistakes of the worst chip beside the nominal circuit in SPICE; `chip` is chips-worst.parquet."""
    if chip is None or outputs is None:
        return []
    both = chip[chip["image"].isin(outputs.image)]
    number = outputs.spice_V.shape[1]
    nominal = outputs.spice_V[np.searchsorted(outputs.image, both["image"])]
    its_own = both[[f"model_o_{j}_V" for j in range(number)]].to_numpy(np.float64)
    image, label = (both[name].to_numpy(np.int64) for name in ("image", "label"))
    found = Outputs(image, label, nominal, its_own)
    wrong = np.flatnonzero(found.spice_class != label)
    title = f"The worst chip, number {int(chip['chip'].iloc[0])}: wrong"
    if not len(wrong):
        return [Paragraph(f"{title} about none of {count(len(label), 'image')}.")]
    worst = wrong[np.argsort(found.margin[wrong])][:_MOST_CARDS]
    learnt = int((found.model_class[wrong] == label[wrong]).sum())
    caption = (
        f"{count(len(wrong), 'image')} of {len(label):,}, surest mistakes first; about {learnt:,} of them the nominal "
        "circuit is right. Bars are this chip's outputs in the model, ticks the nominal circuit's in SPICE."
    )
    return [Cards(title, [_card(found, int(i), inputs, classes, _CHIP) for i in worst], caption)]


def _card(outputs: Outputs, i: int, inputs: Inputs | None, classes: tuple[str, ...], words: _Words = _SPICE) -> Card:
    label, model, spice = (int(kind[i]) for kind in (outputs.label, outputs.model_class, outputs.spice_class))
    chosen = f"{words.bars} {classes[spice]}" + ("" if model == spice else f", {words.ticks} {classes[model]}")
    between = f"{words.between} {quantity(float(outputs.error[i].max()), 'V')}"
    lines = [chosen, f"{between}, margin {_signed(outputs.margin[i])}"]
    picture = Markup("")
    if inputs is not None:
        features = inputs[outputs.image[i]]
        if features.ndim == 2:
            picture = thumbnail(features, f"test image {outputs.image[i]}, a {classes[label]}")
        elif len(features) <= 16:
            lines.append("inputs " + " ".join(f"{value:.2f}" for value in features))
    return Card(f"{classes[label]} (image {outputs.image[i]})", lines, picture, _bars(outputs, i, classes, words))


def _bars(outputs: Outputs, i: int, classes: tuple[str, ...], words: _Words) -> Markup:
    """The outputs of image i as a small SVG: a bar a class, a tick where the model puts it."""
    low, high = float(outputs.spice_V.min()), float(outputs.spice_V.max())
    height, width = 46.0, 150.0
    step = width / len(classes)
    scale = height / ((high - low) or 1.0)
    parts = []
    for j in range(len(classes)):
        top = height - max(scale * (outputs.spice_V[i, j] - low), 1.0)
        tick = height - min(max(scale * (outputs.model_V[i, j] - low), 0.0), height)
        kind = "true" if j == outputs.label[i] else "chosen" if j == outputs.spice_class[i] else "other"
        x, wide = j * step + 0.12 * step, 0.76 * step
        parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{height - top:.1f}"/>')
        parts.append(f'<path class="tick" d="M{x - 1:.1f} {tick:.1f}h{wide + 2:.1f}"/>')
        if len(classes) <= 12 and max(map(len, classes)) <= 2:
            parts.append(Markup('<text x="{}" y="{}">{}</text>').format(f"{x + wide / 2:.1f}", 56, classes[j]))
    values = ", ".join(f"{name} {quantity(v, 'V')}" for name, v in zip(classes, outputs.spice_V[i], strict=True))
    opening = Markup('<svg class="bars" viewBox="0 -2 150 61" role="img" aria-label="Outputs, {}: {}">')
    return opening.format(words.bars, values) + Markup("".join(parts)) + Markup("</svg>")


def _signed(margin_V: float) -> str:
    return ("+" if margin_V > 0 else "") + quantity(float(margin_V), "V")


def _of(chosen: NDArray[np.intp], noun: str) -> str:
    return count(len(chosen), noun)
