"""The end of a conversation as a customer sees it: points, a copy to take along, everything by keyboard and for everyone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.chat import ANSWER_PART, QUESTION, Chat
from tests.browser.test_chat_access import findings

Open = Callable[..., Chat]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
def test_ending_rating_and_writing_again(open_chat: Open, width: int, scheme: str) -> None:
    chat = open_chat(viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
    menu = chat.page.locator("[data-part=menu]")
    expect(menu).to_be_hidden()
    chat.ask_and_wait(QUESTION)
    menu.locator("summary").press("Enter")
    assert findings(chat.page) == []
    chat.button("End the conversation").press("Enter")
    scale = chat.page.locator(".satisfaction")
    expect(scale).to_be_visible()
    assert findings(chat.page) == []
    scale.get_by_label("4 of 5, good").focus()
    chat.page.keyboard.press("Space")
    expect(scale.get_by_text("Thank you")).to_be_visible()
    scale.get_by_label("Tell us more").fill("Quick and right.")
    scale.get_by_role("button", name="Send comment").click()
    assert findings(chat.page) == []
    chat.page.reload()
    expect(scale.get_by_label("4 of 5, good")).to_be_checked()
    scale.get_by_label("4 of 5, good").focus()
    chat.page.keyboard.press("ArrowRight")
    expect(scale.get_by_label("5 of 5, very good")).to_be_checked()
    chat.ask_and_wait(QUESTION)
    expect(scale).to_be_hidden()
    assert chat.problems == []


def test_a_copy_to_take_along(open_chat: Open) -> None:
    chat = open_chat()
    chat.ask_and_wait(QUESTION)
    chat.page.locator("[data-part=menu] summary").click()
    with chat.page.expect_download() as download:
        chat.page.get_by_role("link", name="Download the conversation").click()
    assert ANSWER_PART in download.value.path().read_text(encoding="utf-8-sig")
    chat.page.locator("[data-part=menu] summary").click()
    chat.button("Send it by e-mail").click()
    expect(chat.page.get_by_text("This site cannot send e-mail.")).to_be_visible()
    chat.page.get_by_role("dialog").get_by_role("button", name="Back to the chat").click()
    chat.page.goto(f"{chat.page.url}transcript/")
    expect(chat.page.get_by_role("heading", name="Conversation with Larkwheel")).to_be_visible()
    expect(chat.page.get_by_role("button", name="Print")).to_be_visible()
    assert chat.problems == []
