"""From what people wrote to what the model shall write: sources marked, house phrases turned into the model's own signs. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chatbot.answering.answers import Question
from chatbot.answering.composing import Composed, check_whole
from chatbot.answering.grounding import NO_ANSWER, cited_numbers
from chatbot.answering.prompting import Passage, Turn, compose_messages
from chatbot.answering.sentences import sentences
from chatbot.answering.support import best_support, grams_of, letters_of, statements_of
from chatbot.answering.wording import phrase, speaks
from chatbot.company import Company
from chatbot.engine.requests import ChatMessage, GenerationOutput

_END = re.compile(r"([.!?。！？]*)\s*\Z")
_REFUSAL_LIKENESS = 0.6


@dataclass(frozen=True)
class ShownPassage:
    """A FAQ as it stood before the model."""

    key: str
    locale: str
    question: str
    answer: str
    revision: int = 0
    faq_id: int | None = None
    score: float = 1.0


@dataclass(frozen=True)
class Asked:
    """What the model saw, or would have seen."""

    question: str
    language: str
    passages: tuple[ShownPassage, ...] = ()
    history: tuple[Turn, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "question": self.question,
            "language": self.language,
            "passages": [
                {"key": p.key, "locale": p.locale, "question": p.question, "answer": p.answer, "revision": p.revision}
                for p in self.passages
            ],
            "history": [{"role": turn.role, "text": turn.text} for turn in self.history],
        }


def asked_of(fields: Mapping[str, Any]) -> Asked:
    return Asked(
        question=fields["question"],
        language=fields["language"],
        passages=tuple(ShownPassage(**passage) for passage in fields["passages"]),
        history=tuple(Turn(role=turn["role"], text=turn["text"]) for turn in fields.get("history", [])),
    )


def messages_of(asked: Asked, *, company: Company) -> list[ChatMessage]:
    """The very prompt that chat would send."""
    return compose_messages(
        asked.question,
        passages=[Passage(question=passage.question, answer=passage.answer) for passage in asked.passages],
        language=asked.language,
        history=asked.history,
        company=company.text("name", locale="en"),
        bot_name=company.text("bot_name", locale="en"),
        instructions=company.instructions,
    )


def checked(text: str, asked: Asked, *, company: Company) -> Composed:
    """Judge a written answer as chat judges it before a customer sees it."""
    question = Question(text=asked.question, locale=asked.language, company=company, history=asked.history)
    output = GenerationOutput(text=text, finish_reason="stop")
    return check_whole(output, question=question, matches=asked.passages, language=asked.language)


def as_completion(words: str, asked: Asked, *, company: Company) -> str:
    """Write people's sentences as the model shall: each with the mark of its source, or NO_ANSWER where they do not know."""
    if says_unknown(words, language=asked.language, company=company):
        return NO_ANSWER
    statements = statements_of([f"{passage.question}\n{passage.answer}" for passage in asked.passages])
    marked = []
    for sentence in sentences(words.strip()):
        plain = sentence.strip()
        if not plain:
            continue
        support = best_support(plain, statements)
        if cited_numbers(plain) or support is None:
            marked.append(plain)
        else:
            marked.append(_END.sub(rf" [{support.statement.passage + 1}]\1", plain, count=1))
    glue = "" if any("\u3400" <= letter <= "\u9fff" for letter in words) else " "
    return glue.join(marked)


def says_unknown(words: str, *, language: str, company: Company) -> bool:
    """Whether these are the words with which the assistant says that it does not know."""
    if NO_ANSWER in words:
        return True
    grams = grams_of(words)
    known = [company.text("unknown", locale=language), *([phrase("unknown", language=language)] if speaks(language) else [])]
    return any(_likeness(grams, grams_of(text)) >= _REFUSAL_LIKENESS for text in known)


def short_answer(question: str, answer: str) -> str:
    """The one or two sentences of a published answer that say most of what was asked, in their order."""
    parts = [part.strip() for part in sentences(re.sub(r"[*_]{1,2}|^[-#]+ ", "", answer, flags=re.M)) if len(part.strip()) > 8]
    plain = [part for part in parts if not part.endswith((":", "："))][:8]
    if len(plain) <= 1:
        return plain[0] if plain else ""
    grams = grams_of(question)
    shares = [len(grams & grams_of(part)) + (1.5 if index == 0 else 0) for index, part in enumerate(plain)]
    best = max(range(len(plain)), key=lambda index: shares[index])
    if best == 0 or shares[best] < 2:
        return plain[0]
    glue = "" if any("\u3400" <= letter <= "\u9fff" for letter in answer) else " "
    return plain[best] if len(plain[best]) > 110 else glue.join([plain[0], plain[best]]) if len(plain[0]) < 110 else plain[best]


def fingerprint(question: str, *answers: str) -> str:
    """The same for texts that differ in case, marks and blanks only."""
    return hashlib.sha256("\n".join(letters_of(text) for text in (question, *answers)).encode()).hexdigest()


def alike(a: frozenset[str], b: frozenset[str], *, at: float) -> bool:
    return _likeness(a, b) >= at


def _likeness(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0
