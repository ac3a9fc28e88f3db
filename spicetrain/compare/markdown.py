"""The tables as Markdown, and in the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as RichTable

from spicetrain.report.blocks import Table


def markdown(table: Table) -> str:
    """A table in Markdown, its caption above."""
    lines = [table.head, ["---"] + ["---:"] * (len(table.head) - 1), *table.rows]
    body = "\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines)
    return f"{table.caption}\n\n{body}\n" if table.caption else body + "\n"


def print_tables(tables: Iterable[Table]) -> None:
    """To standard output: as wide as a terminal is, as wide as needed where it is none."""
    console = Console()
    if not console.is_terminal:
        console.width = 300
    for table in tables:
        shown = RichTable(title=table.caption, title_justify="left", box=SIMPLE)
        for index, name in enumerate(table.head):
            shown.add_column(name, justify="right" if index else "left")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
