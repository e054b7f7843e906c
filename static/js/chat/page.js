// Wires the chat page: finds its parts, connects controller, log, composer and sidebar, and renders on every new state.

import { Composer } from "./composer.js";
import { Controller } from "./controller.js";
import { Ending } from "./ending.js";
import { makeFeedback } from "./feedback.js";
import { LogView, entriesOf } from "./log.js";
import { makeNodes } from "./message.js";
import { makeOutbox } from "./outbox.js";
import { PersonView } from "./person.js";
import { Follower } from "./scroll.js";
import { Sidebar } from "./sidebar.js";
import { ChatSocket } from "./socket.js";
import { Status } from "./status.js";
import { makeText } from "./text.js";
import { pendingReplies } from "./transcript.js";

const config = JSON.parse(document.getElementById("chat-config").textContent);
const part = (name) => document.querySelector(`[data-part="${name}"]`);
const text = makeText(config.labels, config.locale);
const { t } = text;
const outbox = makeOutbox();
const nodes = makeNodes({ text, templates: (name) => document.getElementById(`${name}-template`) });

const controller = new Controller({ conversationId: config.conversation_id, outbox, onChange: render, onNotice: noticed });
const log = new LogView({ list: part("list"), nodes, text, decorate: makeFeedback({ nodes, controller }) });
const status = new Status({
  text,
  parts: {
    bar: part("connection"), barText: part("connection-text"), barButton: part("reconnect"), notice: part("notice"),
    announcer: part("announcer"), composer: part("composer"),
    person: part("person"), intro: part("intro"), suggestions: part("suggestions"), loading: part("loading"),
    notFound: part("not-found"), earlier: part("earlier"),
  },
});
const person = new PersonView({
  text,
  onContact: (contact) => controller.leaveContact(contact),
  parts: {
    who: part("who"), dot: part("who-dot"), waiting: part("waiting"), waitingText: part("waiting-text"), typing: part("typing"),
    typingText: part("typing-text"), contact: part("contact"), contactForm: part("contact-form"), contactEmail: part("contact-email"),
    contactMessage: part("contact-message"), contactError: part("contact-error"), resolved: part("resolved"),
    field: part("field"), hint: part("hint"),
  },
});
const ending = new Ending({
  build: nodes.build,
  controller,
  parts: {
    menu: part("menu"), end: part("end"), text: part("transcript-text"), print: part("transcript-print"), slot: part("satisfaction"),
    mailDialog: part("mail-dialog"), mailForm: part("mail-form"), mailEmail: part("mail-email"), mailError: part("mail-error"),
    mailDone: part("mail-done"), mailSend: part("mail-send"),
  },
});
const follower = new Follower({
  pane: part("pane"), content: part("content"), pill: part("pill"), pillText: part("pill-text"),
  labels: { newMessages: t("new_messages"), latest: t("latest") }, onTop: () => controller.loadEarlier(),
});
const sidebar = new Sidebar({
  panel: part("sidebar-panel"), home: part("sidebar"), drawer: part("drawer"), openButton: part("open-drawer"),
  list: part("conversations"), state: part("conversations-state"), build: nodes.build, text,
});
const composer = new Composer({
  form: part("composer"), field: part("field"), sendButton: part("send"), stopButton: part("stop"), counter: part("counter"),
  counterText: (left) => (left >= 0 ? text.count("chars_left", left) : text.count("chars_over", -left)),
  maxChars: config.limits.text_chars, onSend: send, onStop: () => controller.stop(),
  onDraft: (draft) => outbox.keepDraft(controller.state.conversationId, draft), onTyping: () => controller.typing(),
});
const page = { title: document.title, unreadFrom: null, unseen: 0, ready: false };

// A sentence about the e-mail field stands beside it.
function noticed(sentence, field) {
  if (field === "email") person.refuseContact(sentence);
  else status.notice(sentence);
}

function send(words) {
  const sent = controller.send(words, config.limits.text_chars);
  if (sent) {
    page.unreadFrom = null;
    render(controller.state);
    follower.toEnd();
  }
  return sent;
}

// ---- every new state ends here

function render(state, before = state) {
  const prepended = before.messages.length > 0 && state.messages[0]?.seq < before.messages[0].seq;
  const fresh = freshKeys(state, before);
  if (fresh.length && page.ready) noteUnread(fresh);
  const draw = () => {
    log.render(entriesOf(state, { connection: controller.connection, unreadFrom: page.unreadFrom }));
    status.show(state, controller.connection);
    person.show(state);
    ending.show(state);
  };
  // History is not news: a screen reader hears of what is said from now on.
  const quiet = prepended || !page.ready;
  part("list").setAttribute("aria-live", quiet ? "off" : "polite");
  if (prepended) follower.keepPlace(draw);
  else draw();
  const pending = pendingReplies(state);
  part("list").setAttribute("aria-busy", String(pending.length > 0));
  composer.showPending(pending.length > 0, pending.some((message) => state.stopping[message.id]));
  if (!page.ready && state.phase !== "loading") becomeReady();
  announceFinished(state, before);
  followConversation(state, before);
}

