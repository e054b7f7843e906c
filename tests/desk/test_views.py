"""The desk: who may read it, what it shows, and what it costs."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from chatbot.conversations import inbox, reading, reviewing
from chatbot.conversations.models import Citation, Conversation, Customer, Generation, Message
from chatbot.learning.models import Feedback
from support_portal.accounts.models import User

pytestmark = pytest.mark.django_db
XSS = "<script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture
def agent(client: Client, dana: User) -> Client:
    client.force_login(dana)
    return client


def _conversation(customer: Customer, question: str = "Where is my order?", **fields: Any) -> Conversation:
    now = timezone.now()
    if fields.get("status") == "waiting":
        fields = {"waiting_since": now, "promised_until": now + timedelta(minutes=5)} | fields
    if fields.get("status") == "resolved":
        fields = {"resolved_at": now} | fields
    conversation = Conversation.objects.create(customer=customer, **{"title": question[:120], **fields})
    _exchange(conversation, question)
    return conversation


def _exchange(conversation: Conversation, question: str, answer: str = "On its **way** [1]", **fields: Any) -> Generation:
    seq = conversation.last_seq
    asked = Message.objects.create(conversation=conversation, seq=seq + 1, role="customer", text=question)
    reply = Message.objects.create(
        conversation=conversation, seq=seq + 2, role="assistant", text=answer, in_reply_to=asked, decision="compose"
    )
    Citation.objects.create(message=reply, number=1, key="order-status", title="How do I track my order?", revision=1)
    now = timezone.now()
    conversation.last_seq, conversation.last_customer_seq = seq + 2, seq + 1
    conversation.last_message_at, conversation.last_role, conversation.last_message_preview = now, "assistant", "On its way"
    conversation.save()
    fields = {"status": "done", "started_at": now, "finished_at": now, "text": answer, "decision": "compose"} | fields
    return Generation.objects.create(conversation=conversation, reply=reply, **fields)


def test_strangers_sign_in_first(client: Client, alice: Customer) -> None:
    for path in ("/desk/", f"/desk/{_conversation(alice).pk}/"):
        assert client.get(path)["Location"].startswith("/accounts/login/?next=/desk/")


def test_every_role_reads_the_desk(client: Client, dana: User, erin: User, omar: User, alice: Customer) -> None:
    path = f"/desk/{_conversation(alice).pk}/"
    for user in (dana, erin, omar):
        client.force_login(user)
        assert (client.get("/desk/").status_code, client.get(path).status_code) == (200, 200)


def test_wrong_verbs_and_bad_ids(agent: Client, alice: Customer) -> None:
    path = f"/desk/{_conversation(alice).pk}/"
    assert agent.post("/desk/").status_code == agent.post(path).status_code == 405
    for bad in (
        f"/desk/{uuid.uuid4()}/",
        "/desk/7/",
        f"{path}?before_seq=x",
        f"{path}?queue=odd",
        "/desk/?before=odd",
        "/desk/?queue=odd",
        "/desk/?team=x",
        "/desk/?priority=9999999999999",
        f"/desk/messages/{uuid.uuid4()}/why/",
    ):
        assert agent.get(bad).status_code == 404, bad


@pytest.mark.parametrize(
    "before", ["0~2026-01-01T00:00:00~" + "0" * 32, "~", "0~2026-01-01T00:00:00+00:00~x", "\x00~\x00~\x00", "x~x~x"]
)
def test_a_broken_position_is_refused(agent: Client, before: str) -> None:
    assert agent.get("/desk/", {"before": before}).status_code == 404


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "Nobody is waiting"),
        ("?queue=mine", "You have none"),
        ("?queue=mentions", "Nobody has called you"),
        ("?queue=contact", "No address is open"),
        ("?queue=all", "No conversations yet"),
        ("?queue=all&q=kiwi", "Nothing found"),
        ("?queue=all&tag=vip", "Nothing fits these filters"),
    ],
)
def test_an_empty_list_says_what_belongs_there(agent: Client, address: str, words: str) -> None:
    assert words in agent.get(f"/desk/{address}").content.decode()


def test_queues_hold_what_their_names_say(agent: Client, alice: Customer, dana: User, omar: User) -> None:
    now = timezone.now()
    _conversation(alice, "Question of waiting", status="waiting")
    _conversation(alice, "Question of mine", status="held", assigned_to=dana, held_since=now)
    _conversation(alice, "Question of held", status="held", assigned_to=omar, held_since=now)
    _conversation(alice, "Question of bot")
    _conversation(alice, "Question of resolved", status="resolved")
    _conversation(alice, "Question of contact", contact="left", contact_left_at=now)
    for queue in ("waiting", "mine", "held", "resolved", "contact"):
        text = agent.get(f"/desk/?queue={queue}").content.decode()
        assert f"Question of {queue}" in text and text.count("Question of") == text.count(f"Question of {queue}"), queue
    text = agent.get("/desk/?queue=all").content.decode()
    assert all(f"Question of {queue}" in text for queue in ("waiting", "mine", "held", "bot", "resolved", "contact"))
    assert 'data-count="waiting">1<' in text and 'data-count="mine">1<' in text and 'data-count="mentions" hidden' in text
    # Addresses of before this desk.
    assert "Question of waiting" in agent.get("/desk/?status=waiting").content.decode()


def test_filters_narrow_a_list(agent: Client, alice: Customer, dana: User) -> None:
    _conversation(alice, "A kite", tags=["vip"], priority=2, language="ja", sentiment="negative")
    _conversation(alice, "A boat", tags=["other"], locale="de")
    for address in (
        "tag=vip",
        "priority=2",
        "language=ja",
        "sentiment=negative",
        "tag=vip&priority=2&unread=1",
        "language=ja&assignee=0&team=0",
    ):
        text = agent.get(f"/desk/?queue=all&{address}").content.decode()
        assert "A kite" in text and "A boat" not in text, address
    assert "A boat" in agent.get("/desk/?queue=all&language=de").content.decode()


def test_the_most_urgent_and_longest_waiting_comes_first(alice: Customer, dana: User) -> None:
    now = timezone.now()
    for words, priority, minutes in (("late", 0, 1), ("long", 0, 9), ("urgent", 2, 2)):
        _conversation(alice, words, status="waiting", priority=priority, waiting_since=now - timedelta(minutes=minutes))
    filters = inbox.Filters(queue="waiting")
    page = inbox.page_of(filters, viewer_id=dana.pk)
    assert [row.conversation.title for row in page.rows] == ["urgent", "long", "late"]
    # The order in which the browser sorts live news is the same.
    assert sorted(page.rows, key=lambda row: row.place) == page.rows


def test_unread_is_what_the_customer_wrote_since_this_agent_looked(agent: Client, alice: Customer, dana: User) -> None:
    conversation = _conversation(alice)
    assert "Unread:" in agent.get("/desk/?queue=all").content.decode()
    reading.mark_read(conversation.pk, agent_id=dana.pk, seq=conversation.last_customer_seq)
    assert "Unread:" not in agent.get("/desk/?queue=all").content.decode()


@pytest.mark.parametrize(
    "query", ["KITE", "kit", "on its", "100%", "\x00kite", "wind kite -boat | (", '"kite" & \'', "kite\\", "kite:*", "%kite_"]
)
def test_search_reads_every_message(agent: Client, alice: Customer, amir: Customer, query: str) -> None:
    kite = _conversation(alice, "A kite for 100% wind, or a boat?")
    other = _conversation(amir, "Bicycle")
    Message.objects.filter(conversation=other, role="assistant").update(text="Ring us.")
    text = agent.get("/desk/", {"q": query}).content.decode()
    assert f"/desk/{kite.pk}/" in text and f"/desk/{other.pk}/" not in text


def test_search_finds_a_conversation_by_its_id(agent: Client, alice: Customer) -> None:
    first, second = _conversation(alice), _conversation(alice)
    text = agent.get("/desk/", {"q": str(first.pk)}).content.decode()
    assert f"/desk/{first.pk}/" in text and f"/desk/{second.pk}/" not in text


def test_an_overlong_search_is_no_trouble(agent: Client, alice: Customer) -> None:
    _conversation(alice)
    assert agent.get("/desk/", {"q": "x" * 5000}).status_code == 200


@pytest.mark.parametrize("queue", ["all", "waiting"])
def test_pages_follow_each_other_without_gap_or_repeat(
    agent: Client, alice: Customer, dana: User, monkeypatch: pytest.MonkeyPatch, queue: str
) -> None:
    monkeypatch.setattr(inbox, "PAGE_CONVERSATIONS", 4)
    same_time = timezone.now()
    made = [_conversation(alice, status="waiting", priority=number % 2) for number in range(10)]
    Conversation.objects.filter(pk__in=[c.pk for c in made[:6]]).update(last_message_at=same_time, waiting_since=same_time)
    seen: list[uuid.UUID] = []
    position: inbox.Position | None = None
    for size in (4, 4, 2):
        page = inbox.page_of(inbox.Filters(queue=queue), viewer_id=dana.pk, before=position)
        assert len(page.rows) == size
        seen += [row.id for row in page.rows]
        position = inbox.Position.parse(str(page.next)) if page.next else None
    assert position is None and len(set(seen)) == 10
    assert 'rel="next"' in agent.get(f"/desk/?queue={queue}").content.decode()


def test_the_list_costs_the_same_for_many(
    agent: Client, alice: Customer, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(12):
        _conversation(alice)
    # session, user; people, teams, tags, languages to choose from; the page; saved lists; four counts
    with django_assert_num_queries(12):
        agent.get("/desk/?queue=all")


def test_a_row_shows_question_last_words_and_marks(agent: Client, alice: Customer) -> None:
    conversation = _conversation(alice, "Where is it?", title="")
    generation = conversation.generations.get()
    Feedback.objects.create(generation=generation, message=generation.reply, rating=-1, reason="outdated")
    text = agent.get("/desk/?queue=all").content.decode()
    assert "On its way<" in text and "1 not helpful" in text and "<time datetime=" in text and "Bot:" in text


def test_the_transcript_is_what_the_customer_saw(agent: Client, alice: Customer) -> None:
    text = agent.get(f"/desk/{_conversation(alice).pk}/").content.decode()
    assert "Where is my order?" in text and "<strong>way</strong>" in text and "How do I track my order?" in text
    assert 'href="#m2-cite-1"' in text and 'id="m2-cite-1"' in text


def test_why_an_answer_came_about(agent: Client, alice: Customer) -> None:
    conversation = _conversation(alice)
    trace = {
        "decision": "compose",
        "reason": "moderate",
        "confidence": 0.7312,
        "ranked": [{"key": "order-status", "locale": "en", "score": 0.91234}],
        "withheld": [{"sentence": "It costs € 30.", "reasons": ["fact:amount:€ 30", "off_topic"]}],
        "fallback": "withheld",
        "search_ms": 12.0,
        "search_steps_ms": {"embed": 9.0},
        "reused_tokens": 64,
    }
    first = conversation.generations.get()
    Feedback.objects.create(generation=first, message=first.reply, rating=-1, reason="incorrect", comment=f"No! {XSS}")
    now = timezone.now()
    Generation.objects.create(
        conversation=conversation,
        reply=first.reply,
        status="done",
        decision="compose",
        trace=trace,
        started_at=now,
        finished_at=now,
        model_version="small-model",
        prompt_tokens=321,
        completion_tokens=12,
        ttft_ms=450.0,
        total_ms=2345.0,
    )
    text = agent.get(f"/desk/{conversation.pk}/").content.decode()
    for words in (
        "73.1 % sure",
        "The search is fairly sure",
        "could not be verified",
        "0.912",
        "It costs € 30.",
        "amount “€ 30” is in no source",
        "is not about the passages it was given",
        "small-model",
        "321 read (64 reused), 12 written",
        "450 ms",
        "2.3 s",
        "2 attempts",
        "embed 9 ms",
    ):
        assert words in text, words
    assert "Not helpful" in text


def test_a_rating_stands_with_its_reason_and_words(agent: Client, alice: Customer) -> None:
    conversation = _conversation(alice)
    generation = conversation.generations.get()
    Feedback.objects.create(generation=generation, message=generation.reply, rating=-1, reason="incorrect", comment="Wrong date")
    text = agent.get(f"/desk/{conversation.pk}/").content.decode()
    assert "Rated not helpful" in text and "Not helpful: Incorrect" in text and "Wrong date" in text


def test_nothing_a_customer_or_model_writes_becomes_markup(agent: Client, alice: Customer) -> None:
    conversation = _conversation(alice, XSS)
    _exchange(
        conversation,
        XSS,
        answer=XSS,
        error=XSS[:40],
        model_version=XSS,
        trace={
            "reason": XSS,
            "ranked": [{"key": XSS, "locale": XSS, "score": 1.0}],
            "withheld": [{"sentence": XSS, "reasons": [XSS]}],
        },
    )
    for path in ("/desk/?queue=all", f"/desk/{conversation.pk}/", f"/desk/?q={XSS}"):
        text = agent.get(path).content.decode()
        assert "<script>alert" not in text and "<img src=x" not in text


def test_a_transcript_costs_the_same_for_many_messages(
    agent: Client, alice: Customer, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    conversation = _conversation(alice)
    for number in range(20):
        _exchange(conversation, f"And {number}?")
    # The list's twelve; conversation, messages, citations, attempts with ratings; notes, other conversations, history, requests
    with django_assert_num_queries(22):
        agent.get(f"/desk/{conversation.pk}/")


def test_a_long_transcript_comes_in_pages(agent: Client, alice: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewing, "PAGE_MESSAGES", 4)
    conversation = _conversation(alice)
    for number in range(3):
        _exchange(conversation, f"And {number}?")
    text = agent.get(f"/desk/{conversation.pk}/").content.decode()
    assert 'id="m8"' in text and 'id="m4"' not in text and "?before_seq=5" in text
    text = agent.get(f"/desk/{conversation.pk}/?before_seq=5").content.decode()
    assert 'id="m1"' in text and 'id="m5"' not in text and "Earlier messages" not in text


def test_unfinished_and_failed_replies_are_told_apart(agent: Client, alice: Customer) -> None:
    conversation = Conversation.objects.create(customer=alice, last_seq=3)
    for seq, status in enumerate(("pending", "failed", "stopped"), start=1):
        Message.objects.create(
            conversation=conversation, seq=seq, role="assistant", status=status, error="engine_failed" if seq == 2 else ""
        )
    text = agent.get(f"/desk/{conversation.pk}/").content.decode()
    assert "Being written" in text and "Failed: engine_failed" in text and "Stopped by the customer" in text


def test_a_conversation_without_messages(agent: Client, alice: Customer) -> None:
    conversation = Conversation.objects.create(customer=alice)
    assert "Nobody has written in this conversation yet" in agent.get(f"/desk/{conversation.pk}/").content.decode()


def test_the_summary_leads_to_each_question(agent: Client, alice: Customer) -> None:
    conversation = _conversation(alice)
    text = agent.get(f"/desk/{conversation.pk}/").content.decode()
    assert 'href="#m1"' in text and "nothing open" in text


def test_times_read_as_a_person_says_them(agent: Client, alice: Customer) -> None:
    conversation = _conversation(alice)
    for passed, words in (
        (timedelta(minutes=5), ">5 min<"),
        (timedelta(hours=3), ">3 h<"),
        (timedelta(days=1, hours=1), ">1 d<"),
    ):
        Conversation.objects.filter(pk=conversation.pk).update(last_message_at=timezone.now() - passed)
        assert words in agent.get("/desk/?queue=all").content.decode()


def test_no_page_needs_inline_script_or_style(agent: Client, alice: Customer) -> None:
    for path in ("/desk/", f"/desk/{_conversation(alice).pk}/"):
        response = agent.get(path)
        assert "'unsafe-inline'" not in response["Content-Security-Policy"]
        text = response.content.decode()
        assert " style=" not in text and " onclick=" not in text and "<script>" not in text


def test_a_reply_that_waits_shows_its_place(agent: Client, alice: Customer, amir: Customer) -> None:
    pages = []
    for customer in (alice, amir):
        conversation = _conversation(customer)
        reply = conversation.messages.get(role="assistant")
        Message.objects.filter(pk=reply.pk).update(status="pending", text="")
        Generation.objects.filter(reply=reply).delete()
        Generation.objects.create(conversation=conversation, reply=reply, status="pending")
        pages.append(agent.get(f"/desk/{conversation.pk}/").content.decode())
    assert "Number 1 in the queue" in pages[0] and "Number 2 in the queue" in pages[1]
    assert "Waiting for a worker" in pages[0]


def test_earlier_messages_are_those_that_are_drawn(agent: Client, alice: Customer) -> None:
    conversation = _conversation(alice)
    cut = _exchange(conversation, "And my other order?", answer="").reply
    Message.objects.filter(pk=cut.pk).update(status="stopped", error="taken_over")
    _exchange(conversation, "Anybody there?")
    answer = agent.get(f"/desk/{conversation.pk}/?part=earlier&before_seq=5").json()
    assert [message["seq"] for message in answer["messages"]] == [1, 2, 3]
    assert 'id="m3"' in answer["html"] and 'id="m4"' not in answer["html"]
    assert '<a href="/faqs/?q=order-status">' in answer["html"]
