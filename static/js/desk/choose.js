// One question with a list of answers: type to narrow, arrows to move, Enter to take. Resolves with a choice, or null.

const dialog = () => document.getElementById("choose-dialog");

// choices: {value, label, chosen}. free: what typed words that are no choice become, as (words) => choice.
export function choose({ title, choices, free = null }) {
  const box = dialog();
  const field = box.querySelector("input");
  const list = box.querySelector("ul");
  let shown = [];
  let active = 0;

  function draw() {
    const words = field.value.trim().toLocaleLowerCase();
    shown = choices.filter((choice) => choice.label.toLocaleLowerCase().includes(words));
    const typed = field.value.trim();
    if (free && typed && !choices.some((choice) => choice.label === typed)) shown = [...shown, free(typed)];
    active = Math.min(active, Math.max(shown.length - 1, 0));
    list.replaceChildren(...(shown.length ? shown.map(option) : [nothing()]));
    mark();
  }

  function option(choice, index) {
    const item = document.createElement("li");
    item.id = `choose-option-${index}`;
    item.role = "option";
    item.dataset.index = String(index);
    item.setAttribute("aria-selected", String(index === active));
    item.textContent = choice.label;
    if (choice.chosen) item.classList.add("is-chosen");
    return item;
  }

  function nothing() {
    const item = document.createElement("li");
    item.role = "option";
    item.setAttribute("aria-disabled", "true");
    item.setAttribute("aria-selected", "false");
    item.className = "muted";
    item.textContent = "Nothing fits.";
    return item;
  }

  function mark() {
    for (const item of list.children) item.setAttribute("aria-selected", String(Number(item.dataset.index) === active));
    if (shown.length) field.setAttribute("aria-activedescendant", `choose-option-${active}`);
    else field.removeAttribute("aria-activedescendant");
    list.children[active]?.scrollIntoView({ block: "nearest" });
  }

  return new Promise((resolve) => {
    const stop = new AbortController();
    const options = { signal: stop.signal };
    let answer = null;
    const take = (index) => {
      answer = shown[index] ?? null;
      if (answer) box.close();
    };
    field.addEventListener("input", () => {
      active = 0;
      draw();
    }, options);
    field.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        const step = event.key === "ArrowDown" ? 1 : -1;
        active = (active + step + shown.length) % Math.max(shown.length, 1);
        mark();
      } else if (event.key === "Enter") take(active);
      else return;
      event.preventDefault();
    }, options);
    list.addEventListener("click", (event) => {
      const item = event.target.closest("[data-index]");
      if (item) take(Number(item.dataset.index));
    }, options);
    box.addEventListener("close", () => {
      stop.abort();
      resolve(answer);
    }, options);
    box.querySelector("h2").textContent = title;
    field.value = "";
    active = Math.max(choices.findIndex((choice) => choice.chosen), 0);
    draw();
    box.showModal();
    field.focus();
  });
}