function freshKeys(state, before) {
  if (state.messages === before.messages || before.phase === "loading") return [];
  const known = new Set(before.messages.map((message) => message.id));
  const last = before.messages.at(-1)?.seq ?? 0;
  return state.messages
    .filter((message) => !known.has(message.id) && message.seq > last && message.role !== "customer")
    .map((message) => message.client_message_id ?? message.id);
}

function noteUnread(fresh) {
  if (follower.atEnd && !document.hidden) return;
  page.unreadFrom ??= fresh[0];
  page.unseen += fresh.length;
  follower.newBelow();
  showTitle();
}

function showTitle() {
  document.title = page.unseen && document.hidden ? `(${page.unseen}) ${page.title}` : page.title;
}

function becomeReady() {
  page.ready = true;
  follower.toEnd();
  // Only after the history has been read by nobody does the log start to speak.
  requestAnimationFrame(() => part("list").setAttribute("aria-live", "polite"));
}

function announceFinished(state, before) {
  const wasPending = new Set(pendingReplies(before).map((message) => message.id));
  for (const message of state.messages) {
    if (!wasPending.has(message.id) || message.status === "pending") continue;
    const node = log.nodeOf(message.client_message_id ?? message.id);
    const body = nodes.slot(node, "body").cloneNode(true);
    for (const mark of body.querySelectorAll(".cite")) mark.remove();
    const ending = nodes.slot(node, "ended").textContent;
    status.announce(t("answer_announced", { name: part("chat").dataset.botName, text: [body.textContent, ending].filter(Boolean).join(" ") }));
    if (!follower.atEnd) follower.newBelow();
  }
}

// The first accepted message gives the page its address.
function followConversation(state, before) {
  if (!state.conversationId || state.conversationId === before.conversationId) return;
  if (!before.conversationId) history.replaceState(null, "", `/chat/${state.conversationId}/`);
  sidebar.load(state.conversationId);
}

// ---- what the reader does

const ACTIONS = {
  resend: ({ key }) => controller.resend(key),
  discard: ({ key }) => controller.discard(key),
  retry: ({ id }) => controller.retry(id),
  up: ({ id }) => controller.rate(id, 1),
  down: ({ id }) => controller.rate(id, -1),
  "undo-rating": ({ id, button }) => {
    const rating = controller.state.messages.find((message) => message.id === id).rating;
    button.closest(".message").querySelector('[data-action="down"]').focus();
    controller.rate(id, rating);
  },
  "skip-reasons": ({ id }) => controller.closeFeedback(id),
  copy: ({ id, button }) => copyAnswer(id, button),
  choose: ({ button }) => {
    send(button.dataset.text);
    restFocus();
  },
  "ask-person": () => openPersonDialog(),
  "cancel-person": () => controller.cancelRequest(),
  "go-on": () => composer.focus(),
  "end-conversation": () => controller.endConversation(),
  "mail-transcript": () => ending.openMail(),
  "close-mail": () => ending.closeMail(),
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-action]");
  if (!button || button.getAttribute("aria-disabled") === "true") return;
  const { id, key } = button.closest(".message")?.dataset ?? {};
  ACTIONS[button.dataset.action]?.({ id, key, button });
});

// The chosen button is gone. A keyboard goes on in the composer; on a touch screen that would open the on-screen keyboard.
function restFocus() {
  if (matchMedia("(pointer: fine)").matches) composer.focus();
  else part("pane").focus({ preventScroll: true });
}

async function copyAnswer(id, button) {
  const { text: words } = controller.state.messages.find((message) => message.id === id);
  const copied = await copy(words);
  const use = button.querySelector("use");
  const before = use.getAttribute("href");
  status.announce(t(copied ? "copied" : "copy_failed"));
  if (!copied) return status.notice(t("copy_failed"));
  use.setAttribute("href", before.replace(/#.*/, "#check"));
  setTimeout(() => use.setAttribute("href", before.replace(/#.*/, "#copy")), 1_500);
}

// navigator.clipboard exists only on https and localhost.
async function copy(words) {
  try {
    await navigator.clipboard.writeText(words);
    return true;
  } catch {
    const field = Object.assign(document.createElement("textarea"), { value: words, className: "visually-hidden" });
    const focused = document.activeElement;
    document.body.append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    focused?.focus();
    return copied;
  }
}

function openPersonDialog() {
  const started = Boolean(controller.state.conversationId);
  part("person-explained").hidden = !started;
  part("person-first-ask").hidden = started;
  part("person-confirm").hidden = !started;
  part("person-dialog").showModal();
}

part("person-dialog").addEventListener("close", () => {
  if (part("person-dialog").returnValue === "confirm") controller.requestPerson();
  part("person-dialog").returnValue = "";
});
part("reconnect").addEventListener("click", () => (controller.connection.name === "refused" ? location.reload() : socket.wake()));
part("earlier").addEventListener("click", () => controller.loadEarlier());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) page.unseen = 0;
  showTitle();
});

// ---- go

const socket = new ChatSocket({
  url: config.socket_url,
  onFrame: (frame) => controller.received(frame),
  onState: (connection) => controller.connectionChanged(connection),
});
// Words typed before this script ran win over the draft of an earlier visit.
if (!part("field").value) composer.set(outbox.draft(config.conversation_id));
render(controller.state);
controller.attach(socket);
sidebar.load(config.conversation_id);
if (matchMedia("(pointer: fine)").matches) composer.focus();
