"""What reading a file yields: its words in order, with the structure that matters. No Django, no format."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from chatbot.characters import strip_invisible

FileKind = Literal["pdf", "docx", "html", "markdown", "text"]
BlockKind = Literal["heading", "paragraph", "item", "row"]

MAX_HEADING_CHARS = 200
_HAS_DIGIT = re.compile(r"\d")


class ReadingFailed(Exception):
    """A file that cannot be taken in. code is stable; message is a sentence for the editor, with page or line where known."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Block:
    """A heading, paragraph, list item or table row. level: of a heading, from 1; page: from 1, 0 where the format has none."""

    kind: BlockKind
    text: str
    level: int = 0
    page: int = 0


@dataclass(frozen=True)
class Reading:
    """pages: 0 where the format has none; hidden: pieces of text that a reader of the file would not see, left out."""

    kind: FileKind
    blocks: Sequence[Block]
    title: str = ""
    pages: int = 0
    hidden: int = 0


@dataclass
class Writer:
    """Collects blocks, cleaned, the empty ones left out."""

    blocks: list[Block] = field(default_factory=list)
    hidden: int = 0

    def add(self, kind: BlockKind, text: str, *, level: int = 0, page: int = 0) -> None:
        text = clean(text)
        if not text:
            return
        if kind == "heading" and len(text) > MAX_HEADING_CHARS:
            kind, level = "paragraph", 0  # A paragraph in a heading's clothes.
        self.blocks.append(Block(kind, text, level=level, page=page))

    def add_table(self, rows: Iterable[Sequence[str]], *, page: int = 0) -> None:
        """One line of text a row; where the first row names the columns, each cell is told with its column's name."""
        cleaned = [[clean(cell) for cell in row] for row in rows]
        cleaned = [row for row in cleaned if any(row)]
        names = cleaned[0] if len(cleaned) > 1 and _names_columns(cleaned[0]) else []
        for row in cleaned[1:] if names else cleaned:
            if names and len(row) == len(names):
                cells = [f"{name}: {cell}" if name else cell for name, cell in zip(names, row, strict=True) if cell]
            else:
                cells = [cell for cell in row if cell]
            self.add("row", "; ".join(cells), page=page)


def _names_columns(row: Sequence[str]) -> bool:
    """Short words without a number in every cell but perhaps the corner."""
    return len(row) > 1 and all(row[1:]) and all(len(cell) <= 40 and not _HAS_DIGIT.search(cell) for cell in row)


def clean(text: str) -> str:
    """One line, without what cannot be seen."""
    return " ".join(strip_invisible(text).split())
