"""Guess the next tokens of an answer from what it has read. Answers quote their passages, and checking is cheaper than writing.

Source: prompt lookup decoding (Saxena 2023). A guess never changes an answer: every token is the model's own choice.
"""

from __future__ import annotations

# Shorter matches guess at random more often than they save a step.
LONGEST_MATCH = 4
SHORTEST_MATCH = 2


def draft_tokens(tokens: list[int], *, limit: int) -> list[int]:
    """Return up to `limit` tokens that followed the latest earlier occurrence of the last few tokens."""
    if limit < 1:
        return []
    for size in range(LONGEST_MATCH, SHORTEST_MATCH - 1, -1):
        if len(tokens) <= size:
            continue
        ending = tokens[-size:]
        for at in range(len(tokens) - size - 1, -1, -1):
            if tokens[at + size - 1] == ending[-1] and tokens[at : at + size] == ending:
                return tokens[at + size : at + size + limit]
    return []
