"""Plain text to blocks: paragraphs between empty lines, lists, and headings as people type them. No Django."""

from __future__ import annotations

import re

from chatbot.characters import strip_invisible
from chatbot.documents.reading.blocks import Reading, Writer

_ITEM = re.compile(r"\s*(?:[-*•◦▪·–]|\d{1,3}[.)]|[a-z][.)])\s+(?=\S)")
_RULE = re.compile(r"\s*([=\-~_*])\1{2,}\s*\Z")
_END = re.compile(r"[.!?。！？:：;,]\s*\Z")
_NUMBERED = re.compile(r"\s*(\d{1,2}(?:\.\d{1,2})*)\.?\s+\S")
# A clause of a contract, "6.2 Excluded are ...": a paragraph of its own, whether an empty line stands before it or not.
_CLAUSE = re.compile(r"\s*\d{1,2}(?:\.\d{1,2})+\.?\s+\S")
_MAX_TITLE_CHARS = 80


def read_text(text: str) -> Reading:
    writer = Writer()
    for group in re.split(r"\n[^\S\n]*(?:\n[^\S\n]*)+", strip_invisible(text)):
        _read_group([line for line in group.split("\n") if line.strip()], writer)
    return Reading("text", writer.blocks, title=next((b.text for b in writer.blocks if b.kind == "heading"), ""))


def _read_group(lines: list[str], writer: Writer) -> None:
    if len(lines) >= 2 and _RULE.match(lines[1]) and len(lines[0].strip()) <= _MAX_TITLE_CHARS:
        writer.add("heading", lines[0], level=1 if lines[1].strip()[0] == "=" else 2)
        lines = lines[2:]
    elif len(lines) == 1 and _is_title(lines[0]):
        writer.add("heading", lines[0], level=_level(lines[0]))
        return
    elif len(lines) >= 2 and _is_title(lines[0]) and _numbers(lines[0], lines[1]):
        writer.add("heading", lines[0], level=_level(lines[0]))
        lines = lines[1:]
    paragraph: list[str] = []
    kind = "paragraph"
    for line in lines:
        if _RULE.match(line):
            continue
        if _CLAUSE.match(line):
            writer.add("item" if kind == "item" else "paragraph", " ".join(paragraph))
            paragraph, kind = [line], "paragraph"
        elif marker := _ITEM.match(line):
            writer.add("item" if kind == "item" else "paragraph", " ".join(paragraph))
            paragraph, kind = [line[marker.end() :]], "item"
        else:
            paragraph.append(line)
    writer.add("item" if kind == "item" else "paragraph", " ".join(paragraph))


def _is_title(line: str) -> bool:
    """A short line by itself that ends like no sentence."""
    bare = line.strip()
    return (
        len(bare) <= _MAX_TITLE_CHARS
        and not _END.search(bare)
        and any(c.isalpha() for c in bare)
        and not re.match(r"[-*•]", bare)
    )


def _numbers(title: str, line: str) -> bool:
    """Whether a line is the first clause under a numbered title: "6. Withdrawal", "6.1 The buyer may ..."."""
    numbered = _NUMBERED.match(title)
    return bool(numbered and re.match(rf"\s*{re.escape(numbered[1])}\.\d", line))


def _level(line: str) -> int:
    numbered = _NUMBERED.match(line)
    return min(6, 2 + numbered[1].count(".")) if numbered else 2
