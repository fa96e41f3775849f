// The upper half of the page: from text areas and options to a scored batch.

import { contrastiveLoss, preparedRows, products } from "./contrastive.js";
import { offerCurl } from "./curl.js";
import { afterRest, byId, setError } from "./elements.js";
import { defaultTemperature, takes } from "./objectives.js";
import { Fault, OPTION_FIELDS, lossBody, objective, readOptions, rowsOf, showControls } from "./options.js";
import { listQueues, startQueues } from "./queues.js";
import * as results from "./results.js";
import { describeRows, parseRows } from "./rows.js";
import { embed, requests, send } from "./service.js";
import { temperatureControl } from "./temperature.js";

const SIDES = ["queries", "keys", "negatives"];
/** Controls whose change is scored at once, without embedding anything anew. */
const CHOICES = ["normalize", "in_batch_negatives", "bias", "labels", "positives", "queue"];
const ERRORS = ["queries", "keys", "objective", "score", ...OPTION_FIELDS];

/** The batch that is shown: what stood in the text areas, and its vectors. */
let scored = null;
/** What the options make of it: `{options, batch}`; `batch` is null where the browser cannot compare the rows. */
let view = null;
let request = new AbortController();
const embedded = { queries: null, keys: null, negatives: null };
const askServiceSoon = afterRest(350, () => askService());
let temperature;
/** The objective that was chosen before. */
let former;

export function startScoring() {
  temperature = temperatureControl(refresh);
  former = objective();
  byId("objective").addEventListener("change", chooseObjective);
  for (const choice of CHOICES) byId(choice).addEventListener("change", lookAgain);
  for (const side of SIDES) {
    byId(side).addEventListener("input", () => edited(side));
    byId(side).addEventListener("keydown", scoreOnControlEnter);
    describe(side);
  }
  byId("score-form").addEventListener("submit", (event) => {
    event.preventDefault();
    score({ appends: byId("queue-update").checked });
  });
  startQueues(() => scored?.vectors.queries[0]?.length ?? null);
  offerCurl("score", curlRequest, (fault) => (clearErrors(), fail(fault, null)));
  showControls();
  score();
}

