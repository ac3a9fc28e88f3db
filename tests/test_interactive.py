"""Drawings that answer: what is embedded in a page, and what a browser without a network makes of it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markupsafe import Markup
from pages import Page, plots
from PIL import Image

from spicetrain.report.blocks import Drawing, Gallery, Paragraph, Section
from spicetrain.report.interactive import MOST_POINTS, Column, Curves, Panel, Plot, embedded, extremes
from spicetrain.report.page import render

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")
PICTURE = Markup('<svg viewBox="0 0 4 3" role="img" aria-label="still"><rect width="4" height="3" fill="#f00"/></svg>')
HOSTILE = "</script><script>document.title = 'broken out'</script>"


def content(plot: Plot) -> Any:
    (found,) = plots(str(embedded(plot)))
    return found


def two_panels() -> Plot:
    """x of 0 .. 100: a line that is x / 2, every tenth a dot and some ticks; below it a line on other points."""
    x, latched = np.arange(101.0), np.arange(5.0, 100, 10)
    upper = [
        Curves(x, [Column("half", x / 2, "mV"), Column("number", 1000 + x, drawn=None)]),
        Curves(
            latched, [Column("dot", latched / 2, "mV", "dots", "second"), Column("fired", latched > 50, "", "ticks")]
        ),
        Curves([0, 100], [Column("limit", [40, 40], "mV", "dotted", "ink")]),
    ]
    lower = [Curves(x[::4], [Column("other", np.where(x[::4] == 48, np.nan, 7.0), "mV")])]
    return Plot("about it", "time", [Panel(upper, "mV", "upper", shaded=[(0, 50)]), Panel(lower, "mV", "lower")], "ns")


def page_of(*drawings: Drawing) -> str:
    return render("t", "ptm90", [Section("s", "S", [Paragraph("p"), Gallery(drawings)])])


# What is embedded


def test_columns_are_data_of_the_page() -> None:
    found = content(two_panels())
    assert found["x"] == {"name": "time", "unit": "ns"} and found["about"] == "about it"
    upper, lower = found["panels"]
    assert upper["curves"][0]["x"] == list(range(101)) and upper["shaded"] == [[0, 50]]
    assert upper["curves"][0]["columns"][0]["values"][:3] == [0, 0.5, 1]
    assert [one["drawn"] for one in upper["curves"][0]["columns"]] == ["line", None]
    assert upper["curves"][1]["columns"][1]["values"] == 5 * [0] + 5 * [1]
    assert lower["curves"][0]["columns"][0]["values"][12] is None


def test_no_number_is_a_gap_and_no_text_breaks_out() -> None:
    values = [np.nan, np.inf, -1.23456789e-9, 1e300]
    plot = Plot(HOSTILE, HOSTILE, [Panel([Curves(range(4), [Column(HOSTILE, values, HOSTILE)])], HOSTILE, HOSTILE)])
    assert content(plot)["panels"][0]["curves"][0]["columns"][0]["values"] == [None, None, -1.23457e-09, 1e300]
    assert content(plot)["about"] == HOSTILE
    assert str(embedded(plot)).count("</script") == 1 and "<script>" not in str(embedded(plot))
    Page(page_of(Drawing(PICTURE, HOSTILE, plot=plot)))


def test_points_that_lie_close_stay_apart() -> None:
    x = 1 + 1e-8 * np.arange(5)
    assert (
        len(set(content(Plot("", "x", [Panel([Curves(x, [Column("y", x)])], "y")]))["panels"][0]["curves"][0]["x"]))
        == 5
    )


@pytest.mark.parametrize("number", [MOST_POINTS, MOST_POINTS + 1, 98_765])
def test_a_long_curve_keeps_its_extremes(number: int) -> None:
    x = np.linspace(0, 1, number)
    noise = np.random.default_rng(0).normal(0, 0.1, number)
    y = np.sin(9 * x) + noise
    y[number // 3], y[number // 2], y[5] = 50.0, -60.0, np.nan
    kept = extremes([y], MOST_POINTS)
    assert len(kept) <= MOST_POINTS and (np.diff(kept) > 0).all() and kept[0] == 0 and kept[-1] == number - 1
    assert {number // 3, number // 2} <= set(kept)
    # no stretch between two points that are kept goes beyond what is kept around it
    stretch = -(-number // (MOST_POINTS // 2 - 1)) if number > MOST_POINTS else 1
    for start in range(0, number - 2 * stretch, max(number // 50, 1)):
        part = y[start : start + stretch]
        around = y[kept[(kept >= start - stretch) & (kept < start + 2 * stretch)]]
        assert np.nanmin(around) <= np.nanmin(part) and np.nanmax(around) >= np.nanmax(part)


def test_many_long_curves_do_not_make_a_page_large() -> None:
    x = np.linspace(0, 1e3, 50_000)
    curves = [Curves(x, [Column("v", np.random.default_rng(k).normal(0, 30, len(x)), "mV")]) for k in range(40)]
    plot = Plot("", "time", [Panel([one], "mV") for one in curves], "ns")
    grown = len(page_of(Drawing(PICTURE, "", plot=plot))) - len(page_of(Drawing(PICTURE, "")))
    assert 100_000 < grown < 300_000


def test_the_library_comes_only_with_what_it_draws() -> None:
    without, with_it = page_of(Drawing(PICTURE, "")), page_of(Drawing(PICTURE, "", plot=two_panels()))
    assert "uPlot" not in without and 'class="picture"' not in without
    for said in ("uPlot 1.6.32", "MIT License", "Leon Sorokin", "The above copyright notice"):
        assert said in with_it
    assert "://" not in with_it and not re.findall(r"url\((?!#)", with_it)
    assert Page(with_it).svgs["s"] == 1


# In a browser

PROBE = """<script>
{
const wait = () => new Promise((done) => setTimeout(done, 60));
const said = (k) => [...document.querySelectorAll(".readout")[k].children].map((one) => one.textContent.trim());
const over = (k) => document.querySelectorAll(".u-over")[k];
function mouse(type, k, share) {
  const box = over(k).getBoundingClientRect();
  const made = { clientX: box.left + share * box.width, clientY: box.top + 9, bubbles: true, movementX: 30 };
  over(k).dispatchEvent(type.startsWith("pointer") ? new PointerEvent(type, made) : new MouseEvent(type, made));
}
function key(name) {
  document.querySelector(".interactive").dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
}
const hex = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
function pixels(canvas, colour) {  // how many have it
  const wanted = [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let k = 0; k < data.length; k += 4)
    found += wanted.every((value, c) => value === data[k + c]) && data[k + 3] === 255;
  return found;
}
(async () => {
  const found = { width: innerWidth };
  await wait();
  const canvases = [...document.querySelectorAll("canvas")];
  found.sizes = canvases.map((one) => [one.width, one.height]);
  found.accent = canvases.map((one) => pixels(one, hex("--accent")));
  found.second = pixels(canvases[0], hex("--second"));
  found.scroll = document.documentElement.scrollWidth;
  found.out = [...document.querySelectorAll("main *")].filter((one) =>
    one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 80));
  found.picture = document.querySelector(".picture").getBoundingClientRect().height;
  mouse("pointermove", 0, 0.37);
  found.hover = [said(0), said(1)];
  mouse("pointermove", 1, 0.62);
  found.below = [said(0), said(1)];
  key("ArrowRight");
  found.right = said(0);
  key("End");
  found.end = said(0);
  for (const [type, share] of [["move", 0.2], ["down", 0.2], ["move", 0.3], ["move", 0.6], ["up", 0.6]])
    mouse(`mouse${type}`, 0, share);
  await wait();
  mouse("pointermove", 1, 0);  // the other panel has zoomed as well
  found.zoomed = said(0)[1];
  mouse("pointermove", 1, 1);
  found.zoomedTo = said(0)[1];
  mouse("pointermove", 0, 0.5);
  key("+");
  await wait();
  mouse("pointermove", 1, 0);
  found.closer = said(0)[1];
  [...document.querySelectorAll(".zoom button")].at(-1).click();
  await wait();
  mouse("pointermove", 1, 1);
  found.all = said(0)[1];
  found.loaded = performance.getEntriesByType("resource").length;
  found.title = document.title;
  parent.postMessage(found, "*");
})().catch((error) => parent.postMessage({ width: innerWidth, error: String(error.stack) }, "*"));
}
</script></body>"""


def chromium(page: Path, *flags: str) -> str:
    """Without a network."""
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000", *flags]
    command = [str(CHROMIUM), *options, "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=8000"]
    return subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout


def probed(folder: Path, scheme: int) -> list[Any]:
    """What the probe finds in frames of three widths: the narrowest first."""
    widths, text = (390, 500, 1280), page_of(Drawing(PICTURE, HOSTILE, wide=True, plot=two_panels()))
    framed = html.escape(text.replace("</body>", PROBE))
    frames = "".join(f'<iframe width="{w}" height="900" style="border:0" srcdoc="{framed}"></iframe>' for w in widths)
    listen = "const all = []; onmessage = (event) => { all.push(event.data); "
    listen += "if (all.length === 3) found.textContent = JSON.stringify(all); };"
    wrapper = folder / "frames.html"
    wrapper.write_text(
        f'<!doctype html><meta charset="utf-8"><pre id="found"></pre><script>{listen}</script>{frames}',
        encoding="utf-8",
    )
    dom = chromium(wrapper, "--dump-dom", f"--blink-settings=preferredColorScheme={scheme}")
    match = re.search(r'<pre id="found">(.+?)</pre>', dom, re.S)
    assert match is not None, dom[:2000]
    return sorted(json.loads(html.unescape(match[1])), key=lambda one: one["width"])


@browser
@pytest.mark.parametrize("scheme", [0, 1], ids=["dark", "light"])
def test_a_browser_draws_and_answers(scheme: int, tmp_path: Path) -> None:
    found = probed(tmp_path, scheme)
    assert [one["width"] for one in found] == [390, 500, 1280]
    for one in found:
        assert "error" not in one, one["error"]
        assert one["title"] == "t - spicetrain" and one["loaded"] == 0
        assert all(width > 300 and height > 100 for width, height in one["sizes"]) and len(one["sizes"]) == 2
        assert min(one["accent"]) > 100 and one["second"] > 50  # lines and dots, in the colours of the scheme
        assert one["scroll"] <= one["width"] and one["out"] == [] and one["picture"] == 0
        assert one["hover"][0] == [
            "upper", "time 37 ns", "half 18.5 mV", "number 1037", "dot 17.5 mV", "fired no", "limit 40 mV",
        ]  # fmt: skip
        assert one["hover"][1] == ["lower", "time 36 ns", "other 7 mV"]
        assert one["below"][0][1:6] == ["time 62 ns", "half 31 mV", "number 1062", "dot 32.5 mV", "fired yes"]
        assert one["right"][1] == "time 63 ns" and one["end"][1] == "time 100 ns"
        assert one["zoomed"] == "time 20 ns" and one["zoomedTo"] == "time 60 ns" and one["closer"] == "time 30 ns"
        assert one["all"] == "time 100 ns"


@browser
def test_without_scripts_the_picture_stays(tmp_path: Path) -> None:
    framed = html.escape(page_of(Drawing(PICTURE, "caption", plot=two_panels())))
    wrapper, shot = tmp_path / "frame.html", tmp_path / "shot.png"

    def red(sandbox: str) -> int:
        wrapper.write_text(f'<iframe {sandbox} width="900" height="900" srcdoc="{framed}"></iframe>', encoding="utf-8")
        chromium(wrapper, f"--screenshot={shot}")
        return int((np.asarray(Image.open(shot).convert("RGB")) == [255, 0, 0]).all(-1).sum())

    assert red("") == 0  # the drawing that answers stands in its place
    assert red("sandbox") > 10_000


@browser
def test_on_paper_the_picture_stays(tmp_path: Path) -> None:
    page, paper = tmp_path / "page.html", tmp_path / "paper.pdf"
    page.write_text(page_of(Drawing(PICTURE, "caption", plot=two_panels())), encoding="utf-8")
    chromium(page, f"--print-to-pdf={paper}")
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", paper.read_bytes(), re.S)
    drawn = [zlib.decompressobj().decompress(one) for one in streams if one[:1] == b"x"]
    assert any(b"1 0 0 rg" in one for one in drawn)  # its red
    assert b"/Subtype /Image" not in paper.read_bytes()  # and no canvas
