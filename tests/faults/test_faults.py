"""Break the running product in the middle of answers: nothing is lost, doubled or misordered, and the answers go on.

`make test` breaks each part twice, FAULT_RUNS=10 ten times with five answers in work each: fifty broken answers a fault. Real
processes, a scripted model, real PostgreSQL and Valkey, all under the demo's own supervisor.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.customer import Customer, visitor_cookie
from tests.stack import SENTENCES, SEVERAL_QUESTIONS, Stack

RUNS = int(os.environ.get("FAULT_RUNS", "2"))
CHATS = 5
# Far beyond the promised ten seconds: a test on a busy machine judges what arrives, the printed figure how fast.
PATIENCE_S = 90


async def reload_page(stack: Stack, customers: list[Customer]) -> None:
    await asyncio.gather(*(customer.reload() for customer in customers))


async def kill_web(stack: Stack, customers: list[Customer]) -> None:
    stack.kill("web")


async def kill_worker(stack: Stack, customers: list[Customer]) -> None:
    stack.kill("generation")


async def kill_valkey(stack: Stack, customers: list[Customer]) -> None:
    stack.kill("valkey")


async def freeze_worker(stack: Stack, customers: list[Customer]) -> None:
    """Sleep past the lease and wake up again: the zombie must not write over its successor."""
    worker = stack.child("generation")
    worker.send_signal(signal.SIGSTOP)
    await asyncio.sleep(6)
    worker.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("fault", [reload_page, kill_web, kill_worker, kill_valkey, freeze_worker])
def test_nothing_is_lost_doubled_or_misordered(stack: Stack, fault: Any) -> None:
    pauses = asyncio.run(_break_often(stack, fault))
    silence = f"longest silence {max(pauses):.1f} s, median {sorted(pauses)[RUNS // 2]:.1f} s"
    print(f"\n{fault.__name__}: {RUNS} runs x {CHATS} chats, {silence}")


async def _break_often(stack: Stack, fault: Any) -> list[float]:
    return [await _break_once(stack, fault) for _ in range(RUNS)]


async def _break_once(stack: Stack, fault: Any) -> float:
    """One fault in the middle of CHATS answers. Returns the longest silence any of them had, in seconds."""
    await asyncio.to_thread(stack.wait_until_settled)
    cookies = await asyncio.gather(*(asyncio.to_thread(visitor_cookie, stack.url) for _ in range(CHATS)))
    customers = [await Customer(stack.url, cookie).start() for cookie in cookies]
    try:
        asked = [await customer.ask(f"{SEVERAL_QUESTIONS} ({number})") for number, customer in enumerate(customers)]
        await asyncio.gather(*(c.until(lambda c=c: len(c.progress) >= 3, timeout_s=20) for c in customers))
        broken_at = time.monotonic()
        await fault(stack, customers)
        later = [await customer.ask("And in the middle of the trouble?") for customer in customers]
        for customer, first, second in zip(customers, asked, later, strict=True):
            await customer.until_answered(first, timeout_s=PATIENCE_S)
            await customer.until_answered(second, timeout_s=PATIENCE_S)
        await asyncio.gather(*(_check(stack, customer, [a, b]) for customer, a, b in zip(customers, asked, later, strict=True)))
        return max(_silence(customer, broken_at) for customer in customers)
    finally:
        await asyncio.gather(*(customer.close() for customer in customers))


def _silence(customer: Customer, broken_at: float) -> float:
    """From the fault to the next sign of life of any answer."""
    return min(at for _, _, _, at, _ in customer.progress if at > broken_at) - broken_at


async def _check(stack: Stack, customer: Customer, asked: list[str]) -> None:
    """What the customer was shown, and what a fresh browser is shown, must be the same two questions and two whole answers."""
    fresh = await Customer(stack.url, customer.cookie, conversation_id=customer.conversation_id).start()
    try:
        await fresh.until(lambda: len(fresh.messages) >= 4, timeout_s=20)
    finally:
        await fresh.close()
    for seen in (customer.messages, fresh.messages):
        in_order = sorted(seen.values(), key=lambda message: message["seq"])
        assert [m["seq"] for m in in_order] == [1, 2, 3, 4]
        assert [m["client_message_id"] for m in in_order] == [asked[0], None, asked[1], None]
        assert [m["status"] for m in in_order] == ["complete"] * 4
    first = next(m for m in fresh.messages.values() if m["seq"] == 2)
    assert [sentence.removesuffix(" [1]") in first["text"] for sentence in SENTENCES] == [True] * len(SENTENCES)
    assert all(first["text"].count(sentence.removesuffix(" [1]")) == 1 for sentence in SENTENCES)
    assert {key: value for key, value in customer.messages[first["id"]].items() if key != "attempt"} == {
        key: value for key, value in first.items() if key != "attempt"
    }


def test_broken_parts_left_no_trace_in_the_data_folder(stack: Stack) -> None:
    """The logs of all that trouble hold no word that a customer wrote."""
    for log in Path(stack.data_dir, "logs").glob("*.log*"):
        assert "middle of the trouble" not in log.read_text(errors="replace"), log
