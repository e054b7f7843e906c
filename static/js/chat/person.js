// Who is there: the line under the company's name, the waiting banner, the agent's typing dots, the form for an e-mail address,
// and what is shown of a resolved conversation. All of it follows from the conversation's own state.

import { setText } from "./message.js";
import { typingName } from "./transcript.js";

export class PersonView {
  #parts;
  #text;

  constructor({ parts, text, onContact }) {
    this.#parts = parts;
    this.#text = text;
    parts.contactForm.addEventListener("submit", (event) => {
      event.preventDefault();
      this.refuseContact("");
      onContact({ email: parts.contactEmail.value.trim(), message: parts.contactMessage.value.trim() });
    });
  }

  show(state, now = Date.now()) {
    const { who, dot, waiting, waitingText, typing, typingText, contact, resolved, field, hint } = this.#parts;
    const conversation = state.conversation;
    const status = state.phase === "not_found" ? "" : conversation?.status ?? "";
    setText(who, this.#whoLabel(conversation));
    dot.hidden = status !== "held";
    waiting.hidden = status !== "waiting";
    setText(waitingText, status === "waiting" ? this.#placeLabel(conversation) : "");
    const name = typingName(state, now);
    typing.hidden = !name;
    setText(typingText, name ? this.#text.t("agent_typing", { name }) : "");
    contact.hidden = conversation?.contact !== "offered" || status === "held";
    resolved.hidden = status !== "resolved";
    const placeholder = status === "held" ? this.#text.t("placeholder_person", { name: conversation.agent.name }) : field.dataset.placeholder;
    if (field.placeholder !== placeholder) field.placeholder = placeholder;
    hint.hidden = status === "held";
  }

  // "": take the complaint back.
  refuseContact(sentence) {
    const { contactEmail, contactError } = this.#parts;
    setText(contactError, sentence);
    contactError.hidden = !sentence;
    contactEmail.setAttribute("aria-invalid", String(Boolean(sentence)));
    if (sentence) contactEmail.focus();
  }

  #whoLabel(conversation) {
    const { t } = this.#text;
    if (conversation?.status === "held") return t("who_held", { name: conversation.agent.name });
    if (conversation?.status === "waiting") return t("who_waiting");
    if (conversation?.status === "resolved") return t("who_resolved");
    return this.#parts.who.dataset.bot;
  }

  #placeLabel({ place, opens_at: opensAt }) {
    const { t } = this.#text;
    if (opensAt) return t("person_opens", { when: this.#text.moment(new Date(opensAt)) });
    if (!place) return "";
    return place === 1 ? t("person_next") : t("person_place", { number: place });
  }
}
