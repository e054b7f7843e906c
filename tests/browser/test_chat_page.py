"""What a customer does in a real browser, against the running site."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

from tests.browser.chat import ANSWER_PART, FIRST, LAST, LONG_QUESTION, PARTS, QUESTION, Chat, Wire

Open = Callable[..., Chat]


def test_a_question_is_answered_with_its_source(open_chat: Open) -> None:
    chat = open_chat()
    reply = chat.ask_and_wait(QUESTION)
    expect(chat.body(reply)).to_contain_text(ANSWER_PART)
    chat.expect_conversation_address()
    source = reply.get_by_role("list", name="Sources").get_by_role("link").first
    with chat.page.context.expect_page() as opened:
        source.click()
    help_page = opened.value
    expect(help_page.get_by_role("heading", level=1)).to_have_text(QUESTION)
    expect(help_page.locator("article")).to_contain_text(ANSWER_PART)
    assert chat.problems == []


def test_a_suggested_question_is_sent_by_its_button(open_chat: Open) -> None:
    chat = open_chat()
    suggestions = chat.page.get_by_role("group", name="Suggested questions").get_by_role("button")
    assert suggestions.count() == 4
    words = suggestions.first.inner_text()
    suggestions.first.click()
    expect(chat.own).to_have_text(re.compile(re.escape(words)))
    chat.expect_state(chat.replies.first, "complete")
    expect(suggestions.first).to_be_hidden()


def test_an_answer_grows_sentence_by_sentence_and_is_announced_once_as_a_whole(open_chat: Open) -> None:
    chat = open_chat()
    chat.ask(LONG_QUESTION)
    reply = chat.replies.first
    log = chat.page.get_by_role("log")
    expect(chat.body(reply)).to_contain_text(PARTS[1])
    assert LAST not in chat.body(reply).inner_text()
    assert (reply.get_attribute("aria-live"), log.get_attribute("aria-busy")) == ("off", "true")
    chat.expect_state(reply, "complete")
    expect(chat.page.locator("[data-part=announcer]")).to_contain_text(LAST)
    assert (reply.get_attribute("aria-live"), log.get_attribute("aria-busy"), log.get_attribute("aria-live")) == (
        None,
        "false",
        "polite",
    )
    for part in PARTS:
        assert chat.body(reply).inner_text().count(part) == 1


def test_a_reload_in_the_middle_of_an_answer_loses_nothing(open_chat: Open) -> None:
    chat = open_chat()
    chat.ask(LONG_QUESTION)
    expect(chat.body(chat.replies.first)).to_contain_text(FIRST)
    chat.page.reload()
    expect(chat.body(chat.replies.first)).to_contain_text(FIRST)
    chat.expect_state(chat.replies.first, "complete")
    expect(chat.body(chat.replies.first)).to_contain_text(LAST)
    assert (chat.own.count(), chat.replies.count()) == (1, 1)


def test_stop_ends_the_answer_and_try_again_writes_it_anew(open_chat: Open) -> None:
    chat = open_chat()
    chat.ask(LONG_QUESTION)
    expect(chat.body(chat.replies.first)).to_contain_text(FIRST)
    chat.button("Stop the answer").click()
    chat.expect_state(chat.replies.first, "stopped")
    expect(chat.replies.first).to_contain_text("You stopped this answer.")
    assert LAST not in chat.body(chat.replies.first).inner_text()
    expect(chat.button("Stop the answer")).to_be_hidden()
    chat.replies.first.get_by_role("button", name="Try again").click()
    chat.expect_state(chat.replies.first, "pending")
    chat.expect_state(chat.replies.first, "complete")
    expect(chat.body(chat.replies.first)).to_contain_text(LAST)
    assert (chat.own.count(), chat.replies.count()) == (1, 1)


def test_what_is_written_without_a_connection_survives_a_reload_and_is_sent_once(open_chat: Open) -> None:
    chat = open_chat()
    wire = Wire(chat.page)
    chat.page.reload()
    chat.ask_and_wait(QUESTION)
    wire.cut()
    chat.ask("Which frame size do I need?")
    expect(chat.own.nth(1)).to_contain_text("Not sent.")
    chat.page.reload()
    expect(chat.own.filter(has_text="Which frame size")).to_contain_text("Not sent.")
    wire.mend()
    chat.page.reload()
    chat.expect_state(chat.own.nth(1), "sent")
    chat.expect_state(chat.replies.nth(1), "complete")
    chat.page.reload()
    expect(chat.own).to_have_count(2)
    expect(chat.replies).to_have_count(2)


def test_a_lost_acknowledgement_doubles_nothing(open_chat: Open) -> None:
    chat = open_chat()
    wire = Wire(chat.page)
    chat.page.reload()
    wire.lose_next_accepted = True
    chat.ask(QUESTION)
    chat.expect_state(chat.own.first, "sent")
    chat.expect_state(chat.replies.first, "complete")
    chat.expect_conversation_address()
    chat.page.reload()
    expect(chat.own).to_have_count(1)
    expect(chat.replies).to_have_count(1)


def test_the_connection_line_tells_and_heals(open_chat: Open) -> None:
    chat = open_chat()
    wire = Wire(chat.page)
    chat.page.reload()
    chat.ask(LONG_QUESTION)
    expect(chat.body(chat.replies.first)).to_contain_text(FIRST)
    wire.cut()
    expect(chat.page.locator("[data-part=connection]")).to_contain_text(re.compile(r"Trying again in \d+ s\.|Connecting…"))
    expect(chat.replies.first).to_contain_text("The answer goes on as soon as you are connected.")
    wire.mend()
    chat.expect_state(chat.replies.first, "complete")
    expect(chat.page.locator("[data-part=connection]")).to_be_hidden()


def test_enter_of_an_input_method_does_not_send(open_chat: Open) -> None:
    chat = open_chat()
    chat.field.focus()
    keys = chat.page.context.new_cdp_session(chat.page)
    keys.send("Input.imeSetComposition", {"text": "yunfei", "selectionStart": 6, "selectionEnd": 6})
    chat.page.keyboard.press("Enter")
    assert chat.own.count() == 0
    # Safari: the composition has ended before its Enter arrives, which only keyCode 229 tells.
    chat.field.evaluate(
        "(field) => field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', keyCode: 229, bubbles: true }))"
    )
    assert chat.own.count() == 0
    chat.field.fill("运费多少钱？")
    chat.page.keyboard.press("Enter")
    expect(chat.own).to_contain_text("运费多少钱？")


def test_the_composer_grows_breaks_lines_counts_and_refuses_emptiness(open_chat: Open) -> None:
    chat = open_chat()
    expect(chat.button("Send")).to_be_disabled()
    chat.field.fill("   ")
    chat.field.press("Enter")
    expect(chat.button("Send")).to_be_disabled()
    chat.field.fill("one")
    chat.field.press("Shift+Enter")
    chat.field.press_sequentially("two")
    expect(chat.field).to_have_value("one\ntwo")
    assert chat.field.get_attribute("rows") == "2"
    chat.field.fill("line\n" * 30)
    assert chat.field.get_attribute("rows") == "8"
    chat.field.fill("x" * 3990)
    expect(chat.page.locator("[data-part=counter]")).to_have_text("10 characters left")
    chat.field.fill("x" * 4001)
    expect(chat.page.locator("[data-part=counter]")).to_have_text("1 character too many")
    chat.field.press("Enter")
    assert chat.own.count() == 0
    chat.field.fill("🚲" * 3999)
    expect(chat.page.locator("[data-part=counter]")).to_have_text("1 character left")


def test_a_draft_survives_a_reload(open_chat: Open) -> None:
    chat = open_chat()
    chat.field.fill("half a thou")
    chat.page.reload()
    expect(chat.field).to_have_value("half a thou")


def test_thumbs_down_asks_why_and_can_be_taken_back(open_chat: Open) -> None:
    chat = open_chat()
    reply = chat.ask_and_wait(QUESTION)
    bad = reply.get_by_role("button", name="Bad answer")
    bad.click()
    reply.get_by_text("Out of date").click()
    reply.get_by_label("Tell us more (optional)").fill("The price has changed.")
    reply.get_by_role("button", name="Send feedback").click()
    expect(reply).to_contain_text("Thank you, that helps us.")
    chat.page.reload()
    expect(bad).to_have_attribute("aria-pressed", "true")
    bad.click()
    expect(bad).to_have_attribute("aria-pressed", "false")
    reply.get_by_role("button", name="Good answer").click()
    reply.get_by_role("button", name="Undo").click()
    expect(reply.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "false")


def test_asking_for_a_person_explains_first_and_then_says_so(open_chat: Open) -> None:
    chat = open_chat()
    chat.button("Talk to a person").click()
    dialog = chat.page.get_by_role("dialog", name="Talk to a person")
    expect(dialog).to_contain_text("Write your question first")
    dialog.get_by_role("button", name="Back to the chat").click()
    chat.ask_and_wait(QUESTION)
    chat.button("Talk to a person").click()
    dialog.get_by_role("button", name="Ask for a person").click()
    expect(chat.page.locator("[data-part=waiting]")).to_contain_text("You asked for a person.")
    expect(chat.page.locator(".message-system")).to_have_count(1)
    chat.page.reload()
    expect(chat.page.locator("[data-part=waiting]")).to_be_visible()


def test_two_tabs_show_the_same_conversation(open_chat: Open) -> None:
    chat = open_chat()
    chat.ask_and_wait(QUESTION)
    chat.expect_conversation_address()
    other = Chat(chat.page.context.new_page(), chat.url).open(chat.conversation_path)
    expect(other.own).to_have_count(1)
    other.ask_and_wait("Which frame size do I need?")
    expect(chat.own).to_have_count(2)
    chat.expect_state(chat.replies.nth(1), "complete")


def test_new_text_is_followed_only_at_the_end(open_chat: Open) -> None:
    chat = open_chat(viewport={"width": 700, "height": 420})
    for question in (QUESTION, "Which frame size do I need?", "How long do I have to return something?"):
        chat.ask_and_wait(question)
    pane = chat.page.locator("[data-part=pane]")
    assert pane.evaluate("(pane) => pane.scrollHeight - pane.scrollTop - pane.clientHeight") <= 2
    pane.evaluate("(pane) => { pane.scrollTop = 0; }")
    expect(chat.button("Latest")).to_be_visible()
    chat.expect_conversation_address()
    other = Chat(chat.page.context.new_page(), chat.url).open(chat.conversation_path)
    other.ask_and_wait("How do I book a repair or service?")
    expect(chat.replies).to_have_count(4)
    assert pane.evaluate("(pane) => pane.scrollTop") == 0
    chat.button("New messages").click()
    expect(chat.replies.nth(3)).to_be_in_viewport()
    expect(chat.page.locator(".log-line.is-unread")).to_have_count(1)


def test_own_conversations_are_listed_and_open_again(open_chat: Open) -> None:
    chat = open_chat(viewport={"width": 1280, "height": 800})
    chat.ask_and_wait(QUESTION)
    chat.page.get_by_role("link", name="New conversation").click()
    expect(chat.own).to_have_count(0)
    mine = chat.page.get_by_role("navigation", name="Your conversations").get_by_role(
        "link", name=re.compile(re.escape(QUESTION))
    )
    mine.click()
    expect(chat.own).to_contain_text(QUESTION)
    expect(mine).to_have_attribute("aria-current", "page")


def test_a_strangers_conversation_is_not_there(open_chat: Open, context: BrowserContext) -> None:
    alice = open_chat()
    alice.ask_and_wait(QUESTION)
    alice.expect_conversation_address()
    response = context.new_page().goto(alice.page.url)
    assert response is not None
    assert response.status == 404
