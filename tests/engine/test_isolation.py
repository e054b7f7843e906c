"""Nothing of one customer's text can influence another's answer, or be timed from it. Rows are counted here, not seconds.

A row is one token that goes through the model: what a request costs beyond the load that everybody shares.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import torch

from chatbot.engine.engine import BatchedEngine
from chatbot.engine.requests import ChatMessage, GenerationOutput, GenerationRequest
from chatbot.engine.scheduler import Segment

Make = Callable[..., BatchedEngine]
Rows = dict[str, list[tuple[int, int]]]
SYSTEM = "You answer the customers of a shop from its help pages."
SECRET = "My card number is 4111 1111 1111 1111 and my name is Alice. " * 3
OTHER = "Where is my parcel? " * 9


def ask(engine: BatchedEngine, conversation: str, text: str, *, system: str = SYSTEM, new_tokens: int = 30) -> GenerationOutput:
    messages = [ChatMessage("system", system), ChatMessage("user", text)]
    return engine.submit(GenerationRequest("r1", messages, max_new_tokens=new_tokens, conversation=conversation)).output


def count_rows(engine: BatchedEngine) -> Rows:
    """Record (first position, rows) of everything the runner computes, by conversation."""
    rows: Rows = defaultdict(list)
    step = engine._runner.step

    def recording(segments: Sequence[Segment]) -> torch.Tensor | None:
        for segment in segments:
            rows[segment.job.conversation].append((segment.start, len(segment.tokens)))
        return step(segments)

    engine._runner.step = recording  # type: ignore[method-assign]
    return rows


def warm(engine: BatchedEngine) -> int:
    """Let two conversations bring the system prompt, after which it is shared; returns its length."""
    for name in ("carol", "dave"):
        ask(engine, name, "How?", new_tokens=2)
    return engine._loaded.chat.encode([ChatMessage("system", SYSTEM), ChatMessage("user", "How?")])[1]


def test_who_asks_the_same_after_another_pays_the_same(make_engine: Make) -> None:
    seen = []
    for alice in (SECRET, OTHER, None):
        engine = make_engine(max_running=1)
        shared = warm(engine)
        rows = count_rows(engine)
        if alice:
            ask(engine, "alice", alice)
        bob = ask(engine, "bob", SECRET)
        assert bob.reused_tokens == shared
        seen.append((rows["bob"], bob.tokens))
    assert seen[0] == seen[1] == seen[2]


def test_who_asks_the_same_at_the_same_time_pays_the_same(make_engine: Make) -> None:
    prompts = []
    for alice in (SECRET, SECRET[:-9] + "nobody at all. "):
        engine = make_engine()
        warm(engine)
        rows = count_rows(engine)
        messages = [ChatMessage("system", SYSTEM), ChatMessage("user", alice)]
        running = engine.submit(GenerationRequest("r1", messages, max_new_tokens=400, conversation="alice"))
        assert next(iter(running))
        bob = ask(engine, "bob", SECRET)
        running.cancel()
        assert running.output.finish_reason == "cancelled"
        prompts.append((sum(count for start, count in rows["bob"] if start < bob.prompt_tokens - 1), bob.tokens))
    assert prompts[0] == prompts[1]


def test_a_customers_words_in_the_system_message_are_not_shared_in_part(make_engine: Make) -> None:
    engine = make_engine()
    for name in ("alice", "carol"):
        ask(engine, name, "How?", system=f"{SYSTEM} {SECRET}")
    guesses = [f"{SYSTEM} {SECRET}"[:-n] for n in (1, 9, 30)] + [f"{SYSTEM} {SECRET}!"]
    assert [ask(engine, f"guess {n}", "How?", system=guess).reused_tokens for n, guess in enumerate(guesses)] == [0] * 4


def test_a_system_message_of_one_conversation_cannot_be_found_by_a_guess(make_engine: Make) -> None:
    seen = []
    for alice in (SECRET, OTHER):
        engine = make_engine(max_running=1)
        rows = count_rows(engine)
        for _ in range(3):
            ask(engine, "alice", "How?", system=f"{SYSTEM} {alice}")
        assert ask(engine, "bob", "How?", system=f"{SYSTEM} {SECRET}").reused_tokens == 0
        seen.append(rows["bob"])
    assert seen[0] == seen[1]


def test_a_slot_taken_over_shows_nothing_of_its_former_owner(make_engine: Make) -> None:
    fresh = ask(make_engine(max_running=1), "bob", "Where is it?")
    engine = make_engine(max_running=1)
    for n in range(engine.stats().cache_slots + 1):  # every slot has held a long text
        ask(engine, f"alice {n}", SECRET * 2, new_tokens=60)
    shared = warm(engine)
    bob = ask(engine, "bob", "Where is it?")
    assert (bob.tokens, bob.reused_tokens) == (fresh.tokens, shared)


def poison_stale_cells(engine: BatchedEngine) -> None:
    """Before each step, make every cell NaN that no running request has computed: free slots, ends, refused drafts."""
    step = engine._runner.step

    def poisoned(segments: Sequence[Segment]) -> torch.Tensor | None:
        cache = engine._cache
        stale = torch.ones((cache.slots + 1) * cache.context, dtype=torch.bool)
        for job in engine._scheduler.running:
            stale[job.slot * cache.context : job.slot * cache.context + job.computed] = False
        for cells in (*cache.keys, *cache.values):
            cells[:, stale] = float("nan")
        return step(segments)

    engine._runner.step = poisoned  # type: ignore[method-assign]


def test_stale_cells_are_never_read(make_engine: Make) -> None:
    questions = ["Where is it?", "abc abc abc abc abc abc", OTHER, SECRET]

    def answers(engine: BatchedEngine) -> list[tuple[str, tuple[int, ...]]]:
        handles = []
        for question in questions:
            messages = [ChatMessage("system", SYSTEM), ChatMessage("user", question)]
            handles.append(engine.submit(GenerationRequest("r1", messages, max_new_tokens=30, alternatives=2)))
        outputs = [output for handle in handles for output in (handle.output, *handle.output.alternatives)]
        return [(output.finish_reason, output.tokens) for output in outputs]

    clean, engine = make_engine(), make_engine()
    wanted = answers(clean)
    poison_stale_cells(engine)
    assert answers(engine) == wanted
    assert {reason for reason, _ in wanted} == {"length"}


def test_drafts_come_from_the_requests_own_tokens(make_engine: Make) -> None:
    engine = make_engine()
    drafted: dict[str, int] = defaultdict(int)
    strangers = []
    step = engine._runner.step

    def watching(segments: Sequence[Segment]) -> torch.Tensor | None:
        for segment in segments:
            own, draft = segment.job.tokens, segment.job.draft
            if draft:
                drafted[segment.job.conversation] += 1
                if not any(own[at : at + len(draft)] == draft for at in range(len(own))):
                    strangers.append(draft)
        return step(segments)

    engine._runner.step = watching  # type: ignore[method-assign]
    for name, text in (("alice", "abc abc abc abc abc"), ("bob", "xyz xyz xyz xyz xyz")):
        ask(engine, name, text)
    assert min(drafted["alice"], drafted["bob"]) > 0
    assert strangers == []
