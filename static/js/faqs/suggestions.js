// Phrasings that the model suggests: asked for, ticked, put into the text field. Nothing is saved by this.

import { Refused, begin, cancel, element, looks } from "./jobs.js";

const LIMIT_MS = 170_000;
const form = document.getElementById("faq-form");
const ask = form.querySelector("[data-suggest]");
const panel = form.querySelector("[data-suggestions]");
const state = panel.querySelector("[data-state]");
const list = panel.querySelector("[data-list]");
const add = panel.querySelector("[data-add]");
const end = panel.querySelector("[data-cancel]");
const phrasings = form.elements.phrasings;
const STEPS = {
  waiting: () => "Waiting until no customer needs the model …",
  writing: (lines) => `The model writes … ${lines} so far`,
  checking: () => "Asking the search what each of them finds …",
};
let job = null;
let run = 0;

function say(text, { busy = false } = {}) {
  const spinner = element("span", { className: "spinner" });
  spinner.setAttribute("aria-hidden", "true");
  state.replaceChildren(...(busy ? [spinner] : []), element("span", { text }));
}

function line(found) {
  const good = found.fate === "good";
  const box = element("input");
  box.type = "checkbox";
  box.checked = box.defaultChecked = good;
  box.disabled = !good;
  box.value = found.text;
  const text = element("span", { text: found.text });
  text.dir = "auto";
  const label = element("label", { className: "check" }, box, text);
  const why = good ? (found.found ? "finds this FAQ already" : "not found yet: worth adding") : `finds “${found.other}” instead`;
  return element("li", {}, label, element("span", { className: "small muted", text: why }));
}

function show(found) {
  const good = found.filter((each) => each.fate === "good").length;
  list.replaceChildren(...found.map(line));
  add.hidden = !good;
  say(good ? `${good} suggested. Each finds this FAQ or none for sure.` : "Nothing usable this time. Asking again brings other ones.");
}

function finish() {
  job = null;
  ask.disabled = false;
  end.textContent = "Close";
}

async function suggest() {
  const mine = ++run;
  panel.hidden = false;
  ask.disabled = true;
  add.hidden = true;
  end.textContent = "Cancel";
  list.replaceChildren();
  say("Waiting for the model …", { busy: true });
  try {
    job = await begin(form.dataset.suggestUrl, form);
    for await (const look of looks(job, { goOn: () => mine === run, limitMs: LIMIT_MS })) {
      if (mine !== run) return;
      if (look.state === "working") say(STEPS[look.found.step](look.found.lines), { busy: true });
      if (look.state === "done") show(look.found);
      if (look.state === "failed") say(look.message);
      if (look.state === "late") say("The model has not answered. Please try again later.");
    }
  } catch (error) {
    if (mine === run) say(error instanceof Refused ? error.message : "This cannot be done now. Saving is not affected.");
  }
  if (mine === run) finish();
}

ask.hidden = false;
ask.addEventListener("click", suggest);
end.addEventListener("click", () => {
  run++;
  if (job) cancel(job, form);
  finish();
  panel.hidden = true;
  ask.focus();
});
add.addEventListener("click", () => {
  const ticked = [...list.querySelectorAll("input:checked")].map((box) => box.value);
  const lines = [phrasings.value.trimEnd(), ...ticked].filter(Boolean);
  phrasings.value = lines.join("\n");
  phrasings.dispatchEvent(new Event("input", { bubbles: true }));
  panel.hidden = true;
  phrasings.focus();
});
addEventListener("pagehide", () => job && cancel(job, form));
