// The DOM of one message, note or unsent text. What the server has drawn stays until its data change.

import { showHtml } from "../chat/view.js";
import { ago } from "./times.js";

const WHO = { customer: "Customer", assistant: "Bot", system: "Notice" };

export function signature(entry) {
  if (entry.kind === "unsent") return JSON.stringify([entry.item.status, entry.item.error]);
  if (entry.kind === "note") return "note";
  const { status, attempt, rating, error } = entry.message;
  return JSON.stringify([status, attempt, rating, error]);
}

export function build(entry, conversationId) {
  const node = template(entry.kind);
  if (entry.kind === "unsent") return node;
  const data = entry.kind === "note" ? entry.note : entry.message;
  const time = slot(node, "time");
  time.dateTime = data.created_at;
  time.textContent = ago(data.created_at);
  time.title = new Date(data.created_at).toLocaleString();
  if (entry.kind === "note") fillNote(node, data);
  else fillMessage(node, data, conversationId);
  return node;
}

// While a reply is being written: what there is of it, or its place in the queue.
export function updatePending(node, { message, progress, place }) {
  const badge = slot(node, "badge");
  setText(badge, place === undefined || progress?.html ? "Being written" : place === 0 ? "Next in the queue" : `Number ${place + 1} in the queue`);
  badge.hidden = false;
  badge.classList.add("badge-info");
  if (!progress) return;
  const body = slot(node, "body");
  body.dir = progress.dir;
  showHtml(body, progress.html, { citations: message.citations ?? [], citationLabel: (c) => c.title, raise: true, reveal: true });
}

export function updateUnsent(node, { item }) {
  slot(node, "body").textContent = item.text;
  node.classList.toggle("message-note", item.kind === "note");
  const words = { sending: "Sending…", unsent: "Not sent yet: waits for the connection", refused: item.error };
  setText(slot(node, "state"), words[item.status]);
  node.classList.toggle("is-refused", item.status === "refused");
  node.querySelector('[data-unsent="again"]').hidden = item.status === "sending";
  node.querySelector('[data-unsent="drop"]').hidden = item.status === "sending";
}

function fillNote(node, note) {
  node.dataset.note = note.id;
  node.dataset.seq = note.seq_after;
  slot(node, "who").textContent = note.author_name;
  showHtml(slot(node, "body"), note.html, { citations: [], citationLabel: () => "", raise: false, reveal: false });
}

function fillMessage(node, message, conversationId) {
  node.classList.add(`message-${message.role}`);
  node.id = `m${message.seq}`;
  node.dataset.id = message.id;
  node.dataset.seq = message.seq;
  node.dataset.status = message.status;
  slot(node, "who").textContent = message.role === "agent" ? message.author || "Agent" : WHO[message.role];
  const body = slot(node, "body");
  body.dir = message.dir ?? "auto";
  if (message.role === "customer") {
    body.classList.remove("prose");
    body.textContent = message.text ?? "";
  } else if (message.html) {
    showHtml(body, message.html, { citations: message.citations, citationLabel: (c) => `Source ${c.number}: ${c.title}`, raise: false, reveal: false });
  }
  fillBadges(node, message);
  fillSources(slot(node, "sources"), message.citations ?? []);
  const choices = slot(node, "choices");
  choices.hidden = !message.choices?.length;
  choices.textContent = choices.hidden ? "" : `Offered: ${message.choices.join(" · ")}`;
  const why = slot(node, "why");
  why.hidden = message.role !== "assistant" || message.status === "pending";
  why.dataset.src = `/desk/messages/${message.id}/why/`;
  why.dataset.conversation = conversationId;
}

function fillBadges(node, { status, error, rating }) {
  const badge = slot(node, "badge");
  const words = { failed: `Failed${error ? `: ${error}` : ""}`, stopped: error === "taken_over" ? "Cut off: a person took over" : "Stopped by the customer" };
  badge.hidden = !words[status];
  badge.textContent = words[status] ?? "";
  badge.className = `badge ${status === "failed" ? "badge-danger" : "badge-warning"}`;
  const thumb = slot(node, "rating");
  thumb.hidden = !rating;
  thumb.textContent = rating > 0 ? "Rated helpful" : "Rated not helpful";
  thumb.className = `badge ${rating > 0 ? "badge-success" : "badge-danger"}`;
}

function fillSources(list, citations) {
  list.hidden = citations.length === 0;
  list.replaceChildren(
    ...citations.map((citation) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      item.value = citation.number;
      link.href = citation.url;
      link.textContent = citation.title;
      item.append(link);
      return item;
    }),
  );
}

function template(kind) {
  return document.getElementById(`${kind}-template`).content.firstElementChild.cloneNode(true);
}

function slot(node, name) {
  return node.querySelector(`[data-slot="${name}"]`);
}

export function setText(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}
