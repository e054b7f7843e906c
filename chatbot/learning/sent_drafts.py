"""Drafts that agents took into the composer, and what they sent in the end: how the draft should have been written.

A draft keeps the FAQs that it was written from, not all that the search had found, so these stand in its example.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from chatbot import runtime
from chatbot.answering.facts import extract
from chatbot.answering.grounding import NO_ANSWER
from chatbot.answering.language import detect
from chatbot.answering.prompting import Turn
from chatbot.answering.support import Statement, best_support, grams_of, letters_of, statements_of
from chatbot.conversations.transcripts import HISTORY_MESSAGES
from chatbot.errors import NotFound
from chatbot.knowledge.access import access_published_faq
from chatbot.knowledge.models import Faq
from chatbot.learning import shaping
from chatbot.learning.models import AgentDraft, Example
from chatbot.learning.shaping import Asked, ShownPassage

# What is so alike, with the same facts, differs in nothing worth preferring; what is less alike was not made of the draft.
SAME_AT = 0.8
MADE_OF_IT_AT = 0.2
# "Dear Peter," and "Dana, Lumen Wheels": short lines of their own, at either end, without a fact and with little of any FAQ.
COURTESY_CHARS = 40
COURTESY_SUPPORT = 0.5


def proposed(known: set[str]) -> Iterator[tuple[str, Example | None]]:
    """(origin, example) of every draft that was sent and is not known yet; None where it teaches nothing."""
    rows = AgentDraft.objects.exclude(sent="").select_related("conversation", "message").order_by("pk")
    for draft in rows.iterator(chunk_size=200):
        origin = f"draft:{draft.pk}"
        if origin not in known:
            yield origin, _example(draft)


def _example(draft: AgentDraft) -> Example | None:
    if not draft.context:
        return None
    faqs = _faqs(draft)
    asked = _asked(draft, faqs)
    sent = without_courtesies(draft.sent, asked)
    if not faqs or not sent:
        return None
    company = runtime.company()
    chosen, rejected = (shaping.as_completion(text, asked, company=company) for text in (sent, draft.draft))
    if not _made_of_it(chosen, rejected) and chosen != NO_ANSWER and not _answers(chosen, asked):
        return None
    untouched = letters_of(sent) == letters_of(draft.draft)
    is_pair = not untouched and not _says_the_same(chosen, rejected)
    return Example(
        kind=Example.Kind.PAIR if is_pair else Example.Kind.ANSWER,
        source=Example.Source.SENT_DRAFT if untouched else Example.Source.EDITED_DRAFT,
        locale=asked.language,
        topic=faqs[0].category,
        is_refusal=chosen == NO_ANSWER,
        asked=asked.as_json(),
        chosen=chosen,
        rejected=rejected if is_pair else "",
        group=f"conversation:{draft.conversation_id}",
        model_version=draft.model_version,
        conversation_id=draft.conversation_id,
        customer_id=draft.conversation.customer_id,
        message=draft.message,
        proposed_by_id=draft.agent_id,
        happened_at=draft.message.created_at if draft.message else draft.created_at,
    )


def _asked(draft: AgentDraft, faqs: Sequence[Faq]) -> Asked:
    *before, question = draft.context
    shown = [ShownPassage(faq.key, faq.locale, faq.question, faq.answer, faq.revision) for faq in faqs]
    return Asked(
        question=question["content"],
        language=_language(draft),
        passages=tuple(shown),
        history=tuple(Turn(role=turn["role"], text=turn["content"]) for turn in before[-HISTORY_MESSAGES:]),
    )


def _faqs(draft: AgentDraft) -> list[Faq]:
    """The FAQs it was written from, as they are published now; passages of documents train nothing."""
    found, language = [], _language(draft)
    for key in dict.fromkeys(source["key"] for source in draft.sources):
        with contextlib.suppress(NotFound):
            found.append(access_published_faq(key, locale=language))
    return found


def _language(draft: AgentDraft) -> str:
    return detect(draft.context[-1]["content"], fallback=draft.conversation.locale)


def without_courtesies(text: str, asked: Asked) -> str:
    """Take off how people greet and sign: the model is not they."""
    statements = statements_of([f"{passage.question}\n{passage.answer}" for passage in asked.passages])
    lines = text.strip().splitlines()
    for end in (0, -1):
        while len(lines) > 1 and _is_courtesy(lines[end], statements):
            lines.pop(end)
    return "\n".join(lines).strip()


def _is_courtesy(line: str, statements: Sequence[Statement]) -> bool:
    support = best_support(line, statements)
    return len(line) <= COURTESY_CHARS and not extract(line) and (support is None or support.score < COURTESY_SUPPORT)


def _made_of_it(chosen: str, rejected: str) -> bool:
    return shaping.alike(grams_of(chosen), grams_of(rejected), at=MADE_OF_IT_AT)


def _says_the_same(chosen: str, rejected: str) -> bool:
    return shaping.alike(grams_of(chosen), grams_of(rejected), at=SAME_AT) and set(extract(chosen)) == set(extract(rejected))


def _answers(text: str, asked: Asked) -> bool:
    """Whether it would be shown as an answer: "One moment, I'll look" was sent in a draft's place, and is none."""
    return shaping.checked(text, asked, company=runtime.company()).outcome == "written"
