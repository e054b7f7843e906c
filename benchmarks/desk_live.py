"""Message to agent's screen: from a customer's sending until an agent's open conversation and list show it.

The agent's browser is a socket without pixels. Clients and server share this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.cookiejar
import json
import random
import statistics
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import connect

from tests.faults.customer import Customer, visitor_cookie
from tests.stack import SEVERAL_QUESTIONS, Stack

WAIT_S = 60.0
LOST_AFTER_S = 5.0
READING_S = 3.0
# The first chats of a new database teach the classifiers of mood and topic, once.
WARM_UP_S = 20.0


@dataclass
class Agent:
    """When the agent's socket brought each message, and each row, by the monotonic clock."""

    stack: Stack
    cookie: str
    messages: dict[str, float] = field(default_factory=dict)
    rows: dict[str, float] = field(default_factory=dict)
    frames: int = 0

    async def follow(self, conversation_id: str) -> None:
        address = self.stack.url.replace("http", "ws", 1) + "/ws/desk/"
        async with connect(address, origin=self.stack.url, additional_headers={"Cookie": self.cookie}, max_size=None) as socket:
            await socket.send(json.dumps({"type": "list.watch", "address": "?queue=all"}))
            await socket.send(json.dumps({"type": "conversation.watch", "conversation_id": conversation_id}))
            async for raw in socket:
                self._take(json.loads(raw))

    def _take(self, frame: dict[str, Any]) -> None:
        now = time.monotonic()
        self.frames += 1
        if frame["type"] == "message.changed":
            self.messages.setdefault(frame["message"]["text"], now)
        for row in frame.get("rows", []):
            self.rows[row["html"]] = now


def sign_in(stack: Stack) -> tuple[str, urllib.request.OpenerDirector, str]:
    """An agent's Cookie header, a browser that has it, and its form token."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    page = browser.open(f"{stack.url}/accounts/login/", timeout=30).read().decode()
    fields = {"login": "agent", "password": stack.accounts["agent"]["password"], "csrfmiddlewaretoken": token_of(page)}
    page = browser.open(f"{stack.url}/accounts/login/", urllib.parse.urlencode(fields).encode(), timeout=30).read().decode()
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar), browser, token_of(page)


def token_of(page: str) -> str:
    return page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]


async def measure_live(stack: Stack, *, chats: int, samples: int) -> dict[str, Any]:
    """Let `chats` customers stream; meanwhile one whom the agent has taken over writes `samples` messages."""
    cookies = [await asyncio.to_thread(visitor_cookie, stack.url) for _ in range(chats + 1)]
    writer, *streaming = [await Customer(stack.url, cookie).start() for cookie in cookies]
    await asyncio.sleep(1)
    await writer.until_answered(await writer.ask("How much does delivery cost?"), timeout_s=WAIT_S)
    cookie, browser, token = await asyncio.to_thread(sign_in, stack)
    take = f"{stack.url}/desk/{writer.conversation_id}/do/take/"
    body = urllib.parse.urlencode({"csrfmiddlewaretoken": token}).encode()
    await asyncio.to_thread(browser.open, urllib.request.Request(take, body, {"Accept": "application/json"}), timeout=30)
    agent = Agent(stack, cookie)
    following = asyncio.create_task(agent.follow(writer.conversation_id))
    load = Load()
    busy = [asyncio.create_task(load.stream(customer)) for customer in streaming]
    await asyncio.sleep(WARM_UP_S)
    load.asked, started = 0, time.monotonic()
    open_ms, row_ms, lost = [], [], 0
    for number in range(samples):
        if following.done():
            raise RuntimeError("the agent's socket was closed") from following.exception()
        text = f"sample {number} of the benchmark"
        sent = time.monotonic()
        await writer.ask(text)
        load.seen.append(load.streaming)
        opened, listed = await _seen(agent, text)
        lost += opened is None or listed is None
        open_ms += [] if opened is None else [(opened - sent) * 1000]
        row_ms += [] if listed is None else [(listed - sent) * 1000]
        await asyncio.sleep(0.2)
    asked_per_s = round(load.asked / (time.monotonic() - started), 1)
    for task in [following, *busy]:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await asyncio.gather(*(customer.close() for customer in [writer, *streaming]))
    traffic = {"chats": chats, "streaming": round(statistics.fmean(load.seen), 1), "asked_per_s": asked_per_s}
    return {**traffic, "samples": samples, "lost": lost, **_quantiles("open", open_ms), **_quantiles("list", row_ms)}


@dataclass
class Load:
    """What the other chats do: how many answers are on their way, and how many questions were asked."""

    streaming: int = 0
    asked: int = 0
    seen: list[int] = field(default_factory=list)

    async def stream(self, customer: Customer) -> None:
        """Ask, read and ask again; each in a moment of its own, as customers do who do not know of one another."""
        while True:
            await asyncio.sleep(random.uniform(0, READING_S))
            self.asked, self.streaming = self.asked + 1, self.streaming + 1
            client_id = await customer.ask(SEVERAL_QUESTIONS)
            with contextlib.suppress(TimeoutError):
                await customer.until_answered(client_id, timeout_s=60)
            self.streaming -= 1


async def _seen(agent: Agent, text: str) -> tuple[float | None, float | None]:
    """When the open conversation and when the list showed this text."""
    deadline = time.monotonic() + LOST_AFTER_S
    while time.monotonic() < deadline:
        listed = min((at for html, at in agent.rows.items() if text in html), default=None)
        if text in agent.messages and listed is not None:
            agent.rows.clear()
            return agent.messages[text], listed
        await asyncio.sleep(0.002)
    return agent.messages.get(text), None


def _quantiles(name: str, values: list[float]) -> dict[str, float]:
    ordered = sorted(values) or [float("nan")]
    place = {share: ordered[min(len(ordered) - 1, round(len(ordered) * share))] for share in (0.5, 0.95, 0.99)}
    return {f"{name}_p{round(share * 100)}_ms": round(value, 1) for share, value in place.items()}
