// The open conversation: its state, its drawing, what this agent sends. Made anew for every conversation that is opened.

import { Follower } from "../chat/scroll.js";
import { newId } from "../chat/text.js";
import { Composer } from "./composer.js";
import { entriesOf, newConversation, positions, reduce, typingNow } from "./conversation.js";
import { build, setText, signature, updatePending, updateUnsent } from "./draw.js";
import { fromServer, replaceKeepingFocus } from "./html.js";
import { get, page, post } from "./http.js";
import { keepUnsent, unsentOf } from "./kept.js";
import { tick } from "./times.js";

const RETRY_MS = 3_000;
const STATE_AFTER_MS = 120;

export class Pane {
  #root;
  #desk;
  #shown = new Map(); // key -> {node, signature}
  #timers = [];
  #stateTimer = 0;
  #sending = false;
  #readSeq = -1;
  #loadingEarlier = false;

  constructor({ root, desk }) {
    this.#root = root;
    this.#desk = desk;
    const data = JSON.parse(root.querySelector("#pane-data").textContent);
    this.id = data.conversation_id;
    this.state = newConversation(data, unsentOf(this.id));
    this.#adopt();
    this.follower = new Follower({
      pane: this.#part("scroll"), content: this.#part("transcript"), pill: this.#part("below"), pillText: this.#part("below"),
      labels: { newMessages: "New messages ↓", latest: "To the end ↓" }, onTop: () => this.loadEarlier(),
    });
    const form = root.querySelector("#desk-composer");
    this.composer = form && new Composer({ form, maxChars: data.max_chars, pane: this });
    this.#part("transcript").addEventListener("click", (event) => this.#clicked(event));
    this.#part("transcript").addEventListener("toggle", (event) => this.#opened(event.target), true);
    this.#part("earlier")?.addEventListener("click", (event) => {
      event.preventDefault();
      this.loadEarlier();
    });
    this.#timers.push(setInterval(() => this.#second(), 1_000));
    this.#draw();
    this.follower.toEnd();
    document.dispatchEvent(new CustomEvent("desk:opened", { detail: { conversationId: this.id, root } }));
    this.#flush();
  }

  close() {
    document.dispatchEvent(new CustomEvent("desk:closed", { detail: { conversationId: this.id } }));
    for (const timer of this.#timers) clearInterval(timer);
    clearTimeout(this.#stateTimer);
    this.closed = true;
  }

  get owner() {
    return this.state.owner;
  }

  watchFrame() {
    return { type: "conversation.watch", conversation_id: this.id, ...positions(this.state) };
  }

  received(frame) {
    const before = this.state;
    this.#dispatch(frame);
    if (frame.type === "message.changed" && frame.message.status !== "pending") this.#finished(frame.message, before);
    if (this.state.outdated) this.refresh();
  }

  online() {
    this.#readSeq = -1;
    this.#flush();
  }

  // ---- sending

  // Queue a text; it is kept in this browser until the server has it, and sent under the same id however often.
  send({ kind, text, draft }) {
    const item = { id: newId(), kind, text, status: "sending", error: "", draft };
    this.#dispatch({ type: "local.queued", item });
    this.#keep();
    this.follower.toEnd();
    this.#flush();
  }

  async #flush() {
    if (this.#sending || this.closed) return;
    const item = this.state.outbox.find((one) => one.status !== "refused");
    if (!item) return;
    this.#sending = true;
    this.#dispatch({ type: "local.item", id: item.id, changes: { status: "sending" } });
    const answer = await this.#post(item);
    this.#sending = false;
    if (this.closed) return;
    if (answer.ok) this.#sent(item, answer.body);
    else if (answer.status === 0 || answer.status >= 500 || answer.status === 429) {
      this.#dispatch({ type: "local.item", id: item.id, changes: { status: "unsent" } });
      return void this.#timers.push(setTimeout(() => this.#flush(), answer.error?.retry_after_s ? answer.error.retry_after_s * 1_000 : RETRY_MS));
    } else {
      this.#dispatch({ type: "local.item", id: item.id, changes: { status: "refused", error: answer.error.message } });
      this.#keep();
    }
    this.#flush();
  }

  async #post(item) {
    const fields = { client_message_id: item.id, text: item.text };
    if (item.kind === "note") return post(`/desk/${this.id}/notes/`, fields);
    // Writing to a customer whom the bot or nobody answers means to take over; from a colleague nothing is taken by writing.
    if (this.owner.holder === "bot" || this.owner.holder === "nobody") {
      const action = this.owner.holder === "bot" ? "take" : "reopen";
      const taken = await post(`/desk/${this.id}/do/${action}/`);
      if (!taken.ok) return taken;
      this.#desk.undoable(taken.body);
      await this.refresh();
    }
    return post(`/desk/${this.id}/messages/`, fields);
  }

  #sent(item, body) {
    this.#dispatch({ type: "local.sent", id: item.id, message: body.message, note: body.note });
    this.#keep();
    const detail = { conversationId: this.id, clientMessageId: item.id, text: item.text, kind: item.kind, draft: item.draft ?? null };
    document.dispatchEvent(new CustomEvent("desk:sent", { detail }));
  }

  #keep() {
    keepUnsent(this.id, this.state.outbox);
  }

  typing() {
    this.#desk.socket.send({ type: "typing" });
  }

  // ---- what stands around the messages

  // Load header, context and summary again; several changes in one moment cost one request.
  refresh() {
    this.#dispatch({ type: "local.outdated" });
    this.refreshing ??= new Promise((resolve) => {
      this.#stateTimer = setTimeout(async () => {
        this.refreshing = null;
        const answer = await get(`/desk/${this.id}/state/${this.#desk.address}`);
        if (!this.closed && answer.ok) this.#around(answer.body);
        else if (!this.closed) this.#timers.push(setTimeout(() => this.refresh(), RETRY_MS));
        resolve();
      }, STATE_AFTER_MS);
    });
    return this.refreshing;
  }

  #around({ header, context, summary, data }) {
    if (data.version < this.owner.version) return; // A slow answer to an earlier question.
    replaceKeepingFocus(this.#part("header"), header);
    replaceKeepingFocus(this.#part("context"), context);
    this.#dispatch({ type: "local.owner", data });
    const open = this.#part("summary").querySelector("details")?.open;
    replaceKeepingFocus(this.#part("summary"), summary);
    const details = this.#part("summary").querySelector("details");
    if (details && open !== undefined) details.open = open;
    this.composer?.showOwner();
  }

  async loadEarlier() {
    const { transcript } = this.state;
    if (!transcript.hasEarlier || this.#loadingEarlier) return;
    this.#loadingEarlier = true;
    const answer = await get(`/desk/${this.id}/?part=earlier&before_seq=${transcript.messages[0].seq}`);
    this.#loadingEarlier = false;
    if (!answer.ok || this.closed) return;
    const { html, messages, has_earlier: hasEarlier } = answer.body;
    this.follower.keepPlace(() => {
      this.#part("transcript").prepend(fromServer(html));
      this.state = reduce(this.state, { type: "local.earlier", messages, hasEarlier });
      this.#adopt();
      this.#draw();
      const row = this.#part("earlier-row");
      if (row) row.hidden = !hasEarlier;
    });
  }

  // ---- inside

  #dispatch(frame) {
    const before = this.state;
    this.state = reduce(before, frame, Date.now());
    if (this.state !== before) this.#draw();
  }

  // Take over what the server has drawn.
  #adopt() {
    for (const node of this.#part("transcript").children) {
      const key = node.dataset.id ? `m:${node.dataset.id}` : `n:${node.dataset.note}`;
      const entry = entriesOf(this.state).find((one) => one.key === key);
      if (entry) this.#shown.set(key, { node, signature: signature(entry) });
    }
  }

  #draw() {
    const list = this.#part("transcript");
    const entries = entriesOf(this.state);
    const wanted = new Set(entries.map((entry) => entry.key));
    for (const [key, { node }] of this.#shown) if (!wanted.has(key)) this.#drop(key, node);
    entries.forEach((entry, index) => {
      const node = this.#nodeFor(entry);
      const there = list.children[index];
      if (node !== there) list.insertBefore(node, there ?? null);
    });
    const nothing = this.#part("no-messages");
    if (nothing) nothing.hidden = entries.length > 0;
    this.#drawPeople();
  }

  #drop(key, node) {
    node.remove();
    this.#shown.delete(key);
  }

  #nodeFor(entry) {
    const known = this.#shown.get(entry.key);
    const present = signature(entry);
    let node = known?.node;
    if (!known || (known.signature !== present && entry.kind !== "unsent")) {
      node = build(entry, this.id);
      if (known) this.#replace(known.node, node);
    }
    this.#shown.set(entry.key, { node, signature: present });
    if (entry.kind === "unsent") updateUnsent(node, entry);
    if (entry.message?.status === "pending") updatePending(node, entry);
    if (!known && entry.kind !== "unsent") this.follower?.newBelow();
    return node;
  }

  #replace(old, node) {
    const why = old.querySelector("details.why[open]");
    old.replaceWith(node);
    if (why) node.querySelector("details.why").open = true;
  }

  #drawPeople() {
    const node = this.#part("viewers");
    const names = this.state.viewers.map((one) => one.name);
    if (node) {
      node.hidden = names.length === 0;
      setText(node, names.length ? `${names.join(", ")} ${names.length === 1 ? "is" : "are"} also here` : "");
    }
    const typing = typingNow(this.state, Date.now());
    const line = this.#part("typing");
    const atEnd = this.follower?.atEnd;
    line.hidden = typing.length === 0;
    setText(line, typing.length ? `${typing.join(" and ")} ${typing.length === 1 ? "is" : "are"} typing…` : "");
    if (atEnd && !line.hidden) this.follower.toEnd();
  }

  #second() {
    this.#drawPeople();
    tick(this.#root);
    this.#tellRead();
  }

  #tellRead() {
    const last = this.state.transcript.messages.findLast((message) => message.role === "customer")?.seq ?? 0;
    if (document.hidden || !this.follower.atEnd || last <= this.#readSeq) return;
    if (this.#desk.socket.send({ type: "read", seq: last })) this.#readSeq = last;
  }

  #finished(message, before) {
    const known = before.transcript.messages.find((one) => one.id === message.id);
    if (known && known.status !== "pending") return;
    document.dispatchEvent(new CustomEvent("desk:message", { detail: { conversationId: this.id, message } }));
  }

  #clicked(event) {
    const button = event.target.closest("[data-unsent]");
    if (!button) return;
    const key = [...this.#shown].find(([, shown]) => shown.node.contains(button))?.[0];
    const id = key?.slice(2);
    if (button.dataset.unsent === "drop") {
      this.composer?.giveBack(this.state.outbox.find((one) => one.id === id));
      this.#dispatch({ type: "local.dropped", id });
      this.#keep();
    } else {
      this.#dispatch({ type: "local.item", id, changes: { status: "unsent", error: "" } });
      this.#flush();
    }
  }

  // How an answer came about that was not there when the page was drawn.
  async #opened(details) {
    if (!details.open || !details.dataset.src) return;
    const answer = await page(details.dataset.src);
    if (!answer.ok) return void (details.querySelector("p").textContent = "It cannot be loaded now. Close and open it to try again.");
    const full = fromServer(answer.html).querySelector("details");
    full.open = true;
    details.replaceWith(full);
  }

  // m: the newest explanation.
  toggleWhy() {
    const all = [...this.#part("transcript").querySelectorAll("details.why:not([hidden])")];
    const last = all.at(-1);
    if (!last) return;
    last.open = !last.open;
    last.querySelector("summary").focus();
    last.scrollIntoView({ block: "nearest" });
  }

  #part(name) {
    return this.#root.querySelector(`[data-part="${name}"]`);
  }
}
