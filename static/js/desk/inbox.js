// The list as this browser knows it: a pure reducer. Rows keep their places while somebody works in the list: what has come,
// moved or left is applied by "settle", which the page sends when nobody would be disturbed, or when the reader asks for it.

export function newInbox({ byWait = false, search = false } = {}) {
  return {
    byWait, // the waiting queue: lowest place first; every other list: highest first
    search, // a search's list only learns of changes in what it shows
    rows: [], // {id, version, place, html, matches}: as shown, top to bottom
    fresh: {}, // id -> row that is not shown yet
    hasNext: false,
    counts: null,
    streamId: "", // the newest stream id of which everything is known: where a reconnect goes on
    stale: false, // news were lost: the list has to be loaded again
  };
}

const STEPS = {
  "list.loaded": (state, { rows, hasNext, counts, streamId }) => ({
    ...state, rows, hasNext, counts: counts ?? state.counts, streamId, fresh: {}, stale: false,
  }),
  "list.rows": applyRows,
  "list.stale": (state) => ({ ...state, stale: true }),
  "list.settle": settle,
};

export function reduce(state, frame) {
  const step = STEPS[frame.type];
  return step ? step(state, frame) : state;
}

// How many changes of order wait to be shown.
export function waitingChanges(state) {
  return Object.keys(state.fresh).length;
}

function applyRows(state, frame) {
  const next = { ...state, counts: frame.counts ?? state.counts, streamId: frame.stream_id || state.streamId };
  return frame.rows.reduce(applyRow, next);
}

function applyRow(state, row) {
  const known = state.rows.find((one) => one.id === row.id);
  const waiting = state.fresh[row.id];
  if ((known && known.version > row.version) || (waiting && waiting.version > row.version)) return state;
  if (known) return { ...state, rows: state.rows.map((one) => (one === known ? shownAs(known, row, state) : one)) };
  if (state.search) return state;
  if (!row.matches || isBeyondEnd(state, row)) {
    const { [row.id]: _gone, ...fresh } = state.fresh;
    return { ...state, fresh };
  }
  return { ...state, fresh: { ...state.fresh, [row.id]: row } };
}

// A search shows where it met its words; a changed row would show the last message instead, so only its state is taken.
function shownAs(known, row, state) {
  return state.search ? { ...known, version: row.version, place: known.place } : row;
}

function settle(state) {
  if (state.search) return state;
  const kept = state.rows.filter((row) => row.matches);
  const rows = [...kept, ...Object.values(state.fresh)].sort((one, other) => compare(state, one, other));
  return { ...state, rows, fresh: {} };
}

// Further pages hold it: a row that comes after the last one shown.
function isBeyondEnd(state, row) {
  const last = state.rows.at(-1);
  return state.hasNext && last && compare(state, row, last) > 0;
}

function compare(state, one, other) {
  const order = one.place < other.place ? -1 : one.place > other.place ? 1 : 0;
  return state.byWait ? order : -order;
}
