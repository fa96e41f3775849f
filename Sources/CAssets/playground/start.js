// The page's safety net, loaded apart from the modules. A module graph of which one file does not arrive (a connection that is
// reset, a service that is restarting) runs no line of any: the page would stay as it is, unscored and without collections,
// and say nothing. So it is loaded again, three times at most, and then says so. What was typed stays: browsers keep it.

(() => {
  const KEY = "nearfar-playground-reloads";
  const MOST = 3;
  const started = () => document.documentElement.hasAttribute("data-started");
  const styled = () => document.querySelector("link[rel='stylesheet']")?.sheet !== null;

  function check() {
    if (started() && styled()) return sessionStorage.removeItem(KEY);
    const reloads = Number(sessionStorage.getItem(KEY) ?? 0);
    if (reloads < MOST) {
      sessionStorage.setItem(KEY, String(reloads + 1));
      return setTimeout(() => location.reload(), 200 * 2 ** reloads);
    }
    sessionStorage.removeItem(KEY);
    if (!started()) document.getElementById("score-status").textContent = "Parts of this page did not arrive. Reload it to try again.";
  }

  // The load event waits for every script and style sheet, whether it arrives or fails.
  if (document.readyState === "complete") check();
  else addEventListener("load", check);
})();
