// What an agent does to the open conversation, or to all that are selected; with the sentence that it is done, and the way back.

import { choose } from "./choose.js";
import { post } from "./http.js";

const TOAST_MS = 12_000;
const data = (id) => JSON.parse(document.getElementById(id).textContent);

export class Deeds {
  #desk;
  #toast;
  #undo = [];
  #timer = 0;

  constructor(desk) {
    this.#desk = desk;
    this.#toast = document.querySelector('[data-part="toast"]');
    this.#toast.querySelector('[data-part="undo"]').addEventListener("click", () => this.undo());
    this.#toast.querySelector('[data-part="toast-close"]').addEventListener("click", () => this.#hide());
  }

  // A button or key: data-do="assign" | "tag" | "priority" | "resolve" | "take" | "unselect".
  async start(name) {
    if (name === "unselect") return this.#desk.list.unselect();
    const ids = this.#targets();
    if (ids.length === 0) return undefined;
    const question = { assign: () => this.#askAssignee(ids), tag: () => this.#askTag(ids), priority: () => this.#askPriority(ids) }[name];
    const answer = question ? await question() : { action: name };
    return answer ? this.#do(ids, answer.action, answer) : undefined;
  }

  // A form of the header or the context: <form data-act="take">.
  async submit(form) {
    const fields = Object.fromEntries(new FormData(form));
    delete fields.csrfmiddlewaretoken;
    return this.#told(await post(form.action, fields));
  }

  async handBack(note) {
    return this.#told(await post(`/desk/${this.#desk.pane.id}/do/hand-back/`, { note }));
  }

  async undo() {
    if (!this.#undo.length) return;
    const undo = JSON.stringify(this.#undo);
    this.#undo = [];
    await this.#told(await post("/desk/undo/", { undo }));
  }

  // Something was done beside a message; it can be taken back all the same.
  undoable(body) {
    this.#show(body.said, body.undo ?? []);
  }

  say(text) {
    this.#show(text, []);
  }

  #targets() {
    const selected = this.#desk.list.selected();
    if (selected.length) return selected;
    const focused = this.#desk.list.focusedId();
    return focused ? [focused] : this.#desk.pane ? [this.#desk.pane.id] : [];
  }

  #only(ids) {
    return ids.length === 1 && ids[0] === this.#desk.pane?.id ? this.#desk.pane.owner : null;
  }

  async #askAssignee(ids) {
    const owner = this.#only(ids);
    const mine = this.#desk.viewerId;
    const people = data("desk-people").map((one) => ({ ...one, label: one.id === mine ? `${one.label} (you)` : one.label, chosen: owner?.holderId === one.id }));
    people.sort((one, other) => Number(other.id === mine) - Number(one.id === mine));
    const choices = [...people, ...data("desk-teams"), { value: "queue", label: "Nobody: into the common queue" }];
    const choice = await choose({ title: title("Assign", ids), choices });
    return choice && { action: "assign", value: choice.value, instead_of: owner?.holderId ?? "" };
  }

  async #askTag(ids) {
    const present = this.#only(ids)?.tags ?? [];
    const known = [...new Set([...present, ...data("desk-tags")])];
    const choices = known.map((tag) => ({ value: tag, label: tag, chosen: present.includes(tag) }));
    const choice = await choose({
      title: title("Add or remove a tag", ids), choices, free: (words) => ({ value: words, label: `New tag: ${words}` }),
    });
    return choice && { action: present.includes(choice.value) ? "untag" : "tag", value: choice.value };
  }

  async #askPriority(ids) {
    const present = this.#only(ids)?.priority;
    const choices = data("desk-priorities").map((one) => ({ ...one, chosen: Number(one.value) === present }));
    const choice = await choose({ title: title("Priority", ids), choices });
    return choice && { action: "priority", value: choice.value };
  }

  async #do(ids, action, { value = "", instead_of = "" }) {
    if (ids.length === 1) return this.#told(await post(`/desk/${ids[0]}/do/${action}/`, { value, instead_of }));
    const answer = await post("/desk/many/", { ids, action, value });
    if (answer.ok) this.#desk.list.unselect();
    return this.#told(answer);
  }

  #told(answer) {
    if (answer.ok) this.#show(answer.body.said, answer.body.undo ?? []);
    else this.#show(answer.error.message, [], { failed: true });
    this.#desk.changed();
    return answer.ok;
  }

  #show(text, undo, { failed = false } = {}) {
    clearTimeout(this.#timer);
    this.#undo = undo;
    this.#toast.querySelector('[data-slot="text"]').textContent = text;
    this.#toast.querySelector('[data-part="undo"]').hidden = undo.length === 0;
    this.#toast.classList.toggle("is-failed", failed);
    this.#toast.hidden = false;
    this.#timer = setTimeout(() => this.#hide(), TOAST_MS);
  }

  #hide() {
    this.#toast.hidden = true;
  }
}

function title(words, ids) {
  return ids.length === 1 ? words : `${words}: ${ids.length} conversations`;
}
