// The conversation as this browser knows it: a pure reducer over server frames and the reader's own acts.
//
// Frames may come twice, late or only in part, and a stream may be replayed from its beginning. Messages are keyed by id, the
// outbox by client_message_id, and every message remembers the stream id of the change it shows, so that an older one never
// overwrites it. The pending state of a reply comes from its message's status and from nothing else.

// Who types says so every few seconds; silence ends it, so that no dots stay for ever.
export const TYPING_SHOWN_MS = 6_000;

export function newTranscript(conversationId = "") {
  return {
    // new: nothing sent yet · loading: waits for its first snapshot · ready · not_found
    phase: conversationId ? "loading" : "new",
    conversationId,
    conversation: null,
    messages: [],
    hasEarlier: false,
    loadingEarlier: false,
    streamId: "", // the newest stream id seen: where a reconnect goes on
    versions: {}, // message id, or "conversation" -> stream id of the change that is shown
    progress: {}, // message id -> {attempt, index, html, dir}
    queue: {}, // message id -> {attempt, position}
    heardAt: {}, // message id -> when something of a pending reply last came, ms
    stopping: {}, // message id -> true
    outbox: [], // {clientMessageId, text, createdAt, status: "sending" | "unsent" | "refused", error}
    feedback: null, // {messageId, stage: "reasons" | "thanks"}
    undoRating: {}, // message id -> rating to return to if the server refuses
    typing: null, // {name, until}: a person who types, ms
  };
}

const STEPS = {
  "conversation.snapshot": applySnapshot,
  "conversation.changed": applyConversation,
  "messages.earlier": applyEarlier,
  "message.accepted": applyAccepted,
  "message.changed": applyChanged,
  "reply.progress": applyProgress,
  "reply.waiting": applyWaiting,
  "agent.typing": (state, { name }, now) => ({ ...state, typing: { name, until: now + TYPING_SHOWN_MS } }),
  "person.place": applyPlace,
  error: applyError,
  "local.queued": (state, { item }) => ({ ...state, outbox: [...withoutItem(state.outbox, item.clientMessageId), item] }),
  "local.sending": (state, { id }) => withItem(state, id, { status: "sending", error: "" }),
  "local.unsent": (state, { id }) => withItem(state, id, { status: "unsent" }),
  "local.discarded": (state, { id }) => ({ ...state, outbox: withoutItem(state.outbox, id) }),
  "local.stopping": (state, { id }) => ({ ...state, stopping: { ...state.stopping, [id]: true } }),
  "local.loadingEarlier": (state, { loading }) => ({ ...state, loadingEarlier: loading }),
  "local.rated": applyRated,
  "local.feedback": (state, { feedback }) => ({ ...state, feedback }),
};

export function reduce(state, frame, now = 0) {
  const step = STEPS[frame.type];
  if (!step) return state;
  const next = step(state, frame, now);
  if (frame.type === "conversation.snapshot" || compareStreamIds(frame.stream_id, next.streamId) <= 0) return next;
  return { ...next, streamId: frame.stream_id };
}

// Redis stream ids "milliseconds-sequence"; "" comes before all.
export function compareStreamIds(one, other) {
  const [oneMs, oneSeq] = (one || "0-0").split("-").map(Number);
  const [otherMs, otherSeq] = (other || "0-0").split("-").map(Number);
  return oneMs - otherMs || oneSeq - otherSeq;
}

export function pendingReplies(state) {
  return state.messages.filter((message) => message.status === "pending" && message.role !== "customer");
}

// The name of the person who types at this moment, or "".
export function typingName(state, now) {
  return state.typing && state.typing.until > now && state.conversation?.status === "held" ? state.typing.name : "";
}

export function lastReply(state) {
  return state.messages.findLast((message) => message.role === "assistant");
}

// Sequence numbers have no gaps, so a gap means that a frame was missed.
export function hasGap(state) {
  return state.messages.some((message, index) => index > 0 && message.seq !== state.messages[index - 1].seq + 1);
}

function applySnapshot(state, frame, now) {
  const same = state.conversationId === frame.conversation.id;
  // Earlier pages that join the snapshot without a gap stay, so that a reconnect does not move what is being read.
  const first = frame.messages[0]?.seq ?? 0;
  const earlier = same ? state.messages.filter((message) => message.seq < first) : [];
  const joins = earlier.length > 0 && earlier.at(-1).seq === first - 1;
  const next = {
    ...withConversation(state, frame.conversation),
    messages: joins ? earlier : [],
    hasEarlier: joins ? state.hasEarlier : frame.has_earlier,
    loadingEarlier: false,
    streamId: frame.stream_id,
    versions: { conversation: frame.stream_id },
    progress: same ? state.progress : {},
    queue: {},
    stopping: {},
    heardAt: {},
  };
  // Asking again is no sign of life: a reply that was silent before stays silent.
  const heard = (message) => (same && state.heardAt[message.id]) || now;
  return frame.messages.reduce((built, message) => withMessage(built, message, frame.stream_id, heard(message)), next);
}

function applyEarlier(state, frame, now) {
  if (frame.conversation_id !== state.conversationId) return state;
  const next = { ...state, hasEarlier: frame.has_earlier, loadingEarlier: false };
  return frame.messages.filter((message) => !find(state, message.id)).reduce((built, message) => withMessage(built, message, "", now), next);
}

