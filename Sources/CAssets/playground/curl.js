// "Copy as curl": shows the request that a button of the page sends as a command for a POSIX shell.

import { byId } from "./elements.js";
import { hasKey } from "./key.js";

/** The command that sends a request to this page's service. */
export function curlCommand({ method, path, body }, origin = location.origin) {
  const parts = ["curl -s"];
  if (method !== "POST") parts.push(`-X ${method}`);
  // The key itself is not shown, since commands are passed on.
  if (hasKey()) parts.push('-H "Authorization: Bearer $NEARFAR_API_KEY"');
  parts.push(quoted(`${origin}${path}`), "-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`);
  return parts.join(" ");
}

/** A word for a POSIX shell, whatever it holds: only the quotation mark itself ends what stands in quotation marks. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * Lets the button `name-curl` show a command in the field `name-command` and copy it.
 * @param build gives the request, or throws what `onFault` then shows
 */
export function offerCurl(name, build, onFault) {
  byId(`${name}-curl`).addEventListener("click", async () => {
    let command;
    try {
      command = curlCommand(build());
    } catch (fault) {
      byId(`${name}-command-field`).hidden = true;
      return onFault(fault);
    }
    const field = byId(`${name}-command`);
    field.value = command;
    byId(`${name}-command-field`).hidden = false;
    field.select();
    byId(`${name}-copied`).textContent = (await copied(command, field)) ? "Copied." : "Selected: copy it with Ctrl and C.";
  });
}

/** Browsers lend the clipboard only to pages from https or from this machine; elsewhere the older way may work. */
async function copied(command, field) {
  try {
    await navigator.clipboard.writeText(command);
    return true;
  } catch {
    field.focus();
    field.select();
    return document.execCommand("copy");
  }
}
