"""Greedy answers in float32 are what transformers.generate() writes, token for token, whatever happens around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from chatbot.engine.engine import BatchedEngine
from chatbot.engine.requests import ChatMessage, GenerationHandle, GenerationRequest, Sampling
from tests.engine.conftest import SHAPES

Make = Callable[..., BatchedEngine]
SYSTEM = ChatMessage("system", "You answer the customers of a shop, shortly and from the passages. " * 3)
QUESTIONS = ("Where is my parcel?", "包裹在哪里？", "How do I return two of the three items I bought? " * 9)
NEW_TOKENS = 40


def request(question: str, *, conversation: str = "", history: tuple[ChatMessage, ...] = ()) -> GenerationRequest:
    messages = [SYSTEM, *history, ChatMessage("user", question)]
    return GenerationRequest("r", messages, max_new_tokens=NEW_TOKENS, conversation=conversation)


def expected(engine: BatchedEngine, folder: Path, asked: GenerationRequest) -> tuple[int, ...]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.tensor([engine._loaded.chat.encode(asked.messages)[0]])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW_TOKENS, do_sample=False)
    return tuple(out[0, ids.shape[1] :].tolist())


def run(engine: BatchedEngine, *asked: GenerationRequest) -> list[tuple[int, ...]]:
    handles = [engine.submit(one) for one in asked]
    return [handle.output.tokens for handle in handles]


@pytest.mark.parametrize("shape", SHAPES)
def test_alone_batched_late_and_with_reuse(shape: str, make_engine: Make, tiny_folders: dict[str, Path]) -> None:
    engine = make_engine(shape)
    asked = [request(question) for question in QUESTIONS]
    wanted = [expected(engine, tiny_folders[shape], one) for one in asked]
    assert [run(engine, one)[0] for one in asked] == wanted  # alone; from the second on with the shared system prompt
    assert run(engine, *asked) == wanted  # in one batch
    first = engine.submit(asked[0])
    assert next(iter(first))
    assert run(engine, *asked[1:]) == wanted[1:]  # joined late
    assert first.output.tokens == wanted[0]
    plain = make_engine(shape, reuse_prefixes=False, draft_rows=0)
    assert run(plain, *asked) == wanted


def test_after_neighbours_were_cancelled(make_engine: Make, tiny_folders: dict[str, Path]) -> None:
    engine = make_engine()
    asked = request(QUESTIONS[0])
    neighbours = [engine.submit(request(question)) for question in QUESTIONS]
    for neighbour in neighbours[::2]:
        assert next(iter(neighbour))
        neighbour.cancel()
    kept: GenerationHandle = engine.submit(asked)
    assert kept.output.tokens == expected(engine, tiny_folders["qwen2"], asked)
    assert neighbours[1].output.finish_reason == "length"


def test_a_later_turn_reuses_its_own_conversation(make_engine: Make, tiny_folders: dict[str, Path]) -> None:
    engine = make_engine()
    first = engine.submit(request(QUESTIONS[2], conversation="alice")).output
    history = (ChatMessage("user", QUESTIONS[2]), ChatMessage("assistant", first.text))
    follow_up = request("And how much is that?", conversation="alice", history=history)
    second = engine.submit(follow_up).output
    assert second.reused_tokens > first.prompt_tokens
    assert second.tokens == expected(engine, tiny_folders["qwen2"], follow_up)


def test_drafts_do_not_change_an_answer(make_engine: Make, tiny_folders: dict[str, Path]) -> None:
    asked = request("abc abc abc abc abc abc abc abc")
    drafted, plain = make_engine(draft_rows=6), make_engine(draft_rows=0)
    assert run(drafted, asked) == run(plain, asked) == [expected(plain, tiny_folders["qwen2"], asked)]


def test_long_prompts_are_read_in_chunks(make_engine: Make, tiny_folders: dict[str, Path]) -> None:
    engine = make_engine("mistral")
    asked = request("Tell me all about returns, refunds, parcels and labels. " * 12)
    assert run(engine, asked) == [expected(engine, tiny_folders["mistral"], asked)]


@pytest.mark.parametrize("shape", SHAPES)
def test_alternatives_are_what_each_would_be_alone(shape: str, make_engine: Make, tiny_folders: dict[str, Path]) -> None:
    engine = make_engine(shape)
    asked = request(QUESTIONS[0])
    neighbour = engine.submit(request(QUESTIONS[1]))
    greedy = engine.submit(replace(asked, alternatives=3)).output
    wanted = expected(engine, tiny_folders[shape], asked)
    assert [greedy.tokens, *(other.tokens for other in greedy.alternatives)] == [wanted] * 3
    assert neighbour.output.tokens == expected(engine, tiny_folders[shape], request(QUESTIONS[1]))
    sampled = [replace(asked, sampling=Sampling(1.0, seed=seed)) for seed in (5, 6, 7)]
    together = engine.submit(replace(sampled[0], alternatives=3)).output
    assert [together.tokens, *(other.tokens for other in together.alternatives)] == [run(engine, one)[0] for one in sampled]


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0.8, top_k=20, seed=3)])
def test_log_probabilities_are_those_of_the_models_own_forward(
    sampling: Sampling, make_engine: Make, tiny_folders: dict[str, Path]
) -> None:
    engine = make_engine(draft_rows=8)
    model = AutoModelForCausalLM.from_pretrained(tiny_folders["qwen2"], dtype=torch.float32)
    asked = replace(request("abc abc abc abc abc abc"), sampling=sampling, logprobs=True, alternatives=2)
    output = engine.submit(asked).output
    for one in (output, *output.alternatives):
        ids = torch.tensor([[*engine._loaded.chat.encode(asked.messages)[0], *one.tokens]])
        with torch.inference_mode():
            own = torch.log_softmax(model(ids).logits[0, one.prompt_tokens - 1 : -1].float(), dim=-1)
        wanted = own.gather(1, ids[0, one.prompt_tokens :, None]).squeeze(1)
        torch.testing.assert_close(torch.tensor(one.logprobs), wanted, rtol=1e-3, atol=1e-3)


def test_seeded_sampling_is_the_same_alone_and_among_four(make_engine: Make) -> None:
    asked = [replace(request(QUESTIONS[n % 3]), sampling=Sampling(0.9, top_p=0.95, seed=n)) for n in range(4)]
    alone = [run(make_engine(max_running=1, reuse_prefixes=False), one)[0] for one in asked]
    assert len(set(alone)) == 4
    assert run(make_engine(), *asked) == alone


def test_tiny_chunks_change_nothing(make_engine: Make, tiny_folders: dict[str, Path]) -> None:
    engine = make_engine()
    engine._scheduler.prefill_chunk = engine._scheduler.prefill_chunk_beside_writing = 7
    asked = [request(question) for question in QUESTIONS]
    assert run(engine, *asked) == [expected(engine, tiny_folders["qwen2"], one) for one in asked]
