// The FAQ form: keys for saving and publishing, a count of the phrasings, and a guard before typed text is lost.

const form = document.getElementById("faq-form");
const phrasings = form.elements.phrasings;
const count = form.querySelector("[data-phrasing-count]");
const unsaved = form.querySelector("[data-unsaved]");
const FEW = 5;

const content = () => JSON.stringify([...new FormData(form)].filter(([name]) => name !== "csrfmiddlewaretoken"));
const saved = "typed" in form.dataset ? "" : content();
let leaving = false;

const dirty = () => !leaving && content() !== saved;

function show() {
  const ways = new Set(phrasings.value.split("\n").map((line) => line.trim()).filter(Boolean)).size;
  count.textContent = ways === 1 ? "1 phrasing" : `${ways} phrasings`;
  count.classList.toggle("few", ways < FEW);
  unsaved.textContent = dirty() ? "Not saved yet" : "";
}

function press(...actions) {
  const button = actions.map((action) => form.querySelector(`button[name=action][value=${action}]`)).find(Boolean);
  if (button) form.requestSubmit(button);
}

form.addEventListener("input", show);
form.addEventListener("submit", (event) => {
  if (event.submitter?.dataset.confirm !== undefined && !confirm("Drop the change? Its words stay in the history.")) {
    event.preventDefault();
    return;
  }
  leaving = true;
});
addEventListener("beforeunload", (event) => {
  if (dirty()) event.preventDefault();
});
addEventListener("pageshow", () => {
  leaving = false;
  show();
});
document.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  // In a single-line field Enter would press the first button, which publishes.
  if (event.key === "Enter" && event.target.matches?.("#faq-form input") && !event.ctrlKey && !event.metaKey) event.preventDefault();
  if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
  if (event.key === "s") {
    event.preventDefault();
    press("save");
  } else if (event.key === "Enter") {
    event.preventDefault();
    press("publish", "review");
  }
});
show();
