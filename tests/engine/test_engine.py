"""What the batched engine promises beyond the contract: isolation of faults and of customers, reuse, sampling."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chatbot.engine.engine import BatchedEngine
from chatbot.engine.requests import ChatMessage, EngineError, GenerationRequest, Sampling
from chatbot.engine.scheduler import Segment
from tests.engine.tiny_models import end_after, write_tiny_model

Make = Callable[..., BatchedEngine]
SYSTEM = ChatMessage("system", "You answer the customers of a shop from its help pages.")


def ask(text: str, **settings: object) -> GenerationRequest:
    return GenerationRequest("r1", [SYSTEM, ChatMessage("user", text)], **{"max_new_tokens": 30, **settings})  # type: ignore[arg-type]


def fail_on(engine: BatchedEngine, mark: str, error: Exception) -> None:
    """Make every forward pass fail that holds the text `mark`."""
    marked = engine._loaded.tokenizer(mark)["input_ids"]
    step = engine._runner.step

    def failing(segments: Sequence[Segment]) -> torch.Tensor | None:
        for segment in segments:
            tokens = segment.job.tokens
            if any(tokens[at : at + len(marked)] == marked for at in range(len(tokens))):
                raise error
        return step(segments)

    engine._runner.step = failing  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("error", "code"), [(torch.OutOfMemoryError("no room"), "out_of_memory"), (RuntimeError("broken"), "forward_failed")]
)
def test_an_error_fails_its_own_request_alone(make_engine: Make, error: Exception, code: str) -> None:
    engine = make_engine()
    questions = ["Where is it?", "poison", "How much?"]
    wanted = [engine.submit(ask(q)).output.tokens for q in questions]
    fail_on(engine, "poison", error)
    outputs = [handle.output for handle in [engine.submit(ask(q)) for q in questions]]
    assert [o.finish_reason for o in outputs] == ["length", "error", "length"]
    assert (outputs[1].error_code, outputs[0].tokens, outputs[2].tokens) == (code, wanted[0], wanted[2])
    assert engine.alive
    assert engine.stats().running == 0


def test_unsound_logits_fail_their_own_request_alone(make_engine: Make) -> None:
    engine = make_engine()
    wanted = engine.submit(ask("Where is it?")).output.tokens
    step = engine._runner.step

    def spoiled(segments: Sequence[Segment]) -> torch.Tensor | None:
        logits = step(segments)
        logits = logits if logits is None else logits.clone()
        row = 0
        for segment in segments:
            if logits is not None and segment.job.max_new_tokens == 29:
                logits[row : row + segment.logit_rows] = float("nan")
            row += segment.logit_rows
        return logits

    engine._runner.step = spoiled  # type: ignore[method-assign]
    handles = [engine.submit(ask("Where is it?")), engine.submit(ask("Where is it?", max_new_tokens=29))]
    assert (handles[1].output.finish_reason, handles[1].output.error_code) == ("error", "bad_logits")
    assert handles[0].output.tokens == wanted


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_death_of_the_thread_is_visible_and_ends_every_answer(make_engine: Make) -> None:
    engine = make_engine()

    def crash() -> None:
        raise MemoryError

    handle = engine.submit(ask("Where is it?", max_new_tokens=900))
    assert next(iter(handle))
    engine._end_unwanted = crash  # type: ignore[method-assign]
    assert (handle.output.finish_reason, handle.output.error_code) == ("error", "engine_died")
    assert engine._thread is not None
    engine._thread.join(5)
    assert not engine.alive
    with pytest.raises(EngineError) as refused:
        engine.submit(ask("Where is it?"))
    assert refused.value.code == "engine_stopped"


def test_one_customers_text_does_not_touch_anothers_answer_or_start(make_engine: Make) -> None:
    engine = make_engine(max_running=1)
    secret = "My card number is 4111 1111 1111 1111 and my name is Alice. "
    fresh = engine.submit(ask(secret * 3, conversation="amir")).output
    other = make_engine(max_running=1)
    other.submit(ask(secret * 3, conversation="alice")).output  # noqa: B018
    after = other.submit(ask(secret * 3, conversation="amir")).output
    shared = len(other._loaded.chat.encode([SYSTEM])[0])
    assert after.tokens == fresh.tokens
    assert after.reused_tokens <= shared < after.prompt_tokens - len(secret)


def test_seeded_sampling_does_not_depend_on_neighbours(make_engine: Make) -> None:
    engine = make_engine()
    asked = ask("Where is it?", sampling=Sampling(temperature=0.9, top_p=0.95, seed=11))
    alone = engine.submit(asked).output.tokens
    neighbours = [engine.submit(ask("How?", sampling=Sampling(temperature=1.0, seed=n))) for n in range(3)]
    assert engine.submit(asked).output.tokens == alone
    assert len({neighbour.output.tokens for neighbour in neighbours}) == 3


def test_the_models_own_end_token_ends_an_answer(make_engine: Make, tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path)
    tokens = make_engine(folder).submit(ask("Where is it?")).output.tokens
    end_after(folder, tokens[7])
    output = make_engine(folder).submit(ask("Where is it?")).output
    assert output.finish_reason == "stop"
    assert output.tokens == tokens[: tokens.index(tokens[7]) + 1]


def test_a_stop_string_ends_an_answer_before_it(make_engine: Make) -> None:
    engine = make_engine()
    text = engine.submit(ask("Where is it?")).output.text
    output = engine.submit(ask("Where is it?", stop=[text[10:13]])).output
    assert (output.finish_reason, output.text) == ("stop", text[: text.index(text[10:13])])


def test_waiting_requests_of_many_threads_all_end(make_engine: Make) -> None:
    engine = make_engine(max_running=3)
    outputs = []
    threads = [
        threading.Thread(target=lambda n=n: outputs.append(engine.submit(ask(f"Question {n}", conversation=f"c{n % 5}")).output))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [output.finish_reason for output in outputs] == ["length"] * 20
    assert engine._pool.idle_count == len(engine._pool._slots)


def test_slots_and_answers_do_not_leak_through_stops_deadlines_and_errors(make_engine: Make) -> None:
    engine = make_engine(max_waiting=100)
    fail_on(engine, "poison", RuntimeError("broken"))
    asked = [ask(f"{'poison' if n % 7 == 0 else 'Where'} {n}", conversation=f"c{n % 9}", deadline_s=60) for n in range(60)]
    handles = [engine.submit(replace(one, deadline_s=0.05) if n % 5 == 0 else one) for n, one in enumerate(asked)]
    for handle in handles[::3]:
        handle.cancel()
    reasons = {handle.output.finish_reason for handle in handles}
    assert reasons == {"cancelled", "deadline", "error", "length"}
    assert (engine._answers, engine.stats().running, engine.stats().waiting) == ({}, 0, 0)
    assert engine._pool.idle_count == len(engine._pool._slots)


def test_a_request_before_the_start_is_refused(tiny_folders: dict[str, Path]) -> None:
    with pytest.raises(EngineError) as refused:
        BatchedEngine(tiny_folders["qwen2"]).submit(ask("Where is it?"))
    assert refused.value.code == "engine_stopped"
