from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from benchmarks.soak import judge
from benchmarks.soak_traffic import LONGEST_TOKENS, Traffic, growth_per_s
from chatbot.engine.fake import ScriptedEngine
from chatbot.engine.requests import EngineStats

FLAT = [(float(at), 1_000_000_000) for at in range(0, 100, 10)]


class Engine(ScriptedEngine):
    """A scripted engine that tells of its cache slots."""

    free = 4

    @property
    def alive(self) -> bool:
        return True

    def stats(self) -> EngineStats:
        return EngineStats(0, 0, 2, 100, "m", cache_slots=4, free_cache_slots=self.free)


def test_growth_is_the_slope_of_the_fitted_line() -> None:
    assert growth_per_s([(0, 100), (10, 300), (20, 500)]) == pytest.approx(20)
    assert growth_per_s(FLAT) == 0
    assert growth_per_s([]) == 0


def test_a_clean_run_has_no_leak() -> None:
    assert judge(Engine(), FLAT, left_open=0, new_threads=0, max_growth_mib=1) == []


def test_every_leak_is_named() -> None:
    engine = Engine()
    engine.free = 3
    growing = [(at, resident + int(at * 2**20)) for at, resident in FLAT]
    leaks = judge(engine, growing, left_open=2, new_threads=3, max_growth_mib=10)
    assert leaks == ["2 answers never ended", "1 cache slots are not free", "memory grew by 60 MiB", "3 threads are left"]


def test_all_kinds_of_customers_come_and_all_end() -> None:
    engine = ScriptedEngine(pieces_per_answer=20, gap_s=0.0005, max_running=8, max_waiting=64, context_tokens=4096)
    engine.start()
    traffic = Traffic(engine, random.Random(1))
    for _ in range(150):
        traffic.arrive()
        while traffic.open_count > 16:
            time.sleep(0.001)
    assert traffic.wait_for_all(timeout_s=30) == 0
    engine.stop()
    endings = Counter(traffic.endings)
    assert sum(endings.values()) == 150
    assert endings["cancelled"] and endings["lost"] and endings["stop"] + endings["length"] > 80


def test_a_conversation_that_grows_too_long_begins_anew() -> None:
    engine = ScriptedEngine(pieces_per_answer=2, gap_s=0, max_running=8, max_waiting=64, context_tokens=LONGEST_TOKENS + 200)
    engine.start()
    traffic = Traffic(engine, random.Random(2))
    for _ in range(200):
        traffic.arrive()
        traffic.wait_for_all(timeout_s=30)
    engine.stop()
    assert "prompt_too_long" not in traffic.endings
