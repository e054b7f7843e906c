// One conversation as an agent's browser knows it: a pure reducer. What its customer sees is the chat's own transcript; notes,
// who has it, who is here, who types and what this agent has not sent yet come on top.

import { TYPING_SHOWN_MS, newTranscript, reduce as reduceTranscript, compareStreamIds } from "../chat/transcript.js";

export function newConversation(data, outbox = []) {
  const snapshot = {
    type: "conversation.snapshot",
    conversation: { id: data.conversation_id, status: data.status, last_seq: data.last_seq, version: data.version },
    messages: data.messages,
    has_earlier: data.has_earlier,
    stream_id: data.stream_id,
  };
  return {
    transcript: reduceTranscript(newTranscript(data.conversation_id), snapshot, 0),
    notes: data.notes,
    staffStreamId: data.staff_stream_id,
    owner: ownerOf(data),
    viewer: data.viewer,
    viewers: data.viewers,
    customerTypesUntil: 0,
    colleague: null, // {name, until}: who types an answer
    outbox, // {id, kind: "reply" | "note", text, status: "sending" | "unsent" | "refused", error}
    outdated: false, // what stands around the messages has to be loaded again
  };
}

const STEPS = {
  "note.added": (state, { note }) => withNote(state, note),
  "owner.changed": (state, frame) => (frame.version > state.owner.version ? { ...state, outdated: true } : state),
  "conversation.changed": (state, frame) => ((frame.conversation.version ?? 0) > state.owner.version ? { ...state, outdated: true } : state),
  "presence.changed": (state, frame) => ({ ...state, viewers: frame.viewers.filter((one) => one.id !== state.viewer.id) }),
  "customer.typing": (state, frame, now) => ({ ...state, customerTypesUntil: now + TYPING_SHOWN_MS }),
  "colleague.typing": (state, { agent }, now) =>
    agent.id === state.viewer.id ? state : { ...state, colleague: { name: agent.name, until: now + TYPING_SHOWN_MS } },
  "message.changed": (state, { message }) => heard(state, message),
  "local.owner": (state, { data }) => (data.version < state.owner.version ? state : { ...state, owner: ownerOf(data), viewers: data.viewers, outdated: false }),
  "local.outdated": (state) => ({ ...state, outdated: true }),
  "local.earlier": (state, { messages, hasEarlier }) => ({
    ...state,
    transcript: reduceTranscript(
      state.transcript,
      { type: "messages.earlier", conversation_id: state.transcript.conversationId, messages, has_earlier: hasEarlier },
      0,
    ),
  }),
  "local.queued": (state, { item }) => ({ ...state, outbox: [...state.outbox, item] }),
  "local.item": (state, { id, changes }) => ({ ...state, outbox: state.outbox.map((one) => (one.id === id ? { ...one, ...changes } : one)) }),
  "local.dropped": (state, { id }) => ({ ...state, outbox: state.outbox.filter((one) => one.id !== id) }),
  // The answer to a post carries no stream id: what is already known came from a stream and is at least as new.
  "local.sent": (state, { id, message, note }) => {
    const rest = { ...state, outbox: state.outbox.filter((one) => one.id !== id) };
    if (note) return withNote(rest, note);
    const known = state.transcript.messages.some((one) => one.id === message.id);
    return known ? rest : { ...rest, transcript: reduceTranscript(rest.transcript, { type: "message.changed", message, stream_id: "" }, 0) };
  },
};
const OF_TRANSCRIPT = new Set(["conversation.changed", "message.changed", "reply.progress", "reply.waiting"]);
const OF_STAFF = new Set(["note.added", "owner.changed", "presence.changed", "customer.typing", "colleague.typing"]);

export function reduce(state, frame, now = 0) {
  let next = state;
  if (OF_TRANSCRIPT.has(frame.type)) next = { ...next, transcript: reduceTranscript(next.transcript, frame, now) };
  if (STEPS[frame.type]) next = STEPS[frame.type](next, frame, now);
  if (OF_STAFF.has(frame.type) && compareStreamIds(frame.stream_id, next.staffStreamId) > 0) next = { ...next, staffStreamId: frame.stream_id };
  return next;
}

// What the pane shows, top to bottom. A reply that a takeover ended before its first word was never seen by anybody.
export function entriesOf(state) {
  const { messages, progress, queue } = state.transcript;
  const shown = messages.filter((message) => message.error !== "taken_over" || message.text !== "");
  const entries = shown.map((message) => ({
    key: `m:${message.id}`, kind: "message", seq: message.seq, message,
    progress: message.status === "pending" ? progress[message.id] : undefined,
    place: message.status === "pending" ? queue[message.id]?.position : undefined,
  }));
  const first = messages[0]?.seq ?? 0;
  for (const note of state.notes.filter((one) => one.seq_after >= first)) {
    entries.push({ key: `n:${note.id}`, kind: "note", seq: note.seq_after + 0.5, note });
  }
  entries.sort((one, other) => one.seq - other.seq || (one.note?.id ?? 0) - (other.note?.id ?? 0));
  return [...entries, ...state.outbox.map((item) => ({ key: `u:${item.id}`, kind: "unsent", item }))];
}

export function typingNow(state, now) {
  const names = [];
  if (state.customerTypesUntil > now) names.push("The customer");
  if (state.colleague && state.colleague.until > now) names.push(state.colleague.name);
  return names;
}

// Where a reconnect goes on. A reply that is being written has shown words that only its stream holds, from its start on.
export function positions(state) {
  const pending = state.transcript.messages.some((message) => message.status === "pending");
  const known = Object.keys(state.transcript.progress).length > 0;
  return { after: pending && !known ? "0-0" : state.transcript.streamId || null, staff_after: state.staffStreamId || null };
}

function ownerOf({ version, status, holder, holder_id: holderId, holder_name: holderName, tags, priority }) {
  return { version, status, holder, holderId, holderName, tags, priority };
}

function withNote(state, note) {
  return {
    ...state,
    notes: [...state.notes.filter((one) => one.id !== note.id), note],
    outbox: state.outbox.filter((one) => one.id !== note.client_note_id),
  };
}

// Who has written types no more; what this agent sent has arrived, whichever way it is heard of first.
function heard(state, message) {
  return {
    ...state,
    customerTypesUntil: message.role === "customer" ? 0 : state.customerTypesUntil,
    colleague: message.role === "agent" ? null : state.colleague,
    outbox: message.client_message_id ? state.outbox.filter((one) => one.id !== message.client_message_id) : state.outbox,
  };
}
