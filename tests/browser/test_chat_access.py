"""The chat page for everybody: keyboard, screen reader, small and dark screens, Chinese; and under its strict policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.chat import LONG_QUESTION, QUESTION, Chat

Open = Callable[..., Chat]
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()


def findings(page: Page) -> list[Any]:
    """What axe and the contrast check find on the page as it stands."""
    page.wait_for_function(
        "document.getAnimations().every((one) => one.playState !== 'running' || one.effect.getTiming().iterations > 9)"
    )
    violations = Axe().run(page)["violations"]
    return [(found["id"], [node["target"] for node in found["nodes"]]) for found in violations] + page.evaluate(CONTRAST)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_findings_in_any_state_of_the_page(open_chat: Open, scheme: str) -> None:
    chat = open_chat(color_scheme=scheme, bypass_csp=True, viewport={"width": 1280, "height": 800})
    assert findings(chat.page) == []
    reply = chat.ask_and_wait(QUESTION)
    reply.get_by_role("button", name="Bad answer").click()
    expect(reply.get_by_role("button", name="Send feedback")).to_be_visible()
    chat.ask(LONG_QUESTION)
    chat.expect_state(chat.replies.nth(1), "pending")
    assert findings(chat.page) == []
    chat.expect_state(chat.replies.nth(1), "complete")
    chat.button("Talk to a person").click()
    assert findings(chat.page) == []
    chat.button("Ask for a person").click()
    expect(chat.page.locator("[data-part=waiting]")).to_be_visible()
    chat.page.set_viewport_size({"width": 320, "height": 640})
    assert findings(chat.page) == []
    chat.button("Your conversations").click()
    assert findings(chat.page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_findings_on_a_help_page_and_on_a_missing_page(open_chat: Open, scheme: str) -> None:
    chat = open_chat(color_scheme=scheme, bypass_csp=True)
    source = chat.ask_and_wait(QUESTION).get_by_role("list", name="Sources").get_by_role("link").first
    chat.page.goto(chat.url + str(source.get_attribute("href")))
    assert findings(chat.page) == []
    chat.page.goto(f"{chat.url}/help/there-is-no-such-page/")
    expect(chat.page.get_by_role("heading", name="Page not found")).to_be_visible()
    assert findings(chat.page) == []


def test_a_keyboard_is_enough(open_chat: Open) -> None:
    chat = open_chat(viewport={"width": 1280, "height": 800})
    keys = chat.page.keyboard
    chat.page.get_by_role("link", name="Skip to the content").focus()
    keys.press("Enter")
    expect(chat.page.get_by_role("main")).to_be_focused()
    keys.press("Tab")
    expect(chat.page.locator("[data-part=pane]")).to_be_focused()
    keys.press("Tab")
    expect(chat.button(QUESTION)).to_be_focused()
    keys.press("Enter")
    expect(chat.field).to_be_focused()
    reply = chat.replies.first
    chat.expect_state(reply, "complete")
    reply.get_by_role("button", name="Bad answer").focus()
    keys.press("Space")
    keys.press("Tab")
    keys.press("Tab")
    expect(reply.get_by_label("Incorrect")).to_be_focused()
    keys.press("ArrowDown")
    expect(reply.get_by_label("Incomplete")).to_be_checked()
    reply.get_by_role("button", name="Send feedback").focus()
    keys.press("Enter")
    expect(reply.get_by_role("button", name="Undo")).to_be_focused()
    keys.press("Enter")
    expect(reply.get_by_role("button", name="Bad answer")).to_be_focused()
    expect(reply.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "false")


def test_dialogs_take_and_give_back_the_focus(open_chat: Open) -> None:
    chat = open_chat(viewport={"width": 700, "height": 700})
    for opener, dialog in (("Talk to a person", "Talk to a person"), ("Your conversations", "Your conversations")):
        chat.button(opener).focus()
        chat.page.keyboard.press("Enter")
        shown = chat.page.get_by_role("dialog", name=dialog)
        expect(shown).to_be_visible()
        assert shown.evaluate("(dialog) => dialog.contains(document.activeElement)")
        chat.page.keyboard.press("Escape")
        expect(shown).to_be_hidden()
        expect(chat.button(opener)).to_be_focused()


def test_the_policy_is_strict_and_nothing_breaks_it(open_chat: Open) -> None:
    chat = open_chat()
    chat.page.add_init_script(
        "addEventListener('securitypolicyviolation', (event) => { (window.broken ??= []).push(event.violatedDirective); })"
    )
    response = chat.page.reload()
    assert response is not None
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'self'" in policy
    reply = chat.ask_and_wait(QUESTION)
    reply.get_by_role("button", name="Bad answer").click()
    reply.get_by_role("button", name="Copy the answer").click()
    chat.button("Talk to a person").click()
    chat.page.keyboard.press("Escape")
    chat.ask_and_wait(LONG_QUESTION)
    assert chat.page.evaluate("window.broken") is None
    assert chat.page.locator("[style]").count() == 0
    assert chat.problems == []


def test_nothing_is_wider_than_a_small_phone(open_chat: Open) -> None:
    chat = open_chat(viewport={"width": 320, "height": 640}, is_mobile=True, has_touch=True)
    chat.ask_and_wait("Donaudampfschifffahrtsgesellschaftskapitän" * 6)
    chat.ask_and_wait(QUESTION)
    chat.replies.last.get_by_role("button", name="Bad answer").click()
    assert chat.page.evaluate("document.documentElement.scrollWidth") <= 320
    pane = chat.page.locator("[data-part=pane]")
    assert pane.evaluate("(pane) => pane.scrollWidth <= pane.clientWidth")
    small = chat.page.evaluate(
        """() => [...document.querySelectorAll("button, .source, .chip")]
            .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44)
            .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert small == []


def test_reduced_motion_moves_nothing(open_chat: Open) -> None:
    chat = open_chat(reduced_motion="reduce")
    chat.ask(LONG_QUESTION)
    expect(chat.body(chat.replies.first)).to_contain_text("Part beta")
    running = chat.replies.first.evaluate("(reply) => reply.getAnimations({ subtree: true }).map((one) => one.animationName)")
    assert running == []


def test_the_interface_is_chinese_for_a_chinese_browser(open_chat: Open) -> None:
    chat = open_chat(locale="zh-CN")
    page = chat.page
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    expect(page.get_by_role("button", name="转人工")).to_be_visible()
    field = page.get_by_label("您的消息")
    field.fill("运费多少钱？")
    field.press("Enter")
    chat.expect_state(chat.replies.first, "complete")
    expect(page.locator(".log-line").first).to_have_text("今天")
    expect(chat.replies.first.get_by_role("button", name="复制回答")).to_be_visible()
    page.get_by_role("button", name="转人工").click()
    page.get_by_role("button", name="请求人工客服").click()
    expect(page.locator("[data-part=waiting]")).to_contain_text("您已请求人工客服")
    expect(page.locator(".message-system")).to_contain_text("已通知我们的客服人员")


def test_without_script_the_page_says_what_is_missing(open_chat: Open) -> None:
    """Chromium parses <noscript> as text even where scripts are switched off for a test, so only its words can be checked."""
    chat = open_chat()
    assert "The chat needs JavaScript." in str(chat.page.locator("noscript").text_content())
