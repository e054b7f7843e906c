"""The one way from Markdown to HTML. Its output may be put into a page as it is; nothing else may.

Two nets, each enough alone: the parser knows no HTML and no scheme but four, and nh3 keeps a short list of tags. Images become
their words.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from chatbot.characters import strip_invisible

MAX_CHARS = 20_000
_SCHEMES = {"http", "https", "mailto", "tel"}
_TAGS = {"p", "br", "strong", "em", "ul", "ol", "li", "a", "code", "pre", "blockquote", "h3", "h4"}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_CITATION = re.compile(r"[ \t]*\[(\d{1,2})\]")
# Private-use characters cannot come from outside: strip_invisible drops them before the parser sees the text.
_MARK = re.compile("\ue000(\\d{1,2})\ue001")


def render_markdown(text: str, *, citations: Collection[int] = ()) -> str:
    """Render to safe HTML. Marks like [1] become links to their source where `citations` has the number."""
    tokens = _PARSER.parse(strip_invisible(text[:MAX_CHARS]))
    for token in tokens:
        if token.tag in ("h1", "h2"):
            token.tag = "h3"
        elif token.tag in ("h5", "h6"):
            token.tag = "h4"
        if token.children:
            _prepare_text(token.children, citations)
    html = nh3.clean(
        _PARSER.renderer.render(tokens, _PARSER.options, {}),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return _MARK.sub(r'<sup class="cite"><a href="#cite-\1" data-cite="\1">\1</a></sup>', html).strip()


def _prepare_text(tokens: list[Token], citations: Collection[int]) -> None:
    """Turn images into their words, and citation marks outside links into placeholders."""
    links_open = 0
    for token in tokens:
        links_open += token.nesting if token.type in ("link_open", "link_close") else 0
        if token.type == "image":
            token.type, token.tag = "text", ""
        token.content = strip_invisible(token.content)  # again: an entity such as &#x202e; has become its character
        if token.type == "text" and not links_open:
            token.content = _CITATION.sub(
                lambda mark: f"\ue000{int(mark[1])}\ue001" if int(mark[1]) in citations else mark[0], token.content
            )


def _is_safe_link(url: str) -> bool:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return False
    if parts.scheme.lower() not in _SCHEMES or "\\" in url:
        return False
    # A name before the host ("https://bank.example@evil.example") only ever misleads.
    return parts.scheme.lower() in ("mailto", "tel") or bool(parts.netloc and "@" not in parts.netloc)


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "breaks": True, "maxNesting": 20})
    # Reference definitions would let one line of a text change the links of another.
    parser.disable(["html_block", "html_inline", "reference"])
    parser.validateLink = _is_safe_link  # type: ignore[method-assign]
    return parser


_PARSER = _parser()
