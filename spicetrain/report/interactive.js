// Drawings that answer, of the page's data and uPlot. The picture beside one stays: for paper, and where no script runs.
const FONT = "12px system-ui, sans-serif";
const PANEL_HEIGHT = { one: 250, several: 150 };
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const element = (tag, properties, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

// The index of what is nearest to x among those of `xs` where `values` has one; -1: nowhere.
function nearest(xs, values, x) {
  let best = -1;
  for (let k = 0; k < xs.length; k++)
    if (values[k] != null && (best < 0 || Math.abs(xs[k] - x) < Math.abs(xs[best] - x))) best = k;
  return best;
}

const said = (column, k) =>
  column.drawn === "ticks" ? (column.values[k] ? "yes" : "no") : `${column.values[k]} ${column.unit}`.trim();

// What a panel says of x: the x of its first curves that is nearest, and every column there.
function say(readout, plot, panel, x) {
  const xs = panel.curves[0].x;
  const here = xs[nearest(xs, xs, x)];
  const short = Number(here.toPrecision(6));
  const parts = [element("span", {}, plot.x.name, " ", element("b", {}, `${short} ${plot.x.unit}`.trim()))];
  for (const { x: xs, columns } of panel.curves)
    for (const column of columns) {
      const k = nearest(xs, column.values, here);
      if (k < 0) continue;
      const part = element("span", {}, column.name, " ", element("b", {}, said(column, k)));
      if (column.drawn) part.prepend(element("i", { className: column.drawn, style: `color: var(--${column.colour})` }));
      parts.push(part);
    }
  readout.replaceChildren(...(panel.title ? [element("strong", {}, panel.title)] : []), ...parts);
}

function series(column, points) {
  const stroke = () => colour(column.colour);
  if (column.drawn === null) return { show: false, scale: "said" };
  if (column.drawn === "ticks") return { scale: "ticks", paths: () => null, points: { show: true, size: 5, fill: stroke, stroke } };
  if (column.drawn === "dots") return { paths: () => null, points: { show: true, size: 6, fill: stroke, stroke } };
  const few = points < 40;
  const dotted = column.drawn === "dotted";
  return { stroke, width: dotted ? 1 : 1.5, dash: dotted ? [2, 3] : undefined,
    points: { show: few && !dotted, size: 5, fill: stroke, stroke } };
}

// Ticks stand at the upper edge, those of one column below those of another.
function drawn(columns) {
  let row = 0;
  return columns.map((column) => {
    if (column.drawn !== "ticks") return column.values;
    const height = 0.97 - 0.06 * row++;
    return column.values.map((value) => (value ? height : null));
  });
}

// Grounds of some stretches of x, behind all that is drawn.
function shade(chart, stretches) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.globalAlpha = 0.35;
  ctx.fillStyle = colour("rule");
  for (const [from, to] of stretches) {
    const [left, right] = [from, to].map((x) => chart.valToPos(x, "x", true));
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
  }
  ctx.restore();
}

function chart(panel, plot, place, last, follow) {
  const axis = { stroke: () => colour("soft"), font: FONT, labelFont: FONT, labelSize: 20, labelGap: 2,
    grid: { stroke: () => colour("rule"), width: 1 }, ticks: { stroke: () => colour("rule"), width: 1, size: 4 } };
  const label = last ? `${plot.x.name}${plot.x.unit ? ` (${plot.x.unit})` : ""}` : undefined;
  const whole = panel.curves[0].x.every(Number.isInteger);
  const columns = panel.curves.flatMap((curves) => curves.columns);
  const shown = (k) => ["line", "dots", "ticks"].includes(columns[k - 1].drawn);
  const options = {
    width: place.clientWidth, height: plot.panels.length > 1 ? PANEL_HEIGHT.several : PANEL_HEIGHT.one,
    legend: { show: false },
    hooks: { setScale: [follow], drawClear: [(made) => shade(made, panel.shaded)] },
    cursor: { y: false, drag: { x: true, y: false, dist: 5 }, points: { size: 8 },
      dataIdx: (made, k, index, x) => (k === 0 ? index : shown(k) ? nearest(made.data[0], made.data[k], x) : null) },
    scales: { x: { time: false }, y: { distr: panel.logarithmic ? 3 : 1 }, ticks: { range: [0, 1] }, said: { range: [0, 1] } },
    axes: [{ ...axis, label, size: 28, incrs: whole ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] : undefined },
      { ...axis, label: panel.y, size: 46 }],
    series: [{}, ...panel.curves.flatMap(({ x, columns }) => columns.map((column) => series(column, x.length)))],
  };
  const tables = panel.curves.map(({ x, columns }) => [x, ...drawn(columns)]);
  return new uPlot(options, uPlot.join(tables), place);
}

