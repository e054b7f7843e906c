"""How often the right passage comes first, on hand-made questions to four files of different kinds; with the packaged embedder.

The weights were fitted on the other half of these questions (docs/knowledge.md).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from chatbot.documents.background import TEXTS
from chatbot.documents.passage_index import PassageIndex
from chatbot.documents.reading.child import read
from chatbot.documents.search import LOOK_AT
from chatbot.documents.splitting import Passage, split, windows
from chatbot.engine.embedder import default_embedder

LIBRARY = Path(__file__).parent / "library"


@pytest.fixture(scope="module")
def passages() -> list[Passage]:
    files = sorted(file for file in LIBRARY.iterdir() if file.suffix != ".jsonl")
    return [passage for file in files for passage in split(read(file.read_bytes(), name=file.name, max_pages=100).blocks)]


@pytest.fixture(scope="module")
def index(passages: list[Passage]) -> PassageIndex:
    embedder = default_embedder()
    pieces = [windows(passage) for passage in passages]
    vectors = np.split(
        embedder.encode([text for each in pieces for text in each]), np.cumsum([len(each) for each in pieces])[:-1]
    )
    texts = [f"{passage.heading}\n{passage.text}" for passage in passages]
    return PassageIndex(range(len(passages)), texts, vectors, embedder, background=embedder.encode(list(TEXTS)))


def _questions() -> list[dict[str, str | None]]:
    """The half that nothing was fitted on."""
    lines = [json.loads(line) for line in (LIBRARY / "questions.jsonl").read_text().splitlines()]
    return [line for line in lines if int(hashlib.sha256(line["q"].encode()).hexdigest(), 16) % 2]


def test_the_right_passage_is_among_the_first_two(index: PassageIndex, passages: list[Passage]) -> None:
    first = both = asked = 0
    for line in _questions():
        if line["a"]:
            found = [line["a"] in passages[hit.passage_id].text for hit in index.search(str(line["q"]), limit=2)]
            asked, first, both = asked + 1, first + found[0], both + any(found)
    assert first / asked >= 0.75 and both / asked >= 0.85, (first, both, asked)


def test_what_no_file_tells_is_not_even_worth_a_look(index: PassageIndex) -> None:
    asked = [str(line["q"]) for line in _questions() if not line["a"]]
    assert asked and all(index.search(question)[0].likelihood < LOOK_AT for question in asked)


def test_a_numbered_clause_is_cited_under_its_title(passages: list[Passage]) -> None:
    (withdrawal,) = [passage for passage in passages if "custom paint" in passage.text]
    assert withdrawal.heading.endswith("6. Right of withdrawal") and withdrawal.text.startswith("6.1")
