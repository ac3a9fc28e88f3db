"""The report in a browser: nothing overflows, no section is empty, tables sort. Without a chromium: skipped."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from test_report import fill, report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PROBE = """
<script>
const over = [...document.querySelectorAll("main *, header *")].filter((one) =>
  !one.closest(".scroll, pre, svg, .cards") && one.getBoundingClientRect().right > innerWidth + 1);
const column = (head) => [...head.closest("table").tBodies[0].rows].map((row) => row.cells[head.cellIndex].textContent);
const rises = (head) => column(head).every((text, k, all) => k == 0 || compare(all[k - 1], text) <= 0);
const head = [...document.querySelectorAll(".measures thead th")].find((one) => !rises(one));
head.click();
const found = {
  width: innerWidth, page: document.documentElement.scrollWidth,
  over: over.map((one) => one.tagName + " " + one.textContent.slice(0, 40)),
  empty: [...document.querySelectorAll("section")].filter((one) => one.children.length < 2).map((one) => one.id),
  copies: document.querySelectorAll(".copy").length, tables: document.querySelectorAll("table").length,
  sorted: rises(head), ink: getComputedStyle(document.body).color,
};
document.body.innerHTML = "<pre id=found></pre>";
document.getElementById("found").textContent = JSON.stringify(found);
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")
@pytest.mark.parametrize(("width", "scheme"), [(1280, 1), (500, 0)])
def test_layout(tmp_path: Path, width: int, scheme: int) -> None:
    """Scheme: 0 dark, 1 light. Chromium's window is never narrower than 500."""
    fill(tmp_path)
    report(tmp_path)
    page = tmp_path / "probed.html"
    page.write_text((tmp_path / "report.html").read_text("utf-8").replace("</body>", PROBE), "utf-8")
    options = (
        f"--headless=new --no-sandbox --disable-gpu --window-size={width},2000 --blink-settings=preferredColorScheme"
    )
    command = [str(CHROMIUM), *f"{options}={scheme} --dump-dom".split(), page.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    match = re.search(r'<pre id="found">(.*?)</pre>', dom, re.S)
    assert match is not None, dom[-2000:]
    found = json.loads(match[1].replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))
    assert found["page"] <= found["width"] and found["over"] == [] and found["empty"] == []
    assert found["copies"] == found["tables"] > 5
    assert found["ink"] == ("rgb(28, 35, 38)" if scheme else "rgb(227, 232, 233)")
    assert found["sorted"]
