"""Whether a sentence may be shown: its facts stand in the sources, it is about them, and it is no leak of the instructions.

Knows nothing of engines, retrieval or the database. What it cannot tell: whether a sentence that shares the sources' words
and numbers turns their meaning round.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from chatbot.answering.facts import Fact, Sources, extract, unsupported, without_facts
from chatbot.answering.sentences import sentences

NO_ANSWER = "NO_ANSWER"

# Share of a sentence's character 4-grams that the sources must have, in the same script. It stops other topics, not paraphrase.
MIN_OVERLAP = 0.12
MIN_ANSWER_OVERLAP = 0.25
# A sentence shorter than this ("Yes, that is possible.") says too little to compare.
_MIN_GRAMS = 24
_LEAK_WORDS = 5
# A citation is corrected only where another passage fits better by this much; without one, earlier passages are likelier.
_CLEARLY = 0.25
_RANK_PENALTY = 0.05
_IMAGE = re.compile(r"!\[[^\]]*\]\s?[(\[]|<\s*(?:img|svg|iframe|script|object|embed|video|audio|style|link)\b", re.I)
_CITATION = re.compile(r"\[(\d{1,2})\]")
_NO_ANSWER = re.compile(r"NO[\s_-]*ANSWER", re.I)
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True)
class Verdict:
    """reasons: why the sentence is withheld, for the trace; empty when it may be shown."""

    reasons: tuple[str, ...] = ()

    @property
    def shown(self) -> bool:
        return not self.reasons


class Checker:
    """The check of one answer's sentences against its passages.

    same_language: whether the answer is in the passages' language, so that its words can be compared with theirs.
    asked: the question; what it names need not be named again in the answer.
    """

    def __init__(
        self,
        passages: Sequence[str],
        *,
        customer: Iterable[str] = (),
        rules: str = "",
        same_language: bool = True,
        asked: str = "",
    ) -> None:
        customer = tuple(customer)
        self._sources = Sources(passages, customer=customer)
        self._each = [Sources([passage], customer=customer) for passage in passages]
        self._grams = [_grams(passage) for passage in passages]
        self._all_grams = frozenset().union(*self._grams)
        # What a passage says too is no secret.
        self._rules = _word_runs(rules).difference(*map(_word_runs, passages))
        self._same_language = same_language
        self._asked = _grams(asked)
        self._statements = [
            (Sources([statement]), _grams(without_facts(statement)), bool(_UNSPACED.search(statement)))
            for passage in passages
            for statement in sentences(passage)
        ]

    def check(self, sentence: str) -> Verdict:
        reasons = [f"fact:{fact}" for fact in unsupported(sentence, self._sources)]
        if _IMAGE.search(sentence):
            reasons.append("image")
        if _NO_ANSWER.search(sentence):
            reasons.append("no_answer")
        if self._rules & _word_runs(sentence):
            reasons.append("instructions")
        if not reasons:
            reasons = [f"misplaced:{fact}" for fact in self._misplaced(sentence)]
        if not reasons and self._off_topic(sentence):
            reasons.append("off_topic")
        return Verdict(tuple(reasons))

    def stands(self, answer: str) -> bool:
        """Tell whether a whole answer, its sentences checked, draws on the passages: a bare "no" may be true, but who says so?"""
        grams = _grams(answer)
        overlaps = len(grams & self._all_grams) >= MIN_ANSWER_OVERLAP * max(len(grams), 1)
        return overlaps or not self._same_language or bool(extract(answer))

    def source_of(self, sentence: str, *, cited: int | None = None) -> int:
        """Return the index of the passage a sentence comes from: the cited one unless another clearly fits better."""
        fits = [share - missing for share, missing in zip(self._shares(sentence), self._missing(sentence), strict=True)]
        best = max(range(len(fits)), key=lambda index: fits[index] - _RANK_PENALTY * index)
        return cited if cited is not None and fits[best] < fits[cited] + _CLEARLY else best

    def _shares(self, sentence: str) -> list[float]:
        """For each passage, the share of the sentence's character 4-grams that it has."""
        grams = _grams(sentence)
        return [len(grams & passage) / len(grams) if grams else 0.0 for passage in self._grams]

    def _missing(self, sentence: str) -> list[int]:
        """For each passage, how many of the sentence's facts it lacks."""
        facts = extract(sentence)
        return [sum(not source.supports(fact) for fact in facts) for source in self._each]

    def _misplaced(self, sentence: str) -> Iterator[Fact]:
        """Yield the facts that the passages state of something else: no statement with the fact shares a word with the sentence.

        "Frames: 5 years. Batteries: 2 years." does not support "The battery has 5 years".
        """
        about = _grams(without_facts(sentence)) | self._asked
        unspaced = bool(_UNSPACED.search(sentence))
        for fact in extract(sentence):
            # Another script shares no letters, so nothing can be said of statements in it.
            holding = [grams for source, grams, wide in self._statements if wide == unspaced and source.supports(fact)]
            if self._same_language and holding and not any(about & grams for grams in holding):
                yield fact

    def _off_topic(self, sentence: str) -> bool:
        grams = _grams(sentence)
        enough = _MIN_GRAMS // 2 if _UNSPACED.search(sentence) else _MIN_GRAMS
        return self._same_language and len(grams) >= enough and len(grams & self._all_grams) < MIN_OVERLAP * len(grams)


def cited_numbers(text: str) -> list[int]:
    """Return the numbers of the citation marks, in order of appearance."""
    return [int(number) for number in _CITATION.findall(text)]


def renumber(text: str, *, numbers: dict[int, int]) -> str:
    """Give citation marks their new numbers; marks without one are dropped with the blank before them."""

    def replace(mark: re.Match[str]) -> str:
        number = numbers.get(int(mark[2]))
        return f"{mark[1]}[{number}]" if number else ""

    return re.sub(r"([ \t]*)\[(\d{1,2})\]", replace, text)


def _letters(text: str) -> str:
    text = re.sub(r"\]\([^)]*\)|\[\d{1,2}\]|https?://\S+", " ", unicodedata.normalize("NFKC", text).casefold())
    return re.sub(r"[\W_]+", " ", text).strip()


def _grams(text: str) -> frozenset[str]:
    """Pairs of characters where words have no blanks between them, else the 4-grams of each word."""
    found: set[str] = set()
    for word in _letters(text).split():
        if _UNSPACED.search(word):
            found.update(word[i : i + 2] for i in range(len(word) - 1))
        elif len(word) >= 4:
            found.update(word[i : i + 4] for i in range(len(word) - 3))
    return frozenset(found)


def _word_runs(text: str) -> frozenset[tuple[str, ...]]:
    words = _letters(text).split()
    return frozenset(tuple(words[i : i + _LEAK_WORDS]) for i in range(len(words) - _LEAK_WORDS + 1))
