// The agent's text field: an answer to the customer or a note for colleagues, each with a draft of its own.

import { lengthOf } from "../chat/text.js";
import { draftOf, keepDraft } from "./kept.js";

const IME_KEY_CODE = 229; // Safari ends a composition before its keydown arrives and says so only with this code
const MAX_ROWS = 10;
const TYPING_EVERY_MS = 3_000;
const MAX_NOTE_CHARS = 10_000;

export class Composer {
  #form;
  #field;
  #pane;
  #maxChars;
  #mode = "reply";
  #typedAt = 0;
  #draft = null; // what desk:insert brought

  constructor({ form, maxChars, pane }) {
    this.#form = form;
    this.#field = form.querySelector("textarea");
    this.#pane = pane;
    this.#maxChars = maxChars;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#field.addEventListener("input", () => this.#changed());
    this.#field.addEventListener("keydown", (event) => this.#keydown(event));
    this.#field.addEventListener("desk:insert", (event) => this.#insert(event.detail));
    for (const button of form.querySelectorAll("[data-mode-button]")) {
      button.addEventListener("click", () => {
        this.#choose(button.dataset.modeButton);
        this.#field.focus();
      });
    }
    this.#choose("reply");
  }

  showOwner() {
    const { holder, holderName } = this.#pane.owner;
    this.#form.dataset.holder = holder;
    const blocked = this.#mode === "reply" && holder === "other";
    this.#field.readOnly = blocked;
    const words = {
      me: "",
      other: this.#mode === "reply" ? `${holderName} answers. Take over to write yourself.` : "",
      bot: this.#mode === "reply" ? "The bot answers. Sending takes over." : "",
      nobody: this.#mode === "reply" ? "Resolved. Sending opens it again." : "",
    };
    this.#part("composer-state").textContent = words[holder];
    const send = this.#part("send");
    send.textContent = this.#mode === "note" ? "Add note" : holder === "me" || holder === "other" ? "Send" : holder === "bot" ? "Take over and send" : "Open again and send";
    this.#showCount();
  }

  // A text that was not sent after all.
  giveBack(item) {
    if (!item) return;
    this.#choose(item.kind);
    this.#set(this.#field.value ? `${item.text}\n${this.#field.value}` : item.text);
    this.#field.focus();
  }

  #choose(mode) {
    this.#mode = mode;
    this.#form.dataset.mode = mode;
    for (const button of this.#form.querySelectorAll("[data-mode-button]")) {
      button.setAttribute("aria-pressed", String(button.dataset.modeButton === mode));
    }
    this.#field.value = draftOf(this.#pane.id, mode);
    this.#field.placeholder = mode === "note" ? "Only colleagues see this. @name calls somebody." : "Write to the customer";
    this.showOwner();
    this.#grow();
  }

  #keydown(event) {
    if (event.defaultPrevented) return;
    if (event.key === "/" && this.#field.value === "") {
      this.#field.dispatchEvent(new CustomEvent("desk:slash", { bubbles: true, detail: { field: this.#field } }));
    }
    if (event.key !== "Enter" || event.shiftKey || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.isComposing || event.keyCode === IME_KEY_CODE) return;
    event.preventDefault();
    this.#submit();
  }

  #submit() {
    const text = this.#field.value.trim();
    if (!text || lengthOf(text) > this.#limit || (this.#mode === "reply" && this.#pane.owner.holder === "other")) return;
    const draft = this.#draft;
    this.#set("");
    this.#draft = null;
    this.#pane.send({ kind: this.#mode, text, draft });
    this.#field.focus();
  }

  #insert({ text, replace, draft }) {
    this.#draft = draft ?? null;
    const before = replace ? "" : this.#field.value;
    this.#set(before && !before.endsWith(" ") && !before.endsWith("\n") ? `${before} ${text}` : before + text);
    this.#field.focus();
    this.#field.setSelectionRange(this.#field.value.length, this.#field.value.length);
  }

  #set(text) {
    this.#field.value = text;
    this.#kept();
  }

  #changed() {
    this.#kept();
    if (this.#mode !== "reply" || this.#pane.owner.holder !== "me" || !this.#field.value) return;
    if (Date.now() - this.#typedAt < TYPING_EVERY_MS) return;
    this.#typedAt = Date.now();
    this.#pane.typing();
  }

  #kept() {
    keepDraft(this.#pane.id, this.#mode, this.#field.value);
    this.#showCount();
    this.#grow();
  }

  get #limit() {
    return this.#mode === "note" ? MAX_NOTE_CHARS : this.#maxChars;
  }

  #showCount() {
    const used = lengthOf(this.#field.value.trim());
    const left = this.#limit - used;
    const counter = this.#part("counter");
    counter.hidden = left > this.#limit / 10;
    counter.textContent = counter.hidden ? "" : left >= 0 ? `${left} characters left` : `${-left} characters too many`;
    this.#field.setAttribute("aria-invalid", String(left < 0));
    this.#part("send").disabled = used === 0 || left < 0 || this.#field.readOnly;
  }

  #grow() {
    const field = this.#field;
    field.rows = 2;
    while (field.rows < MAX_ROWS && field.scrollHeight > field.clientHeight) field.rows += 1;
  }

  #part(name) {
    return this.#form.querySelector(`[data-part="${name}"]`);
  }
}
