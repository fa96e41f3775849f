// The nine objectives of POST /loss and what each of them takes beside queries, keys and `normalize`.

/** `options` are names of the request's fields; the page has one control for each. */
export const OBJECTIVES = {
  infonce: { options: ["temperature", "negatives", "positives", "in_batch_negatives", "queue"] },
  symmetric: { options: ["temperature"] },
  nt_xent: { options: ["temperature"] },
  dcl: { options: ["temperature", "negatives", "positives", "in_batch_negatives", "queue"] },
  supcon: { options: ["temperature", "labels"] },
  sigmoid: { options: ["temperature", "bias"], temperature: 0.1 },
  simsiam: { options: [] },
  byol: { options: [] },
  moco: { options: ["temperature", "negatives", "positives", "queue"] },
};

export const DEFAULT_TEMPERATURE = 0.07;

/** Whether an objective takes that option. */
export function takes(objective, option) {
  return OBJECTIVES[objective].options.includes(option);
}

/** τ where nobody has chosen one. */
export function defaultTemperature(objective) {
  return OBJECTIVES[objective].temperature ?? DEFAULT_TEMPERATURE;
}
