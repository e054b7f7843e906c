// Between the socket, the transcript and the page: commands go out, frames come in, `onChange` hears of every new state.

import { lengthOf, newId } from "./text.js";
import { hasGap, newTranscript, pendingReplies, reduce } from "./transcript.js";

const ACCEPTED_WITHIN_MS = 8_000;
const RETRY_AFTER_MS = 5_000;
// A reply that is silent for so long, or a gap in the numbers, may mean a lost frame: ask for the truth again, this often at most.
const SILENT_MS = 20_000;
const TYPING_EVERY_MS = 3_000;
// Refusals that pass by themselves; so does every one that names a time.
const RETRIABLE = new Set(["too_fast", "unavailable", "internal"]);

export class Controller {
  #socket;
  #outbox;
  #onChange;
  #onNotice;
  #awaiting = null; // {id, timer}: the one message that is on its way
  #askedAt = 0;
  #typedAt = 0;

  constructor({ conversationId, outbox, onChange, onNotice }) {
    this.state = newTranscript(conversationId);
    this.connection = { name: "connecting" };
    this.#outbox = outbox;
    this.#onChange = onChange;
    this.#onNotice = onNotice;
    for (const item of outbox.unsent(conversationId)) this.state = reduce(this.state, { type: "local.queued", item });
  }

  attach(socket) {
    this.#socket = socket;
    setInterval(() => this.#tick(Date.now()), 1_000);
    socket.start();
  }

  // ---- what the socket tells

  connectionChanged(connection) {
    this.connection = connection;
    if (connection.name === "online") {
      if (this.state.conversationId) this.#open(this.state.streamId || null);
      for (const item of this.state.outbox) {
        if (item.status === "unsent") this.#dispatch({ type: "local.sending", id: item.clientMessageId });
      }
      this.#flush();
    } else {
      this.#settle(this.#awaiting?.id);
      for (const item of this.state.outbox) {
        if (item.status === "sending") this.#dispatch({ type: "local.unsent", id: item.clientMessageId });
      }
    }
    this.#onChange(this.state);
  }

  received(frame) {
    const wasNew = !this.state.conversationId;
    this.#dispatch(frame);
    if (frame.type === "message.accepted") {
      if (wasNew) this.#outbox.adopt(this.state.conversationId);
      this.#persist();
      this.#settle(frame.client_message_id);
      this.#flush();
    }
    if (frame.type === "error") this.#refused(frame);
  }

  #refused(frame) {
    if (frame.client_message_id) {
      this.#settle(frame.client_message_id);
      if (RETRIABLE.has(frame.code) || frame.retry_after_s) {
        const delay = frame.retry_after_s ? frame.retry_after_s * 1_000 : RETRY_AFTER_MS;
        setTimeout(() => this.resend(frame.client_message_id), delay);
      }
      this.#flush();
    } else if (this.state.phase !== "not_found") {
      this.#onNotice(frame.message, frame.field);
    }
  }

  // ---- what the reader does

  send(text, maxChars) {
    const trimmed = text.trim();
    if (!trimmed || lengthOf(trimmed) > maxChars) return false;
    const status = this.#socket.online ? "sending" : "unsent";
    const item = { clientMessageId: newId(), text: trimmed, createdAt: new Date().toISOString(), status, error: "" };
    this.#dispatch({ type: "local.queued", item });
    this.#persist();
    this.#flush();
    if (status === "unsent") this.#socket.wake();
    return true;
  }

