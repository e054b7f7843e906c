"""Measure what the model writes for agents, on small frozen sets: are facts and language kept, is nothing made up, how long?

Everything goes through the product's own functions, so what their checks withhold counts as not offered. The measures say nothing
about style; they find a model that is too small, or a tuning that has spoilt it.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chatbot.answering.answers import Search
from chatbot.answering.language import detect, same_language
from chatbot.answering.prompting import Turn
from chatbot.assist import drafting, noting, rewriting
from chatbot.assist.dialogue import Dialogue
from chatbot.characters import bare
from chatbot.conversations.models import Conversation
from chatbot.documents.processing import without_orders
from chatbot.documents.reading.blocks import ReadingFailed
from chatbot.documents.reading.sandbox import read_file
from chatbot.documents.splitting import Passage, split, windows
from chatbot.documents.suggesting import proven, write_pairs
from chatbot.engine.embedder import Embedder
from chatbot.engine.requests import Engine
from chatbot.errors import InvalidInput, Unavailable
from chatbot.quality.asked import Asked

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Tried:
    """One item. offered: something would be shown. figures: what is averaged over the offered ones; text: for one's eyes."""

    name: str
    offered: bool
    figures: dict[str, float]
    text: str
    seconds: float


def items_of(kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()]


def averages(tried: Sequence[Tried]) -> dict[str, float]:
    """offered: of all; every other figure is the mean over the offered items that have it."""
    sums: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for one in tried:
        for name, value in one.figures.items() if one.offered else ():
            sums[name] += value  # type: ignore[assignment]
            counts[name] += 1
    figures = {name: sums[name] / counts[name] for name in sums}
    whole = {"items": float(len(tried)), "offered": sum(one.offered for one in tried) / len(tried)}
    return whole | figures | {"seconds": sum(one.seconds for one in tried) / len(tried)}


def try_summaries(engine: Engine, *, items: Iterable[dict[str, Any]]) -> list[Tried]:
    """keep: what stands in the conversation and must stand in the note too."""

    def one(item: dict[str, Any]) -> Tried:
        turns = tuple(Turn(role="user" if who == "c" else "assistant", text=text) for who, text in item["turns"])
        summed = noting.sum_up(turns, engine=engine, cancelled=_never)
        figures = {
            "facts kept": sum(word.lower() in summed.text.lower() for word in item["keep"]) / len(item["keep"]),
            "lines withheld": summed.withheld / max(1, summed.written),
            "length": len(summed.text) / sum(len(turn.text) for turn in turns),
        }
        return Tried(turns[0].text, bool(summed.text), figures, summed.text, 0.0)

    return [_timed(one, item, name=item["turns"][0][1]) for item in items]


def try_translations(engine: Engine, *, items: Iterable[dict[str, Any]]) -> list[Tried]:
    def one(item: dict[str, Any]) -> Tried:
        found = rewriting.translate(item["text"], to=item["to"], engine=engine, cancelled=_never, progress=_silently)
        return Tried(item["text"], True, _compared(found, locale=item["to"]), found.text, 0.0)

    return [_timed(one, item, name=item["text"]) for item in items]


def try_rewrites(engine: Engine, *, items: Iterable[dict[str, Any]]) -> list[Tried]:
    def one(item: dict[str, Any]) -> Tried:
        found = rewriting.rewrite(item["text"], style=item["style"], engine=engine, cancelled=_never, progress=_silently)
        figures = _compared(found, locale=found.locale)
        figures[f"length, {item['style']}"] = figures.pop("length")
        figures["changed"] = float(bare(found.text) != bare(found.original))
        return Tried(item["text"], True, figures, found.text, 0.0)

    return [_timed(one, item, name=item["text"]) for item in items]


def try_drafts(engine: Engine, *, items: Iterable[Asked], search: Search) -> list[Tried]:
    """Replies to test questions, several continuations each, out of the knowledge that is live."""

    def one(asked: Asked) -> Tried:
        turns = (*asked.history, Turn(role="user", text=asked.text))
        told = Dialogue(Conversation(locale=asked.locale), turns, len(turns))
        drafts = drafting.drafts_of(told, search=search, engine=engine, cancelled=_never)
        cited = {source.key for draft in drafts for source in draft.sources}
        figures = {"alternatives": float(len(drafts)), "withheld sentences": float(sum(draft.withheld for draft in drafts))}
        if drafts:
            in_language = [same_language(detect(draft.plain, fallback=told.language), told.language) for draft in drafts]
            figures |= {"language kept": sum(in_language) / len(drafts), "cites the FAQ": float(asked.expected in cited)}
        return Tried(asked.text, bool(drafts), figures, "\n".join(draft.plain for draft in drafts), 0.0)

    return [_timed(one, asked, name=asked.text) for asked in items]


def passages_of(path: Path) -> list[Passage]:
    """What an uploaded file is cut into. Raises InvalidInput."""
    try:
        found = split(without_orders(read_file(path.read_bytes(), name=path.name).blocks)[0])
    except ReadingFailed as failure:
        raise InvalidInput(f"{path}: {failure.message}", code=failure.code) from failure
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from error
    if not found:
        raise InvalidInput(f"{path}: no text in it can be used.")
    return found


def try_faq_drafts(engine: Engine, *, items: Sequence[Passage], embedder: Embedder) -> list[Tried]:
    """FAQs from passages of documents. finds its passage: a drafted question is nearer to its own than to any other passage."""
    cut = [windows(passage) for passage in items]
    owners = np.repeat(np.arange(len(items)), [len(found) for found in cut])
    vectors = embedder.encode([text for found in cut for text in found])

    def one(place: int) -> Tried:
        passage = items[place]
        locale = detect(passage.text, fallback="en")
        pairs = write_pairs(passage, engine=engine, locale=locale)
        kept = list(proven(pairs, passage))
        figures = {"drafts": float(len(kept)), "unproven": float(len(pairs) - len(kept))}
        if kept:
            nearest = owners[(embedder.encode([pair.question for pair in kept]) @ vectors.T).argmax(axis=1)]
            in_language = [same_language(detect(f"{pair.question} {pair.answer}", fallback=locale), locale) for pair in kept]
            figures |= {"finds its passage": float((nearest == place).mean()), "language kept": sum(in_language) / len(kept)}
        return Tried(passage.heading, bool(kept), figures, "\n".join(f"{pair.question}\n{pair.answer}" for pair in kept), 0.0)

    return [_timed(one, place, name=passage.heading) for place, passage in enumerate(items)]


def _timed(one: Callable[[Any], Tried], item: Any, *, name: str) -> Tried:
    """What the model cannot do, or the checks withhold, is an item that was not offered."""
    began = time.monotonic()
    try:
        tried = one(item)
    except (Unavailable, InvalidInput) as error:
        tried = Tried(name, False, {}, error.message, 0.0)
    return Tried(tried.name, tried.offered, tried.figures, tried.text, time.monotonic() - began)


def _compared(found: rewriting.Rewritten, *, locale: str) -> dict[str, float]:
    lost, added = rewriting.differences(found.original, found.text)
    return {
        "facts kept": float(not lost),
        "nothing added": float(not added),
        "language kept": float(same_language(detect(found.text, fallback=locale), locale)),
        "length": len(found.text) / len(found.original),
    }


def _never() -> bool:
    return False


def _silently(step: str, text: str) -> None:
    """Nobody watches."""
