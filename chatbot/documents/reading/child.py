"""The process that reads one file: limits itself first, then reads stdin and writes one JSON object to stdout.

Run by sandbox.py only: `python -m chatbot.documents.reading.child WHAT NAME LIMITS`. It has no database, no secret in its
environment and nothing to write to, and the kernel ends it when it takes too much.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict
from typing import Any

from chatbot.documents.reading import hypertext, pdf, plain, sniffing, spreadsheet, word
from chatbot.documents.reading.blocks import Reading, ReadingFailed


def limit(*, memory_bytes: int, cpu_s: int, output_bytes: int) -> None:
    """Let the kernel refuse what goes beyond; there is no way back up."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (output_bytes, output_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read(content: bytes, *, name: str, max_pages: int) -> Reading:
    kind = sniffing.kind_of(content, name=name)
    if kind == "xlsx":
        raise sniffing.is_table()
    if kind == "pdf":
        found = pdf.read_pdf(content, max_pages=max_pages)
    elif kind == "docx":
        found = word.read_docx(content)
    elif kind == "html":
        found = hypertext.read_html(sniffing.decoded(content))
    elif kind == "markdown":
        found = hypertext.read_markdown(sniffing.decoded(content))
    else:
        found = plain.read_text(sniffing.decoded(content))
    if not any(block.kind != "heading" for block in found.blocks):
        raise ReadingFailed("document_no_text", "There is no text in this file, or only headings.")
    return found


def sheet(content: bytes, *, name: str) -> str:
    if sniffing.kind_of(content, name=name) != "xlsx":
        raise ReadingFailed("document_type", "This is not an XLSX file.")
    return spreadsheet.read_sheet_as_csv(content)


def run(what: str, name: str, limits: dict[str, int]) -> dict[str, Any]:
    try:
        content = sys.stdin.buffer.read()
        if what == "sheet":
            return {"sheet": sheet(content, name=name)}
        found = read(content, name=name, max_pages=limits["max_pages"])
        size = sum(len(block.text) for block in found.blocks)
        if size > limits["max_chars"]:
            raise ReadingFailed(
                "document_too_long", f"The file holds {size:,} characters; at most {limits['max_chars']:,} are read. Split it."
            )
        return {"reading": asdict(found)}
    except ReadingFailed as failure:
        return {"failure": [failure.code, failure.message]}
    except RecursionError:
        return {"failure": ["document_malformed", "The file is nested too deeply to be read."]}
    except MemoryError:
        return {"failure": ["document_memory", "Reading this file takes more memory than it may have. Split it."]}


def main() -> None:
    what, name, told = sys.argv[1:]
    limits: dict[str, int] = json.loads(told)
    limit(memory_bytes=limits["memory_bytes"], cpu_s=limits["time_s"], output_bytes=limits["output_bytes"])
    json.dump(run(what, name, limits), sys.stdout)


if __name__ == "__main__":
    main()
