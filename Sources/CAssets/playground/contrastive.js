// Similarities, the losses that follow from them, and diagnostics. All in float64.
// `positives[i]` is the column of query i's key, or −1 where a query has none; other columns are negatives.

/** Rows divided by their Euclidean norms, or as they are; null when they differ in length or one has no direction. */
export function preparedRows(rows, normalize) {
  const width = rows[0]?.length ?? 0;
  if (width === 0 || rows.some((row) => row.length !== width)) return null;
  const prepared = rows.map((row) => (normalize ? unitRow(row) : Float64Array.from(row)));
  return prepared.every((row) => row !== null) ? prepared : null;
}

function unitRow(row) {
  const norm = Math.hypot(...row);
  return norm > 0 && Number.isFinite(norm) ? Float64Array.from(row, (value) => value / norm) : null;
}

/** Dot products of prepared rows, a × b; null when they cannot be compared. */
export function products(a, b) {
  if (a === null || b === null || a[0].length !== b[0].length) return null;
  return a.map((row) => b.map((other) => dot(row, other)));
}

function dot(a, b) {
  let sum = 0;
  for (let index = 0; index < a.length; index += 1) sum += a[index] * b[index];
  return sum;
}

/** log Σ exp, without overflow; −∞ of nothing. */
export function logSumExp(values) {
  const largest = values.reduce((best, value) => Math.max(best, value), -Infinity);
  if (largest === -Infinity) return largest;
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

/** log(1 + exp x), without overflow. */
function softplus(x) {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/**
 * One row's softmax loss.
 * @param sims the similarities of all columns that are shown
 * @param counts whether a column is in the sum
 * @param others similarities in the sum that have no column
 * @param positives the columns whose mean is pulled near
 * @returns {{loss: number, weights: number[]}} `weights` are the columns' shares of the sum
 */
function softmaxRow(sims, counts, others, positives, temperature) {
  const logits = sims.map((value) => value / temperature);
  const total = logSumExp([...logits.filter((_, column) => counts(column)), ...others.map((value) => value / temperature)]);
  const pulled = mean(positives.map((column) => logits[column]));
  return { loss: total - pulled, weights: logits.map((value, column) => (counts(column) ? Math.exp(value - total) : 0)) };
}

/** `infonce`, `dcl` and `moco`: each query among the keys and the further negatives. */
function oneWay({ matrix, positives, negatives }, { temperature, inBatch, dropsPositive }) {
  const rows = matrix.map((row, index) => {
    const counts = (column) => (column === positives[index] ? !dropsPositive : inBatch);
    return softmaxRow(row, counts, negatives?.[index] ?? [], [positives[index]], temperature);
  });
  return rows.some(({ loss }) => loss === -Infinity) ? null : collected(rows);
}

/** `symmetric`: the mean of both directions' cross-entropies. */
function bothWays(batch, { temperature }) {
  const { matrix } = batch;
  if (matrix[0].length !== matrix.length) return null;
  const there = oneWay({ ...batch, negatives: null }, { temperature, inBatch: true });
  const columns = matrix.map((_, column) => matrix.map((row) => row[column]));
  const back = oneWay({ ...batch, matrix: columns, negatives: null }, { temperature, inBatch: true });
  return { perRow: there.perRow.map((value, row) => (value + back.perRow[row]) / 2), weights: there.weights };
}

/** `nt_xent` and `supcon`: every row of both views among all the others; `partners(row)` are those it belongs with. */
function views(batch, { temperature }, partners) {
  const { matrix, queries, keys } = batch;
  // Kept with the batch: the similarities stay the same while the temperature moves.
  batch.allPairs ??= allPairs(queries, keys);
  const sims = batch.allPairs;
  const excluded = [];
  const rows = sims.map((row, index) => {
    const near = partners(index);
    if (near.length === 0) excluded.push(index);
    const found = softmaxRow(row, (column) => column !== index, [], near.length > 0 ? near : [index], temperature);
    return near.length > 0 ? found : { ...found, loss: 0 };
  });
  if (excluded.length === rows.length) return null;
  const from = keys === null ? 0 : queries.length;
  const { perRow, weights } = collected(rows);
  return { perRow, excluded, weights: weights.slice(0, matrix.length).map((row) => row.slice(from)) };
}

function allPairs(queries, keys) {
  const all = keys === null ? queries : [...queries, ...keys];
  return products(all, all);
}

const objectives = {
  infonce: (batch, options) => oneWay(batch, options),
  dcl: (batch, options) => oneWay(batch, { ...options, dropsPositive: true }),
  moco: (batch, options) => oneWay(batch, { ...options, inBatch: false }),
  symmetric: bothWays,
  nt_xent(batch, options) {
    const n = batch.queries.length;
    if (batch.keys?.length !== n) return null;
    return views(batch, options, (row) => [(row + n) % (2 * n)]);
  },
  supcon(batch, options) {
    if (batch.keys !== null && batch.keys.length !== batch.queries.length) return null;
    const labels = batch.keys === null ? options.labels : [...options.labels, ...options.labels];
    const members = (row) => labels.flatMap((label, other) => (other !== row && label === labels[row] ? [other] : []));
    return views(batch, options, members);
  },
  sigmoid({ matrix }, { temperature, bias }) {
    if (matrix[0].length !== matrix.length) return null;
    const logits = matrix.map((row) => row.map((value) => value / temperature + bias));
    return {
      perRow: logits.map((row, index) => row.reduce((sum, x, column) => sum + softplus(column === index ? -x : x), 0)),
      weights: logits.map((row) => row.map((x) => 1 / (1 + Math.exp(-x)))),
    };
  },
  simsiam: (batch) => paired(batch, (value) => -value),
  byol: (batch) => paired(batch, (value) => 2 - 2 * value),
};

function paired({ matrix }, of) {
  return matrix[0].length === matrix.length ? { perRow: matrix.map((row, index) => of(row[index])), weights: null } : null;
}

function collected(rows) {
  return { perRow: rows.map(({ loss }) => loss), weights: rows.map(({ weights }) => weights) };
}

/**
 * The value of an objective.
 * @param batch `{matrix, queries, keys, negatives, positives}`: similarities of queries and keys, the prepared rows (`keys` is
 *   null for one view), similarities of queries and further negatives or null
 * @param options `{temperature, inBatch, bias, labels}`
 * @returns `{loss, perRow, weights}`, or null where it is not defined. `weights` are the columns' softmax (for `sigmoid` the
 *   probability of each pair), null where the objective has neither.
 */
export function contrastiveLoss(objective, batch, options) {
  if (batch.positives.some((column) => column < 0) && objective !== "supcon") return null;
  const found = objectives[objective](batch, options);
  if (found === null) return null;
  const counted = found.perRow.filter((_, row) => !found.excluded?.includes(row));
  return { loss: mean(counted), perRow: found.perRow, weights: found.weights };
}

/** Where each row's positive ranks, from 1. A tie counts against it. */
export function ranks(matrix, positives) {
  return matrix.map(
    (row, index) => 1 + countWhere(row, (value, column) => column !== positives[index] && value >= row[positives[index]]));
}

/** `[row, column]` of every pair that is more similar than the row's positive, largest margin first. */
export function likelyFalseNegatives(matrix, positives) {
  const pairs = matrix.flatMap((row, index) =>
    row
      .map((value, column) => ({ row: index, column, margin: value - row[positives[index]] }))
      .filter(({ column, margin }) => column !== positives[index] && margin > 0),
  );
  return pairs.sort((a, b) => b.margin - a.margin).map(({ row, column }) => [row, column]);
}

/**
 * What the similarities say beside the loss, for `infonce` and `symmetric` without further negatives; names are those of
 * `POST /loss`. Values that need a negative are left out without one.
 */
export function diagnostics(matrix, positives, { loss, weights }) {
  const candidates = matrix[0].length;
  const places = ranks(matrix, positives);
  const near = matrix.map((row, index) => row[positives[index]]);
  const negatives = matrix.map((row, index) => row.filter((_, column) => column !== positives[index]));
  const entropy = mean(weights.map(entropyOf));
  const found = {
    accuracy_top1: countWhere(places, (place) => place === 1) / places.length,
    mean_reciprocal_rank: mean(places.map((place) => 1 / place)),
    mutual_information_bound: Math.log(candidates) - loss,
    softmax_entropy: entropy,
    perplexity: Math.exp(entropy),
    alignment: mean(near.map((value) => 2 - 2 * value)),
    positive_similarity: mean(near),
  };
  if (candidates > 1) {
    found.negative_similarity = mean(negatives.flat());
    found.hardest_negative_similarity = mean(negatives.map((row) => Math.max(...row)));
  }
  return found;
}

function entropyOf(probabilities) {
  return -probabilities.reduce((sum, value) => (value > 0 ? sum + value * Math.log(value) : sum), 0);
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function countWhere(values, holds) {
  return values.reduce((count, value, index) => (holds(value, index) ? count + 1 : count), 0);
}
