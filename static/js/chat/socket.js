// One websocket that heals itself. Knows frames only as JSON; knows nothing of conversations.
//
// States told to onState: {name: "connecting"} | {name: "online"} | {name: "waiting", retryAt} | {name: "offline", retryAt}
// | {name: "refused"} (the server knows no visitor behind this page; only a reload helps).

const PING_EVERY_MS = 20_000;
const PONG_WITHIN_MS = 10_000;
const PROBE_WITHIN_MS = 4_000;
const CONNECT_WITHIN_MS = 10_000;
const CLOSED_NO_VISITOR = 4401;
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 15_000;

// Between half and all of 0.5, 1, 2, 4, 8, 15 s: a thousand browsers must not come back in the same moment.
export function backoffMs(failures, random = Math.random) {
  const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** failures);
  return Math.max(BACKOFF_MIN_MS, Math.round(ceiling * (0.5 + random() / 2)));
}

export class ChatSocket {
  #url;
  #onFrame;
  #onState;
  #socket = null;
  #failures = 0;
  #timers = new Map();
  #running = false;

  constructor({ url, onFrame, onState }) {
    const absolute = new URL(url, location.href);
    absolute.protocol = absolute.protocol.replace("http", "ws");
    this.#url = absolute;
    this.#onFrame = onFrame;
    this.#onState = onState;
  }

  start() {
    this.#running = true;
    addEventListener("online", () => this.wake());
    addEventListener("offline", () => this.#probe());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.wake());
    addEventListener("pageshow", (event) => event.persisted && this.wake());
    this.#connect();
  }

  get online() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  // False when there is no open socket; the caller decides what that means for its frame.
  send(frame) {
    if (!this.online) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  // The device woke up, came online, or the person asked: do not wait for the timer.
  wake() {
    if (this.online) this.#probe();
    else if (this.#running && this.#socket === null) this.#connect();
  }

  // A suspended laptop keeps a dead socket "open": ask, and believe only an answer.
  #probe() {
    if (this.online) this.#askForPong(PROBE_WITHIN_MS);
  }

  #askForPong(withinMs) {
    this.send({ type: "ping" });
    this.#after("pong", withinMs, () => this.#lost());
  }

  #connect() {
    this.#clear("retry");
    this.#onState({ name: "connecting" });
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.addEventListener("open", () => this.#opened(socket));
    socket.addEventListener("message", (event) => this.#received(socket, event.data));
    socket.addEventListener("close", (event) => socket === this.#socket && this.#closed(event.code));
    this.#after("connect", CONNECT_WITHIN_MS, () => this.#lost());
  }

  #opened(socket) {
    if (socket !== this.#socket) return;
    this.#clear("connect");
    // An open socket is proven only by an answer; until then the next loss keeps its longer wait.
    this.#askForPong(PONG_WITHIN_MS);
    this.#schedulePing();
    this.#onState({ name: "online" });
  }

  #received(socket, data) {
    if (socket !== this.#socket) return;
    this.#failures = 0;
    this.#clear("pong");
    const frame = JSON.parse(data);
    if (frame.type !== "pong") this.#onFrame(frame);
  }

  #schedulePing() {
    this.#after("ping", PING_EVERY_MS, () => {
      if (!this.#timers.has("pong")) this.#askForPong(PONG_WITHIN_MS);
      this.#schedulePing();
    });
  }

  #closed(code) {
    if (code !== CLOSED_NO_VISITOR) return this.#lost();
    this.#running = false;
    this.#socket = null;
    for (const name of [...this.#timers.keys()]) this.#clear(name);
    this.#onState({ name: "refused" });
  }

  #lost() {
    const socket = this.#socket;
    // Forgotten before it is closed, so that its late events change nothing.
    this.#socket = null;
    socket?.close();
    for (const name of [...this.#timers.keys()]) this.#clear(name);
    const delay = navigator.onLine ? backoffMs(this.#failures) : BACKOFF_MAX_MS;
    this.#failures += 1;
    this.#after("retry", delay, () => this.#connect());
    this.#onState({ name: navigator.onLine ? "waiting" : "offline", retryAt: Date.now() + delay });
  }

  #after(name, delayMs, action) {
    this.#clear(name);
    this.#timers.set(name, setTimeout(() => {
      this.#timers.delete(name);
      action();
    }, delayMs));
  }

  #clear(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}
