// Ticks in the FAQ list: a count, one tick for all of the page, Shift+click for a range. Without this module the bar always shows.

const form = document.querySelector("[data-selection]");
if (form) {
  const bar = form.querySelector("[data-bar]");
  const count = form.querySelector("[data-count]");
  const all = form.querySelector("[data-all]");
  const everything = form.querySelector("[name=everything]");
  const ticks = [...form.querySelectorAll("input[name=faq]")];
  let last = null;

  const show = () => {
    const ticked = ticks.filter((tick) => tick.checked).length;
    bar.hidden = !ticked && !everything?.checked;
    count.textContent = everything?.checked ? "All of them:" : `${ticked} ticked:`;
    all.checked = ticked === ticks.length;
    all.indeterminate = ticked > 0 && ticked < ticks.length;
  };

  all.hidden = false;
  all.addEventListener("change", () => {
    for (const tick of ticks) tick.checked = all.checked;
    if (!all.checked && everything) everything.checked = false;
    show();
  });
  everything?.addEventListener("change", show);
  for (const tick of ticks) {
    tick.addEventListener("change", show);
    tick.addEventListener("click", (event) => {
      if (event.shiftKey && last) {
        const [from, to] = [ticks.indexOf(last), ticks.indexOf(tick)].sort((a, b) => a - b);
        for (const each of ticks.slice(from, to + 1)) each.checked = tick.checked;
      }
      last = tick;
      show();
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "x" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), textarea, select")) return;
    document.activeElement?.closest("tr")?.querySelector("input[name=faq]")?.click();
  });
  addEventListener("pageshow", show);
  show();
}