function scoreOnControlEnter(event) {
  // While an input method is composing, the keys belong to it and not to the page.
  if (event.isComposing || event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  score({ appends: byId("queue-update").checked });
}

function describe(side) {
  const isEmptyNegatives = side === "negatives" && byId(side).value.trim() === "";
  byId(`${side}-hint`).textContent = isEmptyNegatives ? "None." : describeRows(parseRows(byId(side).value));
}

function edited(side) {
  describe(side);
  if (scored !== null) say("Edited since the last score: press Score (or Ctrl and Enter).");
}

function say(sentence) {
  byId("score-status").textContent = sentence;
}

/** The rows of all sides as the text areas have them; `keys` and `negatives` are null where the objective has none. */
function readSides() {
  const keys = rowsOf("keys");
  const negatives = takes(objective(), "negatives") ? rowsOf("negatives") : null;
  return {
    queries: rowsOf("queries"),
    // supcon compares the queries with each other when there are no keys.
    keys: objective() === "supcon" && keys.rows.length === 0 ? null : keys,
    negatives: negatives?.rows.length ? negatives : null,
  };
}

/** The request of the Score button, with texts as texts. */
function curlRequest() {
  const sides = readSides();
  const options = readOptions(pairOf(sides));
  const rows = Object.fromEntries(SIDES.map((side) => [side, sides[side]?.rows ?? null]));
  return requests.loss(lossBody(rows, options, temperature.value(), byId("queue-update").checked));
}

function pairOf({ queries, keys }) {
  return { queries, keys: keys ?? { kind: queries.kind, rows: [], lines: [] } };
}

/** Reads the text areas, gets the vectors, and shows the batch. */
async function score({ appends = false } = {}) {
  request.abort();
  request = new AbortController();
  const { signal } = request;
  clearErrors();
  scored = null;
  say("Scoring …");
  let sides = null;
  try {
    sides = readSides();
    const rows = await Promise.all(SIDES.map((side) => vectorsOf(side, sides[side], signal)));
    if (signal.aborted) return;
    scored = { ...sides, vectors: Object.fromEntries(SIDES.map((side, index) => [side, rows[index]])) };
    lookAt();
  } catch (problem) {
    return fail(problem, sides);
  }
  await askService(appends);
}

/** The rows of one side as numbers; texts are embedded once and kept while they stay the same. */
async function vectorsOf(side, parsed, signal) {
  if (parsed === null) return null;
  const { kind, rows } = parsed;
  if (kind === "vectors" || rows.length === 0) return rows;
  const key = JSON.stringify(rows);
  if (embedded[side]?.key !== key) {
    try {
      embedded[side] = { key, rows: await embed(rows, signal) };
    } catch (problem) {
      problem.param = problem.param?.replace(/^inputs/, side);
      throw problem;
    }
  }
  return embedded[side].rows;
}

/** Reads the options, compares the rows, and lays them out. */
function lookAt() {
  view = null;
  const options = readOptions(pairOf(scored));
  const prepared = (side) => (scored.vectors[side] === null ? null : preparedRows(scored.vectors[side], options.normalize));
  const queries = prepared("queries");
  const keys = prepared("keys");
  const matrix = scored.keys === null ? products(queries, queries) : products(queries, keys);
  const negatives = scored.negatives === null ? null : products(queries, prepared("negatives"));
  const isComparable = matrix !== null && (scored.negatives === null || negatives !== null);
  const positives = matrix?.map((_, row) => (scored.keys === null ? -1 : options.positives?.[row] ?? row));
  const fits = positives?.every((column) => column < matrix[0].length);
  view = { options, batch: isComparable && fits ? { matrix, queries, keys, negatives, positives } : null };
  if (view.batch === null) results.hide();
  else results.layOut(scored, view.batch, options);
}

/** The browser's own value at this temperature, shown; null where it has none. */
function showOwn() {
  const { batch, options } = view;
  if (batch === null) return null;
  // Only the service knows what is in a queue.
  const values = { ...options, temperature: temperature.value() };
  const own = options.queue === null ? contrastiveLoss(objective(), batch, values) : null;
  results.show(objective(), own, temperature.value());
  return own;
}

/** Shows the controls of a newly chosen objective, and sets its default temperature unless the user has set another. */
function chooseObjective() {
  if (temperature.value() === defaultTemperature(former)) temperature.set(defaultTemperature(objective()));
  former = objective();
  showControls();
  // supcon may have been scored without keys, and further negatives count for some objectives only.
  const isWhole = scored !== null && scored.keys !== null && scored.negatives === null && byId("negatives").value.trim() === "";
  if (isWhole) lookAgain();
  else score();
}

/** After a change of an option: checks it and shows the browser's values at once, and the service's after a pause. */
function lookAgain() {
  if (scored === null) return;
  request.abort();
  clearErrors();
  try {
    lookAt();
  } catch (fault) {
    return fail(fault, scored);
  }
  refresh();
}

/** After a change of temperature. */
function refresh() {
  if (scored === null || view === null) return;
  request.abort();
  showOwn();
  askServiceSoon();
}

/** Shows the loss of the service, which is authoritative, beside the browser's own. */
async function askService(appends = false) {
  if (scored === null || view === null) return;
  request.abort();
  request = new AbortController();
  const { signal } = request;
  const asked = temperature.value();
  const own = showOwn();
  clearErrors();
  const rows = Object.fromEntries(SIDES.map((side) => [side, scored.vectors[side]?.map((row) => Array.from(row)) ?? null]));
  const asking = requests.loss(lossBody(rows, view.options, asked, appends));
  // A request that is sent again must not append twice.
  if (appends && view.options.queue !== null) asking.idempotencyKey = newKey();
  try {
    const answer = await send(asking, signal);
    if (signal.aborted) return;
    results.showService(answer, own);
    say(results.summary(answer, asked));
    if (asking.idempotencyKey !== undefined) listQueues();
  } catch (problem) {
    fail(problem, scored);
  }
}

/** A key that no other request has. (`crypto.randomUUID` exists only on https and on localhost.) */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16).padStart(8, "0")).join("");
}

function clearErrors() {
  // The error of the temperature is not cleared here: it is about the number in its field, whatever the service says.
  for (const name of ERRORS) setError(`${name}-error`, null, controlOf(name));
}

function controlOf(name) {
  return name === "score" ? null : byId(name);
}

function showError(name, message) {
  setError(`${name}-error`, message, controlOf(name));
  // The message must be visible.
  const fold = byId(`${name}-error`).closest("details");
  if (fold !== null) fold.open = true;
}

/** Shows an error of the page or of the service at the control that it is about, with the row and its line. */
function fail(problem, batch) {
  if (problem.name === "AbortError") return;
  if (problem instanceof Fault) showError(problem.field, problem.message);
  else showRefusal(problem, batch);
  results.showService(problem instanceof Fault ? "not asked" : "refused");
  if (!scored || view === null || view.batch === null) results.hide();
  const isShown = scored !== null && view?.batch;
  say(isShown ? "Only the values of the browser are shown, because the service refuses the request." : "Not scored: see the message above.");
}

function showRefusal(problem, batch) {
  const [, field, row] = /^(\w+)(?:\[(\d+)\])?/.exec(problem.param ?? "") ?? [];
  const name = controlName(field);
  const line = row === undefined ? undefined : batch?.[name]?.lines?.[Number(row)];
  const place = line === undefined ? field : `${field}[${row}], line ${line}`;
  showError(name, problem.status === 0 ? problem.message : `The service refuses${place ? ` ${place}` : ""}: ${problem.message}`);
}

/** The control that a field of the request comes from. */
function controlName(field) {
  if (field === "temperature") return "tau";
  // If that field is empty, the error means that the number of keys is wrong.
  if (field === "positives" && byId("positives").value.trim() === "") return "keys";
  return ERRORS.includes(field) ? field : "score";
}
