"""Whether a sentence may be shown: its facts stand in the sources, it is about them, and it is no leak of the instructions.

Knows nothing of engines, retrieval or the database. What it cannot tell: whether a sentence that shares some of the sources'
words, and states no fact, turns their meaning round. Only a statement that is nearly repeated shows that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from chatbot.answering.attachment import Attachments
from chatbot.answering.commitments import COMPANY_ACTS, DECLINES, OFFERS, OWN_AFFAIRS, Commitments
from chatbot.answering.facts import Fact, Sources, extract, unsupported, without_facts
from chatbot.answering.names import Names
from chatbot.answering.support import UNSPACED, Support, best_support, grams_of, letters_of, statements_of, turned_round

NO_ANSWER = "NO_ANSWER"

# Share of a sentence's character 4-grams that the sources must have, in the same script. It stops other topics, not paraphrase.
MIN_OVERLAP = 0.12
MIN_ANSWER_OVERLAP = 0.25
# The same of what a sentence says beyond the question: repeating the customer's words must not pay for an invention.
MIN_NEW_OVERLAP = 0.2
# A sentence shorter than this ("Yes, that is possible.") says too little to compare.
_MIN_GRAMS = 24
_LEAK_WORDS = 5
# A sentence with at most this share of letters that the question has not gives the question back; from the second share on the
# passages say it too, so it may be a plain "yes, you can ...".
_ECHO = 0.3
_ECHO_OVERLAP = 0.5
# A passage may itself say that something cannot be told.
_OWN_WORDS = 0.85
# A citation is corrected only where another passage fits better by this much; without one, earlier passages are likelier.
_CLEARLY = 0.25
_RANK_PENALTY = 0.05
_IMAGE = re.compile(r"!\[[^\]]*\]\s?[(\[]|<\s*(?:img|svg|iframe|script|object|embed|video|audio|style|link)\b", re.I)
_CITATION = re.compile(r"\[(\d{1,2})\]")
_NO_ANSWER = re.compile(r"NO[\s_-]*ANSWER", re.I)


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
        names: Iterable[str] = (),
        language: str = "en",
    ) -> None:
        customer = tuple(customer)
        self._sources = Sources(passages, customer=customer)
        self._published = Sources(passages)
        self._each = [Sources([passage], customer=customer) for passage in passages]
        self._grams = [grams_of(passage) for passage in passages]
        self._all_grams = frozenset().union(*self._grams)
        # What a passage says too is no secret.
        self._rules = _word_runs(rules).difference(*map(_word_runs, passages))
        self._same_language = same_language
        self._asked = grams_of(asked)
        self._names = Names([*passages, *customer, *names])
        self._language = language
        self._commitments = Commitments(passages)
        self._statements = statements_of(passages)
        self._attachments = Attachments(passages) if same_language else None

    def check(self, sentence: str) -> Verdict:
        if _NO_ANSWER.search(sentence):
            return Verdict(("no_answer",))
        reasons = [f"fact:{fact}" for fact in (*unsupported(sentence, self._sources), *self._borrowed(sentence))]
        if _IMAGE.search(sentence):
            reasons.append("image")
        if self._rules & _word_runs(sentence):
            reasons.append("instructions")
        reasons += [f"commitment:{matter}" for matter in self._commitments.unfounded(sentence)]
        reasons += [f"name:{name}" for name in self._unknown_names(sentence)]
        return Verdict(tuple(reasons or self._unfit(sentence)))

    def _borrowed(self, sentence: str) -> list[Fact]:
        """The amounts and codes that only the customer has named, in a sentence that is not about the customer's own affairs.

        "Delivery is free with code FREE99" and "We pay you $500" would be the company's word for what a customer made up.
        """
        if OWN_AFFAIRS.search(sentence) and not OFFERS.search(sentence) and not COMPANY_ACTS.search(sentence):
            return []
        return [
            fact
            for fact in extract(sentence)
            if fact.kind in ("money", "percent", "code") and self._sources.supports(fact) and not self._published.supports(fact)
        ]

    def _unknown_names(self, sentence: str) -> list[str]:
        return self._names.unknown(sentence, same_language=self._same_language, language=self._language)

    def _unfit(self, sentence: str) -> list[str]:
        """Why a sentence whose every fact and name the sources have should not be shown all the same."""
        misplaced = [f"misplaced:{fact}" for fact in self._misplaced(sentence)]
        if self._attachments:
            misplaced += [f"misplaced:{figure}" for figure in self._attachments.misattached(sentence)]
        if misplaced:
            return misplaced
        support = self.support(sentence)
        if DECLINES.search(sentence) and (support is None or support.score < _OWN_WORDS):
            return ["no_answer"]
        if self._same_language and turned_round(sentence, support):
            return ["reversed"]
        if self._is_echo(sentence):
            return ["echo"]
        return ["off_topic"] if self._off_topic(sentence) else []

    def support(self, sentence: str, *, passage: int | None = None) -> Support | None:
        """The statement of the passages that a sentence rests on; None where no letter and no fact is shared."""
        told = [statement for statement in self._statements if not statement.text.rstrip("*_ ").endswith(("?", "？", "؟"))]
        return best_support(sentence, told, passage=passage)

    def _is_echo(self, sentence: str) -> bool:
        """Tell whether a sentence gives the customer's words back, and little of the passages'."""
        grams = grams_of(sentence)
        if not self._same_language or not grams or extract(sentence):
            return False
        new = grams - self._asked
        return len(new) <= _ECHO * len(grams) and len(grams & self._all_grams) < _ECHO_OVERLAP * len(grams)

    def stands(self, answer: str) -> bool:
        """Tell whether a whole answer, its sentences checked, draws on the passages: a bare "no" may be true, but who says so?"""
        grams = grams_of(answer)
        overlaps = len(grams & self._all_grams) >= MIN_ANSWER_OVERLAP * max(len(grams), 1)
        return overlaps or not self._same_language or bool(extract(answer))

    def source_of(self, sentence: str, *, cited: int | None = None) -> int:
        """Return the index of the passage a sentence comes from: the cited one unless another clearly fits better."""
        fits = [share - missing for share, missing in zip(self._shares(sentence), self._missing(sentence), strict=True)]
        best = max(range(len(fits)), key=lambda index: fits[index] - _RANK_PENALTY * index)
        return cited if cited is not None and fits[best] < fits[cited] + _CLEARLY else best

    def _shares(self, sentence: str) -> list[float]:
        """For each passage, the share of the sentence's character 4-grams that it has."""
        grams = grams_of(sentence)
        return [len(grams & passage) / len(grams) if grams else 0.0 for passage in self._grams]

    def _missing(self, sentence: str) -> list[int]:
        """For each passage, how many of the sentence's facts it lacks."""
        facts = extract(sentence)
        return [sum(not source.supports(fact) for fact in facts) for source in self._each]

    def _misplaced(self, sentence: str) -> Iterator[Fact]:
        """Yield the facts that the passages state of something else: no statement with the fact shares a word with the sentence.

        "Frames: 5 years. Batteries: 2 years." does not support "The battery has 5 years".
        """
        about = grams_of(without_facts(sentence)) | self._asked
        unspaced = bool(UNSPACED.search(sentence))
        for fact in extract(sentence):
            # Another script shares no letters, so nothing can be said of statements in it.
            holding = [found.grams for found in self._statements if found.unspaced == unspaced and found.facts.supports(fact)]
            # A line of a table ("150-160 cm: S") says nothing beside its facts, so any sentence may be about it.
            if self._same_language and holding and not any(about & grams or not grams for grams in holding):
                yield fact

    def _off_topic(self, sentence: str) -> bool:
        """Tell whether the passages share too little with a sentence, or with what it says beyond the question."""
        grams = grams_of(sentence)
        enough = _MIN_GRAMS // 2 if UNSPACED.search(sentence) else _MIN_GRAMS
        if not self._same_language:
            return False
        new = grams - self._asked
        # A fact that the sources have is about the matter.
        strays = len(new) >= enough // 2 and len(new & self._all_grams) < MIN_NEW_OVERLAP * len(new) and not extract(sentence)
        return strays or (len(grams) >= enough and len(grams & self._all_grams) < MIN_OVERLAP * len(grams))


def cited_numbers(text: str) -> list[int]:
    """Return the numbers of the citation marks, in order of appearance."""
    return [int(number) for number in _CITATION.findall(text)]


def renumber(text: str, *, numbers: dict[int, int]) -> str:
    """Give citation marks their new numbers; marks without one are dropped with the blank before them."""

    def replace(mark: re.Match[str]) -> str:
        number = numbers.get(int(mark[2]))
        return f"{mark[1]}[{number}]" if number else ""

    return re.sub(r"([ \t]*)\[(\d{1,2})\]", replace, text)


def _word_runs(text: str) -> frozenset[tuple[str, ...]]:
    words = letters_of(text).split()
    return frozenset(tuple(words[i : i + _LEAK_WORDS]) for i in range(len(words) - _LEAK_WORDS + 1))
