// The end of a conversation: its menu (download, print, mail, end), and what its customer thinks of it, asked once and quietly.

export class Ending {
  #parts;
  #build;
  #controller;
  #forms = new Map(); // "bot" or "person" -> form

  constructor({ parts, build, controller }) {
    this.#parts = parts;
    this.#build = build;
    this.#controller = controller;
    parts.mailForm.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#sendMail();
    });
    document.addEventListener("click", (event) => {
      if (!parts.menu.contains(event.target) || event.target.closest(".menu > *")) parts.menu.open = false;
    });
    parts.menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !parts.menu.open) return;
      parts.menu.open = false;
      parts.menu.querySelector("summary").focus();
    });
  }

  show(state) {
    const { menu, end, text, print, slot } = this.#parts;
    const id = state.phase === "not_found" ? "" : state.conversationId;
    menu.hidden = !id;
    if (id) {
      text.href = `/chat/${id}/transcript.txt`;
      print.href = `/chat/${id}/transcript/`;
    }
    end.hidden = state.conversation?.status === "resolved";
    const wanted = state.conversation?.satisfaction ?? [];
    for (const [about, form] of this.#forms) {
      if (wanted.some((one) => one.about === about)) continue;
      form.remove();
      this.#forms.delete(about);
    }
    for (const one of wanted) this.#showOne(slot, one);
  }

  openMail() {
    const { mailDialog, mailError, mailDone, mailEmail } = this.#parts;
    mailError.hidden = mailDone.hidden = true;
    mailDialog.showModal();
    mailEmail?.focus();
  }

  closeMail() {
    this.#parts.mailDialog.close();
    this.#parts.menu.querySelector("summary").focus();
  }

  #showOne(slot, { about, score, comment }) {
    let form = this.#forms.get(about);
    if (!form) {
      form = this.#makeForm(about);
      this.#forms.set(about, form);
      form.querySelector("textarea").value = comment;
      slot.append(form);
    }
    for (const radio of form.querySelectorAll("input")) if (score) radio.checked = radio.value === String(score);
    form.querySelector('[data-slot="more"]').hidden = !score;
    form.querySelector('[data-slot="decline"]').hidden = Boolean(score);
  }

  #makeForm(about) {
    const form = this.#build("satisfaction");
    form.querySelector(`legend[data-slot="${about === "bot" ? "person" : "bot"}"]`).remove();
    const chosen = () => Number(form.querySelector("input:checked")?.value ?? 0);
    const give = (score) => this.#controller.giveSatisfaction({ about, score, comment: form.querySelector("textarea").value.trim() });
    for (const radio of form.querySelectorAll("input")) {
      radio.name = `satisfaction-${about}`;
      radio.addEventListener("change", () => give(chosen()));
    }
    form.querySelector('[data-slot="decline"]').addEventListener("click", () => give(0));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (chosen() && give(chosen())) form.querySelector('[data-slot="thanks"]').focus();
    });
    return form;
  }

  async #sendMail() {
    const { mailForm, mailError, mailDone, mailEmail, mailSend } = this.#parts;
    if (mailSend.getAttribute("aria-busy") === "true") return;
    mailSend.setAttribute("aria-busy", "true");
    mailError.hidden = mailDone.hidden = true;
    const url = `/chat/${this.#controller.state.conversationId}/transcript/mail`;
    const said = await post(url, new FormData(mailForm));
    mailSend.removeAttribute("aria-busy");
    const place = said.sent ? mailDone : mailError;
    place.textContent = said.message || mailForm.dataset.failed;
    place.hidden = false;
    mailEmail.setAttribute("aria-invalid", String(said.field === "email"));
    if (!said.sent) mailEmail.focus();
  }
}

async function post(url, body) {
  try {
    return await (await fetch(url, { method: "POST", body, headers: { Accept: "application/json" } })).json();
  } catch {
    return { sent: false, message: "" };
  }
}
