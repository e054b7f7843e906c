"""Two generation workers, as on two machines: work is spread, a conversation goes back to its cache, and a death is survived."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings

from support_portal.devservices.environment import PROJECT_FOLDER
from tests.faults.customer import Customer, visitor_cookie
from tests.stack import SEVERAL_QUESTIONS, Stack, running_stack, write_script

SLOTS, WAITING = 2, 8
PATIENCE_S = 90


@dataclass
class Waiter(Customer):
    """Remembers which places in the queue the page was told, by reply."""

    places: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "reply.waiting":
            self.places[frame["message_id"]].append(frame["position"])
        super()._take(frame)


@dataclass
class House:
    """The demo with its one worker, and a second one beside it."""

    stack: Stack
    second: subprocess.Popen[bytes]
    database_url: str

    @property
    def second_name(self) -> str:
        return f"{Path('/proc/sys/kernel/hostname').read_text().strip()}:{self.second.pid}"

    def writer_of(self, reply_id: str) -> tuple[str, int]:
        """The worker that wrote a reply, and how many tokens its model read for it: 0 where it was not asked."""
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute(
                "SELECT trace->>'worker', prompt_tokens FROM conversations_generation WHERE reply_id = %s ORDER BY id DESC",
                [reply_id],
            ).fetchone()
        assert row is not None
        return row[0], row[1]

    def workers(self) -> int:
        with urllib.request.urlopen(f"{self.stack.url}/readyz", timeout=5) as answer:
            return int(json.load(answer)["workers"])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("two-workers")
    sizes = {"MODEL_MAX_RUNNING": str(SLOTS), "MODEL_MAX_WAITING": str(WAITING)}
    with running_stack(folder / "data", script=write_script(folder / "script.jsonl"), **sizes) as stack:
        first = stack.child("generation")
        command = [word.replace("generation@", "other@") for word in first.cmdline()]
        environment = first.environ()
        with (folder / "other.log").open("wb") as log:
            second = subprocess.Popen(command, cwd=PROJECT_FOLDER, env=environment, stdout=log, stderr=log)
        made = House(stack, second, environment["DATABASE_URL"])
        try:
            deadline = time.monotonic() + 60
            while made.workers() < 2:
                assert time.monotonic() < deadline and second.poll() is None, (folder / "other.log").read_text()[-3000:]
                time.sleep(0.2)
            yield made
        finally:
            second.kill()
            second.wait()


@contextlib.asynccontextmanager
async def customers_of(house: House, count: int) -> Any:
    cookies = await asyncio.gather(*(asyncio.to_thread(visitor_cookie, house.stack.url) for _ in range(count)))
    customers = [await Waiter(house.stack.url, cookie).start() for cookie in cookies]
    try:
        yield customers
    finally:
        await asyncio.gather(*(customer.close() for customer in customers))


async def ask_all(customers: list[Waiter]) -> list[dict[str, Any]]:
    asked = [await customer.ask(SEVERAL_QUESTIONS) for customer in customers]
    pairs = zip(customers, asked, strict=True)
    return list(await asyncio.gather(*(customer.until_answered(one, timeout_s=PATIENCE_S) for customer, one in pairs)))


def test_work_is_spread_and_the_second_turn_finds_its_cache(house: House) -> None:
    async def work() -> None:
        async with customers_of(house, 20) as customers:
            replies = await ask_all(customers)
            assert [reply["status"] for reply in replies] == ["complete"] * 20
            writers = [house.writer_of(reply["id"]) for reply in replies]
            shares = Counter(worker for worker, _ in writers)
            print(f"\n20 simultaneous questions: {sorted(shares.values())}")
            assert len(shares) == 2 and min(shares.values()) >= 6
            await asyncio.sleep(2.5)  # the next beat: both have room again
            chosen: dict[str, list[Waiter]] = defaultdict(list)
            for customer, (worker, prompt_tokens) in zip(customers, writers, strict=True):
                if prompt_tokens and len(chosen[worker]) < SLOTS:
                    chosen[worker].append(customer)
            again = [(worker, customer) for worker, group in chosen.items() for customer in group]
            second = await ask_all([customer for _, customer in again])
            assert [house.writer_of(reply["id"])[0] for reply in second] == [worker for worker, _ in again]
            assert len(again) == 2 * SLOTS

    asyncio.run(work())


def test_who_waits_sees_the_place_and_it_never_grows(house: House) -> None:
    async def work() -> None:
        async with customers_of(house, 12) as customers:
            replies = await ask_all(customers)
            assert [reply["status"] for reply in replies] == ["complete"] * 12
            told = [places for customer in customers for places in customer.places.values()]
            assert len(told) >= 6 and max(max(places) for places in told) >= 2
            assert all(places == sorted(places, reverse=True) for places in told), told

    asyncio.run(work())


def test_death_of_the_preferred_worker_is_survived_in_time(house: House) -> None:
    """Last, for it ends the second worker."""

    async def work() -> None:
        async with customers_of(house, 6) as customers:
            replies = await ask_all(customers)
            orphans = [
                customer
                for customer, reply in zip(customers, replies, strict=True)
                if house.writer_of(reply["id"])[0] == house.second_name
            ]
            assert orphans
            house.second.kill()
            house.second.wait()
            begun = time.monotonic()
            asked = await orphans[0].ask(SEVERAL_QUESTIONS)
            await orphans[0].until(lambda: _begun(orphans[0], asked), timeout_s=PATIENCE_S)
            took_s = time.monotonic() - begun
            print(f"\nkilled preferred worker: the other one began after {took_s:.1f} s")
            assert took_s < settings.REPLY_RECOVERY_S
            reply = await orphans[0].until_answered(asked, timeout_s=PATIENCE_S)
            assert house.writer_of(reply["id"])[0] != house.second_name

    asyncio.run(work())


def _begun(customer: Waiter, asked: str) -> bool:
    reply = customer.reply_to(asked)
    return bool(reply) and any(progress[0] == reply["id"] for progress in customer.progress)
