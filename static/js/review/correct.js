// The correction form shows what the choice needs: the chosen FAQ's words, the fields of a new one. Ctrl+Enter saves.
// Without this module everything is shown.

const form = document.querySelector("[data-correction]");
if (form) {
  const fields = form.querySelector("[data-new]");
  const publish = form.querySelector("[data-publish]");
  const words = [...form.querySelectorAll("[data-faq]")];
  const phrasing = form.elements.phrasing.closest(".field");

  const show = () => {
    const mode = form.elements.mode.value;
    fields.hidden = mode !== "new";
    if (publish) publish.hidden = !mode;
    for (const box of words) box.hidden = box.dataset.faq !== form.elements.faq.value || mode === "new";
    phrasing.hidden = !form.elements.teach.checked;
  };

  form.addEventListener("change", show);
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      form.requestSubmit();
    } else if (event.target.matches("input[type=text]")) event.preventDefault(); // A line end is no wish to save.
  });
  addEventListener("pageshow", show);
  show();
}
