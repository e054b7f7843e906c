"""Customers for the soak: what they ask, how long they stay, and how they leave."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from benchmarks.generation_workload import SYSTEM, passages, prompt, questions
from chatbot.engine.requests import ChatMessage, Engine, EngineBusy, GenerationHandle, GenerationRequest, PromptTooLong

MAX_TURNS = 8
# A conversation that outgrows this begins anew, so that the cache has a size it can settle at.
LONGEST_TOKENS = 1000
# Customers who may come back.
IDLE_CUSTOMERS = 24
# Share of the answers that are stopped, have a deadline they cannot keep, or lose their reader.
STOPPED, LATE, LOST = 0.10, 0.05, 0.05
RETURNING = 0.5


@dataclass
class Customer:
    """One conversation between its turns."""

    name: str
    history: list[ChatMessage] = field(default_factory=lambda: [SYSTEM])
    turns: int = 0

    def ask(self, chance: random.Random) -> list[ChatMessage]:
        """The next question, over one to five passages at first and mostly bare later."""
        text, key = chance.choice(questions())
        others = chance.sample(list(passages().values()), chance.choice((0, 0, 1, 2, 4)))
        asked = ChatMessage("user", text) if self.turns and chance.random() < 0.7 else prompt([passages()[key], *others], text)[1]
        return [*self.history, asked]


class Traffic:
    """All customers of one run. `arrive` is called by one thread; every answer has a reader of its own, as in production."""

    def __init__(self, engine: Engine, chance: random.Random) -> None:
        self._engine = engine
        self._chance = chance
        self._names = count(1)
        self._lock = threading.Lock()
        self._idle: list[Customer] = []
        self._open: dict[threading.Thread, GenerationHandle] = {}
        self.endings: list[str] = []

    @property
    def open_count(self) -> int:
        with self._lock:
            return len(self._open)

    @property
    def ended_count(self) -> int:
        with self._lock:
            return len(self.endings)

    def arrive(self) -> None:
        """A customer asks: somebody who was here before, or somebody new."""
        with self._lock:
            back = self._chance.random() < RETURNING and bool(self._idle)
            place = self._chance.randrange(len(self._idle)) if back else 0
            customer = self._idle.pop(place) if back else Customer(f"customer {next(self._names)}")
        messages = customer.ask(self._chance)
        if self._engine.count_tokens(messages) > LONGEST_TOKENS:
            customer = Customer(f"customer {next(self._names)}")
            messages = customer.ask(self._chance)
        fate = self._fate()
        deadline_s = self._chance.uniform(0.2, 2.0) if fate == "late" else 600.0
        request = new_request(customer.name, messages, new_tokens=self._chance.randint(20, 120), deadline_s=deadline_s)
        try:
            handle = self._engine.submit(request)
        except (EngineBusy, PromptTooLong) as refusal:
            with self._lock:
                self.endings.append(refusal.code)
            return
        pieces = self._chance.randint(0, 12)
        reader = threading.Thread(target=self._read, args=(customer, messages, handle, fate, pieces), daemon=True)
        with self._lock:
            self._open[reader] = handle
        reader.start()

    def _fate(self) -> str:
        number = self._chance.random()
        for fate, share in (("stopped", STOPPED), ("late", LATE), ("lost", LOST)):
            if number < share:
                return fate
            number -= share
        return "stays"

    def _read(self, customer: Customer, messages: list[ChatMessage], handle: GenerationHandle, fate: str, pieces: int) -> None:
        """Read the answer as long as the customer stays. A lost one's handle is only dropped, as when a browser goes away."""
        ending = "lost"
        for number, _ in enumerate(handle):
            if number >= pieces and fate == "lost":
                break
            if number >= pieces and fate == "stopped":
                handle.cancel()
        else:
            ending = handle.output.finish_reason
        with self._lock:
            if ending in {"stop", "length"} and customer.turns + 1 < MAX_TURNS:
                customer.turns += 1
                customer.history = [*messages, ChatMessage("assistant", handle.output.text)]
                self._idle.append(customer)
                del self._idle[:-IDLE_CUSTOMERS]
            self.endings.append(ending)
            self._open.pop(threading.current_thread(), None)

    def wait_for_all(self, *, timeout_s: float) -> int:
        """Wait until all answers have ended, also those nobody reads. Returns how many did not."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            stats = self._engine.stats()
            if not (self.open_count or stats.running or stats.waiting):
                break
            time.sleep(0.05)
        return self.open_count

    def send_all_home(self, *, timeout_s: float) -> None:
        with self._lock:
            handles = list(self._open.values())
        for handle in handles:
            handle.cancel()
        self.wait_for_all(timeout_s=timeout_s)


def longest_prompt() -> list[ChatMessage]:
    """As many tokens as a conversation ever has, with its answer."""
    return prompt(list(passages().values())[:10], "Hello?")


def new_request(
    conversation: str, messages: Sequence[ChatMessage], *, new_tokens: int, deadline_s: float = 600.0
) -> GenerationRequest:
    return GenerationRequest("soak", messages, max_new_tokens=new_tokens, deadline_s=deadline_s, conversation=conversation)


def growth_per_s(samples: Sequence[tuple[float, int]]) -> float:
    """Slope of the fitted line through (second, bytes); 0 for fewer than two samples."""
    if len(samples) < 2:
        return 0.0
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0
