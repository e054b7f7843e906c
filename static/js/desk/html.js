// The one place of the desk where text becomes HTML: our own server's templates made it, with everything escaped or sanitised.

const policy = window.trustedTypes?.createPolicy("desk-html", { createHTML: (html) => html });

export function fromServer(html) {
  const parsed = new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html");
  const fragment = document.createDocumentFragment();
  fragment.append(...parsed.body.childNodes);
  return document.adoptNode(fragment);
}

export function replaceKeepingFocus(node, html) {
  const active = node.contains(document.activeElement) ? document.activeElement : null;
  const key = active?.dataset.key;
  node.replaceChildren(fromServer(html));
  if (!active) return;
  const again = key ? node.querySelector(`[data-key="${CSS.escape(key)}"]`) : null;
  (again ?? node.querySelector("button, a"))?.focus({ preventScroll: true });
}
