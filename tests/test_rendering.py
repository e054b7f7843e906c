from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest

from chatbot.rendering import MAX_CHARS, render_markdown

ALLOWED = {"p", "br", "strong", "em", "ul", "ol", "li", "a", "code", "pre", "blockquote", "h3", "h4", "sup"}
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A;avascript&colon;alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](vbscript:x) [y](data:text/html;base64,PHNjcmlwdD4=) [z](file:///etc/passwd)",
    "[x](//evil.example) [y](/\\evil.example) [z](https:\\\\evil.example)",
    "[x](https://bank.example@evil.example)",
    "<javascript:alert(1)>",
    "![x](https://evil.example/p.png)",
    '![x](https://evil.example/p.png?q=secret "t")',
    '[x](https://a.example "onmouseover=alert(1) \\" x")',
    '[x](https://a.example/"onclick="alert(1))',
    "[x]: javascript:alert(1)\n\n[x]",
    "```html\n<script>alert(1)</script>\n```",
    "`<b onclick=x>`",
    "<style>*{display:none}</style><iframe src=//evil></iframe><form action=//evil><input>",
    "<math><mtext></p><style><img src onerror=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;script&#62;",
    "\ue000" + "1\ue001 &#xe000;1&#xe001;",
    "<!--><script>alert(1)</script>-->",
    "| a |\n|---|\n| <script>x</script> |",
    "> <b>\n> # <i>\n1. <u>",
]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def read(html: str) -> list[tuple[str, dict[str, str | None]]]:
    reader = _Reader()
    reader.feed(html)
    return reader.tags


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_harmless(text: str) -> None:
    for tag, attributes in read(render_markdown(text, citations={1})):
        assert tag in ALLOWED
        assert set(attributes) <= {"href", "title", "target", "rel", "class", "data-cite", "start"}
        href = attributes.get("href") or "https:"
        assert re.match(r"(https?|mailto|tel):|#cite-\d+\Z", href), href
        assert "evil" not in href


def test_links_open_apart_and_give_nothing_away() -> None:
    (_, attributes) = read(render_markdown("[x](https://a.example/b?c=d&e=f)"))[1]
    assert attributes == {"href": "https://a.example/b?c=d&e=f", "target": "_blank", "rel": "noopener noreferrer nofollow"}


def test_markdown_of_an_answer() -> None:
    html = render_markdown("# Title\n\n**Bold** and *soft*\nnext\n\n- one\n- two\n\n1. `x`\n\n##### Small")
    for piece in (
        "<h3>Title</h3>",
        "<strong>Bold</strong>",
        "<em>soft</em><br>",
        "<li>one</li>",
        "<ol>",
        "<code>x</code>",
        "<h4>Small</h4>",
    ):
        assert piece in html


def test_known_citations_become_links_and_unknown_ones_stay_text() -> None:
    html = render_markdown("Yes [1]. No [9]. `[1]` [a [1]](https://a.example)", citations={1})
    assert html.count('<sup class="cite"><a href="#cite-1" data-cite="1">1</a></sup>') == 1
    assert "Yes<sup" in html and "No [9]." in html and "<code>[1]</code>" in html


def test_private_characters_cannot_forge_a_citation() -> None:
    assert "<sup" not in render_markdown("\ue0003\ue001 &#xe000;3&#xe001;")


def test_invisible_characters_are_gone_even_as_entities() -> None:
    html = render_markdown("a\u202eb &#x202e;c \u200bd &ZeroWidthSpace;e")
    assert "\u202e" not in html and "\u200b" not in html


@pytest.mark.parametrize("piece", ["[", "*a ", "> ", "a**b", "- ", "`", "[a](", "&", "<", "_*", "![[", "1. ", "[1]"])
def test_work_is_bounded(piece: str) -> None:
    begun = time.process_time()
    html = render_markdown(piece * (3 * MAX_CHARS // len(piece)), citations={1})
    assert time.process_time() - begun < 3
    assert len(html) < 100 * MAX_CHARS
