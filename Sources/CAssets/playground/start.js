// Reloads the page when one of its files did not arrive. It is not one of the modules, because none of these runs when one of them is
// missing (a connection was reset, the service is restarting): the page would stay unscored and without collections, and would not
// say why. It is reloaded three times at most, and then shows a message. Browsers keep what has been typed.

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

  // The load event comes after every script and style sheet has arrived or failed.
  if (document.readyState === "complete") check();
  else addEventListener("load", check);
})();
