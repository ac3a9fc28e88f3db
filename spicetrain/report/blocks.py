"""What a page is made of. The template knows how each kind looks; text is plain and escaped there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from markupsafe import Markup

from spicetrain.report.interactive import Plot


@dataclass(frozen=True)
class Drawing:
    """A figure and the caption that says what one sees. `wide` ones get the whole width of the page; on a screen a
    `plot` stands in place of the picture."""

    picture: Markup
    caption: str
    wide: bool = False
    plot: Plot | None = None


@dataclass(frozen=True)
class Gallery:
    """Drawings side by side where there is room."""

    drawings: Sequence[Drawing]
    kind: ClassVar[str] = "gallery"


@dataclass(frozen=True)
class Paragraph:
    text: str
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Notice:
    """Something is missing or deserves attention; `command` is what to type."""

    text: str
    command: str = ""
    kind: ClassVar[str] = "notice"


Level = Literal["good", "open", "bad"]


@dataclass(frozen=True)
class Verdict:
    """One line; `command` is what to type to know more."""

    level: Level
    text: str
    command: str = ""
    kind: ClassVar[str] = "verdict"


@dataclass(frozen=True)
class Figures:
    """The numbers one looks for first: (value, label, remark)."""

    tiles: Sequence[tuple[str, str, str]]
    kind: ClassVar[str] = "figures"


@dataclass(frozen=True)
class Table:
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Card:
    """One image: its picture (empty when there is none), text lines, and its outputs drawn."""

    title: str
    lines: Sequence[str]
    picture: Markup
    outputs: Markup


@dataclass(frozen=True)
class Cards:
    title: str
    cards: Sequence[Card]
    caption: str
    kind: ClassVar[str] = "cards"


@dataclass(frozen=True)
class Listing:
    """A file, verbatim, folded up."""

    title: str
    text: str
    kind: ClassVar[str] = "listing"


Block = Gallery | Paragraph | Notice | Verdict | Figures | Table | Cards | Listing


@dataclass(frozen=True)
class Section:
    """`key` is the anchor."""

    key: str
    title: str
    blocks: Sequence[Block]
