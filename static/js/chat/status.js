// Everything around the messages that tells a state: connection, empty and error states, announcements.

import { setText } from "./message.js";

// A connection that comes back at once is not worth a word.
const QUIET_MS = 1_200;
const NOTICE_MS = 8_000;

export class Status {
  #parts;
  #text;
  #connection = null;
  #downSince = 0;
  #noticeTimer = 0;

  constructor({ parts, text }) {
    this.#parts = parts;
    this.#text = text;
  }

  show(state, connection) {
    this.#connection = connection;
    this.#showConnection();
    this.#showPhase(state);
    const status = state.conversation?.status;
    this.#parts.composer.hidden = state.phase === "not_found";
    this.#parts.person.hidden = status === "waiting" || status === "held" || state.phase === "not_found";
  }

  #showConnection() {
    const connection = this.#connection;
    const { bar, barText, barButton } = this.#parts;
    const now = Date.now();
    if (connection.name === "online") this.#downSince = 0;
    else this.#downSince ||= now;
    const down = this.#downSince > 0 && now - this.#downSince > QUIET_MS;
    bar.hidden = !down;
    setText(barText, down ? this.#connectionLabel(connection, now) : "");
    barButton.hidden = connection.name === "connecting";
    setText(barButton, this.#text.t(connection.name === "refused" ? "reload" : "try_now"));
    if (this.#downSince && !down) setTimeout(() => this.#showConnection(), QUIET_MS + 50);
  }

  #connectionLabel(connection, now) {
    if (connection.name === "refused") return this.#text.t("visit_expired");
    if (connection.name === "offline") return this.#text.t("offline");
    if (connection.name === "connecting") return this.#text.t("connecting");
    const seconds = Math.max(1, Math.ceil((connection.retryAt - now) / 1_000));
    return this.#text.t("reconnecting", { seconds });
  }

  #showPhase({ phase, messages, outbox, hasEarlier, loadingEarlier }) {
    const { intro, suggestions, loading, notFound, earlier } = this.#parts;
    const nothing = messages.length === 0 && outbox.length === 0;
    loading.hidden = phase !== "loading";
    notFound.hidden = phase !== "not_found";
    intro.hidden = phase === "loading" || phase === "not_found" || hasEarlier;
    suggestions.hidden = intro.hidden || !nothing;
    intro.classList.toggle("is-empty", nothing);
    earlier.hidden = !hasEarlier;
    earlier.setAttribute("aria-busy", String(loadingEarlier));
    setText(earlier, this.#text.t(loadingEarlier ? "loading_earlier" : "load_earlier"));
  }

  // A sentence that comes and goes: what a command answered. null: there is no connection.
  notice(sentence) {
    const { notice } = this.#parts;
    setText(notice, sentence ?? this.#text.t("needs_connection"));
    notice.hidden = false;
    clearTimeout(this.#noticeTimer);
    this.#noticeTimer = setTimeout(() => {
      notice.hidden = true;
      notice.textContent = "";
    }, NOTICE_MS);
  }

  announce(sentence) {
    const { announcer } = this.#parts;
    // The same sentence twice must be read twice.
    announcer.textContent = "";
    requestAnimationFrame(() => { announcer.textContent = sentence; });
  }
}
