"""What cites the software and what is to be cited: figures of the paper are measured ones, references are there."""

from __future__ import annotations

import re

from pages_of_docs import PAGES, ROOT

from spicetrain.version import __version__

PAPER = (ROOT / "paper.md").read_text(encoding="utf-8")
FIGURE = re.compile(r"(\d[\d,.]*\d|\d)(?= (?:%|uV|mV|ohm)(?!\w))")
LINES = [line for path in [ROOT / "README.md", *PAGES] for line in path.read_text(encoding="utf-8").splitlines()]
PLACES = ["\n".join(LINES[k : k + 4]) for k in range(len(LINES))]  # a row of a table, or a sentence


def has(place: str, value: str) -> bool:
    return re.search(rf"(?<![\d.,]){re.escape(value)}(?!\d)", place) is not None


def unmeasured(text: str) -> list[str]:
    """Rows of tables, and figures in sentences, that neither the README nor a page has in one place."""
    lines = text.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    single = FIGURE.findall("\n".join(line for line in lines if not line.startswith("|")))
    wanted = {row: FIGURE.findall(row) for row in rows} | {value: [value] for value in single}
    return [key for key, values in wanted.items() if not any(all(has(at, v) for v in values) for at in PLACES)]


def test_every_figure_of_the_paper_is_in_readme_or_docs() -> None:
    results = PAPER[PAPER.index("# Measured results") : PAPER.index("# Limits")]
    assert len(FIGURE.findall(results)) > 20
    assert not unmeasured(results)
    made_up = "98.2 % and 97.123 %, 5 mV and 5.4321 uV\n| 98.2 % | 98.2 % | 1.4 uV |\n| 98.2 % | 98.4 % | 1.5 uV |"
    assert unmeasured(made_up) == ["| 98.2 % | 98.4 % | 1.5 uV |", "97.123", "5.4321"]


def test_references_are_there_and_used() -> None:
    entries = re.findall(r"^@\w+\{(\w+),", (ROOT / "paper.bib").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(entries) == sorted(set(re.findall(r"\[@(\w+)\]", PAPER)))


def test_the_version_to_cite_is_this_one() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in citation
