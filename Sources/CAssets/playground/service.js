// The requests of the page to the service, and their errors.

import { askForKey, keyFields } from "./key.js";

/** A failed request: the RFC 9457 problem document of the answer, or status 0 when there was no answer. */
export class Problem extends Error {
  constructor(status, detail, param = null) {
    super(detail);
    this.status = status;
    this.param = param;
  }
}

/** Pauses before a request is sent again: a connection may be reset, and a busy or restarting service answers 503. */
const PAUSES = [200, 600, 1500];

/**
 * Sends a request and returns the parsed answer; throws a Problem for anything but success. Every request of the page may be
 * sent twice: it changes nothing, is idempotent, or has an `Idempotency-Key`.
 */
export async function send({ method, path, body, idempotencyKey }, signal) {
  const options = { method, signal, headers: { Accept: "application/json", ...keyFields() } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  if (idempotencyKey !== undefined) options.headers["Idempotency-Key"] = idempotencyKey;
  for (const pause of [...PAUSES, null]) {
    try {
      return await once(path, options);
    } catch (problem) {
      if (pause === null || !(problem instanceof Problem) || (problem.status !== 0 && problem.status !== 503)) throw problem;
      await rest(pause, signal);
    }
  }
}

async function once(path, options) {
  const silence = (error) => {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service did not answer.");
  };
  const response = await fetch(path, options).catch(silence);
  const text = await response.text().catch(silence);
  const answer = parsed(text);
  if (response.ok && answer !== null) return answer;
  if (response.status === 401) askForKey();
  throw new Problem(response.status, answer?.detail ?? `The service answered ${response.status}.`, answer?.param);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Waits for so many milliseconds, or until `signal` aborts the request, which throws an AbortError. */
function rest(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}

/** The requests of the page: what is sent, and what "Copy as curl" shows. */
export const requests = {
  loss: (body) => ({ method: "POST", path: "/loss", body }),
  queue: (name, body) => ({ method: "PUT", path: `/queues/${encodeURIComponent(name)}`, body }),
  collection: (name, body) => ({ method: "PUT", path: `/collections/${encodeURIComponent(name)}`, body }),
  points: (name, points) => ({ method: "PUT", path: `/collections/${encodeURIComponent(name)}/points`, body: { points } }),
  neighbors: (body) => ({ method: "POST", path: "/neighbors", body }),
};

/** One Float32Array per text: exactly the bytes that the service computed. */
export async function embed(texts, signal) {
  const body = { inputs: texts, encoding_format: "base64" };
  const rows = await send({ method: "POST", path: "/embed", body }, signal);
  return rows.map(floatsOfBase64);
}

export async function collections() {
  return (await send({ method: "GET", path: "/collections" })).collections;
}

export async function queues() {
  return (await send({ method: "GET", path: "/queues" })).queues;
}

/** Little-endian f32, whatever the machine's own order is. */
export function floatsOfBase64(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, index) => view.getFloat32(index * 4, true));
}
