// The panel above the composer: drafts, rewriting, translation, FAQs and the summary. Nothing is sent by it: it only puts text
// into the composer. Started anew for each conversation that is opened.

import { element } from "../faqs/jobs.js";
import { startCanned } from "./canned.js";
import { Wish, post } from "./jobs.js";

const STEPS = {
  waiting: "Waiting until no customer needs the model …",
  writing: "The model writes …",
  checking: "Holding every sentence against the sources …",
};
const NOTE_EVERY_MS = 4000;
const LANGUAGE = "assist-language";

const field = () => document.getElementById("desk-field");

function put(text, { replace = true, draft = null } = {}) {
  field()?.dispatchEvent(new CustomEvent("desk:insert", { bubbles: true, detail: { text, replace, draft } }));
}

function button(text, onClick, className = "button button-small") {
  const made = element("button", { text, className });
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

function words(text) {
  const made = element("p", { text, className: "assist-words" });
  made.dir = "auto";
  return made;
}

class Panel {
  constructor(root) {
    this.root = root;
    this.wish = new Wish();
    this.part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.canned = startCanned(root, { field, put });
    const language = this.part("language");
    language.value = localStorage.getItem(LANGUAGE) ?? language.value;
    language.addEventListener("change", () => localStorage.setItem(LANGUAGE, language.value));
    root.addEventListener("click", (event) => this.#clicked(event));
    root.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      const open = event.target.closest("details[data-menu][open]");
      if (!open && this.part("results").hidden) return;
      event.stopPropagation();
      if (open) this.#closeMenu(open);
      else this.#close();
    });
    this.part("close").addEventListener("click", () => this.#close());
    this.#followNote();
  }

  stop() {
    this.wish.cancel();
    this.canned.stop();
    this.stopped = true;
  }

  #clicked(event) {
    const pressed = event.target.closest("[data-help-action]");
    if (!pressed) return;
    const menu = pressed.closest("details[data-menu]");
    if (menu) this.#closeMenu(menu);
    const typed = field()?.value.trim() ?? "";
    const { draftUrl, rewriteUrl, translateUrl, faqsUrl, language } = this.root.dataset;
    const actions = {
      draft: () => this.#ask(draftUrl, {}, (found) => this.#showDrafts(found)),
      faqs: () => this.#ask(faqsUrl, {}, (found) => this.#showFaqs(found)),
      canned: () => this.canned.open(),
      rewrite: () => this.#ask(rewriteUrl, { text: typed, style: pressed.dataset.style }, (found) => this.#showRewritten(found)),
      "translate-mine": () => this.#ask(translateUrl, { text: typed, to: language }, (found) => this.#showRewritten(found)),
      "translate-theirs": () =>
        this.#ask(translateUrl, { text: this.#theirs(), to: this.part("language").value }, (found) => this.#showTranslated(found)),
    };
    actions[pressed.dataset.helpAction]();
  }

  #closeMenu(menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }

  // What is marked in the transcript, else the customer's last message.
  #theirs() {
    const marked = getSelection();
    const transcript = document.querySelector(".desk-conversation .transcript");
    if (!marked.isCollapsed && transcript?.contains(marked.anchorNode)) return marked.toString();
    const messages = transcript?.querySelectorAll(".message-customer .message-text") ?? [];
    return messages[messages.length - 1]?.textContent ?? "";
  }

  #ask(url, fields, show) {
    this.canned.close();
    this.part("results").hidden = false;
    this.part("list").replaceChildren();
    this.#say("Asking …", { busy: true });
    this.wish.ask(url, fields, {
      working: (step) => this.#say(STEPS[step] ?? "Working …", { busy: true }),
      done: (found) => show(found),
      failed: (message) => this.#say(message),
    });
  }

  #say(text, { busy = false } = {}) {
    const spinner = element("span", { className: "spinner" });
    spinner.setAttribute("aria-hidden", "true");
    this.part("state").replaceChildren(...(busy ? [spinner, " "] : []), text);
  }

  #show(text, ...boxes) {
    this.#say(text);
    this.part("list").replaceChildren(...boxes);
  }

  #close() {
    this.wish.cancel();
    this.part("results").hidden = true;
    field()?.focus();
  }

  #showDrafts(found) {
    if (!found.length) {
      this.#show("Nothing that the company has published answers this, so there is nothing to draft from.");
      return;
    }
    this.#show(`${found.length} draft${found.length === 1 ? "" : "s"}. Read before you send.`, ...found.map((draft) => this.#draft(draft)));
    this.part("list").querySelector("button")?.focus();
  }

  #draft(draft) {
    const sources = draft.sources.map((source) => {
      const link = element("a", { text: `[${source.number}] ${source.title}`, href: `/faqs/?q=${encodeURIComponent(source.key)}` });
      link.target = "_blank";
      return element("li", {}, link);
    });
    const kind = draft.kind === "published" ? "Published answer, word for word" : "Written by the model, checked against:";
    const withheld = draft.withheld ? `${draft.withheld} sentence${draft.withheld === 1 ? "" : "s"} that no source supports left out.` : "";
    const use = button("Use", () => this.#use(draft), "button button-small button-primary");
    return element(
      "article", { className: "assist-draft" },
      words(draft.text),
      element("p", { className: "small muted", text: [kind, withheld].filter(Boolean).join(" ") }),
      element("ul", { className: "small assist-sources" }, ...sources),
      element("p", { className: "row" }, use, button("Add to mine", () => put(draft.plain, { replace: false }))),
    );
  }

  #use(draft) {
    put(draft.plain, { draft: { text: draft.plain } });
    post(this.root.dataset.keptUrl, { draft: JSON.stringify(draft) }).catch(() => {}); // Only learning from it is lost.
    this.#close();
  }

  #showFaqs(found) {
    const boxes = found.map((faq) => {
      const title = element("strong", { text: faq.title });
      title.dir = "auto";
      const marks = [faq.sure ? "likely the answer" : "", faq.foreign ? `in ${faq.locale}` : ""].filter(Boolean).join(", ");
      const link = element("a", { text: "Open", className: "button button-small", href: faq.faq_id ? `/faqs/${faq.faq_id}/` : `/faqs/?q=${encodeURIComponent(faq.key)}` });
      link.target = "_blank";
      const box = element("details", { className: "assist-draft" }, element("summary", {}, title, element("span", { className: "small muted", text: marks ? ` ${marks}` : "" })));
      box.append(words(faq.text), element("p", { className: "row" }, button("Put into the message", () => put(faq.text, { replace: false })), link));
      return box;
    });
    this.#show(found.length ? "FAQs that may help, best first." : "The search finds nothing for this.", ...boxes);
  }

  #rewritten(found, ...buttons) {
    const warnings = found.warnings.map((text) => element("p", { className: "small open-point", text }));
    return element(
      "div", { className: "assist-pair" },
      element("div", {}, element("p", { className: "small muted", text: "Before" }), words(found.original)),
      element("div", {}, element("p", { className: "small muted", text: "After" }), words(found.text), ...warnings, element("p", { className: "row" }, ...buttons)),
    );
  }

  #showRewritten(found) {
    const use = () => {
      put(found.text);
      this.#close();
    };
    this.#show("", this.#rewritten(found, button("Replace mine", use, "button button-small button-primary")));
    this.part("list").querySelector("button")?.focus();
  }

  #showTranslated(found) {
    this.#show("Translated by the model; the original is what counts.", this.#rewritten(found));
  }

  async #followNote() {
    const note = this.part("note");
    for (let looks = 0; note && "pending" in note.dataset && looks < 40 && !this.stopped; looks++) {
      await new Promise((resolve) => setTimeout(resolve, NOTE_EVERY_MS));
      const response = await fetch(this.root.dataset.noteUrl).catch(() => null);
      if (!response?.ok || this.stopped) return;
      const { done, html } = await response.json();
      if (note.innerHTML !== html) note.innerHTML = html; // Escaped by the server's template.
      if (done) return;
    }
  }
}

let panel = null;

function start() {
  const root = document.querySelector("[data-assist]");
  if (panel?.root === root) return;
  panel?.stop();
  panel = root && new Panel(root);
}

document.addEventListener("desk:opened", start);
document.addEventListener("desk:closed", () => {
  panel?.stop();
  panel = null;
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) if (!menu.contains(event.target)) menu.open = false;
});
start();
