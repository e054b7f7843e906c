"""The whole loop of feedback as an administrator does it, in a real browser, on a live worker; how long does each step take?

    python benchmarks/learning_browser.py --model FOLDER --tiny                       # random weights: 6 minutes on 2 cores
    python benchmarks/learning_browser.py --model FOLDER --minutes 8 --shots shots    # those weights

A customer asks and says that the answer did not help; an administrator corrects it, has examples gathered, approves them, builds
a dataset, trains, compares, promotes (over the gate, with a written reason, where it refuses), asks again and rolls back. The
rest of the month's feedback is invented. Target: every step works, and each new answer names the version that was live.
--shots FOLDER keeps a picture of each step: 1440 pixels wide and light, 390 and dark.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

from benchmarks.learning_stack import product, tiny_like  # noqa: E402
from tests.browser.chat import Chat  # noqa: E402
from tests.browser.conftest import FLAGS  # noqa: E402
from tests.stack import SEVERAL_QUESTIONS, Stack  # noqa: E402

PROMPT_MS = 30_000


class Loop:
    """One administrator at the desk and one customer in the chat. steps: seconds of each step so far."""

    def __init__(self, browser: Browser, stack: Stack, *, shots: Path | None, patience_s: float) -> None:
        self.stack, self.shots = stack, shots
        self.patience_ms = patience_s * 1000
        self.steps: dict[str, float] = {}
        self.problems: list[str] = []
        self._begun = time.monotonic()
        self._customers = browser.new_context(locale="en-US")
        self.page = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US").new_page()
        self._sign_in(self.page)
        state = self.page.context.storage_state()
        self.phone = browser.new_context(
            viewport={"width": 390, "height": 844}, color_scheme="dark", storage_state=state, locale="en-US"
        ).new_page()

    def _sign_in(self, page: Page) -> None:
        page.set_default_timeout(PROMPT_MS)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.goto(self.stack.url + "/releases/")
        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password").fill(self.stack.accounts["admin"]["password"])
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Versions", exact=True)).to_be_visible()

    def done(self, step: str) -> None:
        """Note a step's seconds and keep its pictures, which do not count."""
        self.steps[step] = round(time.monotonic() - self._begun, 1)
        print(f"  {step:<44} {self.steps[step]:>7.1f} s", flush=True)
        if self.shots:
            name = f"{len(self.steps):02}-{re.sub('[^a-z]+', '-', step.lower())}"
            self.page.screenshot(path=self.shots / f"{name}-1440-light.png", full_page=True)
            self.phone.goto(self.page.url)
            self.phone.screenshot(path=self.shots / f"{name}-390-dark.png", full_page=True)
        self._begun = time.monotonic()

    def go(self, path: str) -> None:
        self.page.goto(self.stack.url + path)

    def ask(self) -> tuple[Chat, Any]:
        """A new customer asks; what the model writes about that is always composed."""
        chat = Chat(self._customers.new_page(), self.stack.url).open()
        chat.ask(SEVERAL_QUESTIONS)
        reply = chat.replies.last
        expect(reply).to_have_attribute("data-state", "complete", timeout=self.patience_ms)
        chat.expect_conversation_address()
        return chat, reply

    def version_of(self, chat: Chat) -> str:
        """The version that an answer names at the desk."""
        self.go(chat.conversation_path.replace("/chat/", "/desk/"))
        self.page.locator(".why > summary").last.click()
        named = self.page.locator(".why").last.get_by_text("Model version", exact=True).locator("xpath=following-sibling::dd[1]")
        return named.inner_text()

    # The steps

    def complain(self) -> None:
        chat, reply = self.ask()
        reply.get_by_role("button", name="Bad answer").click()
        reply.get_by_role("button", name="Send feedback").click()
        self.version_of(chat)
        self.done("a customer says: not helpful")

    def correct(self) -> None:
        self.page.get_by_role("link", name="Review this answer").last.click()
        expect(self.page).to_have_url(re.compile(r"/review/\d+/$"))
        self.page.keyboard.press("c")
        self.page.get_by_label("The better answer").fill("Delivery within Singapore costs S$4.90.")
        self.page.keyboard.press("Control+Enter")
        expect(self.page.get_by_role("status").first).to_contain_text("Corrected.")
        self.done("the answer is corrected in Review")

    def approve(self) -> int:
        self.go("/releases/examples/")
        self.page.get_by_role("button", name="Look for new ones").click(timeout=self.patience_ms)
        gathered = self.page.get_by_text(re.compile(r"Last gathered .* by .*: \d+ new"))
        until = time.monotonic() + self.patience_ms / 1000
        while not gathered.is_visible() and time.monotonic() < until:
            time.sleep(1)
            self.page.reload()
        expect(gathered).to_be_visible()
        self.done("examples are gathered")
        self.page.locator("input[name=everything]").check()
        self.page.get_by_role("button", name="Approve", exact=True).click(timeout=self.patience_ms)
        told = self.page.get_by_text(re.compile(r"^\d+ approved\."))
        expect(told).to_be_visible(timeout=self.patience_ms)
        count = int(told.inner_text().split()[0])
        self.done("examples are approved")
        return count

    def build(self, *, most: int) -> None:
        self.go("/releases/datasets/build/")
        name = f"month-{int(time.time())}"
        self.page.locator("#id_name").fill(name)
        self.page.locator("input[name=sources][value=correction]").check()
        self.page.locator("#id_most").fill(str(most))
        self.page.get_by_role("button", name="Build it").click(timeout=self.patience_ms)
        expect(self.page.get_by_role("heading", name=name)).to_be_visible(timeout=self.patience_ms)
        self.done("a dataset is built")

    def train(self, *, minutes: int) -> None:
        self.page.get_by_role("link", name="Train from it").click()
        self.page.locator("#id_budget_minutes").fill(str(minutes))
        self.page.get_by_role("button", name="Start", exact=True).click()
        expect(self.page.get_by_role("heading", name=re.compile("^Run "))).to_be_visible()
        self.done("a run is started")
        expect(self.page.get_by_role("heading", name=re.compile("^It made "))).to_be_visible(timeout=self.patience_ms)
        self.done("it has trained")

    def compare(self) -> str:
        """Returns the version's name."""
        name = self.page.locator("#made a").inner_text()
        self.page.get_by_role("button", name="Compare", exact=True).click()
        expect(self.page.get_by_role("heading", name=name)).to_be_visible()
        self.done("the comparison is begun")
        expect(self.page.get_by_role("region", name="Before and after")).to_be_visible(timeout=self.patience_ms)
        self.done("it is compared")
        return name

    def promote(self) -> bool:
        """Whether the gate had to be overruled."""
        self.page.locator("summary", has_text="Make it live").click()
        reason = self.page.locator("#live-reason")
        overruled = reason.count() > 0
        if overruled:
            reason.fill("The benchmark shows that a reason is asked for and kept.")
            self.page.get_by_role("button", name="Overrule the gate and make it live").click()
        else:
            self.page.get_by_role("button", name="Make it live now").click()
        expect(self.page.get_by_text("is live. The workers take it up within seconds.")).to_be_visible()
        self.done("it is promoted")
        return overruled

    def roll_back(self) -> None:
        self.go("/releases/")
        self.page.locator("summary", has_text="Roll back").click()
        self.page.get_by_role("button", name="Roll back to it now").click()
        expect(self.page.get_by_text("answers again. The workers take it up within seconds.")).to_be_visible()
        self.done("it is rolled back")

    def answered_by(self, *, step: str) -> str:
        """Who answers a new customer's question; the promise is a few seconds."""
        time.sleep(5)
        chat, _ = self.ask()
        version = self.version_of(chat)
        self.done(step)
        return version


