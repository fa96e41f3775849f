// What stands in a text area: one text a line, or one row of numbers a line.

/**
 * Reads the lines that are not blank. They are vectors when every line is a row of numbers: two or more, or any number of
 * them in brackets (so that a line "2024" stays a text).
 * @returns {{kind: "texts"|"vectors", rows: Array, lines: number[]}} `lines` are the rows' line numbers, from 1.
 */
export function parseRows(source) {
  const filled = source
    .split("\n")
    .map((line, index) => ({ line: line.trim(), number: index + 1 }))
    .filter(({ line }) => line !== "");
  const lines = filled.map(({ number }) => number);
  const vectors = filled.map(({ line }) => numbersOf(line));
  if (filled.length > 0 && vectors.every((row) => row !== null)) return { kind: "vectors", rows: vectors, lines };
  return { kind: "texts", rows: filled.map(({ line }) => line), lines };
}

/** The numbers of a line, or null when it is a text. */
function numbersOf(line) {
  const bracketed = /^\[.*\]$/.test(line);
  const parts = (bracketed ? line.slice(1, -1) : line).split(/[\s,;]+/).filter((part) => part !== "");
  const numbers = parts.map(Number);
  const enough = bracketed ? numbers.length >= 1 : numbers.length >= 2;
  return enough && numbers.every(Number.isFinite) ? numbers : null;
}

/** "7 texts", "2 rows of 3 numbers". */
export function describeRows({ kind, rows }) {
  if (rows.length === 0) return "No line is filled in.";
  if (kind === "texts") return rows.length === 1 ? "1 text" : `${rows.length} texts`;
  const widths = new Set(rows.map((row) => row.length));
  const width = widths.size === 1 ? [...widths][0] : "different counts of";
  return `${rows.length === 1 ? "1 row" : `${rows.length} rows`} of ${width} ${width === 1 ? "number" : "numbers"}`;
}

/** A row as a heading: the text, or the beginning of the vector. */
export function rowLabel({ kind, rows }, index) {
  if (kind === "texts") return rows[index];
  const shown = rows[index].slice(0, 4).join(", ");
  return rows[index].length > 4 ? `[${shown}, …]` : `[${shown}]`;
}
