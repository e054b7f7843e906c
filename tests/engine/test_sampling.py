from __future__ import annotations

import math

import pytest
import torch

from chatbot.engine.requests import Sampling
from chatbot.engine.sampling import greedy_tokens, new_generator, sample_token, token_logprobs


def draws(logits: torch.Tensor, sampling: Sampling, *, count: int = 400) -> list[int]:
    generator = new_generator(sampling)
    return [sample_token(logits, sampling, generator=generator) for _ in range(count)]


LOGITS = torch.log(torch.tensor([0.05, 0.5, 0.3, 0.15]))


def test_same_seed_same_draws_and_other_seed_others() -> None:
    assert draws(LOGITS, Sampling(1.0, seed=3)) == draws(LOGITS, Sampling(1.0, seed=3))
    assert draws(LOGITS, Sampling(1.0, seed=3)) != draws(LOGITS, Sampling(1.0, seed=4))


def test_draws_follow_the_probabilities() -> None:
    seen = draws(LOGITS, Sampling(1.0, seed=1), count=4000)
    for token, share in enumerate((0.05, 0.5, 0.3, 0.15)):
        assert abs(seen.count(token) / 4000 - share) < 0.03


def test_top_k_keeps_the_best() -> None:
    assert set(draws(LOGITS, Sampling(1.0, top_k=2))) == {1, 2}


def test_top_p_keeps_the_token_that_crosses_it() -> None:
    assert set(draws(LOGITS, Sampling(1.0, top_p=0.6))) == {1, 2}
    assert set(draws(LOGITS, Sampling(1.0, top_p=0.0))) == {1}


def test_low_temperature_is_nearly_greedy() -> None:
    assert set(draws(LOGITS, Sampling(0.01))) == {1}


def test_greedy_reports_unsound_rows() -> None:
    rows = torch.tensor([[0.0, 2.0], [float("nan"), 1.0], [float("inf"), 0.0], [3.0, float("-inf")]])
    tokens, sound = greedy_tokens(rows)
    assert sound == [True, False, False, True]
    assert (tokens[0], tokens[3]) == (1, 0)


def test_log_probabilities_are_those_of_the_model_itself() -> None:
    rows = torch.stack([LOGITS + 3, LOGITS.flip(0), LOGITS])
    assert token_logprobs(rows, [1, 1]) == pytest.approx([math.log(0.5), math.log(0.3)])


def test_the_answers_of_one_request_draw_from_seeds_in_a_row() -> None:
    second, alone = new_generator(Sampling(1.0, seed=4), index=1), new_generator(Sampling(1.0, seed=5))
    assert torch.rand(9, generator=second).tolist() == torch.rand(9, generator=alone).tolist()


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64 + 5])
def test_any_whole_number_is_a_seed(seed: int) -> None:
    assert set(draws(LOGITS, Sampling(1.0, seed=seed), count=50)) <= {0, 1, 2, 3}
