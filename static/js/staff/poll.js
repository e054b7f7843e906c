// Keeps an element up to date while a worker is at it: asks data-poll-url for {done, html} until it is done.
// With data-poll-reload the whole page is loaded again at the end. Without this module a link loads the page anew.

const EVERY_MS = 700;
const SLOWER_MS = 3000;

async function poll(element) {
  let wait = EVERY_MS;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (document.hidden) continue;
    try {
      const response = await fetch(element.dataset.pollUrl, { headers: { Accept: "application/json" } });
      if (response.status === 404 || response.redirected) return location.reload();
      if (!response.ok) throw new Error(String(response.status));
      const { done, html } = await response.json();
      if (done && "pollReload" in element.dataset) return location.reload();
      if (element.innerHTML !== html) element.innerHTML = html; // Escaped by the server's templates.
      if (done) {
        element.removeAttribute("aria-busy");
        return undefined;
      }
      wait = EVERY_MS;
    } catch {
      wait = SLOWER_MS;
    }
  }
}

for (const element of document.querySelectorAll("[data-poll-url]")) poll(element);
