"""States that a healthy site shows rarely: the page against a scripted line. Every scripted frame is one of the protocol's."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from chatbot.protocol import CLIENT_FRAMES, SERVER_FRAMES
from tests.browser.chat import QUESTION, Chat
from tests.stack import Stack

CONVERSATION = {"id": str(uuid.uuid4()), "status": "open", "created_at": "2026-01-01T00:00:00+00:00", "last_seq": 2}
REPLY_ID = str(uuid.uuid4())


class ScriptedLine:
    """Answers the page's frames itself. `sent` holds what the page has sent; accepts every message unless told otherwise."""

    def __init__(self, page: Page) -> None:
        self.sent: list[dict[str, Any]] = []
        self.refuse_with: dict[str, Any] | None = None
        self._route: WebSocketRoute | None = None
        self._stream = 0
        self.version = 0
        page.route_web_socket("**/ws/chat/", self._connected)

    def say(self, frame_type: str, **fields: Any) -> None:
        frame = {"type": frame_type, **fields}
        if frame_type not in {"message.accepted", "conversation.snapshot", "messages.earlier", "error", "pong"}:
            self._stream += 1
            frame["stream_id"] = f"1-{self._stream}"
        assert self._route is not None
        # Through the protocol's own classes: what is sent is valid, and whole as the server's frames are.
        self._route.send(SERVER_FRAMES.validate_json(json.dumps(frame)).model_dump_json())

    def reply(self, status: str, **fields: Any) -> None:
        self.say("message.changed", message=view("assistant", id=REPLY_ID, seq=2, status=status, attempt=1, **fields))

    def conversation(self, **fields: Any) -> None:
        """Who is there now."""
        self.version += 1
        self.say("conversation.changed", conversation={**CONVERSATION, "version": self.version, **fields})

    def of_type(self, frame_type: str) -> list[dict[str, Any]]:
        return [frame for frame in self.sent if frame["type"] == frame_type]

    def _connected(self, route: WebSocketRoute) -> None:
        self._route = route
        route.on_message(lambda frame: self._received(str(frame)))

    def _received(self, payload: str) -> None:
        CLIENT_FRAMES.validate_json(payload)
        frame = json.loads(payload)
        self.sent.append(frame)
        if frame["type"] == "ping":
            self.say("pong")
        elif frame["type"] == "message.send":
            self._answer(frame)

    def _answer(self, frame: dict[str, Any]) -> None:
        client_id = frame["client_message_id"]
        if self.refuse_with:
            self.say("error", client_message_id=client_id, **self.refuse_with)
            return
        asked = view("customer", seq=1, text=frame["text"], client_message_id=client_id)
        pending = view("assistant", id=REPLY_ID, seq=2, status="pending")
        self.say("message.accepted", client_message_id=client_id, conversation=CONVERSATION, message=asked, reply=pending)


def view(role: str, **fields: Any) -> dict[str, Any]:
    plain = {
        "id": str(uuid.uuid4()),
        "role": role,
        "status": "complete",
        "text": "",
        "html": "",
        "created_at": "2026-01-01T10:00:00+00:00",
    }
    return plain | fields


def ask(chat: Chat, text: str = QUESTION) -> None:
    """Ask and wait until the reply is being written, so that the scripted frames come after it."""
    chat.ask(text)
    chat.expect_state(chat.replies.first, "pending")


@pytest.fixture
def line(page: Page) -> ScriptedLine:
    return ScriptedLine(page)


@pytest.fixture
def chat(page: Page, site: Stack, line: ScriptedLine) -> Chat:
    return Chat(page, site.url).open()


def test_choices_are_buttons_that_send_their_words(chat: Chat, line: ScriptedLine) -> None:
    ask(chat, "return")
    line.reply(
        "complete",
        html="<p>Which one?</p>",
        text="Which one?",
        decision="clarify",
        choices=["Return a bicycle", "Return a helmet"],
    )
    chat.button("Return a helmet").click()
    expect(chat.own.last).to_contain_text("Return a helmet")
    assert [frame["text"] for frame in line.of_type("message.send")] == ["return", "Return a helmet"]
    expect(chat.field).to_be_focused()


def test_a_busy_model_is_told_with_the_place_in_the_queue(chat: Chat, line: ScriptedLine) -> None:
    ask(chat)
    line.say("reply.waiting", message_id=REPLY_ID, attempt=1, position=3)
    expect(chat.replies.first).to_contain_text("You are number 4 in the queue.")
    line.say("reply.progress", message_id=REPLY_ID, attempt=1, index=0, html="", dir="ltr", sent_at_ms=0)
    line.say("reply.waiting", message_id=REPLY_ID, attempt=1, position=1)
    expect(chat.replies.first).to_contain_text("You are number 2 in the queue.")
    line.say("reply.waiting", message_id=REPLY_ID, attempt=1, position=5)
    line.say("reply.waiting", message_id=REPLY_ID, attempt=1, position=0)
    expect(chat.replies.first).to_contain_text("Your answer is next.")
    line.say("reply.progress", message_id=REPLY_ID, attempt=1, index=1, html="<p>Words.</p>", dir="ltr", sent_at_ms=0)
    expect(chat.replies.first).to_contain_text("Words.")
    expect(chat.replies.first).not_to_contain_text("Your answer is next.")


