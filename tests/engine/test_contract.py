"""What every engine promises, whatever is behind it. Answers here have no end of their own."""

from __future__ import annotations

import time

import pytest

from chatbot.engine.requests import ChatMessage, Engine, EngineBusy, EngineError, GenerationRequest, PromptTooLong

LONG = 900


def ask(text: str = "Where is my parcel?", **settings: object) -> GenerationRequest:
    return GenerationRequest("r1", [ChatMessage("user", text)], **{"max_new_tokens": LONG, **settings})  # type: ignore[arg-type]


def test_pieces_add_up_to_the_text(engine: Engine) -> None:
    handle = engine.submit(ask(max_new_tokens=20))
    pieces = list(handle)
    assert len(pieces) > 1
    assert "".join(pieces) == handle.output.text


def test_output_tells_the_numbers(engine: Engine) -> None:
    output = engine.submit(ask(max_new_tokens=20)).output
    assert (output.finish_reason, output.completion_tokens) == ("length", 20)
    assert output.prompt_tokens == engine.count_tokens([ChatMessage("user", "Where is my parcel?")])
    assert output.ttft_ms is not None and 0 <= output.queued_ms <= output.ttft_ms <= output.total_ms
    assert (output.model_version, output.error_code) == (engine.model_version, "")


def test_no_new_tokens_is_an_empty_answer(engine: Engine) -> None:
    output = engine.submit(ask(max_new_tokens=0)).output
    assert (output.text, output.finish_reason) == ("", "length")


def test_a_negative_limit_is_an_empty_answer(engine: Engine) -> None:
    output = engine.submit(ask(max_new_tokens=-5)).output
    assert (output.text, output.finish_reason, output.completion_tokens) == ("", "length", 0)


def test_cancel_ends_the_answer_and_frees_the_place(engine: Engine) -> None:
    handle = engine.submit(ask())
    next(iter(handle))
    handle.cancel()
    assert handle.output.finish_reason == "cancelled"
    assert handle.output.text
    assert engine.stats().running == 0


def test_cancelled_while_waiting(engine: Engine) -> None:
    running = [engine.submit(ask()) for _ in range(2)]
    waiting = engine.submit(ask())
    waiting.cancel()
    assert (waiting.output.finish_reason, waiting.output.text) == ("cancelled", "")
    for handle in running:
        handle.cancel()


def test_cancel_after_the_end_changes_nothing(engine: Engine) -> None:
    handle = engine.submit(ask(max_new_tokens=3))
    assert handle.output.finish_reason == "length"
    handle.cancel()
    assert handle.output.finish_reason == "length"


def test_deadline_ends_a_running_answer(engine: Engine) -> None:
    output = engine.submit(ask(deadline_s=0.1)).output
    assert output.finish_reason == "deadline"
    assert output.total_ms >= 100


def test_deadline_ends_a_waiting_answer(engine: Engine) -> None:
    running = [engine.submit(ask()) for _ in range(2)]
    output = engine.submit(ask(deadline_s=0.02)).output
    assert (output.finish_reason, output.text) == ("deadline", "")
    for handle in running:
        handle.cancel()


def test_full_queue_is_busy_and_then_free_again(engine: Engine) -> None:
    handles = [engine.submit(ask()) for _ in range(4)]
    with pytest.raises(EngineBusy) as refused:
        engine.submit(ask())
    assert refused.value.retry_after_s > 0
    for handle in handles:
        handle.cancel()
    assert [handle.output.finish_reason for handle in handles] == ["cancelled"] * 4
    assert engine.submit(ask(max_new_tokens=2)).output.finish_reason == "length"


def test_prompt_longer_than_the_context_is_refused_with_both_counts(engine: Engine) -> None:
    with pytest.raises(PromptTooLong) as refused:
        engine.submit(ask("parcel " * 2000))
    assert refused.value.prompt_tokens > refused.value.context_tokens == engine.context_tokens


def test_late_request_joins_a_running_one(engine: Engine) -> None:
    first = engine.submit(ask())
    next(iter(first))
    second = engine.submit(ask(max_new_tokens=3))
    assert second.output.finish_reason == "length"
    first.cancel()
    assert first.output.finish_reason == "cancelled"


