"""Gaps: what counts as asked in vain, putting alike questions together, deciding, and what publishing changed."""

from __future__ import annotations

import uuid
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from chatbot.conversations.models import Conversation, Customer, Generation, Message
from chatbot.errors import InvalidInput, NotFound
from chatbot.knowledge import authoring
from chatbot.knowledge.content import FaqText
from chatbot.knowledge.embedding import default_embedder
from chatbot.learning.models import Feedback
from chatbot.quality import clustering, gaps, gathering
from chatbot.quality.models import Gap, GapQuestion
from support_portal.accounts.models import User

pytestmark = pytest.mark.django_db
VOUCHERS = ["Do you sell gift vouchers?", "can I buy a gift voucher", "gift vouchers for a birthday present?"]


def said(
    customer: Customer,
    text: str,
    *,
    decision: str = "handoff",
    reason: str = "unknown",
    rating: int = 0,
    choices: list[str] | None = None,
    days_ago: float = 1,
    conversation: Conversation | None = None,
    status: str = "complete",
) -> Message:
    """A customer's message with its reply, as they stand in the database afterwards."""
    conversation = conversation or Conversation.objects.create(customer=customer, locale=customer.locale)
    conversation.last_seq += 2
    conversation.save()
    seq = conversation.last_seq - 1
    asked = Message.objects.create(conversation=conversation, seq=seq, role="customer", text=text, client_message_id=uuid.uuid4())
    reply = Message.objects.create(
        conversation=conversation, seq=seq + 1, role="assistant", text="…", in_reply_to=asked, decision=decision,
        choices=choices or [], status=status,
    )  # fmt: skip
    moment = timezone.now() - timedelta(days=days_ago)
    Message.objects.filter(pk__in=[asked.pk, reply.pk]).update(created_at=moment)
    generation = Generation.objects.create(
        conversation=conversation, reply=reply, status="done", finished_at=moment, decision=decision, trace={"reason": reason}
    )
    if rating:
        Feedback.objects.create(generation=generation, message=reply, rating=rating)
    return asked


def test_what_counts_as_asked_in_vain(alice: Customer) -> None:
    said(alice, "answered", decision="direct", reason="confident")
    said(alice, "thumb up", decision="direct", rating=1)
    said(alice, "too old", days_ago=31)
    wanted = {
        said(alice, "unknown").pk: "refused",
        said(alice, "declined", reason="model_declined").pk: "refused",
        said(alice, "bad answer", decision="compose", rating=-1).pk: "down_rated",
        said(alice, "broken", decision="", status="failed").pk: "failed",
        said(alice, "which one?", decision="clarify", reason="unsure", choices=["A?", "B?"]).pk: "asked_back",
    }
    chosen = said(alice, "vague", decision="clarify", reason="unsure", choices=["A?", "B?"])
    said(alice, "A?", decision="direct", conversation=chosen.conversation)
    wished = said(alice, "my wheel squeaks", decision="direct")
    said(alice, "I want a person", reason="asked", conversation=wished.conversation)
    wanted[wished.pk] = "handed_off"
    said(alice, "a human please", reason="asked")
    assert {one.message_id: one.kind for one in gathering.unanswered()} == wanted


def test_alike_questions_come_together_and_stay(shop: None, alice: Customer) -> None:
    for days, text in enumerate(VOUCHERS):
        said(alice, text, days_ago=days + 1)
    said(alice, "Is my bicycle insured against theft during a flood in Norway?")
    assert gathering.gather(embedder=default_embedder()) == 4
    found = gaps.list_gaps()
    assert [view.volume for view in found] == [3, 1]
    first = found[0]
    assert {row.message.text for row in first.examples} == set(VOUCHERS) and first.title in VOUCHERS
    assert (first.trend, first.trend_sign, first.kinds, first.languages) == (3, "+3", [("Not known", 3)], [("en", 3)])
    assert sum(week.questions for week in first.weeks) == 3 and first.bars[-1].height == 24
    gaps.decide_gap(first.gap.pk, status="ignored", reason="We sell none on purpose.", author=None)
    said(alice, "do you have gift vouchers")
    assert gathering.gather(embedder=default_embedder()) == 1
    assert gathering.gather(embedder=default_embedder()) == 0, "a second time finds nothing new"
    assert gaps.access_gap(first.gap.pk).volume == 4, "a decided gap collects on"
    assert [view.volume for view in gaps.list_gaps()] == [1]


