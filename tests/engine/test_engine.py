"""What the batched engine promises beyond the contract: isolation of faults and of customers, reuse, sampling."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from chatbot.engine.engine import BatchedEngine
from chatbot.engine.requests import ChatMessage, EngineBusy, EngineError, GenerationHandle, GenerationRequest, Sampling
from chatbot.engine.scheduler import Segment
from tests.engine.tiny_models import CHAT_TEMPLATE, end_after, write_tiny_model

Make = Callable[..., BatchedEngine]
SYSTEM = ChatMessage("system", "You answer the customers of a shop from its help pages.")


def ask(text: str, **settings: object) -> GenerationRequest:
    return GenerationRequest("r1", [SYSTEM, ChatMessage("user", text)], **{"max_new_tokens": 30, **settings})  # type: ignore[arg-type]


def fail_on(engine: BatchedEngine, mark: str, error: Exception, *, after: int = 0) -> None:
    """Make every forward pass fail that holds the text `mark` in a request with `after` tokens of its answer written."""
    marked = engine._loaded.tokenizer(mark)["input_ids"]
    step = engine._runner.step

    def failing(segments: Sequence[Segment]) -> torch.Tensor | None:
        for segment in segments:
            tokens = segment.job.tokens
            if segment.job.new_tokens >= after and any(tokens[at : at + len(marked)] == marked for at in range(len(tokens))):
                raise error
        return step(segments)

    engine._runner.step = failing  # type: ignore[method-assign]


@pytest.mark.parametrize("after", [0, 5])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (torch.OutOfMemoryError("no room"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "out_of_memory"),
        (RuntimeError("broken"), "forward_failed"),
    ],
)
def test_an_error_fails_its_own_request_alone(make_engine: Make, error: Exception, code: str, after: int) -> None:
    engine = make_engine()
    questions = ["Where is it?", "poison", "How much?"]
    wanted = [engine.submit(ask(q)).output.tokens for q in questions]
    fail_on(engine, "poison", error, after=after)
    outputs = [handle.output for handle in [engine.submit(ask(q)) for q in questions]]
    assert [o.finish_reason for o in outputs] == ["length", "error", "length"]
    assert (outputs[1].error_code, outputs[0].tokens, outputs[2].tokens) == (code, wanted[0], wanted[2])
    assert outputs[1].tokens[:after] == wanted[1][:after]
    assert at_rest(engine)


def test_an_error_that_does_not_come_again_fails_nobody(make_engine: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine()
    emptied = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    questions = ["Where is it?", "How much?", "abc abc abc abc"]
    wanted = [engine.submit(ask(q, logprobs=True)).output for q in questions]
    step, failed = engine._runner.step, []

    def failing_once(segments: Sequence[Segment]) -> torch.Tensor | None:
        if not failed and len(segments) == 3 and all(segment.job.new_tokens > 3 for segment in segments):
            failed.append(True)
            step(segments)  # all keys and values are written, and then there is no room for the rest
            raise torch.OutOfMemoryError("no room")
        return step(segments)

    engine._runner.step = failing_once  # type: ignore[method-assign]
    outputs = [handle.output for handle in [engine.submit(ask(q, logprobs=True)) for q in questions]]
    assert [(o.finish_reason, o.tokens) for o in outputs] == [("length", one.tokens) for one in wanted]
    assert failed == emptied == [True]
    assert at_rest(engine)


def at_rest(engine: BatchedEngine) -> bool:
    """Whether nothing is left of any request: no answer, no place, no slot."""
    stats = engine.stats()
    counts = (stats.running, stats.waiting, stats.cache_slots - stats.free_cache_slots, len(engine._answers))
    return engine.alive and counts == (0, 0, 0, 0)


@pytest.mark.parametrize("mark", [0, 1])
def test_an_error_of_one_alternative_ends_it_alone_unless_it_is_the_first(make_engine: Make, mark: int) -> None:
    engine = make_engine()
    wanted = engine.submit(ask("Where is it?")).output.tokens
    step = engine._runner.step

    def failing(segments: Sequence[Segment]) -> torch.Tensor | None:
        for segment in segments:
            answer = engine._answers[segment.job.job_id]
            if answer.whole.asked.alternatives == 3 and answer.whole.answers[mark] is answer and segment.job.new_tokens > 5:
                raise RuntimeError("broken")
        return step(segments)

    engine._runner.step = failing  # type: ignore[method-assign]
    handles = [engine.submit(ask("Where is it?", alternatives=3)), engine.submit(ask("Where is it?"))]
    outputs = [handles[0].output, *handles[0].output.alternatives]
    reasons = ["error"] * 3 if mark == 0 else ["length", "error", "length"]
    assert [output.finish_reason for output in outputs] == reasons
    assert {output.error_code for output in outputs if output.finish_reason == "error"} == {"forward_failed"}
    assert {output.tokens for output in outputs if output.finish_reason == "length"} <= {wanted}
    assert handles[1].output.tokens == wanted
    assert at_rest(engine)


def test_a_deadline_ends_all_alternatives(make_engine: Make) -> None:
    engine = make_engine()
    output = engine.submit(ask("Where is it?", alternatives=4, max_new_tokens=900, deadline_s=0.1)).output
    assert [one.finish_reason for one in (output, *output.alternatives)] == ["deadline"] * 4
    assert at_rest(engine)


def test_alternatives_read_their_prompt_once(make_engine: Make) -> None:
    engine = make_engine(reuse_prefixes=False)
    engine._scheduler.prefill_chunk = engine._scheduler.prefill_chunk_beside_writing = 64
    step, prompt_rows = engine._runner.step, []

    def counting(segments: Sequence[Segment]) -> torch.Tensor | None:
        prompt_rows.extend(len(segment.tokens) for segment in segments if not segment.job.new_tokens)
        return step(segments)

    engine._runner.step = counting  # type: ignore[method-assign]
    output = engine.submit(ask("Where is it? " * 20, alternatives=4)).output
    assert sum(prompt_rows) == output.prompt_tokens > 64
    assert [one.reused_tokens for one in output.alternatives] == [output.prompt_tokens] * 3


def test_an_answer_that_cannot_be_turned_into_text_fails_alone(make_engine: Make) -> None:
    engine = make_engine()
    wanted = engine.submit(ask("Where is it?")).output.tokens
    handles = [engine.submit(ask("Where is it?", max_new_tokens=60)) for _ in range(2)]
    broken = next(answer for answer in engine._answers.values() if answer.whole.handle is handles[1])
    broken.text.push = None  # type: ignore[assignment, method-assign]
    assert (handles[1].output.finish_reason, handles[1].output.error_code) == ("error", "answer_failed")
    assert handles[0].output.tokens[:30] == wanted
    assert at_rest(engine)


def test_an_endless_repeater_ends_at_its_limit(make_engine: Make) -> None:
    engine = make_engine()
    step = engine._runner.step

    def repeating(segments: Sequence[Segment]) -> torch.Tensor | None:
        logits = step(segments)
        if logits is not None:
            logits = torch.zeros_like(logits)
            logits[:, 65] = 1.0
        return logits

    engine._runner.step = repeating  # type: ignore[method-assign]
    output = engine.submit(ask("Where is it?", max_new_tokens=77)).output
    assert (output.finish_reason, output.tokens) == ("length", (65,) * 77)


def test_a_huge_limit_is_cut_to_the_room_there_is(make_engine: Make) -> None:
    engine = make_engine(context_tokens=160)
    output = engine.submit(ask("Where is it?", max_new_tokens=10**12)).output
    assert output.finish_reason == "length"
    assert output.prompt_tokens + output.completion_tokens == 160
    assert at_rest(engine)


@pytest.mark.parametrize(
    "wrong", [{"sampling": Sampling(float("nan"))}, {"sampling": Sampling(float("inf"))}, {"deadline_s": float("nan")}]
)
def test_numbers_that_are_none_are_refused(make_engine: Make, wrong: dict[str, object]) -> None:
    engine = make_engine()
    with pytest.raises(EngineError) as refused:
        engine.submit(ask("Where is it?", **wrong))
    assert refused.value.code == "bad_request"


def test_a_template_that_fails_for_one_request_fails_its_submit_alone(make_engine: Make, tmp_path: Path) -> None:
    boom = "{% for m in messages %}{% if 'boom' in m.content %}{{ raise_exception('no') }}{% endif %}{% endfor %}"
    engine = make_engine(write_tiny_model(tmp_path, chat_template=boom + CHAT_TEMPLATE))
    wanted = engine.submit(ask("Where is it?", max_new_tokens=200)).output.tokens
    running = engine.submit(ask("Where is it?", max_new_tokens=200))
    assert next(iter(running))
    with pytest.raises(EngineError) as refused:
        engine.submit(ask("boom"))
    assert refused.value.code == "bad_chat_template"
    assert running.output.tokens == wanted
    assert at_rest(engine)


def test_a_cancel_while_the_prompt_is_read_frees_the_slot_after_that_step(make_engine: Make) -> None:
    engine = make_engine()
    engine._scheduler.prefill_chunk = engine._scheduler.prefill_chunk_beside_writing = 16
    step, steps = engine._runner.step, []

    def cancelling(segments: Sequence[Segment]) -> torch.Tensor | None:
        steps.append(len(segments))
        if len(steps) == 2:
            canceller = threading.Thread(target=handle.cancel)
            canceller.start()
            canceller.join()
        return step(segments)

    engine._runner.step = cancelling  # type: ignore[method-assign]
    handle = engine.submit(ask("Where is my parcel? " * 30))
    assert (handle.output.finish_reason, handle.output.completion_tokens, len(steps)) == ("cancelled", 0, 2)
    assert at_rest(engine)


def test_who_comes_back_when_told_finds_a_seat(make_engine: Make) -> None:
    engine = make_engine(max_running=1, max_waiting=2)
    engine.submit(ask("Where is it?")).output  # noqa: B018
    handles = [engine.submit(ask(f"Question {n}", conversation=f"c{n}")) for n in range(3)]
    with pytest.raises(EngineBusy) as refused:
        engine.submit(ask("Where is it?"))
    threading.Event().wait(refused.value.retry_after_s)
    assert engine.submit(ask("Where is it?")).output.finish_reason == "length"
    assert [handle.output.finish_reason for handle in handles] == ["length"] * 3


def test_the_engines_numbers_add_up(make_engine: Make) -> None:
    engine = make_engine(draft_rows=0, reuse_prefixes=False)
    output = engine.submit(ask("Where is it?")).output
    stats = engine.stats()
    assert stats.steps_total == output.completion_tokens == stats.tokens_total
    assert stats.rows_per_step * stats.steps_total == pytest.approx(output.prompt_tokens + output.completion_tokens - 1)
    assert stats.steps_per_s >= stats.steps_total / (output.total_ms / 1000)
    assert (stats.cache_slots, stats.free_cache_slots) == (4, 4)


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


def test_nothing_leaks_through_a_storm_of_stops_deadlines_and_errors(make_engine: Make) -> None:
    engine = make_engine(max_waiting=24)
    fail_on(engine, "poison", RuntimeError("broken"), after=2)
    chance = random.Random(11)
    handles: list[GenerationHandle] = []
    busy = 0
    while len(handles) < 300:
        try:
            handles.append(engine.submit(storm_request(chance, number=len(handles))))
        except EngineBusy:
            busy += 1
            chance.choice(handles[-20:]).cancel()
            handles[-1].next_piece(timeout_s=0.01)
        if chance.random() < 0.2:
            chance.choice(handles).cancel()
    outputs = [one for handle in handles for one in (handle.output, *handle.output.alternatives)]
    reasons = {output.finish_reason for output in outputs}
    assert reasons - {"stop"} == {"cancelled", "deadline", "error", "length"}  # sampling may draw the end of an answer
    assert {output.error_code for output in outputs} == {"", "forward_failed"}
    assert busy > 0
    assert at_rest(engine)
    assert len(engine._pool._prefixes) == len(engine._cache._prefixes) <= 8
    assert engine.submit(ask("Where is it?")).output.tokens == make_engine().submit(ask("Where is it?")).output.tokens


def storm_request(chance: random.Random, *, number: int) -> GenerationRequest:
    text = "poison" if chance.random() < 0.1 else "Where is my parcel? " * chance.randint(1, 20)
    system = ChatMessage("system", f"You answer the customers of shop number {chance.randint(1, 20)}.")
    return GenerationRequest(
        f"r{number}",
        [system, ChatMessage("user", text)],
        max_new_tokens=chance.choice([0, 1, 5, 40]),
        deadline_s=chance.choice([0.0, 0.02, 60.0, 60.0]),
        sampling=Sampling(chance.choice([0.0, 1.0]), seed=number),
        conversation=chance.choice(["", f"c{chance.randint(1, 12)}"]),
        alternatives=chance.choice([1, 1, 1, 2, 4]),
        logprobs=chance.random() < 0.3,
    )


def test_a_request_before_the_start_is_refused(tiny_folders: dict[str, Path]) -> None:
    with pytest.raises(EngineError) as refused:
        BatchedEngine(tiny_folders["qwen2"]).submit(ask("Where is it?"))
    assert refused.value.code == "engine_stopped"
