// Wires the desk: list, open conversation, socket, deeds, keys, and the browser's own back and forward.

import { ChatSocket } from "../chat/socket.js";
import { Deeds } from "./deeds.js";
import { fromServer } from "./html.js";
import { page as load, post } from "./http.js";
import { List } from "./list.js";
import { Pane } from "./pane.js";

const QUIET_MS = 1_200;
const CONVERSATION = /^\/desk\/([0-9a-f-]{36})\/$/;
const main = document.getElementById("main");
const paneRoot = document.querySelector('.desk-pane[data-part="pane"]');
const part = (name) => document.querySelector(`[data-part="${name}"]`);
const nothingOpen = paneRoot.querySelector(".desk-nothing")?.cloneNode(true) ?? null;

const desk = {
  pane: null,
  list: null,
  socket: null,
  viewerId: Number(document.getElementById("desk-list").dataset.viewer),
  get address() {
    return this.list.address;
  },
  undoable: (body) => deeds.undoable(body),
  changed() {
    this.pane?.refresh();
  },
};
const listRoot = document.getElementById("desk-list");
desk.list = new List({ root: listRoot, onSelection: showSelection });
const deeds = new Deeds(desk);
let downSince = 0;
let opening = 0;

// ---- the socket

desk.socket = new ChatSocket({ url: "/ws/desk/", onFrame: received, onState: connectionChanged });

function received(frame) {
  if (frame.type.startsWith("list.")) return desk.list.received(frame);
  if (frame.type === "conversation.stale") return frame.conversation_id === desk.pane?.id ? void open(location.href, { push: false, keep: true }) : undefined;
  if (frame.type === "error") return deeds.say(frame.message);
  desk.pane?.received(frame);
  return undefined;
}

function connectionChanged(connection) {
  const bar = part("connection");
  if (connection.name === "online") {
    downSince = 0;
    bar.hidden = true;
    watchList();
    if (desk.pane) {
      desk.socket.send(desk.pane.watchFrame());
      desk.pane.online();
    }
    return;
  }
  downSince ||= Date.now();
  const refused = connection.name === "refused";
  const show = () => {
    if (!downSince || (!refused && Date.now() - downSince < QUIET_MS)) return;
    bar.hidden = false;
    bar.textContent = refused
      ? "You are signed out, or your account may not see this any more. Load the page again to sign in."
      : "No connection. What you see may be old; it catches up by itself. What you write is kept and sent then.";
  };
  show();
  setTimeout(show, QUIET_MS + 50);
}

function watchList() {
  desk.socket?.send({ type: "list.watch", address: desk.list.address, after: desk.list.streamId });
}

// ---- opening and closing

async function open(href, { push = true, keep = false } = {}) {
  const url = new URL(href, location.href);
  const id = CONVERSATION.exec(url.pathname)?.[1];
  if (!id) return close({ push, href });
  const mine = ++opening;
  desk.list.showOpen(id);
  paneRoot.setAttribute("aria-busy", "true");
  const answer = await load(`${url.pathname}${url.search || "?"}&pane=1`);
  if (mine !== opening) return undefined;
  paneRoot.removeAttribute("aria-busy");
  if (!answer.ok) {
    if (answer.status === 0 && keep) return void setTimeout(() => mine === opening && open(href, { push: false, keep }), 2_000);
    return void location.assign(href);
  }
  const field = document.getElementById("desk-field");
  const focused = keep && field === document.activeElement;
  desk.pane?.close();
  paneRoot.replaceChildren(fromServer(answer.html));
  main.classList.add("has-conversation");
  if (push) history.pushState({}, "", `${url.pathname}${url.search}`);
  start();
  if (focused) document.getElementById("desk-field")?.focus();
  else if (!keep) paneRoot.querySelector('[data-part="scroll"]').focus({ preventScroll: true });
  return undefined;
}

function start() {
  if (!paneRoot.querySelector("#pane-data")) return; // A page of history is as the server drew it.
  desk.pane = new Pane({ root: paneRoot, desk });
  desk.list.showOpen(desk.pane.id);
  document.title = `${paneRoot.querySelector(".conversation-title").textContent} · ${document.title.split(" · ").at(-1)}`;
  desk.socket.send(desk.pane.watchFrame());
  if ((desk.list.state.counts?.mentions ?? Number(listRoot.querySelector('[data-count="mentions"]')?.textContent)) > 0) {
    post(`/desk/${desk.pane.id}/mentions-seen/`).then((answer) => answer.ok && desk.list.load());
  }
}

function close({ push = true, href = `/desk/${desk.list.address}` } = {}) {
  const id = desk.pane?.id ?? "";
  opening += 1;
  desk.pane?.close();
  desk.pane = null;
  desk.socket.send({ type: "conversation.leave" });
  main.classList.remove("has-conversation");
  paneRoot.replaceChildren(...(nothingOpen ? [nothingOpen.cloneNode(true)] : []));
  desk.list.showOpen("");
  if (push) history.pushState({}, "", href);
  desk.list.focusRow(id);
}

addEventListener("popstate", () => open(location.href, { push: false }));

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const button = event.target.closest("[data-open], [data-do], [data-close]");
  if (button?.dataset.open) openDialog(button.dataset.open);
  if (button?.dataset.do) deeds.start(button.dataset.do);
  if (button && "close" in button.dataset) button.closest("dialog").close();
  const link = event.target.closest("a[href]");
  if (!link || link.target || link.origin !== location.origin) return;
  if (link.matches('[data-part="back"]')) close({ href: link.href });
  else if (CONVERSATION.test(link.pathname) && !link.search.includes("before_seq") && !link.hash) open(link.href);
  else return;
  event.preventDefault();
});

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-act]");
  if (!form) return;
  event.preventDefault();
  deeds.submit(form);
});

// ---- dialogs and keys

function openDialog(id) {
  const dialog = document.getElementById(id);
  if (id === "keys-dialog") showMoreKeys(dialog);
  dialog.showModal();
}

// Keys that other parts of the page bring: data-key with data-help.
function showMoreKeys(dialog) {
  const more = [...document.querySelectorAll("[data-key][data-help]")].filter((node) => !node.closest("[hidden]"));
  const section = dialog.querySelector('[data-part="more-keys"]');
  section.hidden = more.length === 0;
  section.querySelector("dl").replaceChildren(
    ...more.map((node) => {
      const row = document.createElement("div");
      const key = document.createElement("dt");
      const meaning = document.createElement("dd");
      const cap = document.createElement("kbd");
      cap.textContent = node.dataset.key;
      key.append(cap);
      meaning.textContent = node.dataset.help;
      row.append(key, meaning);
      return row;
    }),
  );
}

document.getElementById("hand-back-dialog").addEventListener("close", (event) => {
  const note = document.getElementById("hand-back-note");
  if (event.target.returnValue === "confirm" && desk.pane) deeds.handBack(note.value).then((done) => done && (note.value = ""));
  event.target.returnValue = "";
});

const PLAIN = {
  x: () => desk.list.toggle(),
  z: () => deeds.undo(),
  m: () => desk.pane?.toggleWhy(),
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]") || event.target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
  if (event.key === "Escape" && desk.list.selected().length) desk.list.unselect();
  else if (PLAIN[event.key]) {
    event.preventDefault();
    PLAIN[event.key]();
  }
});

function showSelection(ids) {
  const bar = part("bulk");
  bar.hidden = ids.length === 0;
  bar.querySelector('[data-slot="count"]').textContent = `${ids.length} selected`;
}

// ---- go

start();
desk.socket.start();
