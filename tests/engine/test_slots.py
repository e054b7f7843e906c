"""Nothing of one conversation reaches another, except a system prompt that both have whole."""

from __future__ import annotations

from chatbot.engine.scheduler import Job
from chatbot.engine.slots import MIN_SHARED_TOKENS, SlotPool

SYSTEM = list(range(100, 100 + MIN_SHARED_TOKENS))


class Recorder:
    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.dropped = 0

    def save_prefix(self, key: tuple[int, ...], *, slot: int) -> None:
        self.calls.append(("save", len(key)))

    def load_prefix(self, key: tuple[int, ...], *, slot: int) -> None:
        self.calls.append(("load", len(key)))

    def drop_prefix(self, key: tuple[int, ...]) -> None:
        self.dropped += 1


def start(pool: SlotPool, tokens: list[int], *, conversation: str = "", shared: int = 0) -> Job:
    job = Job(1, conversation, tokens, max_new_tokens=5, shared_tokens=shared)
    pool.acquire(job)
    pool.share_prefix(job)
    return job


def end(pool: SlotPool, job: Job, *, keep: bool = True) -> None:
    job.computed = len(job.tokens)
    pool.keep_prefix(job)
    pool.release(job, keep=keep)


def test_next_turn_starts_after_the_common_part() -> None:
    pool = SlotPool(Recorder(), slots=3)
    end(pool, start(pool, [1, 2, 3, 4], conversation="alice"))
    assert start(pool, [1, 2, 3, 9, 9], conversation="alice").computed == 3


def test_the_same_prompt_again_leaves_one_token_to_compute() -> None:
    pool = SlotPool(Recorder(), slots=3)
    end(pool, start(pool, [1, 2, 3, 4], conversation="alice"))
    assert start(pool, [1, 2, 3, 4], conversation="alice").computed == 3


def test_the_same_text_of_another_conversation_is_not_reused() -> None:
    pool = SlotPool(Recorder(), slots=1)
    end(pool, start(pool, [1, 2, 3, 4], conversation="alice"))
    amir = start(pool, [1, 2, 3, 4], conversation="amir")
    assert (amir.computed, amir.reused) == (0, 0)
    end(pool, amir)
    assert start(pool, [1, 2, 3, 4], conversation="alice").computed == 0  # her slot was taken over


def test_requests_without_a_conversation_never_share() -> None:
    pool = SlotPool(Recorder(), slots=1)
    end(pool, start(pool, [1, 2, 3, 4]))
    assert start(pool, [1, 2, 3, 4]).computed == 0


def test_a_system_prompt_is_shared_whole_or_not_at_all() -> None:
    store = Recorder()
    pool = SlotPool(store, slots=4)
    end(pool, start(pool, [*SYSTEM, 1, 2], conversation="alice", shared=len(SYSTEM)))
    assert start(pool, [*SYSTEM, 7, 8], conversation="amir", shared=len(SYSTEM)).reused == len(SYSTEM)
    assert start(pool, [*SYSTEM[:-1], 5, 1, 2], conversation="dana", shared=len(SYSTEM)).reused == 0
    assert store.calls == [("save", len(SYSTEM)), ("load", len(SYSTEM))]


def test_text_after_the_system_prompt_is_not_part_of_what_is_shared() -> None:
    pool = SlotPool(Recorder(), slots=4)
    end(pool, start(pool, [*SYSTEM, 1, 2, 3], conversation="alice", shared=len(SYSTEM)))
    assert start(pool, [*SYSTEM, 1, 2, 3], conversation="amir", shared=len(SYSTEM)).reused == len(SYSTEM)


def test_a_conversation_that_runs_twice_gets_two_slots() -> None:
    pool = SlotPool(Recorder(), slots=2)
    first, second = start(pool, [1, 2], conversation="alice"), start(pool, [1, 2, 3], conversation="alice")
    assert first.slot != second.slot
    assert pool.idle_count == 0


def test_the_slot_unused_for_longest_is_taken() -> None:
    pool = SlotPool(Recorder(), slots=2)
    for name in ("alice", "amir"):
        end(pool, start(pool, [1, 2, 3], conversation=name))
    end(pool, start(pool, [1, 2, 3], conversation="dana"))
    assert start(pool, [1, 2, 3], conversation="amir").reused == 2


def test_a_failed_answer_leaves_nothing_behind() -> None:
    pool = SlotPool(Recorder(), slots=1)
    end(pool, start(pool, [1, 2, 3], conversation="alice"), keep=False)
    assert start(pool, [1, 2, 3], conversation="alice").reused == 0


def test_old_system_prompts_make_room() -> None:
    store = Recorder()
    pool = SlotPool(store, slots=1, max_prefixes=2)
    for first in (1, 2, 3):
        end(pool, start(pool, [first, *SYSTEM, 4], conversation="c", shared=len(SYSTEM) + 1))
    assert store.dropped == 1
