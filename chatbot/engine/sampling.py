"""Choose the next token of each row. A row's choice depends on its own logits, settings and seed, never on its neighbours."""

from __future__ import annotations

import torch

from chatbot.engine.requests import Sampling


def greedy_tokens(logits: torch.Tensor) -> tuple[list[int], list[bool]]:
    """Best token of each row and whether the row is sound. logits: (rows, vocabulary). NaN and infinity make a row unsound."""
    best, tokens = logits.max(dim=-1)
    return tokens.tolist(), torch.isfinite(best).tolist()


def token_logprobs(logits: torch.Tensor, tokens: list[int]) -> list[float]:
    """Natural logarithm of the probability the model itself gives each token. logits: float32, at least a row a token."""
    rows = logits[: len(tokens)].float()
    chosen = torch.tensor(tokens, device=rows.device).unsqueeze(1)
    return torch.log_softmax(rows, dim=-1).gather(1, chosen).squeeze(1).tolist()


def new_generator(sampling: Sampling, *, index: int = 0) -> torch.Generator:
    """Return the own source of chance of a request's answer number `index`.

    It lives on the CPU whatever the device, so that seeds mean the same there.
    """
    return torch.Generator().manual_seed((sampling.seed + index) & 0xFFFF_FFFF_FFFF_FFFF)


def sample_token(logits: torch.Tensor, sampling: Sampling, *, generator: torch.Generator) -> int:
    """Draw one token from one row of logits (vocabulary,), with temperature, then top_k, then top_p. Draws one number."""
    ordered, tokens = torch.sort(logits.float().cpu() / max(sampling.temperature, 1e-3), descending=True, stable=True)
    if sampling.top_k > 0:
        ordered = ordered[: sampling.top_k]
    probabilities = torch.softmax(ordered, dim=-1)
    cumulative = probabilities.cumsum(dim=-1)
    if sampling.top_p < 1.0:
        # Keep the tokens up to and including the one that crosses top_p. Source: Holtzman et al. 2019, section 3.
        kept = int((cumulative - probabilities < max(sampling.top_p, 1e-6)).sum())
        cumulative = cumulative[: max(kept, 1)]
    draw = torch.rand((), generator=generator) * cumulative[-1]
    return int(tokens[min(int(torch.searchsorted(cumulative, draw, right=True)), len(cumulative) - 1)])
