"""An empty database filled with invented conversations, which every list and search can read."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from chatbot.conversations import inbox, searching
from chatbot.conversations.inbox import Filters
from chatbot.conversations.models import Conversation, Generation, Message
from support_portal.accounts.models import User


@pytest.mark.django_db(transaction=True)
def test_a_load_is_as_large_as_asked_and_fills_only_an_empty_database(dana: User, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("seedload", conversations=120, messages=700)
    assert (Conversation.objects.count(), Message.objects.count()) == (120, 700)
    assert Generation.objects.count() == Message.objects.filter(role="assistant").count() > 100
    conversation = Conversation.objects.order_by("-last_seq")[0]
    assert list(conversation.messages.values_list("seq", flat=True)) == list(range(1, conversation.last_seq + 1))
    assert len(inbox.page_of(Filters(queue="resolved"), viewer_id=dana.pk).rows) == inbox.PAGE_CONVERSATIONS
    assert searching.search(Filters(query="order"), viewer_id=dana.pk).rows
    with pytest.raises(CommandError, match="has conversations"):
        call_command("seedload", conversations=1, messages=2)
    assert "messages: 700" in capsys.readouterr().out
