// The options of the chosen objective: shows their controls, and reads them.

import { byId } from "./elements.js";
import { OBJECTIVES, takes } from "./objectives.js";
import { parseRows } from "./rows.js";

/** An input that cannot be sent; `field` names its control. */
export class Fault extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

export function objective() {
  return byId("objective").value;
}

/** Shows the controls of the chosen objective and no others. */
export function showControls() {
  const chosen = objective();
  for (const place of document.querySelectorAll("[data-option]")) place.hidden = !takes(chosen, place.dataset.option);
  // moco requires a queue.
  if (chosen === "moco") byId("more-options").open = true;
}

/** The rows of a text area, or a Fault that names the line. */
export function rowsOf(field) {
  const parsed = parseRows(byId(field).value);
  if (parsed.fault === null) return parsed;
  const { row, line, message } = parsed.fault;
  throw new Fault(field, `${field}[${row}], line ${line}: ${message}`);
}

/**
 * Reads the controls of the objective and checks them against the batch.
 * @param batch `{queries, keys}` as `parseRows` gives them
 * @returns {{normalize, inBatch, bias, labels, positives, negatives, queue}} what the objective does not take is null;
 *   `positives` count from 0 and are null where query i belongs to key i
 */
export function readOptions(batch) {
  const chosen = objective();
  const read = (option, reader) => (takes(chosen, option) ? reader() : null);
  return {
    normalize: byId("normalize").checked,
    inBatch: read("in_batch_negatives", () => byId("in_batch_negatives").checked),
    bias: read("bias", readBias),
    labels: read("labels", () => readLabels(batch.queries.rows.length)),
    positives: read("positives", () => readPositives(batch.queries.rows.length, batch.keys.rows.length)),
    negatives: read("negatives", () => (byId("negatives").value.trim() === "" ? null : rowsOf("negatives"))),
    queue: read("queue", readQueue),
  };
}

function readBias() {
  const bias = byId("bias").valueAsNumber;
  if (Number.isNaN(bias)) throw new Fault("bias", "The bias is a number; SigLIP begins with −10.");
  return bias;
}

function readLabels(queries) {
  const labels = integers("labels");
  if (labels.length === queries) return labels;
  throw new Fault("labels", `There must be one label for each query: ${queries}, not ${labels.length}.`);
}

function readPositives(queries, keys) {
  const numbers = integers("positives");
  // The service requires positives when the numbers of queries and keys differ. Keys beyond the queries are negatives only.
  if (numbers.length === 0) return keys > queries ? Array.from({ length: queries }, (_, row) => row) : null;
  if (numbers.length !== queries) {
    throw new Fault("positives", `There must be one key for each query: ${queries}, not ${numbers.length}.`);
  }
  const wrong = numbers.find((key) => key < 1 || key > keys);
  if (wrong !== undefined) throw new Fault("positives", `${wrong} is not the number of a key: they are 1 to ${keys}.`);
  return numbers.map((key) => key - 1);
}

function readQueue() {
  const name = byId("queue").value;
  if (name === "" && objective() === "moco") throw new Fault("queue", "moco needs a queue of negatives: choose or make one.");
  return name === "" ? null : name;
}

/** The whole numbers of a field, apart from each other by commas or blanks. */
function integers(field) {
  const parts = byId(field).value.normalize("NFKC").split(/[\s,;、]+/).filter((part) => part !== "");
  const wrong = parts.find((part) => !/^[-+]?[0-9]+$/.test(part) || !Number.isSafeInteger(Number(part)));
  if (wrong !== undefined) throw new Fault(field, `“${wrong}” is not a whole number.`);
  return parts.map(Number);
}

/**
 * The body of a `/loss` request.
 * @param sides `{queries, keys, negatives}`: rows as texts or numbers; `keys` and `negatives` may be null
 */
export function lossBody(sides, options, temperature, appends) {
  const chosen = objective();
  const body = { objective: chosen, queries: sides.queries };
  if (sides.keys !== null) body.keys = sides.keys;
  if (sides.negatives !== null) body.negatives = sides.negatives;
  if (takes(chosen, "temperature")) body.temperature = temperature;
  if (!options.normalize) body.normalize = false;
  if (options.inBatch === false) body.in_batch_negatives = false;
  if (options.bias !== null) body.bias = options.bias;
  if (options.labels !== null) body.labels = options.labels;
  if (options.positives !== null) body.positives = options.positives;
  if (options.queue !== null) body.queue = { name: options.queue, update: appends };
  return { ...body, return: ["loss", "per_row", "diagnostics"] };
}

/** Names of the controls that a message can be shown at. */
export const OPTION_FIELDS = [...new Set(Object.values(OBJECTIVES).flatMap(({ options }) => options))].filter(
  (name) => byId(`${name}-error`) !== null);
