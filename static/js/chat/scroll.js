// Follows new text only while the reader is at the end, and says so otherwise.

const END_PX = 48;
const EARLIER_PX = 160;

export class Follower {
  #pane;
  #pill;
  #pillText;
  #labels;
  #onTop;
  #shape = { height: 0, room: 0, top: 0 };
  atEnd = true;

  constructor({ pane, content, pill, pillText, labels, onTop }) {
    this.#pane = pane;
    this.#pill = pill;
    this.#pillText = pillText;
    this.#labels = labels;
    this.#onTop = onTop;
    pane.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    pill.addEventListener("click", () => this.toEnd({ focus: true }));
    const observer = new ResizeObserver(() => this.#resized());
    observer.observe(content);
    observer.observe(pane);
  }

  toEnd({ focus = false } = {}) {
    this.atEnd = true;
    this.#pane.scrollTop = this.#pane.scrollHeight;
    this.#showPill(false);
    if (focus) this.#pane.focus({ preventScroll: true });
  }

  // Run a change that adds content above what is being read, and keep that where it is.
  keepPlace(change) {
    const fromBottom = this.#pane.scrollHeight - this.#pane.scrollTop;
    change();
    this.#pane.scrollTop = this.#pane.scrollHeight - fromBottom;
    this.#remember();
  }

  newBelow() {
    if (!this.atEnd) this.#showPill(true);
  }

  #scrolled() {
    const pane = this.#pane;
    if (this.atEnd && this.#movedByContent()) return this.#resized();
    this.atEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight <= END_PX;
    this.#remember();
    if (this.atEnd) this.#showPill(false);
    else if (this.#pill.hidden) this.#showPill(false, true);
    if (pane.scrollTop < EARLIER_PX && pane.scrollHeight > pane.clientHeight) this.#onTop();
  }

  // Growing text or a growing composer scrolls nobody upwards; a reader does.
  #movedByContent() {
    const { scrollHeight, clientHeight, scrollTop } = this.#pane;
    const { height, room, top } = this.#shape;
    const shrank = scrollHeight < height || clientHeight > room;
    return (scrollHeight !== height || clientHeight !== room) && (scrollTop >= top || shrank);
  }

  #resized() {
    if (this.atEnd) this.#pane.scrollTop = this.#pane.scrollHeight;
    this.#remember();
  }

  #remember() {
    const { scrollHeight, clientHeight, scrollTop } = this.#pane;
    this.#shape = { height: scrollHeight, room: clientHeight, top: scrollTop };
  }

  #showPill(hasNew, visible = hasNew) {
    this.#pill.hidden = !visible;
    this.#pill.classList.toggle("has-new", hasNew);
    this.#pillText.textContent = hasNew ? this.#labels.newMessages : this.#labels.latest;
  }
}
