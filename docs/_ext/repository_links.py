"""Links of the pages to what lies beside docs/, which work in the repository as they stand. On the site a file comes
along as a download; a folder is named by its path. Sections of README.md and ARCHITECTURE.md that a page includes link
from the root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = ("", ".md", ".py")  # MyST takes them off what it believes to be pages


class LinksOut(SphinxTransform):
    default_priority = 400

    def apply(self, **kwargs: object) -> None:
        page = Path(self.env.doc2path(self.env.docname)).parent
        for link in list(self.document.findall(addnodes.pending_xref)):
            if link.get("reftype") == "myst" and link["reftarget"] not in self.env.found_docs:
                path = _found(link["reftarget"], page)
                if path is not None:
                    link.replace_self(self._instead(link, path, page))

    def _instead(self, link: nodes.Element, path: Path, page: Path) -> nodes.Element:
        if path.is_dir():
            return nodes.literal("", f"{path.relative_to(ROOT)}/")
        facts = {name: link[name] for name in ("refdoc", "reftype", "refexplicit")}
        docname = self.env.path2doc(path)
        if docname in self.env.found_docs:
            node = addnodes.pending_xref("", refdomain="doc", reftarget=docname, reftargetid=None, **facts)
        else:
            node = addnodes.download_reference("", refdomain=None, reftarget=os.path.relpath(path, page), **facts)
        node += link.children
        return node


def _found(target: str, page: Path) -> Path | None:
    """What a link means, seen from its page or from the root; only what is in the repository."""
    paths = [(base / f"{target}{suffix}").resolve() for base in (page, ROOT) for suffix in SUFFIXES]
    return next((path for path in paths if path.exists() and path.is_relative_to(ROOT)), None)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(LinksOut)
    return {"parallel_read_safe": True}
