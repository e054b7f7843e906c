"""The desk as an agent uses it: by keys, roles and words."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.chat import Chat
from tests.stack import Stack

WAIT_MS = 20_000


class Desk:
    """One agent's desk. `problems` gathers script errors and everything the browser's console complains about."""

    def __init__(self, page: Page, site: Stack) -> None:
        self.page, self.site = page, site
        self.problems: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: self.problems.append(message.text) if message.type in ("error", "warning") else None)

    def sign_in(self, username: str = "agent", *, address: str = "?queue=all") -> Desk:
        self.page.goto(self.site.url + "/desk/")
        self.page.get_by_label("User name").fill(username)
        self.page.get_by_label("Password").fill(self.site.accounts[username]["password"])
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        expect(self.page).to_have_url(re.compile("/desk/"))
        return self.go(address)

    def go(self, address: str) -> Desk:
        self.page.goto(f"{self.site.url}/desk/{address}")
        return self

    def row_of(self, chat: Chat) -> Locator:
        return self.page.locator(f'.row-item[data-id="{conversation_of(chat)}"]')

    def open(self, chat: Chat) -> Desk:
        """Choose the customer's conversation from the list; it must be there without a reload."""
        self.row_of(chat).locator("a").click()
        expect(self.page).to_have_url(re.compile(conversation_of(chat)))
        expect(self.pane).to_be_visible()
        return self

    @property
    def pane(self) -> Locator:
        return self.page.locator(".conversation-pane")

    @property
    def state(self) -> Locator:
        return self.page.locator(".conversation-state")

    @property
    def transcript(self) -> Locator:
        return self.page.locator(".transcript")

    @property
    def toast(self) -> Locator:
        return self.page.locator("[data-part=toast]")

    @property
    def field(self) -> Locator:
        return self.page.locator("#desk-field")

    def press(self, key: str) -> None:
        """A key of the desk: pressed outside of any field."""
        self.page.evaluate("document.activeElement?.matches('input, textarea, select') && document.activeElement.blur()")
        self.page.keyboard.press(key)

    def say(self, text: str) -> None:
        self.press("r")
        expect(self.field).to_be_focused()
        self.field.press_sequentially(text)
        self.field.press("Enter")

    def take_over(self) -> None:
        self.press("t")
        expect(self.state).to_contain_text("You answer")

    def hand_back(self, note: str = "") -> None:
        self.press("b")
        if note:
            self.page.get_by_label("Note for colleagues, if there is something to know").fill(note)
        self.page.get_by_role("dialog").get_by_role("button", name="Hand back").click()
        expect(self.state).to_contain_text("The bot answers")

    def texts(self, role: str) -> list[str]:
        """What this side has said, top to bottom, as the pane shows it."""
        return self.transcript.locator(f".message-{role} .message-text").all_inner_texts()


def conversation_of(chat: Chat) -> str:
    chat.expect_conversation_address()
    return chat.page.url.rstrip("/").rsplit("/", 1)[1]
