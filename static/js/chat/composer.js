// The text field: grows to eight lines, Enter sends, Shift+Enter breaks, and an input method keeps its own Enter.

import { lengthOf } from "./text.js";

const MAX_ROWS = 8;
const IME_KEY_CODE = 229; // Safari ends a composition before its keydown arrives and says so only with this code

export class Composer {
  #field;
  #sendButton;
  #stopButton;
  #counter;
  #counterText;
  #maxChars;
  #onSend;
  #onDraft;
  #onTyping;

  constructor({ form, field, sendButton, stopButton, counter, counterText, maxChars, onSend, onStop, onDraft, onTyping }) {
    this.#field = field;
    this.#sendButton = sendButton;
    this.#stopButton = stopButton;
    this.#counter = counter;
    this.#counterText = counterText;
    this.#maxChars = maxChars;
    this.#onSend = onSend;
    this.#onDraft = onDraft;
    this.#onTyping = onTyping;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    field.addEventListener("input", () => {
      if (field.value.trim()) this.#onTyping();
      this.#changed();
    });
    field.addEventListener("keydown", (event) => this.#keydown(event));
    stopButton.addEventListener("click", onStop);
    addEventListener("resize", () => this.#grow());
    this.#show();
  }

  set(text) {
    this.#field.value = text;
    this.#changed();
  }

  focus() {
    this.#field.focus();
  }

  showPending(pending, stopping) {
    const hadFocus = document.activeElement === this.#stopButton;
    this.#stopButton.hidden = !pending;
    this.#stopButton.setAttribute("aria-disabled", String(stopping));
    this.#showSend();
    if (hadFocus && !pending) this.#field.focus();
  }

  #keydown(event) {
    if (event.key !== "Enter" || event.shiftKey || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.isComposing || event.keyCode === IME_KEY_CODE) return;
    event.preventDefault();
    this.#submit();
  }

  #submit() {
    if (!this.#onSend(this.#field.value)) return;
    this.set("");
    this.#field.focus();
  }

  #changed() {
    this.#onDraft(this.#field.value);
    this.#show();
  }

  #show() {
    const used = lengthOf(this.#field.value.trim());
    const left = this.#maxChars - used;
    this.#counter.hidden = left > this.#maxChars / 10;
    this.#counter.textContent = this.#counter.hidden ? "" : this.#counterText(left);
    this.#counter.classList.toggle("is-over", left < 0);
    this.#field.setAttribute("aria-invalid", String(left < 0));
    this.#sendButton.disabled = used === 0 || left < 0;
    this.#showSend();
    this.#grow();
  }

  // While an answer is being written and nothing is typed, the button in this place is Stop.
  #showSend() {
    this.#sendButton.hidden = !this.#stopButton.hidden && this.#field.value.trim() === "";
  }

  #grow() {
    const field = this.#field;
    field.rows = 1;
    while (field.rows < MAX_ROWS && field.scrollHeight > field.clientHeight) field.rows += 1;
  }
}
