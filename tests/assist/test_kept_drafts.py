"""(context, draft, sent): what became of a draft."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from chatbot.assist import kept_drafts
from chatbot.conversations.models import Customer
from chatbot.errors import InvalidInput
from chatbot.learning.review_models import AgentDraft
from support_portal.accounts.models import User
from tests.assist.talks import say, talk

pytestmark = pytest.mark.django_db


def test_what_the_same_agent_sends_next_is_what_became_of_it(alice: Customer, dana: User, lena: User) -> None:
    conversation = talk(alice, "c: Hello", "b: Hi.", "c: Can I return it?", "a: One moment.", agent=lena)
    first = kept_drafts.keep(conversation.pk, agent_id=dana.pk, draft="Yes.", model_version="m1")
    draft = kept_drafts.keep(
        conversation.pk, agent_id=dana.pk, draft="Within 30 days.", sources=[{"key": "returns", "evil": "x" * 900}]
    )
    assert not AgentDraft.objects.filter(pk=first.pk).exists() and draft.sources == [
        {"key": "returns", "title": "", "revision": ""}
    ]
    assert draft.context[-1] == {"role": "user", "content": "Can I return it?"} and draft.context[0]["content"] == "Hello"
    assert kept_drafts.settle() == 0
    say(conversation, "a: I take over.", agent=lena)
    say(conversation, "a: Yes, within 30 days.", agent=dana)
    say(conversation, "a: Anything else?", agent=dana)
    assert (kept_drafts.settle(), kept_drafts.settle()) == (1, 0)
    draft.refresh_from_db()
    assert draft.sent == "Yes, within 30 days."


def test_an_unsent_draft_is_forgotten_after_a_day(alice: Customer, dana: User) -> None:
    draft = kept_drafts.keep(talk(alice, "c: Hello").pk, agent_id=dana.pk, draft="Hi.")
    AgentDraft.objects.filter(pk=draft.pk).update(created_at=timezone.now() - timedelta(hours=25))
    kept_drafts.settle()
    assert not AgentDraft.objects.exists()


@pytest.mark.parametrize("text", ["", " \x00 ", "x" * 8001])
def test_what_is_no_draft_is_refused(alice: Customer, dana: User, text: str) -> None:
    with pytest.raises(InvalidInput):
        kept_drafts.keep(talk(alice, "c: Hello").pk, agent_id=dana.pk, draft=text)
