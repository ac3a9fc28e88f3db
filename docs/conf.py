"""The site: `scripts/docs` builds it, with what the extra [docs] of pyproject.toml installs, and asks no network."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS / "_ext"), str(DOCS.parent)]

from spicetrain.version import __version__  # noqa: E402

project, author, copyright = "spicetrain", "The spicetrain authors", "The spicetrain authors, GPL-3.0-or-later"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "plain_docstrings", "mathml", "repository_links"]
exclude_patterns = ["_build", "_ext", "_static", "conf.py", "devices.py", "synthetic_device.py"]
html_theme, html_title, html_math_renderer = "furo", f"spicetrain {__version__}", "mathml"
html_copy_source, html_static_path, html_css_files = False, ["_static"], ["site.css"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

# Tutorials are scripts, which are run where nothing of theirs stays; a cell that fails is a page that fails.
nb_custom_formats = {".py": ["tutorials.read", {}]}
nb_execution_mode, nb_execution_in_temp, nb_execution_raise_on_error = "force", True, True
nb_execution_timeout, nb_merge_streams = 300, True
logging.getLogger("traitlets").setLevel(logging.WARNING)  # not a line a notebook

autodoc_member_order, autodoc_typehints = "bysource", "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_preserve_defaults = True

# References are checked (-n): those of the text all, of annotations the ones that the page of the API has.
nitpick_ignore_regex = [("py:.*", r"(?!spicetrain\.(nn|errors|datasets|Run)\b(?!\._)).*")]
