// Renders the answer while it is typed, by the server's one renderer. Without this module the page shows the last saved one.

const DELAY_MS = 400;
const form = document.querySelector("[data-preview-url]");
const source = form.querySelector("textarea[name=answer]");
const target = document.getElementById("preview");
const state = document.getElementById("preview-state");
let timer = 0;
let newest = 0;

async function preview() {
  const mine = ++newest;
  const body = new FormData();
  body.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
  body.set("answer", source.value);
  try {
    const response = await fetch(form.dataset.previewUrl, { method: "POST", body });
    if (mine !== newest) return;
    if (!response.ok) throw new Error(String(response.status));
    const { html, dir } = await response.json();
    target.innerHTML = html; // Sanitised by the server's renderer, as everywhere.
    target.dir = dir;
    state.textContent = html ? "" : "The answer is empty.";
  } catch {
    if (mine === newest) state.textContent = "The preview cannot be made now. Saving is not affected.";
  }
}

source.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(preview, DELAY_MS);
});
