// The lower half of the page: texts into a collection, and the nearest of them.

import { afterRest, byId, element, format, number, setError } from "./elements.js";
import { bar } from "./results.js";
import { addPoints, collections, neighbors } from "./service.js";

let known = [];
let request = new AbortController();
const clearStatusSoon = afterRest(8000, () => (byId("add-status").textContent = ""));

export function startSearch() {
  byId("add-form").addEventListener("submit", (event) => {
    event.preventDefault();
    add();
  });
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  byId("collection").addEventListener("change", clearResults);
  listCollections();
}

function chosen() {
  return byId("collection").value;
}

/** Fills the list of collections and keeps the choice. */
async function listCollections() {
  const select = byId("collection");
  const before = chosen() || "default";
  try {
    known = await collections();
    setError("collection-error", null, select);
  } catch (problem) {
    setError("collection-error", problem.message, select);
    return;
  }
  select.replaceChildren(...known.map((one) => element("option", { value: one.name }, describe(one))));
  if (known.some((one) => one.name === before)) select.value = before;
}

function describe({ name, count, dim, metric }) {
  return `${name}: ${count} ${count === 1 ? "point" : "points"}, ${dim} dimensions, ${metric}`;
}

/** Every line becomes a point; a line that is there already is replaced by itself. */
async function add() {
  const field = byId("points");
  const lines = [...new Set(field.value.split("\n").map((line) => line.trim()).filter((line) => line !== ""))];
  setError("add-error", null, field);
  byId("add-status").textContent = "Adding …";
  try {
    const { upserted } = await addPoints(chosen(), lines.map((text) => ({ id: identifier(text), text })));
    byId("add-status").textContent = `${upserted} ${upserted === 1 ? "point is" : "points are"} in ${chosen()}.`;
    clearStatusSoon();
  } catch (problem) {
    byId("add-status").textContent = "";
    setError("add-error", refusal(problem), field);
  }
  await listCollections();
}

/** FNV-1a in 64 bits: the same text has the same id. */
export function identifier(text) {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return `text-${hash.toString(16).padStart(16, "0")}`;
}

async function search() {
  request.abort();
  request = new AbortController();
  for (const control of [byId("query"), byId("count")]) setError("search-error", null, control);
  if (Number.isNaN(byId("count").valueAsNumber)) return setError("search-error", "How many is a whole number.", byId("count"));
  byId("search-status").textContent = "Searching …";
  const body = {
    collection: chosen(), inputs: byId("query").value, k: byId("count").valueAsNumber, include: ["text", "metadata"],
  };
  try {
    const answer = await neighbors(body, request.signal);
    showNeighbors(answer.results[0]);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    clearResults();
    setError("search-error", refusal(problem), problem.param === "k" ? byId("count") : byId("query"));
  }
}

function refusal(problem) {
  return `The service refuses${problem.param ? ` ${problem.param}` : ""}: ${problem.message}`;
}

function clearResults() {
  byId("search-status").textContent = "";
  byId("neighbors").replaceChildren();
}

function showNeighbors(found) {
  const metric = known.find((one) => one.name === chosen())?.metric ?? "cosine";
  byId("search-status").textContent = found.length === 0
    ? "The collection has no points yet: add some."
    : `${found.length} ${found.length === 1 ? "neighbour" : "neighbours"}, nearest first.`;
  byId("neighbors").replaceChildren(...found.map((one) => item(one, shareOf(metric, found))));
}

/** How much of a bar a score fills: cosine as it is, distances by nearness, dot products beside the best. */
function shareOf(metric, found) {
  const best = Math.max(...found.map(({ score }) => Math.abs(score)), Number.MIN_VALUE);
  const shares = { cosine: (score) => score, euclidean: (score) => 1 / (1 - score), dot: (score) => score / best };
  return shares[metric] ?? shares.cosine;
}

function item({ id, score, text, metadata }, share) {
  const made = element(
    "li", {},
    element("div", { class: "head" }, element("span", {}, text ?? id), number(score, format(score))),
    bar(share(score)),
    element("code", {}, id),
  );
  if (metadata && Object.keys(metadata).length > 0) made.append(" ", element("code", {}, JSON.stringify(metadata)));
  return made;
}
