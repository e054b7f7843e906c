"""Search: any language, any text as a query, each conversation once, the newest place first, whichever way is taken."""

from __future__ import annotations

import random
import string
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from chatbot.conversations import inbox, searching
from chatbot.conversations.inbox import Filters, Position
from chatbot.conversations.models import Conversation, Customer, Message
from chatbot.conversations.staff_models import Note
from support_portal.accounts.models import User

pytestmark = pytest.mark.django_db


def _say(customer: Customer, *texts: str, minutes_ago: int = 0, **fields: object) -> Conversation:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    talk = Conversation.objects.create(customer=customer, last_message_at=at, **fields)
    for seq, text in enumerate(texts, start=1):
        message = Message.objects.create(conversation=talk, seq=seq, role="customer", text=text)
        Message.objects.filter(pk=message.pk).update(created_at=at + timedelta(seconds=seq))
    return talk


def _found(query: str, viewer: User, **filters: object) -> list[object]:
    page = searching.search(Filters(**{"queue": "all", "query": query, **filters}), viewer_id=viewer.pk)
    return [row.id for row in page.rows]


@pytest.mark.parametrize(
    ("said", "queries", "strangers"),
    [
        ("我要退款，谢谢", ["退款", "退", "要退款", "谢", "款"], ["款退", "物流", "退谢"]),
        ("商品の返品はできますか？ポイント", ["返品", "ポイント", "できます", "返"], ["品返", "ポイト"]),
        ("환불해주세요", ["환불", "주세요"], ["불환"]),
        ("สวัสดีครับ", ["สวัสดี"], ["ดีสวัส"]),
        ("हिन्दी में लिखें", ["हिन्दी", "हिन"], ["न्दी"]),
        ("Übergröße für ＡＢＣ-123", ["übergröße", "ÜBER", "abc 123", "ABC-1"], ["größe", "23"]),
        (
            "Order LW839201 costs € 4.90!",
            ["lw8392", "4.90", "(order & costs)", "'order' | \"costs\"", "ORDER:*"],
            ["839201", "order kite"],
        ),
        ("中文mixed英文", ["文mixed", "mixed", "英文"], ["文英"]),
    ],
)
def test_words_are_found_in_every_script(
    alice: Customer, dana: User, said: str, queries: list[str], strangers: list[str]
) -> None:
    talk = _say(alice, said)
    _say(alice, "Something else")
    for query in queries:
        assert _found(query, dana) == [talk.pk], query
    for query in strangers:
        assert _found(query, dana) == [], query


def test_no_query_is_harmful(alice: Customer, dana: User) -> None:
    _say(alice, "plain")
    chance = random.Random(7)
    letters = string.punctuation + "'\\:*&|!<->() \x00\x01\n%s%(all)s{}é中" + "ab"
    for _ in range(150):
        _found("".join(chance.choices(letters, k=chance.randrange(1, 40))), dana)
    for query in (
        "'",
        "\\",
        "''' :*",
        "%",
        "%s",
        "{inside}",
        "a" * 5000,
        "\ud800"[:0] or "-",
        "<-> !!",
        "NULL",
        "'); DROP TABLE x; --",
    ):
        _found(query, dana)
    assert Message.objects.count() == 1


@pytest.mark.parametrize(("newest", "rare"), [(0, 20_000), (3, -1), (20_000, 20_000)])
@pytest.mark.parametrize("queue", ["all", "waiting"])
def test_each_conversation_once_in_the_same_order_whichever_way(
    alice: Customer, dana: User, monkeypatch: pytest.MonkeyPatch, newest: int, rare: int, queue: str
) -> None:
    monkeypatch.setattr(searching, "NEWEST", newest)
    monkeypatch.setattr(searching, "RARE", rare)
    monkeypatch.setattr(searching, "PAGE_CONVERSATIONS", 3)
    now = timezone.now()
    waits = {"status": "waiting", "waiting_since": now, "promised_until": now}
    talks = [_say(alice, "kite one", "a boat", "kite two", minutes_ago=number, **waits) for number in range(7)]
    seen: list[object] = []
    position: Position | None = None
    for size in (3, 3, 1):
        page = searching.search(Filters(queue=queue, query="kite"), viewer_id=dana.pk, before=position)
        assert len(page.rows) == size
        seen += [row.id for row in page.rows]
        position = page.next
    assert position is None and seen == [talk.pk for talk in talks]


