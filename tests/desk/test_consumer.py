"""The agents' socket: who gets in, what it tells, and that nothing is lost between two connections."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.db import connections
from django.test import Client

from chatbot.conversations import intake, notes, takeover
from chatbot.conversations.inbox import Filters, Watched
from chatbot.conversations.models import Conversation, Customer, ReadMark
from chatbot.conversations.presence import viewers
from support_portal.accounts.account_watch import account_watch
from support_portal.accounts.models import User
from support_portal.accounts.sessions import end_sessions
from support_portal.asgi import application
from support_portal.chat.stream_reader import stream_reader
from support_portal.desk.frames import DESK_SERVER_FRAMES
from support_portal.desk.list_news import Asked, lists_of

pytestmark = pytest.mark.django_db(transaction=True)
OWN = {"list.rows", "list.stale", "conversation.stale", "error", "pong"}


class AgentBrowser:
    """An agent's browser as the socket sees it; every frame of the desk's own is checked against its definition."""

    def __init__(self, session_key: str) -> None:
        headers = [(b"origin", b"http://127.0.0.1"), (b"host", b"127.0.0.1")]
        if session_key:
            headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={session_key}".encode()))
        scope = {"type": "websocket", "path": "/ws/desk/", "query_string": b"", "headers": headers, "subprotocols": []}
        self.socket = ApplicationCommunicator(application, scope | {"client": ["127.0.0.1", 1]})

    async def connect(self) -> AgentBrowser:
        await self.socket.send_input({"type": "websocket.connect"})
        assert (await self.next_event())["type"] == "websocket.accept"
        return self

    async def close(self) -> None:
        await self.socket.send_input({"type": "websocket.disconnect", "code": 1005})
        await self.socket.wait(timeout=5)

    async def next_event(self) -> dict[str, Any]:
        return await self.socket.receive_output(timeout=5)

    async def say(self, **frame: Any) -> None:
        await self.socket.send_input({"type": "websocket.receive", "text": json.dumps(frame)})

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next frame of this kind."""
        while True:
            frame: dict[str, Any] = json.loads((await self.next_event())["text"])
            if frame["type"] in OWN:
                DESK_SERVER_FRAMES.validate_json(json.dumps(frame))
            if frame["type"] == kind:
                return frame


@pytest.fixture
def session_key(dana: User) -> str:
    client = Client()
    client.force_login(dana)
    return str(client.session.session_key)


@pytest.fixture
async def desk(session_key: str) -> AsyncIterator[AgentBrowser]:
    browser = AgentBrowser(session_key)
    yield await browser.connect()
    await browser.close()
    await _quiet()


async def _quiet() -> None:
    await stream_reader().close()
    await account_watch().close()
    await sync_to_async(connections.close_all)()


async def _write(customer: Customer, text: str = "hello", conversation_id: uuid.UUID | None = None) -> uuid.UUID:
    post = sync_to_async(intake.post_customer_message)
    accepted = await post(text, customer_id=customer.pk, client_message_id=uuid.uuid4(), conversation_id=conversation_id)
    return accepted.conversation.id


@pytest.mark.parametrize("forged", ["", "x" * 32, '"; '])
async def test_strangers_are_turned_away(transactional_db: None, forged: str) -> None:
    browser = await AgentBrowser(forged).connect()
    assert (await browser.next_event())["code"] == 4401
    await _quiet()


async def test_the_list_learns_of_what_comes_and_of_what_it_missed(desk: AgentBrowser, session_key: str, alice: Customer) -> None:
    await desk.say(type="list.watch", address="?queue=waiting")
    await desk.hear("list.stale")
    talk_id = await _write(alice)
    news = await desk.hear("list.rows")
    assert (news["rows"][0]["id"], news["rows"][0]["matches"]) == (str(talk_id), False)
    assert "hello" in news["rows"][0]["html"]
    await desk.close()
    conversation = await Conversation.objects.aget(pk=talk_id)
    await sync_to_async(intake.request_person)(conversation.pk, customer_id=alice.pk)
    again = await AgentBrowser(session_key).connect()
    await again.say(type="list.watch", address="?queue=waiting", after=news["stream_id"])
    rows = await again.hear("list.rows")
    assert rows["rows"][0]["matches"] and rows["counts"]["waiting"] == 1
    await again.say(type="list.watch", address="?queue=mine", after="1-1")
    await again.hear("list.stale")
    await again.close()


