// Queues of negatives: lists them to choose from, and creates new ones.

import { byId, element, setError } from "./elements.js";
import { queues, requests, send } from "./service.js";

/** @param width gives the number of values of the rows that are scored, or null. */
export function startQueues(width) {
  byId("make-queue").addEventListener("click", () => make(width()));
  listQueues();
}

/** Fills the list and keeps the choice, or takes `chosen`. */
export async function listQueues(chosen = byId("queue").value) {
  const select = byId("queue");
  try {
    const known = await queues();
    const options = known.map(({ name, count, capacity, dim }) =>
      element("option", { value: name }, `${name}: ${count} of ${capacity} rows, ${dim} dimensions`));
    select.replaceChildren(element("option", { value: "" }, "none"), ...options);
    if (known.some(({ name }) => name === chosen)) select.value = chosen;
  } catch (problem) {
    setError("queue-error", problem.message, select);
  }
}

async function make(width) {
  const name = byId("queue-name").value.trim();
  setError("queue-error", null, byId("queue-name"));
  if (width === null) return setError("queue-error", "Score a batch first: the queue gets the dimension of its rows.");
  const fault = nameFault(name);
  if (fault !== null) return setError("queue-error", fault, byId("queue-name"));
  try {
    await send(requests.queue(name, { capacity: byId("queue-capacity").valueAsNumber, dim: width }));
  } catch (problem) {
    return setError("queue-error", `The service refuses the queue: ${problem.message}`, byId("queue-name"));
  }
  await listQueues(name);
  byId("queue").dispatchEvent(new Event("change"));
}

/** What is wrong with the name of a queue or collection, or null. */
export function nameFault(name) {
  if (/^[A-Za-z0-9._-]{1,128}$/.test(name)) return null;
  return "A name has 1 to 128 of the characters A-Z, a-z, 0-9, full stop, underscore and hyphen.";
}
