"""Three browsers at once: two customers and an agent, with the lines between them cut and mended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from support_portal.devservices.environment import PROJECT_FOLDER
from tests.browser.chat import FIRST, LAST, LONG_QUESTION, QUESTION, WAIT_MS, Chat, Wire
from tests.browser.desk import Desk, conversation_of
from tests.stack import Stack

DESK_LINE = "**/ws/desk/"
NewDesk = Callable[..., Desk]


@pytest.fixture
def new_desk(chromium: Browser, site: Stack) -> Iterator[NewDesk]:
    contexts = []

    def make(**options: Any) -> Desk:
        contexts.append(chromium.new_context(locale="en-US", **options))
        return Desk(contexts[-1].new_page(), site)

    yield make
    for context in contexts:
        context.close()


def test_an_agent_takes_over_in_the_middle_of_an_answer(open_chat: Callable[..., Chat], new_desk: NewDesk) -> None:
    alice, amir, desk = open_chat(), open_chat(), new_desk().sign_in()
    alice.ask(LONG_QUESTION)
    # The list learns of it by itself, the pane shows the words while they are written.
    desk.open(alice)
    expect(desk.transcript).to_contain_text(FIRST, timeout=WAIT_MS)
    amir.ask(LONG_QUESTION)
    desk.take_over()
    expect(alice.page.locator(".chat-header")).to_contain_text("is here")
    alice.expect_state(alice.replies.first, "stopped")
    # Both type; each sees it.
    desk.press("r")
    desk.field.press_sequentially("Hello, I am here.")
    expect(alice.page.locator("[data-part=typing]")).to_contain_text("is writing")
    alice.field.press_sequentially("At last")
    expect(desk.page.locator("[data-part=typing]").last).to_contain_text("The customer is typing")
    desk.field.press("Enter")
    expect(alice.page.get_by_text("Hello, I am here.")).to_have_count(1)
    alice.field.press("Enter")
    expect(desk.transcript.get_by_text("At last")).to_have_count(1)
    # The other customer has kept the bot to the end, and the taken conversation has heard no more of it.
    amir.expect_state(amir.replies.first, "complete")
    expect(amir.replies.first).to_contain_text(LAST)
    assert LAST not in alice.page.locator("[data-part=list]").inner_text()
    expect(desk.row_of(amir)).to_be_visible()
    desk.hand_back(note="She asked for delivery times.")
    expect(desk.transcript.locator(".message-note")).to_contain_text("She asked for delivery times.")
    alice.ask_and_wait(QUESTION)
    assert "She asked for delivery times." not in alice.page.content()
    assert (alice.problems, amir.problems, desk.problems) == ([], [], [])


def test_nothing_is_missed_or_doubled_over_reconnects_of_each_side(
    open_chat: Callable[..., Chat], new_desk: NewDesk, site: Stack, chromium: Browser
) -> None:
    context = chromium.new_context(locale="en-US")
    customer_line = Wire(page := context.new_page())
    alice = Chat(page, site.url).open()
    desk = new_desk()
    desk_line = Wire(desk.page, DESK_LINE)
    desk.sign_in()
    alice.ask_and_wait(QUESTION)
    desk.open(alice).take_over()
    # The agent's line: what is said meanwhile comes later, once and in order.
    desk_line.cut()
    for words in ("first unheard", "second unheard"):
        alice.ask(words)
        expect(alice.own.filter(has_text=words)).to_have_attribute("data-state", "sent")
    desk_line.mend()
    expect(desk.transcript).to_contain_text("second unheard", timeout=WAIT_MS)
    assert [text for text in desk.texts("customer") if "unheard" in text] == ["first unheard", "second unheard"]
    # The customer's line.
    customer_line.cut()
    desk.say("said into the dark")
    expect(desk.transcript.locator(".is-unsent")).to_have_count(0)
    customer_line.mend()
    expect(alice.page.get_by_text("said into the dark")).to_have_count(1)
    # The agent's requests fail: the text stays, and goes out once when they get through.
    desk.page.route("**/messages/", lambda route: route.abort())
    desk.say("kept until there is a line")
    expect(desk.transcript.locator(".is-unsent")).to_contain_text("Not sent yet")
    desk.page.unroute("**/messages/")
    expect(desk.transcript.locator(".is-unsent")).to_have_count(0, timeout=WAIT_MS)
    expect(alice.page.get_by_text("kept until there is a line")).to_have_count(1)
    # Everything of the page is gone, and comes again.
    desk.page.reload()
    assert [text for text in desk.texts("agent") if text] == ["said into the dark", "kept until there is a line"]
    assert alice.problems == []
    context.close()


def test_an_answer_that_was_lost_on_its_way_back_is_sent_once(open_chat: Callable[..., Chat], new_desk: NewDesk) -> None:
    alice, desk = open_chat(), new_desk().sign_in()
    alice.ask_and_wait(QUESTION)
    desk.open(alice).take_over()

    def lose_answer(route: Any) -> None:
        route.fetch()
        route.abort()

    desk.page.route("**/messages/", lose_answer, times=1)
    desk.say("only once please")
    expect(alice.page.get_by_text("only once please")).to_have_count(1)
    expect(desk.transcript.locator(".is-unsent")).to_have_count(0, timeout=WAIT_MS)
    expect(desk.transcript.get_by_text("only once please")).to_have_count(1)


def test_two_agents_see_each_other_and_one_answers(open_chat: Callable[..., Chat], new_desk: NewDesk) -> None:
    alice, first, second = open_chat(), new_desk().sign_in("agent"), new_desk().sign_in("editor")
    alice.ask_and_wait(QUESTION)
    first.open(alice)
    second.open(alice)
    expect(first.state).to_contain_text("also here")
    first.take_over()
    expect(second.state).to_contain_text("answers")
    expect(second.field).not_to_be_editable()
    second.press("n")
    second.field.fill("@agent this one is my neighbour")
    second.field.press("Enter")
    expect(first.transcript.locator(".message-note")).to_contain_text("my neighbour")
    first.go("?queue=mentions")
    expect(first.row_of(alice)).to_be_visible()
    assert "neighbour" not in alice.page.content()


def test_a_request_that_nobody_takes_goes_back_and_says_so(
    open_chat: Callable[..., Chat], new_desk: NewDesk, site: Stack
) -> None:
    alice, desk = open_chat(), new_desk().sign_in(address="?queue=waiting")
    alice.ask_and_wait(QUESTION)
    alice.button("Talk to a person").click()
    alice.page.get_by_role("dialog").get_by_role("button", name="Ask for a person").click()
    expect(desk.row_of(alice)).to_be_visible()
    _sql(
        site,
        f"UPDATE conversations_conversation SET promised_until = now() - interval '1 s' WHERE id = '{conversation_of(alice)}'",
    )
    expect(alice.page.locator("[data-part=contact]")).to_be_visible(timeout=WAIT_MS)
    alice.page.get_by_label("E-mail address").fill("alice@example.org")
    alice.button("Leave address").click()
    # The queue lets the row go by itself, another one has it.
    desk.page.mouse.move(1200, 600)
    expect(desk.row_of(alice)).to_have_count(0, timeout=WAIT_MS)
    desk.go("?queue=contact")
    expect(desk.row_of(alice)).to_contain_text("E-mail left")
    desk.open(alice)
    expect(desk.page.locator(".desk-context")).to_contain_text("alice@example.org")


def _sql(site: Stack, statement: str) -> None:
    """Let time pass for one conversation, in the running product's own database."""
    code = f"from django.db import connection; connection.cursor().execute({statement!r})"
    command = [sys.executable, "-m", "support_portal.devservices.run", "--", sys.executable, "manage.py", "shell", "-c", code]
    subprocess.run(command, cwd=PROJECT_FOLDER, env=_environment(site), check=True, capture_output=True, timeout=120)


def _environment(site: Stack) -> dict[str, str]:

    own = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL", "SECRET_KEY"}}
    return own | {"DATA_DIR": str(site.data_dir), "PORT": str(site.port), "ENGINE": "scripted"}
