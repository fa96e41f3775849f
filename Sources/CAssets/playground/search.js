// The lower half of the page: adds texts or vectors to a collection, and searches it.

import { chosen, listCollections, metricOf, startCollections } from "./collections.js";
import { offerCurl } from "./curl.js";
import { afterRest, byId, element, format, number, setError } from "./elements.js";
import { bar } from "./results.js";
import { parseRows } from "./rows.js";
import { requests, send } from "./service.js";

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
  offerCurl("add", addRequest, (fault) => setError("add-error", fault.message, byId("points")));
  offerCurl("find", searchRequest, (fault) => setError("search-error", fault.message, fault.control));
  startCollections(clearResults);
}

/** Every line becomes a point, whose id depends on the line: adding the same line twice stores one point. */
function addRequest() {
  const field = byId("points");
  setError("add-error", null, field);
  const { kind, rows, fault } = parseRows(field.value);
  if (fault !== null) throw new Error(`Line ${fault.line}: ${fault.message}`);
  const points = rows.map((row) =>
    kind === "texts" ? { id: identifier(row), text: row } : { id: identifier(JSON.stringify(row)), vector: row });
  return requests.points(chosen(), [...new Map(points.map((point) => [point.id, point])).values()]);
}

async function add() {
  const name = chosen();
  try {
    const asked = addRequest();
    byId("add-status").textContent = "Adding …";
    const { upserted } = await send(asked);
    byId("add-status").textContent = `Stored ${upserted} ${upserted === 1 ? "point" : "points"} in ${name}.`;
    clearStatusSoon();
  } catch (problem) {
    byId("add-status").textContent = "";
    setError("add-error", refusal(problem), byId("points"));
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

/** The request of the Search button; a query that is a row of numbers is a vector. */
function searchRequest() {
  for (const control of [byId("query"), byId("count")]) setError("search-error", null, control);
  const k = byId("count").valueAsNumber;
  if (!Number.isInteger(k)) throw Object.assign(new Error("How many must be a whole number."), { control: byId("count") });
  const { kind, rows, fault } = parseRows(byId("query").value);
  if (fault !== null) throw Object.assign(new Error(fault.message), { control: byId("query") });
  const query = kind === "vectors" ? { vectors: rows } : { inputs: byId("query").value };
  return requests.neighbors({ collection: chosen(), ...query, k, include: ["text", "metadata"] });
}

async function search() {
  request.abort();
  request = new AbortController();
  try {
    const asked = searchRequest();
    byId("search-status").textContent = "Searching …";
    const answer = await send(asked, request.signal);
    showNeighbors(answer.results[0]);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    clearResults();
    setError("search-error", refusal(problem), problem.control ?? (problem.param === "k" ? byId("count") : byId("query")));
  }
}

/** The message of an error of the service, or of the page itself. */
function refusal(problem) {
  if (!problem.status) return problem.message;
  return `The service refuses${problem.param ? ` ${problem.param}` : ""}: ${problem.message}`;
}

function clearResults() {
  byId("search-status").textContent = "";
  byId("neighbors").replaceChildren();
}

function showNeighbors(found) {
  const metric = metricOf(chosen());
  byId("search-status").textContent = found.length === 0
    ? "The collection has no points yet: add some."
    : `${found.length} ${found.length === 1 ? "neighbour" : "neighbours"}, nearest first.`;
  byId("neighbors").replaceChildren(...found.map((one) => item(one, shareOf(metric, found))));
}

/** The share of its bar that a score fills: the cosine itself, 1 / (1 + distance), or the dot product relative to the best. */
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
