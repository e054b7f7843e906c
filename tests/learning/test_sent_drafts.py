"""What an agent sent in a draft's place teaches how the draft should have been written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone

from chatbot import runtime
from chatbot.answering.grounding import NO_ANSWER
from chatbot.assist import kept_drafts
from chatbot.conversations.models import Customer
from chatbot.knowledge.models import Faq
from chatbot.learning import approving, examples
from chatbot.learning.models import Example
from support_portal.accounts.models import User
from tests.assist.talks import say, talk

pytestmark = pytest.mark.django_db
ANSWER = "You can return unused parts within 30 days. The refund takes 5 working days. Worn tyres cannot be returned."
UNKNOWN = "the company's own words for not knowing"
DRAFT = "You can return unused parts within 30 days. The refund takes 5 working days."


@pytest.fixture
def faq() -> Faq:
    return Faq.objects.create(
        key="returns",
        locale="en",
        category="Returns",
        question="Can I return parts?",
        answer=ANSWER,
        status="published",
        published_at=timezone.now(),
    )


def sent_for(customer: Customer, agent: User, *, draft: str, sent: str, key: str = "returns") -> Example | None:
    """The example of a draft that became what was sent."""
    conversation = talk(customer, "c: Hello, I am Peter Novak", "b: Hi.", "c: Can I send my pedals back?")
    kept = kept_drafts.keep(conversation.pk, agent_id=agent.pk, draft=draft, sources=[{"key": key}], model_version="m1")
    say(conversation, f"a: {sent}", agent=agent)
    kept_drafts.settle()
    examples.gather()
    return Example.objects.filter(origin=f"draft:{kept.pk}").first()


@pytest.mark.parametrize(
    ("sent", "kind", "source", "chosen"),
    [
        (DRAFT, "answer", "sent_draft", "You can return unused parts within 30 days [1]. The refund takes 5 working days [1]."),
        (
            "Hi Peter,\nyou can return unused parts within 30 days.\nBest, Dana",
            "pair",
            "edited_draft",
            "you can return unused parts within 30 days [1].",
        ),
        (DRAFT.replace("unused", "unusd"), "answer", "edited_draft", None),
        (DRAFT.replace("30", "14"), "pair", "edited_draft", None),
        (UNKNOWN, "pair", "edited_draft", NO_ANSWER),
    ],
)
def test_what_was_sent_is_taught(
    alice: Customer, dana: User, faq: Faq, sent: str, kind: str, source: str, chosen: str | None
) -> None:
    unknown = runtime.company().text("unknown", locale="en")
    example = sent_for(alice, dana, draft=DRAFT, sent=sent.replace(UNKNOWN, unknown))
    assert example is not None and (example.kind, example.source, example.status) == (kind, source, "proposed")
    assert chosen is None or example.chosen == chosen
    assert bool(example.rejected) == (kind == "pair") and example.is_refusal == (example.chosen == NO_ANSWER)
    assert "not_grounded" in example.flags or "14" not in sent, "an agent's own figure is looked at by itself"


def test_where_it_came_from_is_kept_and_personal_data_is_not(alice: Customer, dana: User, faq: Faq) -> None:
    example = sent_for(alice, dana, draft=DRAFT, sent="You can return unused parts within 30 days.")
    assert example is not None and example.message is not None
    assert (example.customer, example.proposed_by, example.model_version, example.topic) == (alice, dana, "m1", "Returns")
    assert example.group == f"conversation:{example.conversation_id}" and example.message.author_id == dana.pk
    assert example.asked["question"] == "Can I send my pedals back?" and example.asked["passages"][0]["key"] == "returns"
    assert "Novak" not in json.dumps(example.asked) and example.redactions == {"name": 1}
    assert examples.gather().proposed == 0


@pytest.mark.parametrize(
    "change", [{"sent": "One moment please, a colleague looks at it."}, {"key": "a-document"}, {"key": ""}], ids=str
)
def test_what_answers_nothing_teaches_nothing(alice: Customer, dana: User, faq: Faq, change: dict[str, Any]) -> None:
    assert sent_for(alice, dana, **({"draft": DRAFT, "sent": DRAFT} | change)) is None


def test_who_withdrew_consent_is_not_proposed_for_training_later(alice: Customer, dana: User, faq: Faq) -> None:
    approving.withdraw_consent(alice.pk)
    example = sent_for(alice, dana, draft=DRAFT, sent=DRAFT)
    assert example is not None and example.consent == Example.Consent.WITHHELD
    assert approving.approve([example.pk], by_id=None) == 0
