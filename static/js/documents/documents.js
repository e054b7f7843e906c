// The document pages: look again while a worker is reading, and refuse a file that is too large before it is sent.
// Without this module the page says the same after it is loaded anew.

const EVERY_MS = 1500;
const SLOWER_MS = 5000;

// Everything in [data-live] is taken from the page as it is now; focus and open menus elsewhere stay.
async function refresh() {
  let wait = EVERY_MS;
  while (document.querySelector("[data-moving]")) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (document.hidden) continue;
    try {
      const response = await fetch(location.href);
      if (response.redirected || response.status === 404) return location.reload();
      if (!response.ok) throw new Error(String(response.status));
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const now = fresh.getElementById(part.id);
        if (now && now.innerHTML !== part.innerHTML) part.replaceWith(document.importNode(now, true));
      }
      wait = EVERY_MS;
    } catch {
      wait = SLOWER_MS;
    }
  }
  return undefined;
}

function checkSize(input) {
  const most = Number(input.dataset.maxBytes);
  input.addEventListener("change", () => {
    const [file] = input.files;
    const mb = (bytes) => (bytes / 1024 / 1024).toFixed(1);
    const tooLarge = file && file.size > most;
    input.setCustomValidity(tooLarge ? `${file.name} has ${mb(file.size)} MB; at most ${Math.floor(most / 1024 / 1024)} MB are taken.` : "");
    if (tooLarge) input.reportValidity();
  });
}

for (const input of document.querySelectorAll("input[type=file][data-max-bytes]")) checkSize(input);
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});
refresh();