def test_a_search_stays_within_its_list(alice: Customer, dana: User) -> None:
    tagged, _ = _say(alice, "kite", tags=["vip"]), _say(alice, "kite")
    assert _found("kite", dana, tag="vip") == [tagged.pk]
    assert _found("kite", dana, queue="mine") == []


def test_a_place_is_shown_with_its_words(alice: Customer, dana: User) -> None:
    _say(alice, "x " * 60 + "the **red** [kite](https://kite.example) flies " + "y " * 200)
    row = searching.search(Filters(query="red kite"), viewer_id=dana.pk).rows[0]
    assert [text for text, sought in row.found if sought] == ["red", "kite"]
    assert "".join(text for text, _ in row.found).startswith("…") and row.found_role == "customer"


def _note(talk: Conversation, author: User, text: str, *, minutes_ago: int) -> None:
    note = Note.objects.create(
        conversation=talk, seq_after=1, author=author, author_name="Dana", text=text, client_note_id=uuid.uuid4()
    )
    Note.objects.filter(pk=note.pk).update(created_at=timezone.now() - timedelta(minutes=minutes_ago))


@pytest.mark.parametrize(("newest", "rare"), [(0, 20_000), (3, -1), (20_000, 20_000)])
@pytest.mark.parametrize("queue", ["all", "waiting"])
def test_notes_are_found_among_the_messages(
    alice: Customer, dana: User, monkeypatch: pytest.MonkeyPatch, newest: int, rare: int, queue: str
) -> None:
    monkeypatch.setattr(searching, "NEWEST", newest)
    monkeypatch.setattr(searching, "RARE", rare)
    monkeypatch.setattr(searching, "PAGE_CONVERSATIONS", 2)
    now = timezone.now()
    waits = {"status": "waiting", "waiting_since": now, "promised_until": now}
    said, noted, both, later = (_say(alice, text, minutes_ago=30, **waits) for text in ("kite", "boat", "kite", "kite"))
    _note(noted, dana, "the **kite** 退款", minutes_ago=20)
    _note(both, dana, "kite", minutes_ago=10)
    _note(later, dana, "kite", minutes_ago=40)
    pages, position = [], None
    for _ in range(2):
        page = searching.search(Filters(queue=queue, query="kite"), viewer_id=dana.pk, before=position)
        pages.append([(row.id, row.found_role) for row in page.rows])
        position = page.next
    assert pages == [[(both.pk, "note"), (noted.pk, "note")], [(later.pk, "customer"), (said.pk, "customer")]]
    assert _found("退款", dana, queue=queue) == [noted.pk]


def test_only_staff_finds_notes(client: Client, alice: Customer, dana: User) -> None:
    talk = _say(alice, "hello")
    _note(talk, dana, "Suspected of **fraud** <b>", minutes_ago=0)
    assert client.get("/desk/?q=fraud")["Location"].startswith("/accounts/login/")
    client.force_login(dana)
    page = client.get("/desk/?q=fraud").content.decode()
    assert '<span class="mark mark-note">Note</span> Suspected of <mark>fraud</mark> &lt;b&gt;' in page


def test_the_words_follow_every_change_of_a_text(alice: Customer, dana: User) -> None:
    talk = _say(alice, "")
    Message.objects.filter(conversation=talk).update(text="kite")
    assert _found("kite", dana) == [talk.pk]
    assert searching.words_of("") == searching.words_of("?!") == []
    assert inbox.PAGE_CONVERSATIONS == searching.PAGE_CONVERSATIONS
