from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.db import connections

from chatbot import runtime
from chatbot.conversations import presence, publishing, takeover
from chatbot.conversations.models import Conversation, Customer, Message
from chatbot.protocol import SERVER_FRAMES, AgentTyping, ReplyProgress
from support_portal.asgi import application
from support_portal.chat import consumers
from support_portal.chat.stream_reader import stream_reader
from support_portal.chat.throttling import Throttle
from tests.conftest import visitor_cookie

pytestmark = pytest.mark.django_db(transaction=True)

ORIGIN = b"http://127.0.0.1"
SEND = json.dumps({"type": "message.send", "client_message_id": str(uuid.UUID(int=1)), "text": "hello"})


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "_messages", Throttle(per_minute=6000, burst=1000))
    monkeypatch.setattr(consumers, "_addresses", Throttle(per_minute=6000, burst=1000))


class Browser:
    """A customer's browser as the socket sees it; every frame it gets is checked against the protocol."""

    def __init__(self, customer_id: uuid.UUID | None, *, origin: bytes = ORIGIN, language: bytes = b"en") -> None:
        headers = [(b"origin", origin), (b"host", b"127.0.0.1"), (b"accept-language", language)]
        if customer_id:
            headers.append((b"cookie", f"visitor={visitor_cookie(customer_id)}".encode()))
        scope = {
            "type": "websocket",
            "path": "/ws/chat/",
            "query_string": b"",
            "headers": headers,
            "subprotocols": [],
            "client": ["127.0.0.1", 1],
        }
        self.socket = ApplicationCommunicator(application, scope)

    async def connect(self) -> dict[str, Any]:
        await self.socket.send_input({"type": "websocket.connect"})
        return await self.next_event()

    async def close(self) -> None:
        await self.socket.send_input({"type": "websocket.disconnect", "code": 1005})
        await self.socket.wait(timeout=5)

    async def next_event(self) -> dict[str, Any]:
        return await self.socket.receive_output(timeout=5)

    async def send(self, **data: Any) -> None:
        await self.socket.send_input({"type": "websocket.receive", **data})

    async def say(self, **frame: Any) -> None:
        await self.send(text=json.dumps(frame))

    async def hear(self, kind: str) -> Any:
        """The next frame of this kind; others before it are read and checked."""
        while True:
            frame = SERVER_FRAMES.validate_json((await self.next_event())["text"])
            if frame.type == kind:
                return frame

    async def post(self, text: str = "How long does delivery take?", **where: Any) -> Any:
        await self.say(type="message.send", client_message_id=str(uuid.uuid4()), text=text, **where)
        return await self.hear("message.accepted")


@pytest.fixture
async def open_browser() -> AsyncIterator[Any]:
    opened: list[Browser] = []

    async def connect(customer_id: uuid.UUID | None, **how: Any) -> Browser:
        browser = Browser(customer_id, **how)
        opened.append(browser)
        assert (await browser.connect())["type"] == "websocket.accept"
        return browser

    yield connect
    for browser in opened:
        await browser.close()
    await stream_reader().close()
    await sync_to_async(connections.close_all)()


async def test_message_is_accepted_and_seen_in_the_other_tab(open_browser: Any) -> None:
    alice = uuid.uuid4()
    first = await open_browser(alice)
    accepted = await first.post()
    second = await open_browser(alice)
    await second.say(type="conversation.open", conversation_id=str(accepted.conversation.id))
    assert len((await second.hear("conversation.snapshot")).messages) == 2
    await first.post("Another", conversation_id=str(accepted.conversation.id))
    assert (await second.hear("message.changed")).message.text in {"How long does delivery take?", "Another"}


async def test_progress_reaches_the_browser_and_resumes_after_the_last_seen(open_browser: Any) -> None:
    alice = uuid.uuid4()
    browser = await open_browser(alice)
    accepted = await browser.post()
    where, reply_id = accepted.conversation.id, accepted.reply.id

    def progress(index: int) -> None:
        frame = ReplyProgress(message_id=reply_id, attempt=1, index=index, html=f"<p>{index}</p>", sent_at_ms=0)
        publishing.announce(where, frame)

    await sync_to_async(progress)(0)
    seen = await browser.hear("reply.progress")
    await browser.close()
    await sync_to_async(progress)(1)
    again = await open_browser(alice)
    await again.say(type="conversation.open", conversation_id=str(where), after=seen.stream_id)
    assert (await again.hear("reply.progress")).index == 1


