"""The test questions as a candidate version meets them: those whose answer the model writes."""

from __future__ import annotations

from collections.abc import Iterator

from chatbot import runtime
from chatbot.answering.decisions import decide
from chatbot.answering.grounding import NO_ANSWER
from chatbot.answering.language import detect
from chatbot.answering.prompting import MAX_PASSAGES
from chatbot.company import Company
from chatbot.documents.search import search_all
from chatbot.learning import shaping
from chatbot.learning.evaluating import Regression
from chatbot.learning.examples import CLOSE_SHARE
from chatbot.learning.shaping import Asked, ShownPassage
from chatbot.quality.models import TestQuestion


def regressions() -> Iterator[Regression]:
    """The test questions to which the model writes the answer, with the prompts chat would send now."""
    company = runtime.company()
    for question in TestQuestion.objects.order_by("pk"):
        asked = _asked(question)
        if asked is not None:
            yield _regression(question, asked, company)


def _asked(question: TestQuestion) -> Asked | None:
    turns = question.asked().history
    language = detect(question.text, fallback=question.locale)
    ranking = search_all(question.text, locale=language)
    if not ranking.matches or decide(ranking.confidence) != "compose":
        return None
    close = [match for match in ranking.matches if match.score >= CLOSE_SHARE * ranking.matches[0].score][:MAX_PASSAGES]
    shown = tuple(
        ShownPassage(key=m.key, locale=m.locale, question=m.question, answer=m.answer, revision=m.revision) for m in close
    )
    return Asked(question=question.text, language=language, passages=shown, history=tuple(turns))


def _regression(question: TestQuestion, asked: Asked, company: Company) -> Regression:
    def right(text: str) -> bool:
        composed = shaping.checked(text, asked, company=company)
        refused = composed.outcome == "no_answer" or NO_ANSWER in text
        if not question.expected:
            return refused
        return not refused and question.expected in {match.key for match in composed.cited.values()}

    messages = [{"role": m.role, "content": m.content} for m in shaping.messages_of(asked, company=company)]
    return Regression(id=f"regression:{question.pk}", messages=messages, right=right)