def test_a_thumb_taken_back_empties_its_gap(shop: None, alice: Customer) -> None:
    said(alice, "How do I return an item?", decision="direct", rating=-1)
    gathering.gather(embedder=default_embedder())
    assert gaps.list_gaps()[0].nearest and gaps.list_gaps()[0].gap.nearest_key == "returns"
    Feedback.objects.all().delete()
    gathering.gather(embedder=default_embedder())
    assert not Gap.objects.exists() and not GapQuestion.objects.exists()


def test_a_customers_deletion_takes_the_text_away(shop: None, alice: Customer) -> None:
    said(alice, VOUCHERS[0])
    gathering.gather(embedder=default_embedder())
    alice.delete()
    assert not GapQuestion.objects.exists() and gaps.list_gaps() == []


def test_deciding_wants_a_reason_and_can_be_undone(shop: None, alice: Customer, erin: User) -> None:
    said(alice, VOUCHERS[0])
    gathering.gather(embedder=default_embedder())
    gap = gaps.list_gaps()[0].gap
    with pytest.raises(InvalidInput, match="say why"):
        gaps.decide_gap(gap.pk, status="ignored", reason=" ", author=erin)
    with pytest.raises(InvalidInput):
        gaps.decide_gap(gap.pk, status="gone", reason="x", author=erin)
    gaps.decide_gap(gap.pk, status="handled", reason="", author=erin)
    assert gaps.counts() == {"open": 0, "handled": 1, "ignored": 0}
    gaps.decide_gap(gap.pk, status="open", reason="", author=erin)
    assert gaps.access_gap(gap.pk).gap.decided_at is None
    with pytest.raises(NotFound):
        gaps.access_gap(gap.pk + 1)
    with pytest.raises(InvalidInput):
        gaps.list_gaps(status="other")


def test_publishing_shows_the_volume_before_and_after(shop: None, alice: Customer, erin: User) -> None:
    for days in (20, 16, 15, 12, 11, 10):
        said(alice, VOUCHERS[0], days_ago=days)
    gathering.gather(embedder=default_embedder())
    gap = gaps.list_gaps()[0].gap
    words = FaqText("Do you sell gift vouchers?", "Yes.")
    faq = authoring.create_faq("vouchers", locale="en", text=words, author=None, publish=True)
    gaps.faq_written(gap.pk, faq=faq, author=erin)
    view = gaps.access_gap(gap.pk)
    assert view.gap.status == "handled" and view.effect and view.effect.after is None, "too early to tell"
    type(faq).objects.filter(pk=faq.pk).update(published_at=timezone.now() - timedelta(days=7))
    said(alice, VOUCHERS[0], days_ago=2)
    gathering.gather(embedder=default_embedder())
    effect = gaps.access_gap(gap.pk).effect
    assert effect and effect.before == pytest.approx(6 / (13 / 7), abs=0.15) and effect.after == 1.0


def test_groups_of_two_decided_gaps_never_come_together() -> None:
    rows = np.eye(4, dtype=np.float32)[[0, 0, 0, 1]]
    assert clustering.group(rows, seeds=[None, None, None, None]) == [[0, 1, 2], [3]]
    assert clustering.group(rows, seeds=[1, 2, None, None]) in ([[0, 2], [1], [3]], [[0], [1, 2], [3]])
    assert clustering.group(rows[:1], seeds=[None]) == [[0]]


def test_centring_needs_no_knowledge_and_survives_equal_texts() -> None:
    rows = np.ones((3, 4), dtype=np.float32)
    moved = clustering.centred(rows, ["en"] * 3, parts=(4,), known=np.zeros((0, 4), dtype=np.float32), known_languages=[])
    assert np.isfinite(moved).all()
    assert len(clustering.nearness(moved, [0, 1])) == 2