def test_stats_count(engine: Engine) -> None:
    before = engine.stats()
    engine.submit(ask(max_new_tokens=5)).output  # noqa: B018
    after = engine.stats()
    assert (before.running, before.waiting, before.slots) == (after.running, after.waiting, after.slots) == (0, 0, 2)
    assert after.tokens_total - before.tokens_total == 5


def test_alternatives_come_with_the_first_answer(engine: Engine) -> None:
    handle = engine.submit(ask(max_new_tokens=6, alternatives=2))
    assert "".join(handle) == handle.output.text
    (other,) = handle.output.alternatives
    assert (other.finish_reason, other.completion_tokens) == ("length", 6)
    assert (other.text, other.alternatives) == (handle.output.text, ())  # greedy: the same again
    assert engine.submit(ask(max_new_tokens=2)).output.alternatives == ()


@pytest.mark.parametrize("alternatives", [-1, 0, 3])
def test_alternatives_that_have_no_room_are_refused(engine: Engine, alternatives: int) -> None:
    with pytest.raises(EngineError) as refused:
        engine.submit(ask(alternatives=alternatives))
    assert refused.value.code == "bad_request"


def test_cancel_ends_all_alternatives(engine: Engine) -> None:
    handle = engine.submit(ask(alternatives=2))
    next(iter(handle))
    assert engine.stats().running == 2
    handle.cancel()
    assert [o.finish_reason for o in (handle.output, *handle.output.alternatives)] == ["cancelled"] * 2
    assert engine.stats().running == 0


def test_alternatives_wait_for_their_places_and_are_not_overtaken(engine: Engine) -> None:
    running = engine.submit(ask())
    next(iter(running))
    submitted_at = time.monotonic()
    both = engine.submit(ask(max_new_tokens=3, alternatives=2))
    single = engine.submit(ask(max_new_tokens=3))
    apart_ms = (time.monotonic() - submitted_at) * 1000
    assert both.next_piece(timeout_s=0.1) == single.next_piece(timeout_s=0.1) == ""
    running.cancel()
    assert [both.output.finish_reason, single.output.finish_reason] == ["length", "length"]
    assert both.output.queued_ms <= single.output.queued_ms + apart_ms


def test_log_probabilities_only_for_those_who_ask(engine: Engine) -> None:
    asked = engine.submit(ask(max_new_tokens=6, logprobs=True)).output
    assert len(asked.logprobs) == asked.completion_tokens == 6
    assert all(value <= 0 for value in asked.logprobs)
    assert engine.submit(ask(max_new_tokens=6)).output.logprobs == ()


def test_the_base_weights_are_a_version_and_the_live_one(engine: Engine) -> None:
    base = engine.model_version
    assert engine.versions == (base,)
    assert engine.submit(ask(max_new_tokens=2, version=base)).output.model_version == base
    engine.make_live(base)
    with pytest.raises(EngineError) as refused:
        engine.drop_version(base)
    assert (refused.value.code, engine.versions) == ("version_in_use", (base,))


def test_a_version_that_is_not_loaded_is_unknown_everywhere(engine: Engine) -> None:
    for call in (
        lambda: engine.submit(ask(version="other")),
        lambda: engine.make_live("other"),
        lambda: engine.drop_version("other"),
    ):
        with pytest.raises(EngineError) as refused:
            call()
        assert refused.value.code == "unknown_version"


def test_cache_slots_are_free_when_nothing_runs(engine: Engine) -> None:
    engine.submit(ask(max_new_tokens=2, alternatives=2, conversation="alice")).output  # noqa: B018
    stats = engine.stats()
    assert stats.free_cache_slots == stats.cache_slots


def test_stop_ends_what_runs_and_refuses_what_comes(engine: Engine) -> None:
    handles = [engine.submit(ask()) for _ in range(3)]
    engine.stop()
    assert [handle.output.finish_reason for handle in handles] == ["cancelled"] * 3
    with pytest.raises(EngineError) as refused:
        engine.submit(ask())
    assert refused.value.code == "engine_stopped"
