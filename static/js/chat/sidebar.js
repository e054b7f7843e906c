// The reader's own conversations: beside the chat where there is room, else in a drawer.

const LIST_URL = "/chat/conversations.json";
const WIDE = "(min-width: 1024px)";

export class Sidebar {
  #panel;
  #home;
  #drawer;
  #list;
  #state;
  #build;
  #text;
  #currentId = "";

  constructor({ panel, home, drawer, openButton, list, state, build, text }) {
    this.#panel = panel;
    this.#home = home;
    this.#drawer = drawer;
    this.#list = list;
    this.#state = state;
    this.#build = build;
    this.#text = text;
    openButton.addEventListener("click", () => this.#open());
    drawer.addEventListener("close", () => this.#home.append(this.#panel));
    drawer.addEventListener("click", (event) => event.target === drawer && drawer.close());
    matchMedia(WIDE).addEventListener("change", () => drawer.open && drawer.close());
    state.addEventListener("click", (event) => event.target.closest("button") && this.load());
  }

  async load(currentId = this.#currentId) {
    this.#currentId = currentId;
    try {
      const response = await fetch(LIST_URL, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(String(response.status));
      this.#show((await response.json()).conversations);
    } catch {
      this.#say(this.#text.t("history_failed"), { again: true });
    }
  }

  #open() {
    this.#drawer.append(this.#panel);
    this.#drawer.showModal();
    this.load();
  }

  #show(conversations) {
    this.#say(conversations.length ? "" : this.#text.t("history_empty"));
    this.#list.replaceChildren(...conversations.map((conversation) => this.#item(conversation)));
  }

  #item({ id, title, updated_at, status }) {
    const item = this.#build("conversation");
    const link = item.querySelector("a");
    link.href = `/chat/${id}/`;
    if (id === this.#currentId) link.setAttribute("aria-current", "page");
    const date = new Date(updated_at);
    item.querySelector("[data-slot=title]").textContent = title;
    const time = item.querySelector("time");
    time.dateTime = updated_at;
    time.textContent = this.#text.when(date, new Date());
    time.title = this.#text.exact(date);
    item.querySelector("[data-slot=waiting]").hidden = status !== "waiting";
    return item;
  }

  #say(sentence, { again = false } = {}) {
    this.#state.hidden = !sentence;
    this.#state.querySelector("p").textContent = sentence;
    this.#state.querySelector("button").hidden = !again;
  }
}
