"""Find the words of people's names and of postal addresses in a text: a small linear tagger over letters and neighbours.

An averaged perceptron that reads from left to right and sees its own last two tags. Its features are hashed, so the model is one
table of half-precision numbers (name_tagger.safetensors); `benchmarks/redaction_fit.py` makes it. Source of the method: Collins
2002, with hashed features as in Weinberger et al. 2009.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

TAGS = ("other", "name", "address", "place", "organisation")
BUCKETS = 1 << 17
# What is taken by mistake costs a word; what is missed stays in the weights. So doubt counts for names and addresses.
LEAN = (0.0, 3.0, 3.0, 0.0, 0.0)
_TOWNS = ("place", "name")
MODEL_FILE = Path(__file__).with_name("name_tagger.safetensors")

_TOKEN = re.compile(r"[^\W\d_]+(?:['’´-][^\W\d_]+)*\.?(?=\W|\Z)|\d+|[^\W\d_]+|\n|[^\w\s]|_")
_INITIALS = re.compile(r"[^\W\d_]\.\Z|(?:mr|mrs|ms|dr|st|apt|no|prof|jr|sr|u|ul|str|rd|ave|av)\.\Z", re.I)


@dataclass(frozen=True)
class Token:
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True)
class TaggedRun:
    """Neighbouring words of one kind."""

    tag: str
    start: int
    end: int


def tokens_of(text: str) -> list[Token]:
    """Words with their inner marks, runs of digits, single marks and line ends. A dot stays with an initial or a short form."""
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        word, start = match[0], match.start()
        if len(word) > 1 and word.endswith(".") and not _INITIALS.match(word):
            found += [Token(word[:-1], start), Token(".", start + len(word) - 1)]
        else:
            found.append(Token(word, start))
    return found


def tagged_runs(text: str) -> list[TaggedRun]:
    """Tag a text with the shipped model and join what belongs together."""
    tokens = tokens_of(text)
    return list(_joined(text, tokens, tag(tokens, weights=_shipped())))


def tag(tokens: Sequence[Token], *, weights: np.ndarray[Any, Any], lean: Sequence[float] = LEAN) -> list[int]:
    """Tag from left to right.

    weights: (BUCKETS, tags). lean: added to the score of each tag where a word has a capital; a third of it elsewhere.
    """
    tags: list[int] = []
    low = [value / 3 for value in lean]
    for token, features in zip(tokens, static_features(tokens), strict=True):
        previous = tags[-1] if tags else -1
        before = tags[-2] if len(tags) > 1 else -1
        indices = features + history_features(previous, before)
        tags.append(int((weights[indices].sum(axis=0, dtype=np.float32) + (low if token.text.islower() else lean)).argmax()))
    return tags


def static_features(tokens: Sequence[Token]) -> list[list[int]]:
    """For each token the hashed features that do not depend on tags."""
    lower = ["<", "<", *(token.text.casefold() for token in tokens), ">", ">"]
    shapes = ["<", "<", *(_shape(token.text) for token in tokens), ">", ">"]
    return [[_hash(feature) for feature in _features(lower, shapes, at + 2)] for at in range(len(tokens))]


def history_features(previous: int, before: int) -> list[int]:
    return [_hash(f"t1={previous}"), _hash(f"t2={previous},{before}")]


def _features(lower: Sequence[str], shapes: Sequence[str], at: int) -> Iterator[str]:
    word, shape = lower[at], shapes[at]
    yield "bias"
    yield f"w={word}"
    yield f"s={shape}"
    for offset in (-2, -1, 1, 2):
        yield f"w{offset}={lower[at + offset]}"
        yield f"s{offset}={shapes[at + offset]}"
    yield f"w-1,w={lower[at - 1]},{word}"
    yield f"w,w+1={word},{lower[at + 1]}"
    yield f"w-2,w-1={lower[at - 2]},{lower[at - 1]}"
    yield f"w-1,s={lower[at - 1]},{shape}"
    yield f"s-1,s,s+1={shapes[at - 1]},{shape},{shapes[at + 1]}"
    yield f"w+1,s={lower[at + 1]},{shape}"
    yield f"s,w+1,w+2={shape},{lower[at + 1]},{lower[at + 2]}"
    yield f"w-2,w-1,s={lower[at - 2]},{lower[at - 1]},{shape}"
    edged = f"^{word}$"
    for size in (2, 3, 4):
        for start in range(len(edged) - size + 1):
            yield f"g={edged[start : start + size]}"
    yield f"e={word[-3:]},{shape}"
    yield f"p={word[:3]},{shape}"


def _shape(word: str) -> str:
    if word.isdigit():
        return f"d{min(len(word), 7)}"
    if not any(character.isalpha() for character in word):
        return word
    kind = "A" if word.isupper() and len(word) > 1 else "a" if word.islower() else "Aa" if word[0].isupper() else "aA"
    return kind + ("." if word.endswith(".") else "") + ("'" if not word.rstrip(".").isalpha() else "")


@cache
def _shipped() -> np.ndarray[Any, Any]:
    table: np.ndarray[Any, Any] = load_file(MODEL_FILE)["weights"].astype(np.float32)
    return table


def _hash(feature: str) -> int:
    return zlib.crc32(feature.encode()) % BUCKETS


def _joined(text: str, tokens: Sequence[Token], tags: Sequence[int]) -> Iterator[TaggedRun]:
    """Join equal neighbours. What stands between two words of an address on its lines (commas, a town) belongs to it."""
    runs: list[TaggedRun] = []
    for token, number in zip(tokens, tags, strict=True):
        name, last = TAGS[number], runs[-1] if runs else None
        if name == "other":
            continue
        gap = text[last.end : token.start] if last else ""
        if last is not None and name == last.tag and not gap.strip(" ,\n>?" if name == "address" else " "):
            runs[-1] = TaggedRun(name, last.start, token.end)
        elif name == "address" and len(runs) > 1 and last and last.tag in _TOWNS and _goes_on(text, runs[-2], last, token):
            runs[-2:] = [TaggedRun(name, runs[-2].start, token.end)]
        else:
            runs.append(TaggedRun(name, token.start, token.end))
    yield from runs


def _goes_on(text: str, street: TaggedRun, town: TaggedRun, token: Token) -> bool:
    between = text[street.end : town.start] + text[town.end : token.start]
    return street.tag == "address" and len(between) <= 12 and not between.strip(" ,\n>?")
