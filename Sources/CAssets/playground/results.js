// Shows a scored batch: totals, two heat maps in which the same pair is marked, the rows, and the diagnostics.

import { diagnostics, likelyFalseNegatives, ranks } from "./contrastive.js";
import { byId, element, format, heard, number, percent } from "./elements.js";
import { HeatMap } from "./heatmap.js";
import { takes } from "./objectives.js";
import { rowLabel } from "./rows.js";

/** The maps show at most this many rows and columns; losses and diagnostics are always those of the whole batch. */
const SHOWN = 40;

const FACTS = [
  ["accuracy_top1", "Accuracy, top 1", "rows whose positive ranks first", percent],
  ["accuracy_top5", "Accuracy, top 5", "rows whose positive is among the first five", percent],
  ["mean_reciprocal_rank", "Mean reciprocal rank", "of the positives; a tie counts against the positive"],
  ["mutual_information_bound", "Mutual information bound", "log candidates − loss, in nats"],
  ["softmax_entropy", "Softmax entropy", "mean over rows, in nats"],
  ["perplexity", "Perplexity", "exp of the entropy: the effective number of keys"],
  ["alignment", "Alignment", "mean squared distance of the pairs"],
  ["uniformity_queries", "Uniformity of queries", "log mean exp(−2 × squared distance)"],
  ["uniformity_keys", "Uniformity of keys", "log mean exp(−2 × squared distance)"],
  ["positive_similarity", "Positive similarity", "mean, before τ"],
  ["negative_similarity", "Negative similarity", "mean, before τ"],
  ["hardest_negative_similarity", "Hardest negative", "mean over rows of the most similar negative"],
];

let batch = null;
const maps = {
  similarities: new HeatMap(byId("similarities"), pointAt),
  softmax: new HeatMap(byId("softmax"), pointAt),
};

/**
 * Lays out a batch.
 * @param parsed `{queries, keys}` as `parseRows` gives them; `keys` is null where the queries are compared with each other
 * @param compared `{matrix, positives, negatives}`
 * @param options as `readOptions` gives them
 */
export function layOut(parsed, { matrix, positives, negatives }, options) {
  const columnsParsed = parsed.keys ?? parsed.queries;
  const columnLetter = parsed.keys === null ? "q" : "k";
  batch = { ...parsed, columns: columnsParsed, columnLetter, matrix, positives, options, weights: null, pointed: null };
  // The browser's diagnostics are those of plain softmax losses; where more goes in, the service's are shown.
  batch.isPlain = negatives === null && options.inBatch !== false && options.queue === null && options.normalize;
  const rows = Math.min(matrix.length, SHOWN);
  const columns = Math.min(matrix[0].length, SHOWN);
  const rowLabels = labels("q", batch.queries, rows);
  const columnLabels = labels(columnLetter, columnsParsed, columns);
  for (const map of Object.values(maps)) map.build(rowLabels, columnLabels, noteOf);
  maps.similarities.paint(matrix);
  byId("similarity-kind").textContent = options.normalize ? "Cosine similarity" : "Dot product";
  const cut = rows < matrix.length || columns < matrix[0].length;
  byId("map-notice").hidden = !cut;
  byId("map-notice").textContent = cut
    ? `The maps show the first ${rows} × ${columns} of ${matrix.length} × ${matrix[0].length}; the numbers are those of all.`
    : "";
  byId("score-results").hidden = false;
}

/**
 * Shows what depends on the temperature.
 * @param own `{loss, perRow, weights}` of the browser, or null where it has none
 */
export function show(objective, own, temperature) {
  batch.objective = objective;
  batch.weights = own?.weights ?? null;
  byId("softmax-figure").hidden = batch.weights === null;
  byId("softmax-kind").textContent = objective === "sigmoid" ? "Probability of each pair" : "Softmax of each row";
  byId("softmax-tau").textContent = `τ = ${temperature}`;
  if (batch.weights !== null) maps.softmax.paint(batch.weights);
  byId("loss-browser").replaceChildren(own === null ? "not computed here" : number(own.loss));
  showService("…");
  showRows(own);
  batch.suspects = objective === "nt_xent" ? [] : suspectPairs();
  showFacts(own !== null && hasOwnFacts() ? diagnostics(batch.matrix, batch.positives, own) : {});
  if (batch.pointed !== null) pointAt(...batch.pointed);
}

/** Whether the diagnostics shown are the browser's. */
function hasOwnFacts() {
  return batch.isPlain && (batch.objective === "infonce" || batch.objective === "symmetric");
}

/** Shows the service's values beside the browser's, or a text while there are none. */
export function showService(answer, own = null) {
  const isText = typeof answer === "string";
  byId("loss-service").replaceChildren(isText ? answer : number(answer.loss));
  const differences = isText || own === null ? [] : answer.per_row.map((value, row) => Math.abs(value - own.perRow[row]));
  byId("loss-difference").replaceChildren(differences.length === 0 ? "…" : number(Math.max(...differences)));
  if (batch === null || isText || (own !== null && hasOwnFacts())) return;
  // nt_xent has pairs within a view, too, which the maps do not show.
  if (batch.objective === "nt_xent") batch.suspects = answer.diagnostics?.likely_false_negatives ?? [];
  showFacts(answer.diagnostics ?? {});
}