function interactive(source) {
  const plot = JSON.parse(source.textContent);
  const figure = source.closest("figure");
  const box = element("div", { className: "interactive", tabIndex: 0, role: "group", ariaLabel: plot.about });
  source.before(box);
  figure.classList.add("answers");
  const xs = plot.panels[0].curves[0].x;
  const ends = [Math.min(...plot.panels.flatMap((panel) => panel.curves.map(({ x }) => x[0]))),
    Math.max(...plot.panels.flatMap((panel) => panel.curves.map(({ x }) => x.at(-1))))];
  const charts = [];
  let now = xs.at(-1);
  const pointed = () => charts.forEach(({ chart }) => chart.setCursor({ left: chart.valToPos(now, "x"), top: 0 }));
  const point = (x) => {
    now = x;
    for (const { panel, readout } of charts) say(readout, plot, panel, x);
    pointed();
  };
  const zoom = (min, max) => {
    for (const { chart } of charts)
      if (chart.scales.x.min !== min || chart.scales.x.max !== max) chart.setScale("x", { min, max });
  };
  const closer = (factor) => {
    const { min, max } = charts[0].chart.scales.x;
    const middle = now >= min && now <= max ? now : (min + max) / 2;
    const half = Math.min(((max - min) * factor) / 2, (ends[1] - ends[0]) / 2);
    const low = Math.min(Math.max(middle - half, ends[0]), ends[1] - 2 * half);
    zoom(low, low + 2 * half);
  };
  const back = () => zoom(...ends);
  const follow = (chart, key) => {  // one that was dragged or clicked twice is followed by all
    if (key !== "x" || charts.length < plot.panels.length) return;
    zoom(chart.scales.x.min, chart.scales.x.max);
    if (charts[0].chart.cursor.left >= 0) pointed();
  };
  for (const panel of plot.panels) {
    const readout = element("p", { className: "readout", ariaLive: "polite" });
    const place = element("div", {});
    box.append(readout, place);
    say(readout, plot, panel, now);
    charts.push({ panel, readout, chart: chart(panel, plot, place, panel === plot.panels.at(-1), follow) });
  }
  for (const { chart } of charts)
    chart.over.addEventListener("pointermove", ({ clientX }) =>
      point(chart.posToVal(clientX - chart.over.getBoundingClientRect().left, "x")));
  const button = (text, title, onclick) => element("button", { type: "button", title, onclick }, text);
  if (xs.length > 40)
    box.append(element("p", { className: "zoom" }, button("+", "closer (+)", () => closer(0.5)),
      button("−", "further (-)", () => closer(2)), button("all", "all of it (0)", back)));
  box.onkeydown = (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    const others = { "+": () => closer(0.5), "-": () => closer(2), 0: back, Home: () => point(xs[0]), End: () => point(xs.at(-1)) };
    if (steps === undefined && !others[event.key]) return;
    event.preventDefault();
    if (steps === undefined) others[event.key]();
    else point(xs[Math.min(Math.max(nearest(xs, xs, now) + steps, 0), xs.length - 1)]);
  };
  new ResizeObserver(() => {
    for (const { chart } of charts) chart.setSize({ width: box.clientWidth, height: chart.height });
  }).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach(({ chart }) => chart.redraw()));
}
document.querySelectorAll("script.plot").forEach(interactive);