def test_many_agents_lists_are_read_together(
    alice: Customer, dana: User, omar: User, erin: User, django_assert_num_queries: Any
) -> None:
    one, other = (intake.post_customer_message(t, customer_id=alice.pk, client_message_id=uuid.uuid4()) for t in ("one", "two"))
    ids = (one.conversation.id, other.conversation.id)
    takeover.take(ids[0], agent_id=dana.pk)
    notes.post_note("@omar look", conversation_id=ids[1], author_id=dana.pk, client_note_id=uuid.uuid4())
    ReadMark.objects.create(agent=erin, conversation_id=ids[0], seq=9)
    mine, everything = Filters(queue="mine"), Filters(queue="all")
    watched = [Watched(mine, dana.pk, ids), Watched(mine, omar.pk, ids), Watched(everything, omar.pk, ids)]
    watched += [Watched(everything, erin.pk, ids[:1])] * 20
    with django_assert_num_queries(7):
        found = lists_of([Asked(w, with_counts=place < 2, stream_id="") for place, w in enumerate(watched)])
    danas, omars, all_of_omar, erins = ({row.id: row for row in told.rows} for told in found[:4])
    assert [danas[i].matches for i in ids] == [True, False] and not any(row.matches for row in omars.values())
    assert ">You<" in danas[ids[0]].html and ">Dana<" in all_of_omar[ids[0]].html and all_of_omar[ids[0]].matches
    assert "@you" in all_of_omar[ids[1]].html and "@you" not in danas[ids[1]].html
    assert "Unread" in all_of_omar[ids[0]].html and "Unread" not in erins[ids[0]].html
    assert set(erins) == {ids[0]} and "?queue=mine" in danas[ids[0]].html and "?queue=all" in erins[ids[0]].html
    counts = [(told.counts.mine, told.counts.mentions) if told.counts else None for told in found[:3]]
    assert counts == [(1, 0), (0, 1), None]


async def test_an_open_conversation_brings_messages_notes_and_owners(desk: AgentBrowser, alice: Customer, dana: User) -> None:
    talk_id = await _write(alice)
    await desk.say(type="conversation.watch", conversation_id=str(talk_id), after="0-0", staff_after="0-0")
    assert (await desk.hear("message.changed"))["message"]["text"] == "hello"
    assert [person["name"] for person in (await desk.hear("presence.changed"))["viewers"]] == ["Dana"]
    taken = await sync_to_async(takeover.take)(talk_id, agent_id=dana.pk)
    assert (await desk.hear("owner.changed"))["version"] == taken.conversation.version
    await sync_to_async(notes.post_note)("A note", conversation_id=talk_id, author_id=dana.pk, client_note_id=uuid.uuid4())
    assert (await desk.hear("note.added"))["note"]["text"] == "A note"
    await desk.say(type="typing")
    assert (await desk.hear("colleague.typing"))["agent"]["id"] == dana.pk
    await desk.say(type="read", seq=1)
    await desk.say(type="ping")
    await desk.hear("pong")
    assert await ReadMark.objects.filter(agent=dana, conversation=talk_id, seq=1).aexists()
    await desk.say(type="conversation.watch", conversation_id=str(talk_id), after="1-1", staff_after="0-0")
    await desk.hear("conversation.stale")
    await desk.say(type="conversation.leave")
    await desk.say(type="ping")
    await desk.hear("pong")
    assert await sync_to_async(viewers)(talk_id) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x", "frame_invalid"),
        ('{"type": "list.watch", "address": "?queue=odd"}', "queue_unknown"),
        ('{"type": "list.watch", "address": 7}', "frame_invalid"),
        ('{"type": "read", "seq": -1}', "frame_invalid"),
        ('{"type": "message.send", "text": "no"}', "frame_invalid"),
        ('{"type": "conversation.watch", "conversation_id": "00000000-0000-0000-0000-000000000001"}', "conversation_not_found"),
        ("x" * 70_000, "frame_too_big"),
    ],
)
async def test_bad_frames_are_answered_and_the_socket_stays(desk: AgentBrowser, text: str, code: str) -> None:
    await desk.socket.send_input({"type": "websocket.receive", "text": text})
    assert (await desk.hear("error"))["code"] == code
    await desk.say(type="ping")
    await desk.hear("pong")


async def test_an_ended_session_closes_the_socket(desk: AgentBrowser, dana: User) -> None:
    await desk.say(type="ping")
    await desk.hear("pong")
    await sync_to_async(end_sessions)(dana)
    assert (await desk.next_event())["code"] == 4403
