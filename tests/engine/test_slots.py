"""Nothing of one conversation reaches another, except a system prompt that both have whole."""

from __future__ import annotations

from itertools import count

from chatbot.engine.scheduler import Job
from chatbot.engine.slots import COUNTED_PREFIXES, MIN_SHARED_TOKENS, PrefixKey, SlotPool

NUMBERS = count(1)
SYSTEM = list(range(100, 100 + MIN_SHARED_TOKENS))


class Recorder:
    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.dropped = 0

    def save_prefix(self, key: PrefixKey, *, slot: int) -> None:
        self.calls.append(("save", len(key[1])))

    def load_prefix(self, key: PrefixKey, *, slot: int) -> None:
        self.calls.append(("load", len(key[1])))

    def drop_prefix(self, key: PrefixKey) -> None:
        self.dropped += 1

    def copy_slot(self, source: int, *, target: int, length: int) -> None:
        self.calls.append((f"copy {source} to {target}", length))


def start(pool: SlotPool, tokens: list[int], *, conversation: str = "", shared: int = 0, adapter: str = "") -> Job:
    job = Job(next(NUMBERS), conversation, tokens, max_new_tokens=5, shared_tokens=shared, adapter=adapter)
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


def bring(pool: SlotPool, system: list[int], *conversations: str, adapter: str = "") -> None:
    """Let these conversations ask, one after the other, under one system prompt."""
    for name in conversations:
        end(pool, start(pool, [*system, 1, 2], conversation=name, shared=len(system), adapter=adapter))


def test_a_system_prompt_is_shared_whole_or_not_at_all() -> None:
    store = Recorder()
    pool = SlotPool(store, slots=4)
    bring(pool, SYSTEM, "alice", "carol")
    assert start(pool, [*SYSTEM, 7, 8], conversation="amir", shared=len(SYSTEM)).reused == len(SYSTEM)
    assert start(pool, [*SYSTEM[:-1], 5, 1, 2], conversation="dana", shared=len(SYSTEM)).reused == 0
    assert store.calls == [("save", len(SYSTEM)), ("load", len(SYSTEM))]


def test_a_system_prompt_of_one_conversation_is_not_kept_beyond_it() -> None:
    store = Recorder()
    pool = SlotPool(store, slots=4)
    bring(pool, SYSTEM, "alice", "alice", "alice")
    assert start(pool, [*SYSTEM, 1, 2], conversation="mallory", shared=len(SYSTEM)).reused == 0
    assert store.calls == []


def test_requests_without_a_conversation_count_one_each() -> None:
    pool = SlotPool(Recorder(), slots=4)
    bring(pool, SYSTEM, "", "")
    assert start(pool, [*SYSTEM, 1, 2], shared=len(SYSTEM)).reused == len(SYSTEM)


def test_counted_system_prompts_are_bounded() -> None:
    pool = SlotPool(Recorder(), slots=4)
    for first in range(COUNTED_PREFIXES + 9):
        bring(pool, [first, *SYSTEM], "alice")
    assert len(pool._brought_by) == COUNTED_PREFIXES


def test_text_after_the_system_prompt_is_not_part_of_what_is_shared() -> None:
    pool = SlotPool(Recorder(), slots=4)
    bring(pool, SYSTEM, "alice", "carol")
    assert start(pool, [*SYSTEM, 1, 2], conversation="amir", shared=len(SYSTEM)).reused == len(SYSTEM)


def test_versions_share_nothing() -> None:
    pool = SlotPool(Recorder(), slots=4)
    bring(pool, SYSTEM, "alice", "carol")
    assert start(pool, [*SYSTEM, 1, 2], conversation="alice", shared=len(SYSTEM), adapter="v2").reused == 0
    bring(pool, SYSTEM, "alice", "carol", adapter="v2")
    assert start(pool, [*SYSTEM, 1, 2], conversation="alice", shared=len(SYSTEM), adapter="v2").reused == len(SYSTEM) + 1
    assert start(pool, [*SYSTEM, 3], conversation="amir", shared=len(SYSTEM), adapter="v2").reused == len(SYSTEM)


def test_what_a_forgotten_version_computed_is_not_offered_to_the_next_of_its_name() -> None:
    store = Recorder()
    pool = SlotPool(store, slots=6)
    bring(pool, SYSTEM, "alice", "carol")
    bring(pool, SYSTEM, "alice", "carol", adapter="v2")
    pool.forget("v2")
    assert store.dropped == 1
    assert start(pool, [*SYSTEM, 1, 2], conversation="alice", shared=len(SYSTEM), adapter="v2").reused == 0
    assert start(pool, [*SYSTEM, 1, 2], conversation="alice", shared=len(SYSTEM)).reused == len(SYSTEM) + 1


def test_a_sibling_starts_from_a_copy_of_the_whole_prompt_and_leaves_nothing() -> None:
    store = Recorder()
    pool = SlotPool(store, slots=2)
    first = start(pool, [1, 2, 3], conversation="alice")
    sibling = Job(next(NUMBERS), "", [1, 2, 3], max_new_tokens=5, held=True)
    pool.acquire(sibling)
    pool.branch(first, sibling=sibling)
    assert (sibling.computed, sibling.reused, sibling.held) == (3, 3, False)
    assert store.calls == [(f"copy {first.slot} to {sibling.slot}", 3)]
    end(pool, sibling)
    assert start(pool, [1, 2, 3], conversation="alice").reused == 0


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
        bring(pool, [first, *SYSTEM], "alice", "carol")
    assert store.dropped == 1
    assert start(pool, [1, *SYSTEM, 4], conversation="dana", shared=len(SYSTEM) + 1).reused == 0
