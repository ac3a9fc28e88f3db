"""What cites the software and what is to be cited: figures of the paper are measured ones, references are there."""

from __future__ import annotations

import re

from pages_of_docs import PAGES, ROOT

from spicetrain.version import __version__

PAPER = (ROOT / "paper.md").read_text(encoding="utf-8")
MEASURED = "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *PAGES])
FIGURE = re.compile(r"(\d[\d,.]*\d|\d)(?= (?:%|uV|mV|ohm)(?!\w))")


def unmeasured(text: str) -> list[str]:
    """Figures with a unit that neither the README nor a page has."""
    return [value for value in FIGURE.findall(text) if not re.search(rf"(?<![\d.,]){re.escape(value)}(?!\d)", MEASURED)]


def test_every_figure_of_the_paper_is_in_readme_or_docs() -> None:
    results = PAPER[PAPER.index("# Measured results") : PAPER.index("# Limits")]
    assert len(FIGURE.findall(results)) > 20
    assert not unmeasured(results)
    assert unmeasured("98.2 % and 97.123 %, 5 mV and 5.4321 uV") == ["97.123", "5.4321"]


def test_references_are_there_and_used() -> None:
    entries = re.findall(r"^@\w+\{(\w+),", (ROOT / "paper.bib").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(entries) == sorted(set(re.findall(r"\[@(\w+)\]", PAPER)))


def test_the_version_to_cite_is_this_one() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in citation
