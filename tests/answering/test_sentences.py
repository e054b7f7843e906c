from __future__ import annotations

import pytest

from chatbot.answering.sentences import SentenceStream, sentences

TEXTS = {
    "Shipping costs 4.99 EUR [1]. It takes 3-5 days, e.g. to Spain. See https://a.example/x.html now! OK?": [
        "Shipping costs 4.99 EUR [1].",
        "It takes 3-5 days, e.g. to Spain.",
        "See https://a.example/x.html now!",
        "OK?",
    ],
    "您好。运费是5元[1]。三天到达！[2]可以吗？": ["您好。", "运费是5元[1]。", "三天到达！[2]", "可以吗？"],
    "1. Open the app.\n2. Tap **Pay.**\n\n- Mr. Smith helps. [1] [2] Done.": [
        "1. Open the app.",
        "2. Tap **Pay.**",
        "- Mr. Smith helps. [1] [2]",
        "Done.",
    ],
    'He said "Yes." Then he left.': ['He said "Yes."', "Then he left."],
    "هل الشحن مجاني؟ نعم.": ["هل الشحن مجاني؟", "نعم."],
    "Wait... what? no": ["Wait...", "what?", "no"],
    "We open at 9 a.m. and close at 5 p.m. on weekdays.": ["We open at 9 a.m. and close at 5 p.m. on weekdays."],
}


@pytest.mark.parametrize("text", TEXTS)
def test_cuts_where_a_reader_would(text: str) -> None:
    assert [part.strip() for part in sentences(text)] == TEXTS[text]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("size", [1, 3, 7])
def test_streaming_gives_the_same_cuts_and_loses_nothing(text: str, size: int) -> None:
    stream = SentenceStream()
    found = [part for start in range(0, len(text), size) for part in stream.push(text[start : start + size])] + stream.flush()
    assert found == sentences(text)
    assert "".join(found) == text


def test_sentence_waits_for_its_citation_mark() -> None:
    stream = SentenceStream()
    assert stream.push("It is free.") == []
    assert stream.push(" [") == []
    assert stream.push("1] Next") == ["It is free. [1] "]
