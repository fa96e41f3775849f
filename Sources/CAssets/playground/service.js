// What the page asks of the service, and what it hears when the service refuses.

/** A refusal: an RFC 9457 problem document, or no answer at all. */
export class Problem extends Error {
  constructor(status, detail, param = null) {
    super(detail);
    this.status = status;
    this.param = param;
  }
}

/** Sends a request and returns the parsed answer; throws a Problem for anything but success. */
async function ask(method, path, body, signal) {
  const options = { method, signal, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service did not answer.");
  });
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  throw new Problem(response.status, answer?.detail ?? `The service answered ${response.status}.`, answer?.param);
}

/** One Float32Array a text: exactly the bytes that the service computed. */
export async function embed(texts, signal) {
  const rows = await ask("POST", "/embed", { inputs: texts, encoding_format: "base64" }, signal);
  return rows.map(floatsOfBase64);
}

export function loss(request, signal) {
  return ask("POST", "/loss", request, signal);
}

export async function collections() {
  return (await ask("GET", "/collections")).collections;
}

export function addPoints(collection, points) {
  return ask("PUT", `/collections/${encodeURIComponent(collection)}/points`, { points });
}

export function neighbors(request, signal) {
  return ask("POST", "/neighbors", request, signal);
}

/** Little-endian f32, whatever the machine's own order is. */
export function floatsOfBase64(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, index) => view.getFloat32(index * 4, true));
}
