// Work that a worker does for this page: begin it, ask until it is done, take it back.

const FIRST_MS = 150;
const LATER_MS = 500;
const QUICK_LOOKS = 12;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Refused extends Error {}

async function json(response) {
  const found = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(found.message ?? "This cannot be done now. Saving is not affected.");
  return found;
}

// What stands in the editor, as the server's job pages read it.
export function typed(form) {
  const body = new FormData();
  for (const name of ["csrfmiddlewaretoken", "key", "locale", "question", "answer", "phrasings"]) {
    body.set(name, form.elements[name]?.value ?? "");
  }
  return body;
}

export const begin = async (url, form) => json(await fetch(url, { method: "POST", body: typed(form) }));

// Yields each look at the job until it has ended, `goOn` says no, or the time is over (a look of state "late").
export async function* looks(job, { goOn, limitMs }) {
  const end = Date.now() + limitMs;
  for (let count = 0; goOn(); count++) {
    if (Date.now() > end) {
      yield { state: "late" };
      return;
    }
    await wait(count < QUICK_LOOKS ? FIRST_MS : LATER_MS);
    if (!goOn()) return;
    const look = await json(await fetch(job.look));
    yield look;
    if (["done", "failed", "cancelled"].includes(look.state)) return;
  }
}

export function cancel(job, form) {
  const body = new FormData();
  body.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
  return fetch(job.cancel, { method: "POST", body, keepalive: true }).catch(() => {});
}

export function element(name, { text = "", className = "", href = "" } = {}, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  if (href) made.href = href;
  made.append(...children);
  return made;
}
