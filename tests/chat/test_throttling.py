from __future__ import annotations

import pytest

from chatbot.errors import TooFast
from support_portal.chat import throttling
from support_portal.chat.throttling import Throttle


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_burst_then_rate() -> None:
    clock = Clock()
    throttle = Throttle(per_minute=60, burst=3, clock=clock)
    for _ in range(3):
        throttle.spend("alice")
    with pytest.raises(TooFast) as refusal:
        throttle.spend("alice")
    assert refusal.value.retry_after_s == 1.0
    throttle.spend("amir")
    clock.now = 1.0
    throttle.spend("alice")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "MAX_BUCKETS", 10)
    throttle = Throttle(per_minute=60, burst=1)
    for number in range(100):
        throttle.spend(str(number))
    assert len(throttle._buckets) == 10
