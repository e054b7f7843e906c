from __future__ import annotations

from chatbot.characters import strip_invisible


def test_deceiving_characters_go_and_writing_stays() -> None:
    assert strip_invisible("a\u202eb\u200bc\x00d\U000e0041e\ufefff\ue000") == "abcdef"
    kept = "👩\u200d🚀 می\u200cخواهم ❤\ufe0f\tx\u200f"
    assert strip_invisible(kept) == kept


def test_all_line_ends_become_newlines() -> None:
    assert strip_invisible("a\r\nb\rc\u2028d") == "a\nb\nc\nd"
