// Builds and finds elements. Strings are always inserted as text, never as markup.

export function byId(id) {
  return document.getElementById(id);
}

/** An element with attributes and children; a child that is not an element is text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Text for those who hear the page. */
export function heard(text) {
  return element("span", { class: "heard" }, text);
}

/** A number to be read, with the whole value behind it. */
export function number(value, text = format(value)) {
  return element("data", { value: String(value) }, text);
}

/** Four decimals, or three digits where these would not show anything. */
export function format(value, decimals = 4) {
  const small = value !== 0 && Math.abs(value) < 10 ** -decimals;
  return minus(small ? value.toExponential(1) : value.toFixed(decimals));
}

export function percent(share) {
  return `${minus((share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0))} %`;
}

function minus(text) {
  return text.replaceAll("-", "−");
}

/** Shows a message below its control, or takes it away (null). */
export function setError(id, message, control = null) {
  const place = byId(id);
  place.textContent = message ?? "";
  place.hidden = message === null;
  if (control === null) return;
  if (message === null) control.removeAttribute("aria-invalid");
  else control.setAttribute("aria-invalid", "true");
}

/** A function that runs `action` once nobody has called it for `milliseconds`. */
export function afterRest(milliseconds, action) {
  let timer = null;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, milliseconds);
  };
}