// Carries no stream id: what is already known came from the stream or a snapshot and is at least as new.
function applyAccepted(state, frame, now) {
  const settled = { ...withConversation(state, frame.conversation), outbox: withoutItem(state.outbox, frame.client_message_id) };
  const fresh = [frame.message, frame.reply].filter((message) => message && !find(state, message.id));
  return fresh.reduce((built, message) => withMessage(built, message, "", now), settled);
}

function applyConversation(state, frame) {
  if (frame.conversation.id !== state.conversationId || compareStreamIds(frame.stream_id, state.versions.conversation) <= 0) return state;
  return { ...withConversation(state, frame.conversation), versions: { ...state.versions, conversation: frame.stream_id } };
}

function applyPlace(state, { place }) {
  if (state.conversation?.status !== "waiting") return state;
  return { ...state, conversation: { ...state.conversation, place } };
}

function applyChanged(state, { message, stream_id: streamId }, now) {
  const known = find(state, message.id);
  if (known && (isOlder(message, known) || compareStreamIds(streamId, state.versions[message.id]) <= 0)) return state;
  return withMessage(state, message, streamId, now);
}

// Announcements of one reply can overtake each other on their way to the stream. Within an attempt its end is final; trying
// again is a new attempt.
function isOlder(message, known) {
  if (message.attempt !== known.attempt) return message.attempt < known.attempt;
  return message.status === "pending" && known.status !== "pending";
}

function applyProgress(state, frame, now) {
  const { message_id: id, attempt, index, html, dir } = frame;
  const known = state.progress[id];
  const message = find(state, id);
  if (message && (message.status !== "pending" || message.attempt > attempt)) return state;
  if (known && (known.attempt - attempt || known.index - index) >= 0) return state;
  return {
    ...state,
    progress: { ...state.progress, [id]: { attempt, index, html, dir } },
    // A worker that begins shows nothing yet: the place stands until there are words.
    queue: html ? without(state.queue, id) : state.queue,
    heardAt: { ...state.heardAt, [id]: now },
  };
}

function applyWaiting(state, frame, now) {
  const { message_id: id, attempt, position } = frame;
  if (find(state, id)?.status !== "pending" || state.progress[id]?.html || state.progress[id]?.attempt > attempt) return state;
  // Workers tell places independently of each other; a customer who has waited does not move back.
  const place = Math.min(position, state.queue[id]?.position ?? position);
  return { ...state, queue: { ...state.queue, [id]: { attempt, position: place } }, heardAt: { ...state.heardAt, [id]: now } };
}

function applyError(state, frame) {
  const { client_message_id: clientMessageId, message_id: id } = frame;
  if (clientMessageId) return withItem(state, clientMessageId, { status: "refused", error: frame.message });
  if (id) {
    const rating = state.undoRating[id];
    const messages = rating === undefined ? state.messages : replaced(state.messages, id, { rating });
    return { ...state, messages, undoRating: without(state.undoRating, id), stopping: without(state.stopping, id), feedback: null };
  }
  if (frame.code === "conversation_not_found") return { ...state, phase: "not_found" };
  return state.loadingEarlier ? { ...state, loadingEarlier: false } : state;
}

function applyRated(state, { id, rating }) {
  const message = find(state, id);
  return {
    ...state,
    messages: replaced(state.messages, id, { rating }),
    undoRating: { ...state.undoRating, [id]: message.rating },
    feedback: rating === -1 ? { messageId: id, stage: "reasons" } : rating === 1 ? { messageId: id, stage: "thanks" } : null,
  };
}

// What was announced first can come last: the higher version is the newer state.
function withConversation(state, conversation) {
  const known = state.conversation;
  const older = known?.id === conversation.id && conversation.version < known.version;
  return { ...state, phase: "ready", conversationId: conversation.id, conversation: older ? known : conversation };
}

// Put one message into its place. Its present state ends what an earlier one has left: progress, queue notice, stop request.
function withMessage(state, message, streamId, now) {
  const others = state.messages.filter((one) => one.id !== message.id);
  const pending = message.status === "pending";
  const known = find(state, message.id);
  // Live text of a reply that was and is pending stays; everything else starts or ends here.
  const stays = pending && (!known || known.status === "pending");
  const next = stays ? state : withoutProgress(state, message.id);
  return {
    ...next,
    messages: [...others, message].sort((one, other) => one.seq - other.seq),
    versions: { ...next.versions, [message.id]: streamId },
    heardAt: pending ? { ...next.heardAt, [message.id]: now } : without(next.heardAt, message.id),
    stopping: stays ? next.stopping : without(next.stopping, message.id),
    undoRating: without(next.undoRating, message.id),
    typing: message.role === "agent" ? null : next.typing,
    outbox: message.client_message_id ? withoutItem(next.outbox, message.client_message_id) : next.outbox,
  };
}

function withoutProgress(state, id) {
  return { ...state, progress: without(state.progress, id), queue: without(state.queue, id) };
}

function find(state, id) {
  return state.messages.find((message) => message.id === id);
}

function withItem(state, id, changes) {
  const outbox = state.outbox.map((item) => (item.clientMessageId === id ? { ...item, ...changes } : item));
  return { ...state, outbox };
}

function withoutItem(outbox, id) {
  return outbox.some((item) => item.clientMessageId === id) ? outbox.filter((item) => item.clientMessageId !== id) : outbox;
}

function replaced(messages, id, changes) {
  return messages.map((message) => (message.id === id ? { ...message, ...changes } : message));
}

function without(record, key) {
  if (!(key in record)) return record;
  const { [key]: _dropped, ...rest } = record;
  return rest;
}
