// What this browser keeps of a conversation: drafts and texts that have not reached the server, over reloads and restarts.

const memory = new Map();
const DAY_MS = 24 * 3_600_000;

export function draftOf(id, kind) {
  return read(`desk.draft.${kind}.${id}`) ?? "";
}

export function keepDraft(id, kind, text) {
  write(`desk.draft.${kind}.${id}`, text || null);
}

export function unsentOf(id) {
  const kept = read(`desk.unsent.${id}`);
  if (!Array.isArray(kept)) return [];
  // What was refused or is a day old is shown, and sent only when the agent says so.
  return kept.map((item) => {
    const old = Date.now() - (item.keptAt ?? 0) > DAY_MS;
    return { ...item, status: item.status === "refused" || old ? "refused" : "unsent", error: item.error || (old ? "Kept since yesterday: still to be sent?" : "") };
  });
}

export function keepUnsent(id, outbox) {
  const kept = outbox.map((item) => ({ keptAt: Date.now(), ...item }));
  write(`desk.unsent.${id}`, kept.length ? kept : null);
}

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    return memory.get(key) ?? null;
  }
}

function write(key, value) {
  memory.set(key, value);
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // A full or forbidden storage costs only what a reload would have brought back.
  }
}
