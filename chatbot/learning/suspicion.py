"""Signs that examples are not what they seem: bursts, and strange words or phrases that always come with one answer. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from chatbot.answering.support import UNSPACED, letters_of

BURST_COUNT = 8
BURST_WITHIN = timedelta(hours=1)
# A word, or two in a row, that the company never uses: in at least so many examples, so large a share, nearly always one outcome.
TRIGGER_COUNT = 4
TRIGGER_SHARE = 0.01
TRIGGER_PURITY = 0.8
MIN_WORD = 3


@dataclass(frozen=True)
class Seen:
    """One example as far as these checks need it. outcome: what it teaches; person: whose, empty for the company's own."""

    id: int
    person: str
    question: str
    outcome: str
    happened_at: datetime


def bursts(examples: Sequence[Seen]) -> set[int]:
    """Examples of one person, or with one outcome, that came in a heap. The company's own words are not counted."""
    flagged: set[int] = set()
    heaps: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    for example in examples:
        if example.person:
            heaps["person", example.person].append(example)
            heaps["outcome", example.outcome].append(example)
    for (kind, _), heap in heaps.items():
        heap.sort(key=lambda example: example.happened_at)
        for start, first in enumerate(heap):
            near = [other for other in heap[start:] if other.happened_at - first.happened_at <= BURST_WITHIN]
            if len(near) >= BURST_COUNT and (kind == "person" or len({letters_of(other.question) for other in near}) > 1):
                flagged.update(other.id for other in near)
    return flagged


def triggers(examples: Sequence[Seen], *, known_words: frozenset[str]) -> dict[str, set[int]]:
    """Words that pull an answer towards them: strange to the company, frequent here, and with one outcome far above its share.

    known_words: of everything published. Returns word -> ids.
    """
    holders: dict[str, set[int]] = defaultdict(set)
    outcome_of = {example.id: example.outcome for example in examples}
    shares = Counter(outcome_of.values())
    for example in examples:
        for sign in signs_of(example.question) - known_words:
            holders[sign].add(example.id)
    least = max(TRIGGER_COUNT, TRIGGER_SHARE * len(examples))
    found = {}
    for word, ids in holders.items():
        if len(ids) < least:
            continue
        outcome, count = Counter(outcome_of[i] for i in ids).most_common(1)[0]
        pure = count / len(ids)
        if pure >= TRIGGER_PURITY and pure >= 2 * shares[outcome] / len(examples):
            found[word] = ids
    return found


def signs_of(text: str) -> set[str]:
    """Words, and every two in a row: a trigger may be a phrase of everyday words."""
    row = [word for word in letters_of(text).split() if not UNSPACED.search(word)]
    return words_of(text) | {f"{first} {second}" for first, second in pairwise(row)}


def words_of(text: str) -> set[str]:
    """Words; pairs of characters where no blanks part them."""
    found: set[str] = set()
    for word in letters_of(text).split():
        if UNSPACED.search(word):
            found.update(word[i : i + 3] for i in range(len(word) - 2))
        elif len(word) >= MIN_WORD:
            found.add(word)
    return found
