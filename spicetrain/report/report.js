// Tables can be copied, as tab-separated values, and those with a head be sorted by any of its columns.
for (const table of document.querySelectorAll("table")) {
  const button = document.createElement("button");
  button.className = "copy";
  button.textContent = "copy";
  button.onclick = async () => {
    const lines = [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim()).join("\t"));
    await navigator.clipboard.writeText(lines.join("\n"));
    button.textContent = "copied";
  };
  table.closest(".table").prepend(button);
}
const PREFIXES = { f: 1e-15, p: 1e-12, n: 1e-9, "µ": 1e-6, m: 1e-3, k: 1e3, M: 1e6, G: 1e9 };
function value(text) {
  const found = /^([-+\d.,e]+)\s*([fpnµmkMG](?=[A-Za-zΩ]))?/.exec(text.trim());
  return found ? parseFloat(found[1].replace(/,/g, "")) * (PREFIXES[found[2]] ?? 1) : NaN;
}
function compare(a, b) {
  const [x, y] = [value(a), value(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
}
for (const head of document.querySelectorAll(".measures thead th")) {
  head.onclick = () => {
    const body = head.closest("table").tBodies[0];
    const falls = head.ariaSort === "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.ariaSort = falls ? "descending" : "ascending";
    const text = (row) => row.cells[head.cellIndex]?.textContent ?? "";
    const rows = [...body.rows].sort((a, b) => compare(text(a), text(b)) * (falls ? -1 : 1));
    body.append(...rows);
  };
}
