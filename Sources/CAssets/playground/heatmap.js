// A matrix as a grid of coloured cells: a table for screen readers, one stop of the Tab key, and arrow keys inside.

import { element, format, heard } from "./elements.js";

/** From this many columns on, a cell has no room to show its value; it still has one to be read and pointed at. */
const DENSE = 13;

export class HeatMap {
  /**
   * @param table where the grid goes
   * @param onPoint called with (row, column) when a cell gets the focus or the pointer
   */
  constructor(table, onPoint) {
    this.table = table;
    this.onPoint = onPoint;
    this.cells = [];
    table.addEventListener("keydown", (event) => this.#move(event));
    table.addEventListener("focusin", (event) => this.#point(event.target));
    table.addEventListener("pointerover", (event) => this.#point(event.target));
  }

  /** Lays out the grid. Labels are `{code, text}`; `note(row, column)` is what to say of a cell: null, "positive", "…". */
  build(rowLabels, columnLabels, note) {
    const head = element("tr", {}, element("td", { class: "corner" }));
    for (const label of columnLabels) head.append(header("col", label));
    this.cells = rowLabels.map((_, row) => columnLabels.map((_, column) => cell(row, column, note(row, column))));
    const rows = this.cells.map((cells, row) => element("tr", {}, header("row", rowLabels[row]), ...cells));
    this.table.replaceChildren(
      this.table.caption,
      element("thead", {}, head),
      element("tbody", {}, ...rows),
    );
    this.table.toggleAttribute("data-dense", columnLabels.length >= DENSE);
    this.table.style.setProperty("--columns", columnLabels.length);
    this.#setStop(this.cells[0][0]);
  }

  /** Gives every cell its value: −1 … 1. */
  paint(matrix) {
    this.cells.forEach((cells, row) => cells.forEach((cell, column) => paintCell(cell, matrix[row][column])));
  }

  /** Marks the cell that the other map points at. */
  mark(row, column) {
    for (const marked of this.table.querySelectorAll("[data-marked]")) marked.removeAttribute("data-marked");
    this.cells[row]?.[column]?.setAttribute("data-marked", "");
  }

  #point(target) {
    const cell = target.closest("td[data-row]");
    if (cell === null) return;
    this.#setStop(cell);
    this.onPoint(Number(cell.dataset.row), Number(cell.dataset.column));
  }

  #setStop(cell) {
    this.table.querySelector("td[tabindex='0']")?.setAttribute("tabindex", "-1");
    cell.setAttribute("tabindex", "0");
  }

  #move(event) {
    const cell = event.target.closest("td[data-row]");
    if (cell === null || event.altKey || event.metaKey) return;
    const to = destination(event, Number(cell.dataset.row), Number(cell.dataset.column), this.cells);
    if (to === null) return;
    event.preventDefault();
    this.cells[to.row][to.column].focus();
  }
}

/** Where a key leads: `{row, column}`, at the edges the cell itself; null for a key that is not the grid's. */
function destination(event, row, column, cells) {
  const lastRow = cells.length - 1;
  const lastColumn = cells[0].length - 1;
  const whole = event.ctrlKey;
  switch (event.key) {
    case "ArrowUp": return { row: Math.max(row - 1, 0), column };
    case "ArrowDown": return { row: Math.min(row + 1, lastRow), column };
    case "ArrowLeft": return { row, column: Math.max(column - 1, 0) };
    case "ArrowRight": return { row, column: Math.min(column + 1, lastColumn) };
    case "PageUp": return { row: 0, column };
    case "PageDown": return { row: lastRow, column };
    case "Home": return { row: whole ? 0 : row, column: 0 };
    case "End": return { row: whole ? lastRow : row, column: lastColumn };
    default: return null;
  }
}

function header(scope, { code, text }) {
  const label = scope === "row" ? element("span", { class: "text" }, text) : heard(text);
  return element("th", { scope, title: text }, element("span", { class: "code" }, code), " ", label);
}

function cell(row, column, note) {
  const made = element("td", { tabindex: "-1", "data-row": row, "data-column": column }, element("data"));
  if (note !== null) {
    made.dataset.note = note;
    made.append(heard(`, ${note}`));
  }
  return made;
}

function paintCell(cell, value) {
  const shown = cell.firstChild;
  shown.value = String(value);
  shown.textContent = format(value, 2).replace(/^(−?)[0-9.]+e.*$/, "0.00");
  cell.style.setProperty("--amount", `${(Math.min(Math.abs(value), 1) * 100).toFixed(2)}%`);
  cell.toggleAttribute("data-below-zero", value < 0);
}
