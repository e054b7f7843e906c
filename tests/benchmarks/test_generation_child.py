from __future__ import annotations

import pytest

from benchmarks.generation_child import CompetitorFailed, Job, child_environment, run_child
from benchmarks.generation_workload import Chat
from chatbot.engine.requests import ChatMessage

CHAT = Chat([ChatMessage("user", "你好")], [1, 2, 3], 4)
JOB = Job("/nowhere", "cpu", "int8", 2, CHAT, [[CHAT, CHAT], [CHAT]], {"draft_rows": 0})


def test_a_job_travels_as_json() -> None:
    assert Job.from_json(JOB.as_json()) == JOB
    assert JOB.chats == 2


def test_nobody_inherits_how_another_ones_threads_wait() -> None:
    environment = child_environment({"PATH": "/bin", "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "64"}, JOB)
    assert environment["OMP_NUM_THREADS"] == "2"
    assert "OMP_WAIT_POLICY" not in environment
    assert environment["PATH"] == "/bin"


def test_a_competitor_that_fails_says_why() -> None:
    with pytest.raises(CompetitorFailed, match="nobody ended with code 1:(.|\n)*KeyError: 'nobody'"):
        run_child("nobody", JOB)
