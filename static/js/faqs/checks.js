// Near-duplicates and contradictions, looked for while the author types. It never stands in the way of saving.

import { Refused, begin, element, looks } from "./jobs.js";

const DELAY_MS = 900;
const LIMIT_MS = 20_000;
const KINDS = {
  money: "Amount", percent: "Percentage", quantity: "Quantity", date: "Date", time: "Time", phone: "Phone", email: "E-mail", link: "Link",
};
const form = document.getElementById("faq-form");
const panel = form.querySelector("[data-checks]");
const list = panel.querySelector("[data-found]");
const state = panel.querySelector("[data-state]");
let timer = 0;
let newest = 0;

function differences(found) {
  const table = element("table", { className: "differences" });
  table.append(element("caption", { text: found.translation ? "Not the same in both languages" : "Stated differently" }));
  const head = element("tr", {}, element("td"), element("th", { text: "here" }), element("th", { text: "there" }));
  head.querySelectorAll("th").forEach((cell) => { cell.scope = "col"; });
  table.append(element("thead", {}, head));
  const body = element("tbody");
  for (const { kind, here, there } of found.differences) {
    const name = element("th", { text: KINDS[kind] ?? kind });
    name.scope = "row";
    body.append(element("tr", {}, name, element("td", { text: here.join(", ") || "–" }), element("td", { text: there.join(", ") || "–" })));
  }
  table.append(body);
  return table;
}

function item(found) {
  const link = element("a", { text: found.question, href: `/faqs/${found.faq_id}/` });
  link.dir = "auto";
  link.target = "_blank";
  const box = element("div", { className: "near" });
  const kind = found.translation ? `In ${found.locale}` : found.duplicate ? "Near-duplicate" : "Related";
  const tone = found.duplicate || found.differences.length ? "badge badge-warning" : "badge";
  box.append(element("p", { className: "row" }, element("span", { text: kind, className: tone }), link));
  if (found.answers_it) box.append(element("p", { className: "small", text: "Customers who ask your question are answered from it now." }));
  else if (found.duplicate) {
    box.append(element("p", { className: "small", text: `Your “${found.text}” is ${Math.round(found.likeness * 100)} % like it.` }));
  }
  if (found.differences.length) box.append(differences(found));
  return box;
}

async function check() {
  const mine = ++newest;
  if (!form.elements.question.value.trim()) return;
  try {
    const job = await begin(form.dataset.checkUrl, form);
    for await (const look of looks(job, { goOn: () => mine === newest, limitMs: LIMIT_MS })) {
      if (mine !== newest) return;
      if (look.state === "late") state.textContent = "The comparison waits for other work. You can save meanwhile.";
      if (look.state === "failed") state.textContent = look.message;
      if (look.state === "done") {
        list.replaceChildren(...look.found.map(item));
        state.textContent = look.found.length ? "" : "Nothing says the same, and nothing contradicts it.";
      }
    }
  } catch (error) {
    if (mine === newest) state.textContent = error instanceof Refused ? error.message : "The comparison cannot be made now. Saving is not affected.";
  }
}

form.addEventListener("input", (event) => {
  if (!["question", "answer", "phrasings", "locale", "key"].includes(event.target.name)) return;
  clearTimeout(timer);
  timer = setTimeout(check, DELAY_MS);
});
check();
