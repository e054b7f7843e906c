"""A real Chromium before the real product. `make test` finds or installs the browser and names it in CHROMIUM."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.chat import Chat
from tests.stack import Stack

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: Playwright keeps this thread's event loop running, and no other test could start one."""
    items.sort(key=lambda item: "chromium" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
    assert path, "Chromium was not found. Run `make browser`, which finds or installs it, or set CHROMIUM to its path."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def site(stack: Stack) -> Stack:
    """The running product; faults of other tests are over."""
    stack.wait_until_ready()
    return stack


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A customer's browser with an empty profile."""
    fresh = chromium.new_context(locale="en-US")
    yield fresh
    fresh.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def open_chat(chromium: Browser, site: Stack) -> Iterator[Callable[..., Chat]]:
    """Open the chat page as a new visitor; takes what a browser context takes (viewport, locale, color_scheme ...)."""
    contexts = []

    def open_page(path: str = "/chat/", **options: Any) -> Chat:
        contexts.append(chromium.new_context(**{"locale": "en-US", **options}))
        return Chat(contexts[-1].new_page(), site.url).open(path)

    yield open_page
    for fresh in contexts:
        fresh.close()
