// The "/" menu of canned replies: a listbox above the composer, driven from the text field. Arrows choose, Enter puts it in, Escape leaves.

import { element } from "../faqs/jobs.js";
import { post } from "./jobs.js";

const SHOWN = 12;

const plain = (text) => text.toLocaleLowerCase().normalize("NFKD");

export function startCanned(root, { field, put }) {
  const box = root.querySelector('[data-part="canned"]');
  const list = root.querySelector('[data-part="canned-list"]');
  const state = root.querySelector('[data-part="canned-state"]');
  let replies = null;
  let found = [];
  let chosen = 0;

  async function load() {
    if (replies) return;
    try {
      const response = await fetch(root.dataset.cannedUrl, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(String(response.status));
      ({ replies } = await response.json());
    } catch {
      state.textContent = "Canned replies cannot be loaded now.";
    }
  }

  function option(reply, number) {
    const made = element(
      "li", {},
      element("span", { className: "mono", text: `/${reply.shortcut}` }),
      element("strong", { text: reply.title }),
      element("span", { className: "small muted assist-canned-text", text: reply.text }),
    );
    made.id = `assist-canned-${number}`;
    made.setAttribute("role", "option");
    made.setAttribute("aria-selected", String(number === chosen));
    made.addEventListener("pointerdown", (event) => event.preventDefault()); // The field keeps the focus.
    made.addEventListener("click", () => choose(reply));
    return made;
  }

  function draw() {
    const typed = field()?.value ?? "";
    const wanted = typed.startsWith("/") ? plain(typed.slice(1).trim()) : ""; // Opened beside a text: all are shown.
    const scored = (replies ?? []).map((reply) => {
      if (plain(reply.shortcut).startsWith(wanted)) return [0, reply];
      if (plain(`${reply.shortcut} ${reply.title}`).includes(wanted)) return [1, reply];
      return [plain(reply.text).includes(wanted) ? 2 : 9, reply];
    });
    found = scored.filter(([score]) => score < 9).sort((a, b) => a[0] - b[0]).slice(0, SHOWN).map(([, reply]) => reply);
    chosen = Math.min(chosen, Math.max(found.length - 1, 0));
    list.replaceChildren(...found.map(option));
    if (replies) state.textContent = found.length ? `${found.length} canned repl${found.length === 1 ? "y" : "ies"}: ↑ ↓ choose, Enter puts it in` : replies.length ? "No canned reply fits. Escape to write on." : "There are no canned replies yet. A team lead can write some.";
    const active = list.children[chosen];
    active?.scrollIntoView({ block: "nearest" });
    if (active) field()?.setAttribute("aria-activedescendant", active.id);
    else field()?.removeAttribute("aria-activedescendant");
  }

  async function open() {
    const text = field();
    if (!text) return;
    if (!text.value.trim()) text.value = "/";
    text.focus();
    box.hidden = false;
    chosen = 0;
    text.setAttribute("aria-controls", list.id);
    text.setAttribute("aria-autocomplete", "list");
    await load();
    if (!box.hidden) draw();
  }

  function close() {
    box.hidden = true;
    for (const name of ["aria-controls", "aria-autocomplete", "aria-activedescendant"]) field()?.removeAttribute(name);
  }

  function choose(reply) {
    const typed = field().value;
    close();
    put(reply.text, { replace: typed.startsWith("/") });
    const gap = reply.missing[0] ? field().value.indexOf(`{${reply.missing[0]}`) : -1;
    if (gap >= 0) field().setSelectionRange(gap, field().value.indexOf("}", gap) + 1); // Nothing is known for it: write it yourself.
    post(reply.used).catch(() => {});
  }

  function onKey(event) {
    if (box.hidden || event.target !== field() || event.isComposing) return;
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps && found.length) {
      chosen = (chosen + steps[event.key] + found.length) % found.length;
      draw();
    } else if ((event.key === "Enter" || event.key === "Tab") && found.length && !event.shiftKey) choose(found[chosen]);
    else if (event.key === "Escape") {
      if (field().value === "/") field().value = "";
      close();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  function onInput(event) {
    if (event.target !== field()) return;
    if (box.hidden) return;
    if (!event.target.value.startsWith("/") || event.target.value.includes("\n")) close();
    else {
      chosen = 0;
      draw();
    }
  }

  function onSlash() {
    box.hidden = false;
    setTimeout(() => !box.hidden && open()); // The "/" itself is typed first; Escape may already have closed it again.
  }

  document.addEventListener("keydown", onKey, { capture: true });
  document.addEventListener("input", onInput);
  document.addEventListener("desk:slash", onSlash);
  return {
    open,
    close,
    stop() {
      close();
      document.removeEventListener("keydown", onKey, { capture: true });
      document.removeEventListener("input", onInput);
      document.removeEventListener("desk:slash", onSlash);
    },
  };
}
