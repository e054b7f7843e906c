// The insight page works without this: a chosen filter shows at once, the print button prints, and what is folded unfolds for it.

for (const select of document.querySelectorAll("select[data-submit]")) {
  select.addEventListener("change", () => select.form.requestSubmit(select.form.querySelector("[data-show]")));
}
for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => print());

let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details.definitions:not([open])")];
  for (const details of folded) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of folded) details.open = false;
});
