"""Judging, correcting and canned replies in a real browser, by keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.chat import QUESTION, Chat
from tests.stack import Stack

WAIT_MS = 20_000
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def desk(chromium: Browser, site: Stack) -> Iterator[tuple[Page, str]]:
    """A conversation, answered by the bot, opened at the desk by an administrator."""
    customer = chromium.new_context(locale="en-US")
    chat = Chat(customer.new_page(), site.url).open()
    chat.ask_and_wait(QUESTION)
    address = site.url + chat.conversation_path.replace("/chat/", "/desk/")
    context = chromium.new_context(locale="en-US", color_scheme="dark", viewport={"width": 1280, "height": 900})
    page, problems = context.new_page(), []
    page.set_default_timeout(WAIT_MS)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(site.url + "/desk/")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(site.accounts["admin"]["password"])
    page.keyboard.press("Enter")
    expect(page).to_have_url(site.url + "/desk/")
    page.goto(address)
    yield page, site.url
    assert problems == []
    customer.close()
    context.close()


def _faults(page: Page) -> list[str]:
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:160]}" for rule in Axe().run(page, options=RULES)["violations"]]


def test_an_answer_is_judged_taken_back_and_corrected_by_keyboard(desk: tuple[Page, str]) -> None:
    page, url = desk
    page.locator(".why > summary").first.click()
    page.get_by_role("link", name="Review this answer").first.click()
    expect(page).to_have_url(re.compile(r"/review/\d+/$"))
    address = page.url
    assert _faults(page) == []
    page.keyboard.press("w")
    expect(page.get_by_role("status").first).to_contain_text("Marked “Wrong”")
    page.wait_for_load_state()  # the notice stands before the keys work
    page.keyboard.press("z")
    expect(page.get_by_role("status").first).to_contain_text("taken back")
    expect(page).to_have_url(re.compile(re.escape(address)))
    page.keyboard.press("c")
    field = page.get_by_label("The better answer")
    expect(field).to_be_focused()
    field.fill("Delivery within Singapore costs S$4.90.")
    assert _faults(page) == []
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("status").first).to_contain_text("Corrected.")
    page.goto(address)
    expect(page.get_by_text("has corrected it")).to_be_visible()


def test_the_slash_menu_puts_a_canned_reply_into_the_message(desk: tuple[Page, str]) -> None:
    page, url = desk
    address = page.url
    page.goto(url + "/desk/canned/add/")
    page.get_by_label("Shortcut").fill("salute")
    page.get_by_label("Title").fill("Greeting")
    page.get_by_role("textbox", name="Text").fill("Hello {customer_name|there}, how can I help?")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("cell", name="/salute")).to_be_visible()
    page.goto(address)
    field = page.locator("#desk-field")
    field.press("/")
    offered = page.locator("#assist-canned-list [role=option]")
    expect(offered.first).to_be_visible()
    page.keyboard.type("salu")
    expect(offered).to_have_count(1)
    assert _faults(page) == []
    page.keyboard.press("Enter")
    expect(field).to_have_value("Hello there, how can I help?")
    expect(page.get_by_role("listbox", name="Canned replies")).to_be_hidden()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(field).to_have_value("")
