// The upper half of the page: from two text areas to a scored batch.

import { similarityMatrix } from "./contrastive.js";
import { afterRest, byId, setError } from "./elements.js";
import * as results from "./results.js";
import { describeRows, parseRows } from "./rows.js";
import { embed, loss } from "./service.js";
import { temperatureControl } from "./temperature.js";

const SIDES = ["queries", "keys"];
const ERRORS = [...SIDES, "objective", "tau", "score"];

/** The batch that is shown: what stood in the text areas, its vectors, and whether the browser could compare them. */
let scored = null;
let request = new AbortController();
const embedded = { queries: null, keys: null };
const askServiceSoon = afterRest(350, askService);
let temperature;

export function startScoring() {
  temperature = temperatureControl(refresh);
  byId("objective").addEventListener("change", refresh);
  for (const side of SIDES) {
    byId(side).addEventListener("input", () => edited(side));
    byId(side).addEventListener("keydown", scoreOnControlEnter);
    describe(side);
  }
  byId("score-form").addEventListener("submit", (event) => {
    event.preventDefault();
    score();
  });
  score();
}

function scoreOnControlEnter(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) score();
}

function describe(side) {
  byId(`${side}-hint`).textContent = describeRows(parseRows(byId(side).value));
}

function edited(side) {
  describe(side);
  if (scored !== null) say("Edited since it was scored: press Score (or Ctrl and Enter).");
}

function say(sentence) {
  byId("score-status").textContent = sentence;
}

/** Reads both text areas, gets the vectors, and shows the batch. */
async function score() {
  request.abort();
  request = new AbortController();
  const { signal } = request;
  clearErrors();
  scored = null;
  say("Scoring …");
  const batch = { queries: parseRows(byId("queries").value), keys: parseRows(byId("keys").value) };
  try {
    const [queries, keys] = await Promise.all(SIDES.map((side) => vectorsOf(side, batch, signal)));
    if (signal.aborted) return;
    scored = { ...batch, vectors: { queries, keys }, matrix: similarityMatrix(queries, keys) };
  } catch (problem) {
    return fail(problem, batch);
  }
  if (scored.matrix === null) results.hide();
  else results.layOut(scored);
  askService();
}

/** The rows of one side as numbers; texts are embedded once and kept while they stay the same. */
async function vectorsOf(side, batch, signal) {
  const { kind, rows } = batch[side];
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

/** After a change of temperature or objective: the browser's values at once, the service's when the change rests. */
function refresh() {
  if (scored === null) return;
  request.abort();
  if (scored.matrix !== null) results.show(byId("objective").value, temperature());
  askServiceSoon();
}

/** The authoritative loss, beside the browser's own. */
async function askService() {
  if (scored === null) return;
  request.abort();
  request = new AbortController();
  const { signal } = request;
  const objective = byId("objective").value;
  const asked = temperature();
  const own = scored.matrix === null ? null : results.show(objective, asked);
  clearErrors();
  try {
    const answer = await loss(lossRequest(objective, asked), signal);
    if (signal.aborted) return;
    results.showService(answer, own);
    if (own !== null) say(results.summary(own, asked));
  } catch (problem) {
    fail(problem, scored);
  }
}

function lossRequest(objective, asked) {
  const { queries, keys } = scored.vectors;
  const body = {
    objective, temperature: asked, return: ["loss", "per_row"],
    queries: queries.map((row) => Array.from(row)), keys: keys.map((row) => Array.from(row)),
  };
  // Keys beyond the queries are negatives only; the service asks to be told.
  if (objective === "infonce" && keys.length > queries.length) body.positives = queries.map((_, row) => row);
  return body;
}

function clearErrors() {
  // An error of the number field is about what stands there now, whatever the service says.
  for (const name of ERRORS) {
    if (name !== "tau") setError(`${name}-error`, null, controlOf(name));
  }
}

function controlOf(name) {
  return name === "score" ? null : byId(name);
}

/** Shows a refusal at the control it is about, and names the row and its line. */
function fail(problem, batch) {
  if (problem.name === "AbortError") return;
  const [, field, row] = /^(\w+)(?:\[(\d+)\])?/.exec(problem.param ?? "") ?? [];
  const name = { queries: "queries", keys: "keys", positives: "keys", objective: "objective", temperature: "tau" }[field] ?? "score";
  const line = row === undefined ? undefined : batch[name]?.lines[Number(row)];
  const place = line === undefined ? field : `${field}[${row}], line ${line}`;
  setError(`${name}-error`, `The service refuses${place ? ` ${place}` : ""}: ${problem.message}`, controlOf(name));
  results.showService("refused");
  if (!scored || scored.matrix === null) results.hide();
  say(scored?.matrix ? "The values are the browser's alone: the service refuses the request." : "Not scored: see the message above.");
}
