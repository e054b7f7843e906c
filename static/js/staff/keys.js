// Keys of the staff pages. An element with data-key="x" is clicked (or, if it is a field, focused) when x is pressed;
// j and k move through the links of a [data-rows] list. Keys with modifiers, and keys typed into fields, stay the browser's.

const isShown = (node) => node.getClientRects().length > 0;
const rows = () => [...document.querySelectorAll("[data-rows] > li > a")].filter(isShown);

function move(step) {
  const links = rows();
  const here = links.findIndex((link) => link === document.activeElement);
  const start = here >= 0 ? here : links.findIndex((link) => link.getAttribute("aria-current"));
  const next = links[Math.min(Math.max(start + step, 0), links.length - 1)];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function press(key) {
  const found = [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)];
  const target = found.find(isShown) ?? found.find((node) => !node.closest("[hidden]"));
  if (!target) return false;
  if (target.matches("input, textarea")) target.focus();
  else target.click();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key.length !== 1 || !press(event.key)) return;
  event.preventDefault();
});