async def test_unknown_position_gets_a_snapshot(open_browser: Any) -> None:
    alice = uuid.uuid4()
    browser = await open_browser(alice)
    accepted = await browser.post()
    await browser.say(type="conversation.open", conversation_id=str(accepted.conversation.id), after="1-0")
    assert (await browser.hear("conversation.snapshot")).conversation.id == accepted.conversation.id


async def test_reload_during_an_answer_shows_what_was_already_said(open_browser: Any) -> None:
    alice = uuid.uuid4()
    browser = await open_browser(alice)
    accepted = await browser.post()
    frame = ReplyProgress(message_id=accepted.reply.id, attempt=1, index=0, html="<p>so far</p>", sent_at_ms=0)
    await sync_to_async(publishing.announce)(accepted.conversation.id, frame)
    await browser.hear("reply.progress")
    reloaded = await open_browser(alice)
    await reloaded.say(type="conversation.open", conversation_id=str(accepted.conversation.id))
    assert (await reloaded.hear("reply.progress")).html == "<p>so far</p>"


async def test_stranger_sees_nothing_of_a_conversation(open_browser: Any) -> None:
    accepted = await (await open_browser(uuid.uuid4())).post("My secret")
    mallory = await open_browser(uuid.uuid4())
    commands = [
        {"type": "conversation.open", "conversation_id": str(accepted.conversation.id)},
        {"type": "conversation.open", "conversation_id": str(accepted.conversation.id), "after": "0-0"},
        {"type": "messages.earlier", "conversation_id": str(accepted.conversation.id), "before_seq": 9},
        {"type": "person.request", "conversation_id": str(accepted.conversation.id)},
        {"type": "person.cancel", "conversation_id": str(accepted.conversation.id)},
        {"type": "contact.leave", "conversation_id": str(accepted.conversation.id), "email": "mallory@example.org"},
        {"type": "reply.stop", "message_id": str(accepted.reply.id)},
        {"type": "reply.retry", "message_id": str(accepted.reply.id)},
        {"type": "feedback.give", "message_id": str(accepted.reply.id), "rating": 1},
    ]
    for command in commands:
        await mallory.say(**command)
        error = await mallory.hear("error")
        assert error.code in {"conversation_not_found", "message_not_found"} and "secret" not in error.message


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", "frame_invalid"),
        ("[]", "frame_invalid"),
        ("null", "frame_invalid"),
        ('{"type": "base"}', "frame_invalid"),
        ('{"type": "__class__"}', "frame_invalid"),
        ('{"type": "ping", "extra": 1}', "frame_invalid"),
        ('{"type": "message.send", "client_message_id": 5, "text": "x"}', "frame_invalid"),
        (SEND.replace('"hello"', '{"$ne": 1}'), "frame_invalid"),
        (SEND.replace("hello", ""), "message_empty"),
        (SEND.replace("hello", "\\u0000"), "message_empty"),
        (SEND.replace("hello", "x" * 5000), "message_too_long"),
        ("x" * 100_000, "frame_too_big"),
        ("[" * 5000, "frame_invalid"),
    ],
)
async def test_bad_frame_gets_a_code_and_the_socket_lives(open_browser: Any, frame: str, code: str) -> None:
    browser = await open_browser(uuid.uuid4())
    await browser.send(text=frame)
    error = await browser.hear("error")
    assert error.code == code and "chatbot" not in error.message and "class" not in error.message
    await browser.say(type="ping")
    await browser.hear("pong")


async def test_binary_frame_is_refused(open_browser: Any) -> None:
    browser = await open_browser(uuid.uuid4())
    await browser.send(bytes=b"\x00\x01")
    assert (await browser.hear("error")).code == "frame_invalid"


async def test_fifty_messages_a_second_are_slowed_down_and_none_is_lost(
    open_browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "_messages", Throttle(per_minute=30, burst=3))
    browser = await open_browser(uuid.uuid4())
    ids = [str(uuid.uuid4()) for _ in range(50)]
    for client_id in ids:
        await browser.say(type="message.send", client_message_id=client_id, text="hello")
    answers = [json.loads((await browser.next_event())["text"]) for _ in range(50)]
    refusals = [frame for frame in answers if frame["type"] == "error"]
    assert len(refusals) >= 40
    assert {frame["code"] for frame in refusals} == {"too_fast"} and all(frame["retry_after_s"] > 0 for frame in refusals)
    assert all(frame["client_message_id"] in ids for frame in refusals)
    stored = await Message.objects.filter(role="customer").acount()
    assert stored == len([frame for frame in answers if frame["type"] == "message.accepted"])


