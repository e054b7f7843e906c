// The DOM of one message: made once from its <template>, then updated in place from plain data.

import { showHtml } from "./view.js";

const STILL_WORKING_MS = 8_000;

export function makeNodes({ text, templates }) {
  const { t } = text;

  const build = (name) => templates(name).content.firstElementChild.cloneNode(true);
  const slot = (node, name) => node.querySelector(`[data-slot="${name}"]`);

  function showTime(node, iso) {
    const date = new Date(iso);
    const time = slot(node, "time");
    time.dateTime = iso;
    time.textContent = text.clock(date);
    time.title = text.exact(date);
  }

  function updateCustomer(node, { message, item, online }) {
    const bubble = slot(node, "body");
    const shown = message?.text ?? item.text;
    if (bubble.textContent !== shown) bubble.textContent = shown;
    bubble.dir = message?.dir ?? "auto";
    showTime(node, message?.created_at ?? item.createdAt);
    node.dataset.state = item?.status ?? "sent";
    const failed = item && item.status !== "sending";
    setText(slot(node, "state"), item ? unsentLabel(item, online) : "");
    slot(node, "resend").hidden = !failed;
    slot(node, "discard").hidden = !failed;
  }

  function unsentLabel(item, online) {
    if (item.status === "sending") return t("sending");
    if (item.status === "refused") return item.error || t("not_sent");
    return online ? t("not_sent") : t("not_sent_offline");
  }

  function updateReply(node, entry) {
    const { message, progress, isLast, online } = entry;
    const pending = message.status === "pending";
    node.dataset.state = message.status;
    node.classList.toggle("is-last", isLast);
    // While it grows, a reader is not interrupted word by word: the finished answer is announced as a whole.
    if (pending) node.setAttribute("aria-live", "off");
    else node.removeAttribute("aria-live");
    const body = slot(node, "body");
    body.dir = progress?.dir ?? message.dir;
    showHtml(body, progress?.html ?? message.html, {
      citations: message.citations,
      citationLabel: (source) => t("source_number", { number: source.number, title: source.title }),
      raise: true,
      reveal: node.dataset.wasPending === "true",
    });
    body.hidden = !body.hasChildNodes();
    node.dataset.wasPending = String(pending);
    showTime(node, message.created_at);
    setText(slot(node, "ended"), endedLabel(message));
    slot(node, "ended").hidden = pending || !endedLabel(message);
    showSources(slot(node, "sources"), message.citations);
    showChoices(slot(node, "choices"), isLast && !pending ? message.choices : []);
    slot(node, "person").hidden = pending || !isLast || message.decision !== "handoff" || !online || entry.waiting;
    updateActions(node, entry, pending);
    updatePending(node, entry);
  }

  function endedLabel(message) {
    if (message.status === "failed") return text.has(`reply_failed_${message.error}`) ? t(`reply_failed_${message.error}`) : t("reply_failed");
    if (message.status !== "stopped") return "";
    return message.error === "taken_over" ? t("reply_taken_over") : t("reply_stopped");
  }

  function updateActions(node, { message, isLast, held }, pending) {
    slot(node, "actions").hidden = pending;
    const complete = message.status === "complete";
    for (const name of ["copy", "up", "down"]) slot(node, name).hidden = !complete;
    slot(node, "up").setAttribute("aria-pressed", String(message.rating === 1));
    slot(node, "down").setAttribute("aria-pressed", String(message.rating === -1));
    slot(node, "retry").hidden = !isLast || held;
    slot(node, "retry").classList.toggle("is-called-for", !complete);
  }

  // The line under a reply that is being written. Called every second as well: silence must become visible.
  function updatePending(node, { message, progress, queue, heardAt, connection, stopping }) {
    const line = slot(node, "pending");
    line.hidden = message.status !== "pending";
    const quietMs = Date.now() - (heardAt ?? Date.now());
    const label = line.hidden ? "" : pendingLabel({ progress, queue, quietMs, connection, stopping });
    setText(slot(node, "pending-text"), label);
  }

  function pendingLabel({ progress, queue, quietMs, connection, stopping }) {
    if (connection.name !== "online") return t("answer_continues");
    if (stopping) return t("stopping");
    if (queue) return queue.position > 0 ? t("queue_place", { number: queue.position + 1 }) : t("queue_next");
    if (quietMs > STILL_WORKING_MS) return t("still_working");
    return progress ? "" : t("writing");
  }

  function showSources(list, citations) {
    list.hidden = citations.length === 0;
    sameChildren(list, citations, (citation) => {
      const entry = build("source");
      const link = entry.querySelector("a");
      link.href = citation.url;
      slot(entry, "number").textContent = String(citation.number);
      slot(entry, "title").textContent = citation.title;
      return entry;
    });
  }

  function showChoices(box, choices) {
    box.hidden = choices.length === 0;
    sameChildren(box, choices, (choice) => {
      const button = build("choice");
      button.textContent = choice;
      button.dataset.text = choice;
      return button;
    });
  }

  function updatePlain(node, { message }) {
    showHtml(slot(node, "body"), message.html, { citations: [], citationLabel: () => "", raise: false, reveal: false });
    slot(node, "body").dir = message.dir;
    showTime(node, message.created_at);
  }

  function updateAgent(node, entry) {
    updatePlain(node, entry);
    setText(slot(node, "author"), entry.message.author);
    node.setAttribute("aria-label", entry.message.author);
  }

  const KINDS = { customer: updateCustomer, assistant: updateReply, agent: updateAgent, system: updatePlain };
  return {
    make: (kind) => build(kind),
    update: (node, entry) => KINDS[entry.kind](node, entry),
    updatePending: (node, entry) => updatePending(node, entry),
    build,
    slot,
  };
}

export function setText(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

// Rebuild a short list only when its data changed, so that focus and hover survive.
function sameChildren(parent, items, make) {
  const signature = JSON.stringify(items);
  if (parent.dataset.signature === signature) return;
  parent.dataset.signature = signature;
  parent.replaceChildren(...items.map(make));
}
