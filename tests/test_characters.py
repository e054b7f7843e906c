from __future__ import annotations

import pytest

from chatbot.characters import escaped_cell, strip_invisible, unescaped_cell


def test_deceiving_characters_go_and_writing_stays() -> None:
    assert strip_invisible("a\u202eb\u200bc\x00d\U000e0041e\ufefff\ue000") == "abcdef"
    kept = "👩\u200d🚀 می\u200cخواهم ❤\ufe0f\tx\u200f"
    assert strip_invisible(kept) == kept


def test_all_line_ends_become_newlines() -> None:
    assert strip_invisible("a\r\nb\rc\u2028d") == "a\nb\nc\nd"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "  =1", "＝1", "\r=1"])
def test_what_a_spreadsheet_would_calculate_is_made_harmless(text: str) -> None:
    assert escaped_cell(text) == f"'{text}" and unescaped_cell(escaped_cell(text)) == text


@pytest.mark.parametrize("text", ["", "Where is it?", "S$4.90", "1-2 days", "’=x", "5 - 3"])
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert escaped_cell(text) == unescaped_cell(text) == text