def test_silence_becomes_visible_and_the_page_asks_again(page: Page, site: Stack, line: ScriptedLine) -> None:
    page.clock.install()
    chat = Chat(page, site.url).open()
    ask(chat)
    expect(chat.replies.first).to_contain_text("Writing…")
    page.clock.run_for(10_000)
    expect(chat.replies.first).to_contain_text("Still working…")
    page.clock.run_for(13_000)
    expect(chat.replies.first).to_contain_text("Still working…")
    assert len(line.of_type("conversation.open")) == 1
    line.reply("failed", error="internal")
    expect(chat.replies.first).not_to_contain_text("Still working…")


def test_a_failed_answer_says_so_and_offers_another_try(chat: Chat, line: ScriptedLine) -> None:
    ask(chat)
    line.reply("failed", error="internal")
    expect(chat.replies.first).to_contain_text("This answer could not be written. Nothing you wrote is lost.")
    chat.replies.first.get_by_role("button", name="Try again").click()
    assert line.of_type("reply.retry") == [{"type": "reply.retry", "message_id": REPLY_ID}]


def test_a_refused_message_can_be_sent_again_or_discarded(chat: Chat, line: ScriptedLine) -> None:
    line.refuse_with = {"code": "message_too_long", "message": "This message is too long."}
    chat.ask("a b c")
    expect(chat.own).to_contain_text("This message is too long.")
    chat.button("Try again").click()
    expect(chat.own).to_contain_text("This message is too long.")
    first, second = line.of_type("message.send")
    assert first == second
    chat.button("Discard").click()
    expect(chat.own).to_have_count(0)
    chat.page.reload()
    expect(chat.own).to_have_count(0)


def test_what_passes_by_itself_is_sent_again_by_itself(chat: Chat, line: ScriptedLine) -> None:
    line.refuse_with = {"code": "too_fast", "message": "That was too fast. Please wait a moment.", "retry_after_s": 1.0}
    chat.ask("quick")
    expect(chat.own).to_contain_text("That was too fast.")
    line.refuse_with = None
    chat.expect_state(chat.own.first, "sent")
    first, second = line.of_type("message.send")
    assert first["client_message_id"] == second["client_message_id"]


def test_a_conversation_that_was_deleted_meanwhile_is_told(chat: Chat, line: ScriptedLine) -> None:
    ask(chat)
    line.say("error", code="conversation_not_found", message="This conversation does not exist.")
    expect(chat.page.get_by_role("heading", name="This conversation is not here")).to_be_visible()
    expect(chat.field).to_be_hidden()


def test_earlier_messages_come_on_the_way_up_and_move_nothing(chat: Chat, line: ScriptedLine) -> None:
    ask(chat)
    words = [view("assistant", seq=seq, html=f"<p>Number {seq}.</p>", text=f"Number {seq}.") for seq in range(1, 61)]
    line.say("conversation.snapshot", conversation=CONVERSATION, messages=words[30:], has_earlier=True, stream_id="9-0")
    pane = chat.page.locator("[data-part=pane]")
    expect(chat.replies).to_have_count(30)
    expect(chat.replies.last).to_be_in_viewport()
    pane.evaluate("(pane) => { pane.scrollTop = 60; }")
    expect(chat.button("Loading earlier messages…")).to_be_visible()
    assert line.of_type("messages.earlier") == [
        {"type": "messages.earlier", "conversation_id": CONVERSATION["id"], "before_seq": 31}
    ]
    first = chat.replies.filter(has_text="Number 31.")
    before = first.bounding_box()
    line.say("messages.earlier", conversation_id=CONVERSATION["id"], messages=words[:30], has_earlier=False)
    expect(chat.replies).to_have_count(60)
    after = first.bounding_box()
    assert before is not None and after is not None
    # The button "Show earlier messages" above has gone with the last page; the text itself has not moved on the screen.
    assert abs(after["y"] - before["y"]) < 4
    expect(chat.button("Show earlier messages")).to_be_hidden()


def test_text_runs_in_the_direction_of_its_language(chat: Chat, line: ScriptedLine) -> None:
    ask(chat, "مرحبا")
    line.reply("complete", html="<p>مرحبا بكم</p>", text="مرحبا بكم", dir="rtl")
    body = chat.body(chat.replies.first)
    expect(body).to_have_attribute("dir", "rtl")
    assert body.locator("p").evaluate("(p) => getComputedStyle(p).direction") == "rtl"


