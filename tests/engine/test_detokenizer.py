from __future__ import annotations

import pytest

from chatbot.engine.detokenizer import TextStream
from tests.engine.tiny_models import tiny_tokenizer

TOKENIZER = tiny_tokenizer()


def pieces_of(text: str, *, stop: tuple[str, ...] = ()) -> tuple[list[str], TextStream]:
    stream = TextStream(TOKENIZER, stop=stop)
    pieces = [stream.push(token) for token in TOKENIZER(text)["input_ids"]]
    return [*pieces, stream.finish()], stream


@pytest.mark.parametrize("text", ["plain", "包裹 3–5 天", "café 😀👨\u200d👩", "مرحبا"])
def test_no_piece_holds_half_a_character(text: str) -> None:
    pieces, stream = pieces_of(text)
    assert "".join(pieces) == stream.text == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_character_cut_off_at_the_end_is_dropped() -> None:
    stream = TextStream(TOKENIZER)
    shown = [stream.push(token) for token in TOKENIZER("a包")["input_ids"][:-1]]
    assert (shown, stream.finish(), stream.text) == (["a", "", ""], "", "a")


def test_bytes_that_are_no_text_do_not_hold_the_answer_up() -> None:
    broken = TOKENIZER("包")["input_ids"][1]
    stream = TextStream(TOKENIZER)
    assert any(stream.push(broken) for _ in range(12))


def test_stop_string_ends_the_text_before_it() -> None:
    pieces, stream = pieces_of("It is 5 EUR.\nCustomer: and", stop=("\nCustomer:",))
    assert stream.stopped
    assert "".join(pieces) == stream.text == "It is 5 EUR."


def test_what_may_become_a_stop_string_is_held_back_and_then_given_out() -> None:
    pieces, stream = pieces_of("ab##c#", stop=("###",))
    assert pieces == ["a", "b", "", "", "##c", "", "#"]
    assert (stream.text, stream.stopped) == ("ab##c#", False)


def test_special_tokens_have_no_text() -> None:
    stream = TextStream(TOKENIZER)
    assert [stream.push(token) for token in (256, 258)] == ["", ""]
