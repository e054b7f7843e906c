"""A file, function or template that outgrows its ceiling wants splitting."""

from __future__ import annotations

import re

import pytest

from tests.architecture.source import ROOT, functions, modules

FILE_LINES = 400
FUNCTION_LINES = 50
TEMPLATE_LINES = 80
SCRIPT_LINES = 400


def lines_of(pattern: str) -> dict[str, int]:
    return {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in ROOT.glob(pattern)
        if ".venv" not in path.parts
    }


@pytest.mark.parametrize(
    ("pattern", "most"),
    [
        ("chatbot/**/*.py", FILE_LINES),
        ("support_portal/**/*.py", FILE_LINES),
        ("templates/**/*.html", TEMPLATE_LINES),
        ("static/js/**/*.js", SCRIPT_LINES),
    ],
)
def test_files_stay_small(pattern: str, most: int) -> None:
    assert {name: count for name, count in lines_of(pattern).items() if count > most} == {}


def test_functions_stay_small() -> None:
    long = {
        f"{name}.{function.name}": size
        for name, tree in modules().items()
        for function in functions(tree)
        if (size := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES
    }
    assert long == {}


def test_no_unfinished_marks() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    found = [
        name
        for name in [*lines_of("chatbot/**/*.py"), *lines_of("support_portal/**/*.py")]
        if marks.search((ROOT / name).read_text())
    ]
    assert found == []


def test_templates_hold_no_inline_script_or_style() -> None:
    inline = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")|<style|\sstyle=|\son[a-z]+=", re.I)
    assert [name for name in lines_of("templates/**/*.html") if inline.search((ROOT / name).read_text())] == []