def test_html_of_the_server_runs_no_script(chat: Chat, line: ScriptedLine) -> None:
    """The renderer never sends this; should it ever, the policy stands behind it."""
    ask(chat)
    line.reply("complete", html='<p>x<img src="x:" onerror="window.pwned = 1"></p><script>window.pwned = 1</script>', text="x")
    chat.expect_state(chat.replies.first, "complete")
    chat.page.wait_for_function("document.readyState === 'complete'")
    assert chat.page.evaluate("window.pwned") is None


def test_a_customers_words_are_never_html(chat: Chat) -> None:
    words = '<b>bold</b> <img src=x onerror="window.pwned=1"> **stars**'
    chat.ask(words)
    assert chat.own.locator("[data-slot=body]").inner_text() == words
    assert chat.own.locator("img, b").count() == 0


def test_an_expired_visit_asks_for_a_reload(page: Page, site: Stack) -> None:
    page.route_web_socket("**/ws/chat/", lambda route: route.close(code=4401))
    chat = Chat(page, site.url).open()
    expect(page.locator("[data-part=connection]")).to_contain_text("This page does not know you any more.")
    expect(chat.button("Reload")).to_be_visible()


def test_a_person_takes_over_and_is_seen_writing(page: Page, site: Stack, line: ScriptedLine) -> None:
    page.clock.install()
    chat = Chat(page, site.url).open()
    ask(chat)
    line.say("reply.progress", message_id=REPLY_ID, attempt=1, index=0, html="<p>Two days.</p>", dir="ltr", sent_at_ms=0)
    line.conversation(status="held", agent={"name": "Dana"})
    line.reply("stopped", html="<p>Two days.</p>", text="Two days.", error="taken_over")
    header = page.locator(".chat-header")
    expect(header).to_contain_text("Dana is here")
    expect(chat.replies.first).to_contain_text("A person took over here.")
    expect(chat.replies.first.get_by_role("button", name="Try again")).to_be_hidden()
    expect(chat.button("Talk to a person")).to_be_hidden()
    expect(chat.field).to_have_attribute("placeholder", "Write to Dana…")
    line.say("agent.typing", name="Dana", expires_at_ms=0)
    expect(page.locator("[data-part=typing]")).to_contain_text("Dana is writing…")
    page.clock.run_for(8_000)
    expect(page.locator("[data-part=typing]")).to_be_hidden()
    line.say("agent.typing", name="Dana", expires_at_ms=0)
    line.say("message.changed", message=view("agent", seq=3, html="<p>Hello!</p>", text="Hello!", author="Dana"))
    expect(page.get_by_role("article", name="Dana")).to_contain_text("Hello!")
    expect(page.locator("[data-part=typing]")).to_be_hidden()
    chat.field.press_sequentially("thanks")
    assert len(line.of_type("typing")) == 1
    line.conversation(version=0, status="open")
    expect(header).to_contain_text("Dana is here")


def test_who_waits_knows_the_place_and_can_leave_an_address(chat: Chat, line: ScriptedLine) -> None:
    ask(chat)
    line.reply("complete", html="<p>Two days.</p>", text="Two days.")
    line.conversation(status="waiting", place=3)
    banner = chat.page.locator("[data-part=waiting]")
    expect(banner).to_contain_text("You are number 3 in the line.")
    line.say("person.place", place=1)
    expect(banner).to_contain_text("You are next.")
    chat.button("Stay with the assistant").click()
    line.conversation(status="open", contact="offered")
    expect(banner).to_be_hidden()
    chat.page.get_by_label("E-mail address").fill("alice")
    chat.button("Leave address").click()
    line.say("error", code="email_invalid", message="This is not an e-mail address.", field="email")
    expect(chat.page.get_by_role("alert").filter(has_text="not an e-mail address")).to_be_visible()
    expect(chat.page.get_by_label("E-mail address")).to_be_focused()
    chat.page.get_by_label("E-mail address").fill("alice@example.org")
    chat.page.get_by_label("E-mail address").press("Enter")
    line.conversation(status="open", contact="left")
    expect(chat.page.locator("[data-part=contact]")).to_be_hidden()
    assert [frame["email"] for frame in line.of_type("contact.leave")] == ["alice", "alice@example.org"]
    assert len(line.of_type("person.cancel")) == 1


def test_resolved_conversation_says_how_to_go_on(chat: Chat, line: ScriptedLine) -> None:
    ask(chat)
    line.reply("stopped", error="taken_over")
    line.conversation(status="resolved")
    expect(chat.replies).to_have_count(0)
    expect(chat.page.locator(".chat-header")).to_contain_text("Resolved")
    chat.button("Continue this conversation").click()
    expect(chat.field).to_be_focused()
