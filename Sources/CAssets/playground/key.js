// The API key of the page's requests, for services that ask for one. It is kept for this tab only, and until that is closed.

import { byId, setError } from "./elements.js";

const NAME = "nearfar-api-key";

/** Whether the page has a key. */
export function hasKey() {
  return sessionStorage.getItem(NAME) !== null;
}

/** The header fields that carry the key. */
export function keyFields() {
  return hasKey() ? { Authorization: `Bearer ${sessionStorage.getItem(NAME)}` } : {};
}

/** Shows the form: the service has refused a request because of its key, or because there is none. */
export function askForKey() {
  byId("key-form").hidden = false;
  setError("key-error", hasKey() ? "The service does not know this key." : "This service asks for an API key.", byId("api-key"));
}

export function startKey() {
  byId("key-form").hidden = !hasKey();
  byId("forget-key").hidden = !hasKey();
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const key = byId("api-key").value.trim();
    if (!/^[\x21-\x7e]+$/.test(key)) return setError("key-error", "A key has no spaces and no letters beyond ASCII.", byId("api-key"));
    sessionStorage.setItem(NAME, key);
    begin();
  });
  byId("forget-key").addEventListener("click", () => {
    sessionStorage.removeItem(NAME);
    begin();
  });
}

/** Everything is asked for anew. Browsers keep what has been typed, so the key is taken out. */
function begin() {
  byId("api-key").value = "";
  location.reload();
}
