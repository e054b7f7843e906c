// Under a rated reply: why it did not help (chips and a comment), or thanks with an undo.

export function makeFeedback({ nodes, controller }) {
  return function decorate(node, { message, feedback }) {
    const box = nodes.slot(node, "feedback");
    const stage = feedback?.stage ?? "";
    if (box.dataset.stage === stage) return;
    const hadFocus = box.contains(document.activeElement);
    box.dataset.stage = stage;
    box.hidden = !stage;
    box.replaceChildren();
    if (stage === "reasons") box.append(reasonForm(message.id));
    if (stage === "thanks") box.append(nodes.build("feedback-thanks"));
    // The form that had the focus is gone; leave the reader where the choice was made.
    if (hadFocus) (box.querySelector("button") ?? nodes.slot(node, "down")).focus();
  };

  function reasonForm(messageId) {
    const form = nodes.build("feedback-reasons");
    for (const radio of form.querySelectorAll("input[type=radio]")) radio.name = `reason-${messageId}`;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const reason = form.querySelector("input[type=radio]:checked")?.value ?? "";
      controller.explainRating(messageId, { reason, comment: form.querySelector("textarea").value.trim() });
    });
    return form;
  }
}
