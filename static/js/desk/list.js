// Draws the list and keeps it: adopts the rows the server has drawn, applies news, and tells when nobody is disturbed by them.

import { newInbox, reduce, waitingChanges } from "./inbox.js";
import { get } from "./http.js";
import { fromServer } from "./html.js";
import { tick } from "./times.js";

const REST_MS = 1_500;

export class List {
  #root;
  #pane;
  #freshButton;
  #openId = "";
  #touchedAt = 0;
  #loading = false;
  state;

  constructor({ root, onSelection }) {
    this.#root = root;
    this.#pane = root.querySelector('[data-part="rows"]');
    this.#freshButton = root.querySelector('[data-part="fresh"]');
    this.onSelection = onSelection;
    this.state = newInbox({ byWait: Boolean(root.dataset.byWait), search: Boolean(root.dataset.search) });
    this.#adopt({ streamId: root.dataset.streamId, counts: null });
    this.#freshButton.addEventListener("click", () => this.#dispatch({ type: "list.settle" }));
    for (const name of ["pointermove", "scroll", "keydown"]) {
      this.#pane.addEventListener(name, () => (this.#touchedAt = Date.now()), { passive: true });
    }
    this.#pane.addEventListener("change", (event) => event.target.matches("[data-pick]") && this.onSelection(this.selected()));
    setInterval(() => this.#rest(), 1_000);
  }

  get address() {
    return this.#root.dataset.listQuery;
  }

  get streamId() {
    return this.state.streamId || null;
  }

  received(frame) {
    this.#dispatch(frame);
    if (this.state.stale) this.load();
    else this.#rest();
  }

  // Load the list again: news were lost, or a deed may have changed more than one row.
  async load() {
    if (this.#loading) return;
    this.#loading = true;
    const address = new URL(this.address, location.href).search;
    const before = new URLSearchParams(location.search).get("before");
    const answer = await get(`/desk/${address}&part=list${before ? `&before=${encodeURIComponent(before)}` : ""}`);
    this.#loading = false;
    if (!answer.ok) return void setTimeout(() => this.state.stale && this.load(), 2_000);
    const picked = new Set(this.selected());
    const focused = this.focusedId();
    this.#pane.replaceChildren(fromServer(answer.body.html));
    this.#adopt({ streamId: answer.body.stream_id, counts: answer.body.counts });
    for (const id of picked) this.#pick(id, true);
    this.onSelection(this.selected());
    this.focusRow(focused);
  }

  // The conversation that stands in the pane.
  showOpen(id) {
    this.#openId = id;
    for (const item of this.#items()) this.#markOpen(item);
  }

  selected() {
    return [...this.#pane.querySelectorAll("[data-pick]:checked")].map((box) => box.value);
  }

  unselect() {
    for (const box of this.#pane.querySelectorAll("[data-pick]:checked")) box.checked = false;
    this.onSelection([]);
  }

  // x: the row that has the focus, else the open one.
  toggle() {
    const id = this.focusedId() || this.#openId;
    const box = this.#item(id)?.querySelector("[data-pick]");
    if (!box) return;
    box.checked = !box.checked;
    this.onSelection(this.selected());
  }

  focusedId() {
    return document.activeElement?.closest?.(".row-item")?.dataset.id ?? "";
  }

  focusRow(id) {
    this.#item(id)?.querySelector("a").focus({ preventScroll: true });
  }

  #adopt({ streamId, counts }) {
    const rows = this.#items().map((item) => ({
      id: item.dataset.id, version: Number(item.dataset.version), place: item.dataset.place, html: null, matches: true,
    }));
    const hasNext = Boolean(this.#pane.querySelector('[rel="next"]'));
    this.state = reduce(this.state, { type: "list.loaded", rows, hasNext, counts, streamId });
    this.#drawCounts();
    this.#drawFresh();
    for (const item of this.#items()) this.#markOpen(item);
  }

  #dispatch(frame) {
    const before = this.state;
    this.state = reduce(before, frame);
    if (this.state !== before) this.#draw(before);
  }

  #draw(before) {
    const list = this.#pane.querySelector(".rows");
    if (!list) return;
    const focused = this.focusedId();
    const present = new Map(this.#items().map((item) => [item.dataset.id, item]));
    const wanted = new Set(this.state.rows.map((row) => row.id));
    for (const [id, item] of present) if (!wanted.has(id)) item.remove();
    this.state.rows.forEach((row, index) => {
      const old = present.get(row.id);
      const known = before.rows.find((one) => one.id === row.id);
      const item = old && (row.html === null || known === row || known?.html === row.html) ? old : this.#fresh(row, old);
      item.classList.toggle("is-gone", !row.matches);
      const there = list.children[index];
      if (item !== there) list.insertBefore(item, there ?? null);
    });
    list.hidden = this.state.rows.length === 0;
    const empty = this.#pane.querySelector('[data-part="list-empty"]');
    if (empty) empty.hidden = this.state.rows.length > 0;
    if (focused && this.focusedId() !== focused) this.focusRow(focused);
    this.#drawCounts();
    this.#drawFresh();
  }

  #fresh(row, old) {
    const item = fromServer(row.html).querySelector("li");
    if (old?.querySelector("[data-pick]")?.checked) item.querySelector("[data-pick]").checked = true;
    this.#markOpen(item);
    old?.replaceWith(item);
    return item;
  }

  #markOpen(item) {
    const link = item.querySelector("a");
    const isOpen = item.dataset.id === this.#openId;
    if (isOpen) {
      link.setAttribute("aria-current", "true");
      item.classList.remove("is-unread"); // It is being read.
    } else link.removeAttribute("aria-current");
  }

  #drawCounts() {
    const { counts } = this.state;
    if (!counts) return;
    for (const node of this.#root.querySelectorAll("[data-count]")) {
      const value = counts[node.dataset.count];
      node.hidden = value === 0;
      node.textContent = value > 999 ? "999+" : String(value);
    }
  }

  #drawFresh() {
    const count = waitingChanges(this.state);
    this.#freshButton.hidden = count === 0;
    this.#freshButton.querySelector('[data-slot="text"]').textContent = count === 1 ? "1 new conversation" : `${count} new conversations`;
  }

  // Nobody points at the list, works in it or has scrolled it: order may change.
  #rest() {
    tick(this.#pane);
    const moved = waitingChanges(this.state) > 0 || this.state.rows.some((row) => !row.matches) || this.#isOutOfOrder();
    if (!moved || Date.now() - this.#touchedAt < REST_MS || this.focusedId() || this.selected().length) return;
    const scroller = this.#root.querySelector(".desk-list");
    if (scroller.scrollTop > 40) return;
    this.#dispatch({ type: "list.settle" });
  }

  #isOutOfOrder() {
    const settled = reduce(this.state, { type: "list.settle" }).rows;
    return settled.some((row, index) => row.id !== this.state.rows[index]?.id);
  }

  #pick(id, picked) {
    const box = this.#item(id)?.querySelector("[data-pick]");
    if (box) box.checked = picked;
  }

  #items() {
    return [...this.#pane.querySelectorAll(".rows > li")];
  }

  #item(id) {
    return id ? this.#pane.querySelector(`li[data-id="${CSS.escape(id)}"]`) : null;
  }
}
