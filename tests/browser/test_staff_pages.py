"""The staff's pages in a real browser: found by keyboard, readable by everyone, with nothing in the console."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.chat import QUESTION, Chat
from tests.stack import Stack

WAIT_MS = 20_000
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
PAGES = [
    *["/desk/", "/desk/?queue=all&q=delivery&unread=1", "/faqs/", "/faqs/add/", "/faqs/import/"],
    *["/people/", "/people/add/", "/accounts/password/"],
    *["/people/teams/", "/people/teams/add/", "/people/audit/", "/accounts/", "/accounts/reauthenticate/"],
    *["/faqs/try/", "/faqs/questions/", "/faqs/questions/add/", "/faqs/changes/", "/faqs/gaps/"],
    *["/insights/", "/insights/export/"],
    *["/review/", "/review/?state=asked", "/review/agreement/", "/desk/canned/", "/desk/canned/add/"],
]
NewContext = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def asked(chromium: Browser, stack: Stack) -> None:
    """A customer has asked QUESTION and got the answer."""
    context = chromium.new_context(locale="en-US")
    Chat(context.new_page(), stack.url).open().ask_and_wait(QUESTION)
    context.close()


@pytest.fixture
def new_context(chromium: Browser) -> Iterator[NewContext]:
    contexts: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        contexts.append(chromium.new_context(locale="en-US", **options))
        return contexts[-1]

    yield make
    for context in contexts:
        context.close()


def _signed_in(context: BrowserContext, site: Stack, username: str) -> tuple[Page, list[str]]:
    """A staff member's page, and what its console complains about."""
    page, problems = context.new_page(), []
    page.set_default_timeout(WAIT_MS)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.goto(site.url + "/desk/")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(site.accounts[username]["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(site.url + "/desk/")
    return page, problems


def _faults(page: Page) -> list[str]:
    """What axe finds, and whether the page is wider than its window."""
    found = [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in Axe().run(page, options=RULES)["violations"]]
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found + ([f"{too_wide} px too wide"] if too_wide else [])


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (768, "dark"), (1440, "light")])
def test_every_page_is_accessible_and_fits(site: Stack, asked: None, new_context: NewContext, width: int, scheme: str) -> None:
    context = new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page, problems = _signed_in(context, site, "admin")
    page.goto(site.url + "/desk/?queue=all")
    page.get_by_role("main").get_by_role("link", name=QUESTION).first.click()
    page.locator(".why > summary").first.click()
    assert _faults(page) == []
    page.goto(site.url + "/faqs/")
    page.locator(".faq-table a").first.click()
    assert _faults(page) == []
    page.get_by_role("link", name="History").click()
    assert _faults(page) == []
    for path in PAGES:
        page.goto(site.url + path)
        assert _faults(page) == [], path
    assert problems == []


def test_on_a_phone_the_rooms_are_a_menu_even_without_scripts(site: Stack, new_context: NewContext) -> None:
    page, _ = _signed_in(new_context(viewport={"width": 390, "height": 800}, java_script_enabled=False), site, "admin")
    page.goto(site.url + "/desk/")
    header, rooms = page.locator(".page-header").bounding_box(), page.get_by_role("navigation", name="Main")
    assert header is not None and header["height"] < 60
    expect(rooms).to_be_hidden()
    for _ in range(3):  # past the skip link and the company
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Menu")).to_be_focused()
    page.keyboard.press("Enter")
    expect(rooms.get_by_role("link")).to_have_count(7)
    expect(rooms.get_by_role("link", name="Conversations")).to_have_attribute("aria-current", "page")
    page.keyboard.press("Escape")
    expect(rooms).to_be_hidden()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(site.url + "/faqs/")


def test_an_editor_sees_the_answer_while_writing_it(site: Stack, new_context: NewContext) -> None:
    page, problems = _signed_in(new_context(), site, "editor")
    expect(page.get_by_role("link", name="People")).to_have_count(0)
    page.goto(site.url + "/faqs/add/")
    page.get_by_role("textbox", name="Answer").fill("It costs **S$5**. <b>No</b>")
    expect(page.locator("#preview strong")).to_have_text("S$5")
    expect(page.locator("#preview")).to_contain_text("<b>No</b>")
    page.get_by_label("Question").fill("What does a sticker cost?")
    page.get_by_label("Key").fill("sticker-price")
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_role("status").first).to_contain_text("It is a draft")
    assert problems == []


def test_an_editor_is_warned_saves_by_keyboard_and_loses_nothing(site: Stack, new_context: NewContext) -> None:
    page, problems = _signed_in(new_context(), site, "editor")
    page.goto(site.url + "/faqs/?status=published&locale=en")
    known = page.locator(".faq-table tbody a").first
    question = known.inner_text()
    known.click()
    answer = page.get_by_role("textbox", name="Answer")
    answer.fill(answer.input_value() + "\n\nAlso on Sundays.")
    expect(page.locator("[data-unsaved]")).to_have_text("Not saved yet")
    page.keyboard.press("Control+s")
    expect(page.get_by_role("status").first).to_contain_text("Saved, not published")
    expect(page.locator("[data-unsaved]")).to_have_text("")
    assert _faults(page) == []
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Drop the change").click()
    expect(page.get_by_role("status").first).to_contain_text("The unpublished change is dropped")
    page.goto(site.url + "/faqs/add/")
    page.get_by_label("Question").fill(question)
    expect(page.locator(".near .badge").first).to_have_text("Near-duplicate")
    assert _faults(page) == []
    # The scripted model writes sentences about delivery, which are no phrasings: the page says so.
    page.get_by_role("button", name="Suggest phrasings").click()
    expect(page.locator("[data-suggestions] [role=status]")).to_contain_text("Nothing usable this time", timeout=WAIT_MS)
    assert problems == []


def test_many_at_once_by_tick_and_confirmation(site: Stack, new_context: NewContext) -> None:
    page, problems = _signed_in(new_context(), site, "editor")
    page.goto(site.url + "/faqs/?order=question")
    expect(page.locator(".bulk-bar")).to_be_hidden()
    ticks = page.locator("tbody input[name=faq]")
    ticks.nth(0).check()
    ticks.nth(2).click(modifiers=["Shift"])
    expect(page.locator("[data-count]")).to_have_text("3 ticked:")
    page.get_by_role("button", name="Category …").click()
    expect(page.get_by_role("heading", name="Change the category of 3 FAQs")).to_be_visible()
    assert _faults(page) == []
    page.get_by_label("Category").fill("Spring")
    page.get_by_role("button", name="Change the category").click()
    expect(page.get_by_role("status").first).to_contain_text("3 FAQs moved to the category.")
    assert problems == []
