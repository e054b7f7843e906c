"""Every task of the desk by keyboard, and no violation found by axe in any of its states, light and dark."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.chat import ANSWER_PART, QUESTION, WAIT_MS, Chat
from tests.browser.desk import Desk, conversation_of
from tests.stack import Stack

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def faults(page: Page) -> list[str]:
    """What axe finds, and whether the page is wider than its window."""
    found = [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in Axe().run(page, options=RULES)["violations"]]
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found + ([f"{too_wide} px too wide"] if too_wide else [])


@pytest.fixture
def desk(chromium: Browser, site: Stack) -> Desk:
    return Desk(chromium.new_context(locale="en-US").new_page(), site)


def test_every_task_by_keyboard(desk: Desk, open_chat: Callable[..., Chat]) -> None:
    alice = open_chat()
    alice.ask_and_wait(QUESTION)
    page, key = desk.sign_in().page, desk.press
    # Find and open.
    key("j")
    expect(desk.row_of(alice).locator("a")).to_be_focused()
    key("Enter")
    expect(desk.transcript).to_contain_text(ANSWER_PART)
    key("m")
    expect(page.locator(".why-body").first).to_contain_text("FAQs found, best first")
    key("m")
    # Take over, write, note.
    desk.take_over()
    desk.say("By keyboard alone")
    expect(alice.page.get_by_text("By keyboard alone")).to_have_count(1)
    key("n")
    page.keyboard.type("A note")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("of two lines")
    page.keyboard.press("Enter")
    expect(desk.transcript.locator(".message-note")).to_contain_text("of two lines")
    page.keyboard.press("Escape")
    # Mark.
    key("p")
    page.keyboard.type("urg")
    page.keyboard.press("Enter")
    expect(desk.state).to_contain_text("Urgent")
    key("z")
    expect(desk.state).not_to_contain_text("Urgent")
    key("l")
    page.keyboard.type("keyboard")
    page.keyboard.press("Enter")
    expect(desk.state).to_contain_text("keyboard")
    # Give on, take back.
    key("a")
    page.keyboard.type("editor")
    page.keyboard.press("Enter")
    expect(desk.toast).to_contain_text("Assigned to")
    expect(desk.state).not_to_contain_text("You answer")
    key("z")
    expect(desk.state).to_contain_text("You answer")
    key("o")
    expect(desk.state).to_contain_text("Waiting")
    desk.take_over()
    desk.hand_back()
    key("e")
    expect(desk.state).to_contain_text("Resolved")
    key("e")
    expect(desk.state).to_contain_text("You answer")
    # Lists.
    key("8")
    expect(page).to_have_url(re.compile("queue=all"))
    page.wait_for_load_state()  # the address stands before the keys work
    key("j")
    key("x")
    expect(page.get_by_role("toolbar", name="For the selected conversations")).to_contain_text("1 selected")
    key("e")
    expect(desk.row_of(alice)).to_contain_text("Resolved")
    key("z")
    expect(desk.row_of(alice)).to_contain_text("You")
    key("Escape")
    key("f")
    expect(page.get_by_label("Language")).to_be_visible()
    key("s")
    page.keyboard.type("My list")
    page.keyboard.press("Enter")
    expect(page.get_by_role("navigation", name="Lists of conversations").get_by_role("link", name="My list")).to_be_visible()
    key("?")
    expect(page.get_by_role("dialog", name="All keys")).to_contain_text("Hand back to the bot")
    page.keyboard.press("Escape")
    key("/")
    page.keyboard.type("keyboard alo")
    page.keyboard.press("Enter")
    expect(desk.row_of(alice)).to_contain_text("By keyboard alone")
    expect(page.locator("mark").first).to_have_text("keyboard")
    assert desk.problems == []


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
def test_no_state_of_the_desk_shuts_anybody_out(
    chromium: Browser, site: Stack, open_chat: Callable[..., Chat], width: int, scheme: str
) -> None:
    alice = open_chat()
    alice.ask_and_wait(QUESTION)
    context = chromium.new_context(
        locale="en-US", viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    desk = Desk(context.new_page(), site).sign_in()
    page = desk.page
    assert faults(page) == [], "list"
    desk.open(alice)
    page.locator(".why > summary").first.click()
    assert faults(page) == [], "conversation"
    desk.take_over()
    desk.press("n")
    desk.field.fill("For colleagues")
    assert faults(page) == [], "writing a note"
    desk.field.press("Enter")
    expect(desk.transcript.locator(".message-note")).to_contain_text("For colleagues", timeout=WAIT_MS)
    assert faults(page) == [], "note and notice"
    for key, name in (("a", "assign"), ("b", "hand back"), ("?", "keys")):
        desk.press(key)
        expect(page.get_by_role("dialog")).to_be_visible()
        assert faults(page) == [], name
        page.keyboard.press("Escape")
    desk.press("e")
    expect(desk.state).to_contain_text("Resolved")
    assert conversation_of(alice) in page.url and faults(page) == [], "resolved"
    assert desk.problems == []
    context.close()
