// Collections: lists them to choose from, and creates new ones.

import { offerCurl } from "./curl.js";
import { byId, element, setError } from "./elements.js";
import { nameFault } from "./queues.js";
import { collections, requests, send } from "./service.js";

let known = [];

/** @param onChoice called when another collection is chosen by the page itself. */
export function startCollections(onChoice) {
  byId("collection-form").addEventListener("submit", (event) => {
    event.preventDefault();
    make(onChoice);
  });
  offerCurl("make", makeRequest, showFault);
  listCollections();
}

/** The name of the chosen collection. */
export function chosen() {
  return byId("collection").value;
}

export function metricOf(name) {
  return known.find((one) => one.name === name)?.metric ?? "cosine";
}

/** Fills the list of collections and keeps the choice, or takes `wanted`. */
export async function listCollections(wanted = chosen() || "default") {
  const select = byId("collection");
  try {
    known = await collections();
    setError("collection-error", null, select);
  } catch (problem) {
    return setError("collection-error", problem.message, select);
  }
  select.replaceChildren(...known.map((one) => element("option", { value: one.name }, describe(one))));
  if (known.some(({ name }) => name === wanted)) select.value = wanted;
  // The default collection usually has the dimensions of the model.
  const field = byId("collection-dim");
  if (field.value === "") field.value = known.find(({ name }) => name === "default")?.dim ?? "";
}

function describe({ name, count, dim, metric }) {
  return `${name}: ${count} ${count === 1 ? "point" : "points"}, ${dim} dimensions, ${metric}`;
}

function makeRequest() {
  const name = byId("collection-name");
  const dim = byId("collection-dim");
  for (const control of [name, dim]) setError("make-error", null, control);
  const fault = nameFault(name.value.trim());
  if (fault !== null) throw Object.assign(new Error(fault), { control: name });
  if (!Number.isInteger(dim.valueAsNumber)) throw Object.assign(new Error("Dimensions are a whole number."), { control: dim });
  return requests.collection(name.value.trim(), { dim: dim.valueAsNumber, metric: byId("collection-metric").value });
}

function showFault(fault) {
  byId("make-status").textContent = "";
  const control = fault.control ?? byId(fault.param === "dim" ? "collection-dim" : "collection-name");
  setError("make-error", fault.status ? `The service refuses the collection: ${fault.message}` : fault.message, control);
}

async function make(onChoice) {
  try {
    const { name } = await send(makeRequest());
    await listCollections(name);
    byId("make-status").textContent = `${name} is there and chosen.`;
    onChoice();
  } catch (problem) {
    showFault(problem);
  }
}
