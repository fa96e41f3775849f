// Reads a text area: one text per line, or one row of numbers per line.

/**
 * Reads the lines that are not blank. They are vectors when they are rows of numbers: two or more, or any number of them in
 * brackets (so that a line "2024" stays a text).
 *
 * If there are lines of both kinds, or rows of different lengths, one of the lines is wrong: `fault` says which, and why.
 * A line of numbers in quotation marks is a text.
 * @returns {{kind: "texts"|"vectors", rows: Array, lines: number[], fault: ?{row: number, line: number, message: string}}}
 *   `lines` are the rows' line numbers, from 1.
 */
export function parseRows(source) {
  const filled = source
    .split("\n")
    .map((line, index) => ({ text: line.trim(), line: index + 1, ...numbersOf(line.trim()) }))
    .filter(({ text }) => text !== "");
  const lines = filled.map(({ line }) => line);
  const texts = filled.map(({ text }) => text);
  if (!filled.some((one) => isRow(one) || isBrokenRow(one))) return { kind: "texts", rows: texts, lines, fault: null };
  const fault = faultOf(filled);
  const rows = fault === null ? filled.map(({ numbers }) => numbers) : texts;
  return { kind: "vectors", rows, lines, fault };
}

/**
 * The parts of a line as numbers.
 * @returns {{numbers: number[], wrong: ?string, bracketed: boolean}} `wrong` is the first part that is not a number
 */
function numbersOf(line) {
  // Full-width digits, signs and commas, which an input method for Japanese writes, are read as their ASCII forms.
  const plain = line.normalize("NFKC").replaceAll("−", "-").replace(/[,;、]$/, "");
  const parts = plain.replace(/^\[+|\]+$/g, "").split(/[\s,;、]+/).filter((part) => part !== "");
  const numbers = parts.map(Number);
  const wrong = parts.find((_, index) => !Number.isFinite(numbers[index])) ?? null;
  return { numbers, wrong, bracketed: /^\[.*\]$/.test(plain) };
}

/** A line that is a vector. A single number without brackets is not: it is a text among texts. */
function isRow({ numbers, wrong, bracketed }) {
  return wrong === null && numbers.length >= (bracketed ? 1 : 2);
}

/** A bracketed line that would be a vector but for one of its parts. */
function isBrokenRow(one) {
  return one.bracketed && one.wrong !== null && isMostlyNumbers(one);
}

function isMostlyNumbers({ numbers }) {
  return numbers.filter(Number.isFinite).length * 2 > numbers.length;
}

/** The first line that does not fit the others, which are rows of numbers or, where these are the fewer, texts. */
function faultOf(filled) {
  const areTexts = filled.filter(isMostlyNumbers).length * 2 < filled.length;
  const width = usualWidth(filled.filter(isRow));
  for (const [row, one] of filled.entries()) {
    const message = areTexts ? faultAmongTexts(one) : faultAmongRows(one, width);
    if (message !== null) return { row, line: one.line, message };
  }
  return null;
}

function faultAmongTexts(one) {
  if (isRow(one)) return "This line is a row of numbers among texts. Put it in quotation marks if it is meant as a text.";
  return isBrokenRow(one) ? notANumber(one.wrong) : null;
}

function faultAmongRows({ text, numbers, wrong }, width) {
  if (wrong !== null) return numbers.some(Number.isFinite) ? notANumber(wrong) : `“${shorten(text)}” is a text among rows of numbers.`;
  if (width === null || numbers.length === width.count) return null;
  return `It has ${counted(numbers.length)}, but line ${width.line} has ${width.count}.`;
}

function notANumber(part) {
  const isLarge = Math.abs(Number(part)) === Infinity;
  return `“${shorten(part)}” is not a ${isLarge ? "finite number" : "number"}.`;
}

/** How many values most rows have (of equally common counts the first), and the first line that has as many; null without rows. */
function usualWidth(rows) {
  const tally = new Map();
  for (const { numbers, line } of rows) {
    const entry = tally.get(numbers.length) ?? { count: numbers.length, line, rows: 0 };
    entry.rows += 1;
    tally.set(numbers.length, entry);
  }
  return [...tally.values()].reduce((best, entry) => (best === null || entry.rows > best.rows ? entry : best), null);
}

function shorten(text) {
  const characters = [...text];
  return characters.length > 30 ? `${characters.slice(0, 29).join("")}…` : text;
}

function counted(count) {
  return `${count} ${count === 1 ? "number" : "numbers"}`;
}

/** "7 texts", "2 rows of 3 numbers", or what is wrong. */
export function describeRows({ kind, rows, fault }) {
  if (rows.length === 0) return "All lines are empty.";
  if (fault !== null) return `Line ${fault.line}: ${fault.message}`;
  if (kind === "texts") return rows.length === 1 ? "1 text" : `${rows.length} texts`;
  return `${rows.length === 1 ? "1 row" : `${rows.length} rows`} of ${counted(rows[0].length)}`;
}

/** A row as a heading: the text, or the beginning of the vector. */
export function rowLabel({ kind, rows }, index) {
  if (kind === "texts") return rows[index];
  const shown = rows[index].slice(0, 4).join(", ");
  return rows[index].length > 4 ? `[${shown}, …]` : `[${shown}]`;
}