export function hide() {
  batch = null;
  byId("score-results").hidden = true;
}

/** One sentence for the live region. */
export function summary(answer, temperature) {
  const at = takes(answer.objective, "temperature") ? `At τ = ${temperature} the loss` : "The loss";
  if (batch === null || !hasPositives()) return `${at} is ${format(answer.loss)}.`;
  const first = ranks(batch.matrix, batch.positives).filter((place) => place === 1).length;
  const suspects = batch.suspects.length;
  return (
    `${at} is ${format(answer.loss)}; ${first} of ${batch.matrix.length} rows rank their positive first; ` +
    `${suspects} likely false negative${suspects === 1 ? "" : "s"}.`
  );
}

/** Queries that are compared with each other have no key of their own. */
function hasPositives() {
  return batch.positives.every((column) => column >= 0);
}

function labels(letter, parsed, count) {
  return Array.from({ length: count }, (_, index) => ({ code: `${letter}${index + 1}`, text: rowLabel(parsed, index) }));
}

/** Pairs that the maps mark. There are none with labels, which already say what belongs together. */
function suspectPairs() {
  return hasPositives() && batch.options.labels === null ? likelyFalseNegatives(batch.matrix, batch.positives) : [];
}

function noteOf(row, column) {
  const positive = batch.positives[row];
  if (column === positive) return "positive";
  const { labels: classes } = batch.options;
  // supcon pulls all members of a class near, so that none of them is a negative.
  if (classes !== null && classes[row] === classes[column]) return row === column && positive < 0 ? "itself" : "same label";
  if (positive < 0) return null;
  return batch.matrix[row][column] > batch.matrix[row][positive] ? "likely false negative" : null;
}

/** Describes a pair, and marks it in both maps. */
function pointAt(row, column) {
  batch.pointed = [row, column];
  for (const map of Object.values(maps)) map.mark(row, column);
  const note = noteOf(row, column);
  byId("readout").replaceChildren(
    element("p", {}, element("strong", {}, `q${row + 1} `), rowLabel(batch.queries, row)),
    element("p", {}, element("strong", {}, `${batch.columnLetter}${column + 1} `), rowLabel(batch.columns, column)),
    element(
      "p", {}, "similarity ", number(batch.matrix[row][column]),
      ...(batch.weights === null ? [] : [`, ${weightName()} `, number(batch.weights[row][column])]),
      note === null ? "" : ` (${note})`,
    ),
  );
}

function weightName() {
  return batch.objective === "sigmoid" ? "probability" : "softmax";
}

/** A line for each value of the loss: the queries', and after them the keys' where these are anchors, too. */
function showRows(own) {
  if (own === null) return byId("rows").replaceChildren();
  const places = hasPositives() ? ranks(batch.matrix, batch.positives) : null;
  const largest = Math.max(...own.perRow.map(Math.abs), Number.MIN_VALUE);
  const queries = batch.matrix.length;
  const shown = own.perRow.map((loss, row) => ({ loss, row })).filter(({ row }) => row % queries < SHOWN);
  const rows = shown.map(({ loss, row }) => {
    const isQuery = row < queries;
    const [code, label] = isQuery
      ? [`q${row + 1}`, rowLabel(batch.queries, row)]
      : [`k${row - queries + 1}`, rowLabel(batch.columns, row - queries)];
    return element(
      "tr", {},
      element("th", { scope: "row" }, code, heard(` ${label}`)),
      element("td", {}, number(loss), bar(Math.abs(loss) / largest)),
      ...(isQuery ? factsOfRow(row, places) : ["–", "–", "–"]).map((fact) => element("td", {}, fact)),
    );
  });
  byId("rows").replaceChildren(...rows);
}

/** Softmax of the positive, its rank, and the hardest negative. */
function factsOfRow(row, places) {
  if (places === null) return ["–", "–", "–"];
  const positive = batch.positives[row];
  return [
    batch.weights === null ? "–" : number(batch.weights[row][positive]),
    String(places[row]),
    hardestNegative(batch.matrix[row], positive),
  ];
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
  const { suspects } = batch;
  if (suspects.length > 0) facts.push(suspectsFact(suspects));
  byId("diagnostics").replaceChildren(...facts);
}

/** nt_xent counts the rows of both views, queries before keys. */
function rowName(row) {
  const queries = batch.matrix.length;
  return row < queries ? `q${row + 1}` : `k${row - queries + 1}`;
}

function columnName(column) {
  return batch.objective === "nt_xent" ? rowName(column) : `k${column + 1}`;
}

function suspectsFact(suspects) {
  const named = suspects.slice(0, 6).map(([row, column]) => `${rowName(row)} × ${columnName(column)}`).join(", ");
  const rest = suspects.length > 6 ? `, and ${suspects.length - 6} more` : "";
  return element(
    "div", { "data-name": "likely_false_negatives" },
    element("dt", {}, element("strong", {}, "Likely false negatives"), named + rest),
    element("dd", {}, number(suspects.length, String(suspects.length))),
  );
}
