"""Scripts in jupytext's percent format as notebooks whose language is known also where no kernel runs."""

from __future__ import annotations

import jupytext
from nbformat import NotebookNode


def read(text: str) -> NotebookNode:
    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "python"}
    return notebook
