// What must survive a reload of this tab: unsent messages and the draft, per conversation, in sessionStorage.
//
// Sending one again is harmless: the server answers the same client_message_id with the rows of the first time.

const NEW = "new";

export function makeOutbox(storage = safeStorage()) {
  const key = (kind, conversationId) => `chat.${kind}.${conversationId || NEW}`;

  return {
    unsent(conversationId) {
      try {
        const items = JSON.parse(storage.getItem(key("outbox", conversationId)) || "[]");
        return items.map((item) => ({ ...item, status: "unsent", error: "" }));
      } catch {
        return [];
      }
    },
    keep(conversationId, items) {
      const kept = items.map(({ clientMessageId, text, createdAt }) => ({ clientMessageId, text, createdAt }));
      put(storage, key("outbox", conversationId), kept.length ? JSON.stringify(kept) : "");
    },
    draft: (conversationId) => storage.getItem(key("draft", conversationId)) || "",
    keepDraft: (conversationId, text) => put(storage, key("draft", conversationId), text),
    // The first message was accepted: what was "new" now belongs to a conversation.
    adopt(conversationId) {
      for (const kind of ["outbox", "draft"]) {
        const value = storage.getItem(key(kind, ""));
        if (value) put(storage, key(kind, conversationId), value);
        storage.removeItem(key(kind, ""));
      }
    },
  };
}

function put(storage, key, value) {
  try {
    if (value) storage.setItem(key, value);
    else storage.removeItem(key);
  } catch {
    // A full or forbidden storage costs only what a reload would have brought back.
  }
}

// Reading `sessionStorage` itself throws where the browser forbids it.
function safeStorage() {
  try {
    sessionStorage.getItem("");
    return sessionStorage;
  } catch {
    const values = new Map();
    return {
      getItem: (key) => values.get(key) ?? null,
      setItem: (key, value) => values.set(key, value),
      removeItem: (key) => values.delete(key),
    };
  }
}
