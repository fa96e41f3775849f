// What a scored batch looks like: totals, two heat maps that point at the same pair, the rows, the diagnostics.

import { contrastiveLoss, diagnostics, likelyFalseNegatives, ranks, softmax } from "./contrastive.js";
import { byId, element, format, heard, number, percent } from "./elements.js";
import { HeatMap } from "./heatmap.js";
import { rowLabel } from "./rows.js";

/** A larger matrix is shown by its first rows and columns; losses and diagnostics are those of the whole. */
const SHOWN = 40;

const FACTS = [
  ["accuracy_top1", "Accuracy, top 1", "rows whose positive ranks first", percent],
  ["mean_reciprocal_rank", "Mean reciprocal rank", "of the positives; a tie counts against"],
  ["mutual_information_bound", "Mutual information bound", "log candidates − loss, in nats"],
  ["softmax_entropy", "Softmax entropy", "mean over rows, in nats"],
  ["perplexity", "Perplexity", "exp of the entropy: keys in play"],
  ["alignment", "Alignment", "mean squared distance of the pairs"],
  ["positive_similarity", "Positive similarity", "mean, before τ"],
  ["negative_similarity", "Negative similarity", "mean, before τ"],
  ["hardest_negative_similarity", "Hardest negative", "mean over rows of the most similar negative"],
];

let batch = null;
const maps = {
  similarities: new HeatMap(byId("similarities"), pointAt),
  softmax: new HeatMap(byId("softmax"), pointAt),
};

/** Lays out a new batch: `{queries, keys, matrix}`, the first two as `parseRows` gives them. */
export function layOut(next) {
  batch = { ...next, pointed: null };
  const rows = Math.min(batch.matrix.length, SHOWN);
  const columns = Math.min(batch.matrix[0].length, SHOWN);
  const rowLabels = labels("q", batch.queries, rows);
  const columnLabels = labels("k", batch.keys, columns);
  for (const map of Object.values(maps)) map.build(rowLabels, columnLabels, noteOf);
  maps.similarities.paint(batch.matrix);
  const cut = rows < batch.matrix.length || columns < batch.matrix[0].length;
  byId("map-notice").hidden = !cut;
  byId("map-notice").textContent = cut
    ? `The maps show the first ${rows} × ${columns} of ${batch.matrix.length} × ${batch.matrix[0].length}; the numbers are those of all.`
    : "";
  byId("score-results").hidden = false;
}

/** Computes everything that depends on the temperature and shows it. Returns `{loss, perRow}`, or null. */
export function show(objective, temperature) {
  const { matrix } = batch;
  const own = contrastiveLoss(objective, matrix, temperature);
  batch.softmax = matrix.map((row) => softmax(row, temperature));
  byId("softmax-tau").textContent = `τ = ${temperature}`;
  maps.softmax.paint(batch.softmax);
  byId("loss-browser").replaceChildren(own === null ? "not defined" : number(own.loss));
  showService("…");
  showRows(own);
  showFacts(own === null ? {} : diagnostics(matrix, temperature, own.loss));
  if (batch.pointed !== null) pointAt(...batch.pointed);
  return own;
}

/** The service's own values beside the browser's; a text while there are none. */
export function showService(answer, own = null) {
  const isText = typeof answer === "string";
  byId("loss-service").replaceChildren(isText ? answer : number(answer.loss));
  const differences = isText || own === null ? [] : answer.per_row.map((value, row) => Math.abs(value - own.perRow[row]));
  byId("loss-difference").replaceChildren(differences.length === 0 ? "…" : number(Math.max(...differences)));
}

export function hide() {
  batch = null;
  byId("score-results").hidden = true;
}

/** One sentence for the live region. */
export function summary(own, temperature) {
  const first = ranks(batch.matrix).filter((place) => place === 1).length;
  const suspects = likelyFalseNegatives(batch.matrix).length;
  return (
    `At τ = ${temperature} the loss is ${format(own.loss)}; ${first} of ${batch.matrix.length} rows rank their positive first; ` +
    `${suspects} likely false negative${suspects === 1 ? "" : "s"}.`
  );
}

function labels(letter, parsed, count) {
  return Array.from({ length: count }, (_, index) => ({ code: `${letter}${index + 1}`, text: rowLabel(parsed, index) }));
}

function noteOf(row, column) {
  if (row === column) return "positive";
  const positive = batch.matrix[row][row];
  return positive !== undefined && batch.matrix[row][column] > positive ? "likely false negative" : null;
}

/** Says what is known of a pair, and marks it in both maps. */
function pointAt(row, column) {
  batch.pointed = [row, column];
  for (const map of Object.values(maps)) map.mark(row, column);
  const note = noteOf(row, column);
  byId("readout").replaceChildren(
    element("p", {}, element("strong", {}, `q${row + 1} `), rowLabel(batch.queries, row)),
    element("p", {}, element("strong", {}, `k${column + 1} `), rowLabel(batch.keys, column)),
    element(
      "p", {}, "similarity ", number(batch.matrix[row][column]), ", softmax ", number(batch.softmax[row][column]),
      note === null ? "" : ` (${note})`,
    ),
  );
}

function showRows(own) {
  if (own === null) return byId("rows").replaceChildren();
  const places = ranks(batch.matrix);
  const largest = Math.max(...own.perRow, Number.MIN_VALUE);
  const rows = batch.matrix.slice(0, SHOWN).map((similarities, row) =>
    element(
      "tr", {},
      element("th", { scope: "row" }, `q${row + 1}`, heard(` ${rowLabel(batch.queries, row)}`)),
      element("td", {}, number(own.perRow[row]), bar(own.perRow[row] / largest)),
      element("td", {}, number(batch.softmax[row][row])),
      element("td", {}, String(places[row])),
      element("td", {}, hardestNegative(similarities, row)),
    ),
  );
  byId("rows").replaceChildren(...rows);
}

function hardestNegative(similarities, positive) {
  const column = similarities.reduce(
    (best, value, index) => (index !== positive && (best < 0 || value > similarities[best]) ? index : best), -1);
  return column < 0 ? "none" : `k${column + 1} (${format(similarities[column], 2)})`;
}

export function bar(share) {
  const made = element("span", { class: "bar", "aria-hidden": "true" });
  made.style.setProperty("--share", `${(Math.min(Math.max(share, 0), 1) * 100).toFixed(2)}%`);
  return made;
}

function showFacts(values) {
  const facts = FACTS.filter(([name]) => name in values).map(([name, title, meaning, write = format]) =>
    element(
      "div", { "data-name": name },
      element("dt", {}, element("strong", {}, title), meaning),
      element("dd", {}, number(values[name], write(values[name]))),
    ),
  );
  const suspects = likelyFalseNegatives(batch.matrix);
  if (suspects.length > 0) facts.push(suspectsFact(suspects));
  byId("diagnostics").replaceChildren(...facts);
}

function suspectsFact(suspects) {
  const named = suspects.slice(0, 6).map(([row, column]) => `q${row + 1} × k${column + 1}`).join(", ");
  const rest = suspects.length > 6 ? `, and ${suspects.length - 6} more` : "";
  return element(
    "div", { "data-name": "likely_false_negatives" },
    element("dt", {}, element("strong", {}, "Likely false negatives"), named + rest),
    element("dd", {}, number(suspects.length, String(suspects.length))),
  );
}
