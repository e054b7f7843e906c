// The list of messages: which entries there are, in which order, and the least change of the DOM that shows them.

import { dayNumber } from "./text.js";
import { lastReply } from "./transcript.js";

const ROLES = new Set(["customer", "assistant", "agent", "system"]);

// Pure: what the log shows, top to bottom. Keys stay the same when an unsent message becomes a stored one.
export function entriesOf(state, { connection, unreadFrom }) {
  const last = lastReply(state);
  const online = connection.name === "online";
  const status = state.conversation?.status;
  const shared = { online, waiting: status === "waiting" || status === "held", held: status === "held" };
  // A reply that a person's coming has ended before its first word is nothing to read.
  const shown = state.messages.filter((message) => message.text || message.error !== "taken_over");
  const messages = shown.map((message) => ({
    ...shared,
    key: message.client_message_id ?? message.id,
    kind: ROLES.has(message.role) ? message.role : "system",
    message,
    at: new Date(message.created_at),
    isLast: message === last && message.id === state.messages.findLast((one) => one.role !== "system")?.id,
    connection: message.status === "pending" ? connection : null,
    progress: message.status === "pending" ? state.progress[message.id] : undefined,
    queue: state.queue[message.id],
    heardAt: state.heardAt[message.id],
    stopping: Boolean(state.stopping[message.id]),
    feedback: state.feedback?.messageId === message.id ? state.feedback : null,
  }));
  const unsent = state.outbox.map((item) => ({
    ...shared, key: item.clientMessageId, kind: "customer", item, at: new Date(item.createdAt),
  }));
  return withLines([...messages, ...unsent], unreadFrom);
}

function withLines(entries, unreadFrom) {
  const lined = [];
  let day = null;
  for (const entry of entries) {
    if (dayNumber(entry.at) !== day) {
      day = dayNumber(entry.at);
      lined.push({ key: `date-${entry.key}`, kind: "date", at: entry.at });
    }
    if (entry.key === unreadFrom) lined.push({ key: "unread", kind: "unread" });
    lined.push(entry);
  }
  return lined;
}

export class LogView {
  #list;
  #nodes;
  #text;
  #shown = new Map(); // key -> {node, entry}
  #decorate;

  constructor({ list, nodes, text, decorate }) {
    this.#list = list;
    this.#nodes = nodes;
    this.#text = text;
    this.#decorate = decorate;
  }

  nodeOf(key) {
    return this.#shown.get(key)?.node;
  }

  render(entries) {
    const wanted = new Set(entries.map((entry) => entry.key));
    for (const [key, { node }] of this.#shown) if (!wanted.has(key)) node.remove();
    const kept = new Map();
    let place = this.#list.firstElementChild;
    for (const entry of entries) {
      const node = this.#nodeFor(entry);
      kept.set(entry.key, { node, entry });
      if (node === place) place = place.nextElementSibling;
      else this.#list.insertBefore(node, place);
    }
    this.#shown = kept;
  }

  #nodeFor(entry) {
    const known = this.#shown.get(entry.key);
    const node = known?.node ?? this.#make(entry);
    if (!known || !sameData(known.entry, entry)) this.#update(node, entry);
    else if (entry.message?.status === "pending") this.#nodes.updatePending(node, entry);
    return node;
  }

  #make(entry) {
    const node = this.#nodes.make(entry.kind);
    node.dataset.key = entry.key;
    return node;
  }

  #update(node, entry) {
    if (entry.kind === "date") node.firstElementChild.textContent = this.#text.day(entry.at, new Date());
    else if (entry.kind !== "unread") this.#nodes.update(node, entry);
    if (entry.message) node.dataset.id = entry.message.id;
    if (entry.kind === "assistant") this.#decorate(node, entry);
  }
}

function sameData(one, other) {
  return Object.keys(other).every((key) => one[key] === other[key] || (key === "at" && one.at.getTime() === other.at.getTime()))
    && Object.keys(one).length === Object.keys(other).length;
}