async def test_flood_with_many_cookies_is_slowed_down_by_its_address(open_browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "_addresses", Throttle(per_minute=30, burst=2))
    for _ in range(2):
        await (await open_browser(uuid.uuid4())).post()
    third = await open_browser(uuid.uuid4())
    await third.say(type="message.send", client_message_id=str(uuid.uuid4()), text="hello")
    assert (await third.hear("error")).code == "too_fast"


async def test_other_origin_is_refused() -> None:
    for origin in (
        b"http://evil.example",
        b"null",
        b"",
        b"http://127.0.0.1:1",
        b"https://127.0.0.1",
        b"http://127.0.0.1.evil.example",
    ):
        assert await Browser(uuid.uuid4(), origin=origin).connect() == {"type": "websocket.close", "code": 4403}


async def test_browser_without_a_cookie_is_told_to_reload() -> None:
    browser = Browser(None)
    await browser.connect()
    assert (await browser.next_event())["code"] == 4401


async def test_error_speaks_the_customers_language(open_browser: Any) -> None:
    browser = await open_browser(uuid.uuid4(), language=b"zh-CN,zh;q=0.9")
    await browser.say(type="message.send", client_message_id=str(uuid.uuid4()), text=" ")
    english = "Write something first."
    assert (await browser.hear("error")).message != english


async def test_feedback_is_stored_and_shown(open_browser: Any) -> None:
    alice = uuid.uuid4()
    browser = await open_browser(alice)
    accepted = await browser.post()
    await browser.say(type="feedback.give", message_id=str(accepted.reply.id), rating=-1)
    assert (await browser.hear("error")).code == "reply_not_finished"
    await browser.say(type="reply.stop", message_id=str(accepted.reply.id))
    await browser.say(type="feedback.give", message_id=str(accepted.reply.id), rating=-1, reason="outdated")
    while (frame := await browser.hear("message.changed")).message.rating == 0:
        await asyncio.sleep(0)
    assert frame.message.rating == -1


async def test_deleted_conversation_is_not_found(open_browser: Any) -> None:
    alice = uuid.uuid4()
    browser = await open_browser(alice)
    accepted = await browser.post()
    await Conversation.objects.all().adelete()
    await browser.say(
        type="message.send",
        client_message_id=str(uuid.uuid4()),
        text="still there?",
        conversation_id=str(accepted.conversation.id),
    )
    assert (await browser.hear("error")).code == "conversation_not_found"


async def test_earlier_messages_come_by_page(open_browser: Any) -> None:
    alice = await Customer.objects.acreate()
    conversation = await Conversation.objects.acreate(customer=alice, last_seq=120)
    await Message.objects.abulk_create(
        Message(conversation=conversation, seq=n, role="customer", text=str(n)) for n in range(1, 121)
    )
    browser = await open_browser(alice.pk)
    await browser.say(type="conversation.open", conversation_id=str(conversation.pk))
    snapshot = await browser.hear("conversation.snapshot")
    assert [m.seq for m in snapshot.messages] == list(range(71, 121)) and snapshot.has_earlier
    await browser.say(type="messages.earlier", conversation_id=str(conversation.pk), before_seq=71)
    page = await browser.hear("messages.earlier")
    assert [m.seq for m in page.messages] == list(range(21, 71)) and page.has_earlier


async def test_customer_hears_the_person_and_nobody_who_has_stopped_typing(open_browser: Any, dana: Any) -> None:
    browser = await open_browser(uuid.uuid4())
    accepted = await browser.post()
    where = accepted.conversation.id
    await sync_to_async(takeover.take)(where, agent_id=dana.pk)
    assert (await browser.hear("conversation.changed")).conversation.agent.name == "Dana"
    await sync_to_async(publishing.announce)(where, AgentTyping(name="long ago", expires_at_ms=1))
    await sync_to_async(presence.agent_typing)(where, agent_id=dana.pk)
    assert (await browser.hear("agent.typing")).name == "Dana"
    assert (await browser.post("Are you there?", conversation_id=str(where))).reply is None


async def test_customers_typing_reaches_the_desk_only(open_browser: Any, dana: Any) -> None:
    browser = await open_browser(uuid.uuid4())
    where = (await browser.post()).conversation.id
    await sync_to_async(presence.open_conversation)(where, agent_id=dana.pk)
    await browser.say(type="typing")
    await browser.say(type="ping")
    await browser.hear("pong")
    entries = await sync_to_async(runtime.valkey().xrange)(publishing.staff_key(where))
    assert b"customer.typing" in entries[-1][1][b"frame"]