  resend(id) {
    const item = this.state.outbox.find((one) => one.clientMessageId === id);
    if (!item || item.status === "sending") return;
    if (!this.#socket.online) return this.#socket.wake();
    this.#dispatch({ type: "local.sending", id });
    this.#flush();
  }

  discard(id) {
    this.#dispatch({ type: "local.discarded", id });
    this.#persist();
    this.#settle(id);
  }

  stop() {
    for (const message of pendingReplies(this.state)) {
      if (!this.#command({ type: "reply.stop", message_id: message.id })) return;
      this.#dispatch({ type: "local.stopping", id: message.id });
    }
  }

  retry(id) {
    this.#command({ type: "reply.retry", message_id: id });
  }

  rate(id, rating) {
    const rated = this.state.messages.find((message) => message.id === id)?.rating;
    const wanted = rated === rating ? 0 : rating;
    if (this.#command({ type: "feedback.give", message_id: id, rating: wanted })) {
      this.#dispatch({ type: "local.rated", id, rating: wanted });
    }
  }

  explainRating(id, { reason, comment }) {
    if (this.#command({ type: "feedback.give", message_id: id, rating: -1, reason, comment })) {
      this.#dispatch({ type: "local.feedback", feedback: { messageId: id, stage: "thanks" } });
    }
  }

  closeFeedback(id) {
    this.#dispatch({ type: "local.feedback", feedback: { messageId: id, stage: "thanks" } });
  }

  requestPerson() {
    return this.#command({ type: "person.request", conversation_id: this.state.conversationId });
  }

  cancelRequest() {
    return this.#command({ type: "person.cancel", conversation_id: this.state.conversationId });
  }

  leaveContact({ email, message }) {
    return this.#command({ type: "contact.leave", conversation_id: this.state.conversationId, email, message });
  }

  endConversation() {
    return this.#command({ type: "conversation.end", conversation_id: this.state.conversationId });
  }

  giveSatisfaction({ about, score, comment }) {
    return this.#command({ type: "satisfaction.give", conversation_id: this.state.conversationId, about, score, comment });
  }

  // The customer types. Told only where a person is, or is to come.
  typing(now = Date.now()) {
    const status = this.state.conversation?.status;
    if ((status !== "held" && status !== "waiting") || now - this.#typedAt < TYPING_EVERY_MS) return;
    if (this.#socket.send({ type: "typing" })) this.#typedAt = now;
  }

  loadEarlier() {
    const { conversationId, messages, hasEarlier, loadingEarlier } = this.state;
    if (!hasEarlier || loadingEarlier || !this.#socket.online) return;
    this.#socket.send({ type: "messages.earlier", conversation_id: conversationId, before_seq: messages[0].seq });
    this.#dispatch({ type: "local.loadingEarlier", loading: true });
  }

  // ---- inside

  #command(frame) {
    const sent = this.#socket.send(frame);
    if (!sent) {
      this.#onNotice(null);
      this.#socket.wake();
    }
    return sent;
  }

  // One message at a time: the first one of a new conversation decides which conversation the next belongs to, and the order
  // the customer typed in is kept over reconnects.
  #flush() {
    if (this.#awaiting || !this.#socket.online) return;
    const item = this.state.outbox.find((one) => one.status === "sending");
    if (!item) return;
    const id = item.clientMessageId;
    const conversation_id = this.state.conversationId || null;
    this.#socket.send({ type: "message.send", client_message_id: id, conversation_id, text: item.text });
    const timer = setTimeout(() => {
      this.#settle(id);
      this.#dispatch({ type: "local.unsent", id });
      this.#socket.wake();
      this.#flush();
    }, ACCEPTED_WITHIN_MS);
    this.#awaiting = { id, timer };
  }

  #settle(id) {
    if (!this.#awaiting || this.#awaiting.id !== id) return;
    clearTimeout(this.#awaiting.timer);
    this.#awaiting = null;
  }

  #tick(now) {
    if (this.connection.name === "online" && this.state.phase !== "not_found") this.#heal(now);
    const counting = this.connection.name === "waiting" || this.connection.name === "offline";
    if (counting || this.state.typing || pendingReplies(this.state).length) this.#onChange(this.state);
  }

  #heal(now) {
    const silent = pendingReplies(this.state).some((message) => now - (this.state.heardAt[message.id] ?? 0) > SILENT_MS);
    if ((silent || hasGap(this.state)) && now - this.#askedAt > SILENT_MS) this.#open(null);
  }

  #open(after) {
    this.#askedAt = Date.now();
    this.#socket.send({ type: "conversation.open", conversation_id: this.state.conversationId, after });
  }

  #persist() {
    this.#outbox.keep(this.state.conversationId, this.state.outbox);
  }

  #dispatch(frame) {
    const before = this.state;
    this.state = reduce(before, frame, Date.now());
    if (this.state !== before) this.#onChange(this.state, before);
  }
}