def run(loop: Loop, options: argparse.Namespace) -> dict[str, Any]:
    loop.complain()
    loop.correct()
    approved = loop.approve()
    loop.build(most=options.train)
    loop.train(minutes=options.minutes)
    name = loop.compare()
    overruled = loop.promote()
    after = loop.answered_by(step="a new answer names the new version")
    loop.roll_back()
    back = loop.answered_by(step="a new answer names the former version")
    return {"approved": approved, "version": name, "overruled": overruled, "after": after, "back": back}


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    model = tiny_like(options.model, folder / "tiny") if options.tiny else options.model.resolve()
    if options.shots:
        options.shots.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with contextlib.ExitStack() as open_until:
        stack = open_until.enter_context(product(options.data_dir or folder / "data", model))
        from chatbot.learning import rehearsal

        rehearsal.rehearse(conversations=options.conversations)
        playwright = open_until.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        loop = Loop(browser, stack, shots=options.shots, patience_s=60 * (options.minutes + 15))
        try:
            row = run(loop, options)
        except Exception:
            loop.page.screenshot(path="/tmp/learning-browser-failed.png", full_page=True)
            raise
        browser.close()
        return row | {"base": model.name, "problems": loop.problems, "steps": loop.steps, "total_s": sum(loop.steps.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of base weights")
    parser.add_argument("--tiny", action="store_true", help="random weights with that model's words instead")
    parser.add_argument("--minutes", type=int, default=3, help="training time at most")
    parser.add_argument("--conversations", type=int, default=300)
    parser.add_argument("--train", type=int, default=48, help="training examples at most")
    parser.add_argument("--shots", type=Path, help="keep a picture of each step here")
    parser.add_argument("--data-dir", type=Path, help="keep the product's data here: a later run starts sooner")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        row = measure(options, Path(name))
    print(json.dumps(row))
    met = row["after"] == row["version"] and row["back"] == row["base"] and not row["problems"]
    print(
        f"  {len(row['steps'])} steps in {row['total_s']:.0f} s; then {row['after']} answered, after the rollback {row['back']}"
    )
    print(f"  target: the new version, then the former one   {'PASS' if met else 'MISS'}")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
