"""The chat page as its reader uses it: by roles and words where there are any, never by frames."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from chatbot.answering.composing import MAX_SENTENCES
from tests.stack import SENTENCES, SEVERAL_QUESTIONS

# Composed by the model, and the tests' engine writes SENTENCES slowly.
LONG_QUESTION = SEVERAL_QUESTIONS
PARTS = [sentence.split(" of ")[0] for sentence in SENTENCES[:MAX_SENTENCES]]
FIRST, LAST = PARTS[0], PARTS[-1]
QUESTION = "How much does delivery cost?"
ANSWER_PART = "S$4.90"
WAIT_MS = 20_000


class Chat:
    """One open chat page. `problems` gathers script errors and everything the browser's console complains about."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.problems: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: self.problems.append(message.text) if message.type in ("error", "warning") else None)

    def open(self, path: str = "/chat/") -> Chat:
        self.page.goto(self.url + path)
        expect(self.field).to_be_visible()
        return self

    @property
    def field(self) -> Locator:
        return self.page.locator("#composer-field")

    @property
    def replies(self) -> Locator:
        return self.page.locator(".message-reply")

    @property
    def own(self) -> Locator:
        return self.page.locator(".message-customer")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def ask(self, text: str) -> None:
        self.field.fill(text)
        self.field.press("Enter")

    def ask_and_wait(self, text: str) -> Locator:
        """Ask, wait for the end of the answer; returns the reply."""
        before = self.replies.count()
        self.ask(text)
        reply = self.replies.nth(before)
        self.expect_state(reply, "complete")
        return reply

    @staticmethod
    def body(reply: Locator) -> Locator:
        return reply.locator("[data-slot=body]")

    @staticmethod
    def expect_state(message: Locator, state: str) -> None:
        expect(message).to_have_attribute("data-state", state, timeout=WAIT_MS)

    def expect_conversation_address(self) -> None:
        expect(self.page).to_have_url(re.compile(r"/chat/[0-9a-f-]{36}/$"))

    @property
    def conversation_path(self) -> str:
        return self.page.url.removeprefix(self.url)


class Wire:
    """The line between a page and the server, which a test can cut, or through which it can lose what the server says."""

    def __init__(self, page: Page, path: str = "**/ws/chat/") -> None:
        self.is_cut = False
        self.lose_next_accepted = False
        self._routes: list[WebSocketRoute] = []
        page.route_web_socket(path, self._connected)

    def cut(self) -> None:
        self.is_cut = True
        self._close_all()

    def mend(self) -> None:
        self.is_cut = False

    def _connected(self, route: WebSocketRoute) -> None:
        if self.is_cut:
            route.close()
            return
        server = route.connect_to_server()
        self._routes.append(route)
        server.on_message(lambda frame: self._from_server(route, frame))

    def _from_server(self, route: WebSocketRoute, frame: str | bytes) -> None:
        if self.lose_next_accepted and '"message.accepted"' in str(frame):
            self.lose_next_accepted = False
            self._close_all()
        else:
            route.send(frame)

    def _close_all(self) -> None:
        routes, self._routes = self._routes, []
        for route in routes:
            route.close()
