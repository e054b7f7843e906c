// Asking the server for help and looking at it until it is there. One thing at a time: a new wish takes the one before back.

import { Refused, looks } from "../faqs/jobs.js";

const LIMIT_MS = 170_000;
const token = () => document.querySelector("#desk-token input, input[name=csrfmiddlewaretoken]").value;

export async function post(url, fields = {}) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  const response = await fetch(url, { method: "POST", body, headers: { "X-CSRFToken": token() } });
  if (response.status === 204) return {};
  const found = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(found.message ?? "This cannot be done now. The conversation is not affected.");
  return found;
}

export class Wish {
  #run = 0;
  #job = null;

  // handlers: working(step, text), done(found), failed(message). Resolves when it has ended or another wish took its place.
  async ask(url, fields, { working, done, failed }) {
    this.cancel();
    const mine = ++this.#run;
    try {
      const job = await post(url, fields);
      if (mine !== this.#run) return void post(job.cancel).catch(() => {});
      this.#job = job;
      for await (const look of looks(job, { goOn: () => mine === this.#run, limitMs: LIMIT_MS })) {
        if (mine !== this.#run) return undefined;
        if (look.state === "working") working(look.found.step, look.found.text);
        if (look.state === "done") done(look.found);
        if (look.state === "failed") failed(look.message);
        if (look.state === "late") failed("The model has not answered. Please try again later.");
      }
    } catch (error) {
      if (mine === this.#run) failed(error instanceof Refused ? error.message : "This cannot be done now. The conversation is not affected.");
    }
    if (mine === this.#run) this.#job = null;
    return undefined;
  }

  cancel() {
    this.#run++;
    if (this.#job) post(this.#job.cancel).catch(() => {});
    this.#job = null;
  }
}
