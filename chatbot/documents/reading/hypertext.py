"""HTML, and Markdown by way of it, to blocks. What a reader would not see is left out. No Django.

Left out: scripts, styles, comments, templates, form controls, menus and footers, and elements hidden by an attribute
(`hidden`, `aria-hidden`) or by their own style. Style sheets are not evaluated, so text that only a class hides is read.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from lxml import etree
from lxml import html as lxml_html
from markdown_it import MarkdownIt

from chatbot.documents.reading.blocks import FileKind, Reading, ReadingFailed, Writer, clean

_IGNORED = {
    *("script", "style", "template", "noscript", "head", "nav", "footer", "svg", "math", "iframe", "object", "embed", "canvas"),
    *("audio", "video", "picture", "img", "button", "select", "textarea", "input", "datalist", "dialog", "map"),
}
_BLOCKS = {
    *("address", "article", "aside", "blockquote", "body", "center", "dd", "details", "div", "dl", "dt", "fieldset", "figure"),
    *("figcaption", "form", "header", "hr", "html", "li", "main", "ol", "p", "pre", "section", "summary", "ul", "br"),
}
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|opacity\s*:\s*0(?:\.0+)?\s*(?:;|!|$)|font-size\s*:\s*0|"
    r"(?:text-indent|left|top)\s*:\s*-\d{3,}",
    re.I,
)
_HEADING = re.compile(r"h([1-6])\Z")
_XML_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_BREAKS_MARKDOWN = re.compile(r"[\s()<>\[\]]")


def read_html(text: str, *, kind: FileKind = "html") -> Reading:
    # A declaration of the encoding has been obeyed; lxml refuses one in a str.
    text = _XML_DECLARATION.sub("", text)
    parser = lxml_html.HTMLParser(remove_comments=True, remove_pis=True, no_network=True, huge_tree=False)
    try:
        root = lxml_html.document_fromstring(text, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        raise ReadingFailed("document_malformed", "The HTML cannot be read: it holds no text or is damaged.") from error
    walk = _Walk()
    walk.element(root)
    walk.flush()
    return Reading(kind, walk.writer.blocks, title=clean(root.findtext(".//title") or ""), hidden=walk.writer.hidden)


def read_markdown(text: str) -> Reading:
    html = MarkdownIt("commonmark", {"html": True, "maxNesting": 40}).enable("table").render(text)
    return read_html(f"<body>{html}</body>", kind="markdown")


class _Walk:
    """Goes through the tree once; inline text gathers until a block begins or ends."""

    def __init__(self) -> None:
        self.writer = Writer()
        self._gathered: list[str] = []
        self._in_item = 0

    def element(self, node: lxml_html.HtmlElement) -> None:
        tag = node.tag if isinstance(node.tag, str) else ""
        if tag in _IGNORED or not tag:
            return
        if _is_hidden(node):
            self.writer.hidden += bool(clean(node.text_content()))
            return
        heading = _HEADING.match(tag)
        if heading:
            self.flush()
            self.writer.add("heading", _visible_text(node), level=int(heading[1]))
        elif tag == "table" and not node.findall(".//table"):
            self.flush()
            self.writer.add_table([[_visible_text(cell) for cell in row.iter("td", "th")] for row in node.iter("tr")])
        elif tag == "a":
            self._gathered.append(_link(node))
        else:
            self._children(node, tag=tag)

    def _children(self, node: lxml_html.HtmlElement, *, tag: str) -> None:
        is_block = tag in _BLOCKS or tag in ("table", "tr", "td", "th")
        if is_block:
            self.flush()
        self._in_item += tag in ("li", "dd")
        self._gathered.append(node.text or "")
        for child in node:
            self.element(child)
            self._gathered.append(child.tail or "")
        if is_block:
            self.flush()
        self._in_item -= tag in ("li", "dd")

    def flush(self) -> None:
        text, self._gathered = "".join(self._gathered), []
        self.writer.add("item" if self._in_item else "paragraph", text)


def _is_hidden(node: lxml_html.HtmlElement) -> bool:
    return (
        "hidden" in node.attrib or node.get("aria-hidden", "").lower() == "true" or bool(_HIDING.search(node.get("style") or ""))
    )


def _visible_text(node: lxml_html.HtmlElement) -> str:
    """The words of a heading or a cell."""
    if node.tag in _IGNORED or not isinstance(node.tag, str) or _is_hidden(node):
        return ""
    if node.tag == "a" and not len(node):
        return _link(node)
    parts = [node.text or ""]
    for child in node:
        parts += [" " if child.tag in _BLOCKS else "", _visible_text(child), child.tail or ""]
    return "".join(parts)


def _link(node: lxml_html.HtmlElement) -> str:
    """A link to another site or an address keeps its target, as Markdown; one inside the site would lead nowhere."""
    words = clean((node.text or "") + "".join(_visible_text(child) + (child.tail or "") for child in node))
    href = (node.get("href") or "").strip()
    try:
        parts = urlsplit(href)
    except ValueError:
        return words
    whole = parts.scheme in ("http", "https") and parts.netloc and not _BREAKS_MARKDOWN.search(href)
    if not words or not whole or words == href or "[" in words or "]" in words:
        return words
    return f"[{words}]({href})"
