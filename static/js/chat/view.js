// Turns the server's HTML into nodes, adds citation links, and changes what is shown without touching what stays the same.
//
// `fragmentFromServer` is the only place of the page where text becomes HTML. The server's one sanitising renderer made it.

const policy = window.trustedTypes?.createPolicy("chat-html", { createHTML: (html) => html });
const MARK = /[ \t]*\[(\d{1,2})\]/g;

function fragmentFromServer(html) {
  const parsed = new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html");
  const fragment = document.createDocumentFragment();
  fragment.append(...parsed.body.childNodes);
  return document.adoptNode(fragment);
}

// Show `html` in `body`. With `reveal`, what is new against the present content fades in.
export function showHtml(body, html, { citations, citationLabel, raise, reveal }) {
  const fragment = fragmentFromServer(html);
  linkCitations(fragment, citations, citationLabel);
  if (raise) raiseMarks(fragment);
  fragment.normalize();
  unwrapRevealed(body);
  morphChildren(body, fragment, reveal && body.hasChildNodes());
}

// A finished answer marks its sources as links; they get their address and name. While it grows the marks are still "[1]".
function linkCitations(root, citations, label) {
  for (const link of root.querySelectorAll("a[data-cite]")) {
    const source = citations.find((citation) => citation.number === Number(link.dataset.cite));
    if (!source) {
      link.replaceWith(...link.childNodes);
      continue;
    }
    link.href = source.url;
    link.title = source.title;
    link.target = "_blank";
    link.rel = "noopener";
    link.setAttribute("aria-label", label(source));
  }
}

function raiseMarks(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) if (!walker.currentNode.parentElement?.closest("a, code, pre")) texts.push(walker.currentNode);
  for (const text of texts) {
    const parts = text.data.split(MARK); // every second part is a number
    if (parts.length > 1) text.replaceWith(...parts.map((part, index) => (index % 2 ? raised(part) : part)));
  }
}

function raised(number) {
  const mark = document.createElement("sup");
  mark.className = "cite";
  mark.textContent = number;
  return mark;
}

// The words that faded in last time become plain text again, so that the comparison sees text and not wrappers.
function unwrapRevealed(body) {
  for (const node of body.querySelectorAll(".reveal")) {
    if (node.matches("span[data-reveal]")) node.replaceWith(...node.childNodes);
    else node.classList.remove("reveal");
    if (!node.className) node.removeAttribute("class");
  }
  body.normalize();
}

function morphChildren(present, wanted, reveal) {
  const fresh = [...wanted.childNodes];
  const kept = [...present.childNodes];
  fresh.forEach((node, index) => {
    const old = kept[index];
    if (!old) present.append(revealed(node, reveal));
    else if (!old.isEqualNode(node)) morphNode(old, node, reveal);
  });
  for (const node of kept.slice(fresh.length)) node.remove();
}

function morphNode(old, node, reveal) {
  if (old.nodeType === Node.TEXT_NODE && node.nodeType === Node.TEXT_NODE && node.data.startsWith(old.data)) {
    // Stays a wrapper beside the old text until the next frame unwraps it.
    old.after(revealed(document.createTextNode(node.data.slice(old.data.length)), reveal));
  } else if (old.nodeType === Node.ELEMENT_NODE && sameShell(old, node)) {
    morphChildren(old, node, reveal);
  } else {
    old.replaceWith(revealed(node, reveal));
  }
}

function sameShell(one, other) {
  return one.cloneNode(false).isEqualNode(other.cloneNode(false));
}

function revealed(node, reveal) {
  if (!reveal) return node;
  if (node.nodeType === Node.ELEMENT_NODE) {
    node.classList.add("reveal");
    return node;
  }
  if (node.nodeType !== Node.TEXT_NODE || !node.data.trim()) return node;
  const span = document.createElement("span");
  span.className = "reveal";
  span.dataset.reveal = "";
  span.append(node);
  return span;
}
