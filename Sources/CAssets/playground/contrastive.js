// The similarity matrix, the softmax of its rows, the losses and diagnostics that follow from it. All in float64.
// A row i has its positive in column i; columns beyond the rows are negatives only.

/** Rows divided by their Euclidean norms, or null when they differ in length or one has no direction. */
export function unitRows(rows) {
  const units = rows.map(unitRow);
  const width = rows[0]?.length ?? 0;
  return width > 0 && units.every((row) => row !== null && row.length === width) ? units : null;
}

function unitRow(row) {
  const norm = Math.hypot(...row);
  return norm > 0 && Number.isFinite(norm) ? Float64Array.from(row, (value) => value / norm) : null;
}

/** Cosine similarities, queries × keys; null when the rows cannot be compared. */
export function similarityMatrix(queries, keys) {
  const q = unitRows(queries);
  const k = unitRows(keys);
  if (q === null || k === null || q[0].length !== k[0].length) return null;
  return q.map((row) => k.map((other) => dot(row, other)));
}

function dot(a, b) {
  let sum = 0;
  for (let index = 0; index < a.length; index += 1) sum += a[index] * b[index];
  return sum;
}

/** log Σ exp, without overflow. */
export function logSumExp(values) {
  const largest = Math.max(...values);
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

/** The softmax of a row of similarities at a temperature. */
export function softmax(similarities, temperature) {
  const largest = Math.max(...similarities);
  const weights = similarities.map((value) => Math.exp((value - largest) / temperature));
  const total = weights.reduce((sum, value) => sum + value, 0);
  return weights.map((value) => value / total);
}

/** −log softmax at the positive. */
function crossEntropy(similarities, positive, temperature) {
  const logits = similarities.map((value) => value / temperature);
  return logSumExp(logits) - logits[positive];
}

/** Row losses of an objective, or null where it is not defined for this shape of matrix. */
const objectives = {
  infonce(matrix, temperature) {
    if (matrix[0].length < matrix.length) return null;
    return matrix.map((row, index) => crossEntropy(row, index, temperature));
  },
  symmetric(matrix, temperature) {
    if (matrix[0].length !== matrix.length) return null;
    return matrix.map((row, index) => {
      const column = matrix.map((other) => other[index]);
      return (crossEntropy(row, index, temperature) + crossEntropy(column, index, temperature)) / 2;
    });
  },
};

/** `{loss, perRow}`, or null. */
export function contrastiveLoss(objective, matrix, temperature) {
  const perRow = objectives[objective](matrix, temperature);
  return perRow === null ? null : { loss: mean(perRow), perRow };
}

/** Where each row's positive ranks, from 1. A tie counts against it. */
export function ranks(matrix) {
  return matrix.map((row, index) => 1 + countWhere(row, (value, column) => column !== index && value >= row[index]));
}

/** `[row, column]` of every pair that is more similar than the row's positive, largest margin first. */
export function likelyFalseNegatives(matrix) {
  const pairs = matrix.flatMap((row, index) =>
    row
      .map((value, column) => ({ row: index, column, margin: value - row[index] }))
      .filter(({ column, margin }) => column !== index && margin > 0),
  );
  return pairs.sort((a, b) => b.margin - a.margin).map(({ row, column }) => [row, column]);
}

/** What the matrix says beside the loss; names are those of `POST /loss`. Values that need a negative are left out without one. */
export function diagnostics(matrix, temperature, loss) {
  const candidates = matrix[0].length;
  const places = ranks(matrix);
  const positives = matrix.map((row, index) => row[index]);
  const negatives = matrix.map((row, index) => row.filter((_, column) => column !== index));
  const entropy = mean(matrix.map((row) => entropyOf(softmax(row, temperature))));
  const found = {
    accuracy_top1: countWhere(places, (place) => place === 1) / places.length,
    mean_reciprocal_rank: mean(places.map((place) => 1 / place)),
    mutual_information_bound: Math.log(candidates) - loss,
    softmax_entropy: entropy,
    perplexity: Math.exp(entropy),
    alignment: mean(positives.map((value) => 2 - 2 * value)),
    positive_similarity: mean(positives),
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
