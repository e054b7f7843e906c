"""How search behaves as a knowledge base grows: time, recall against exact search, and memory.

    make bench BENCHMARKS=benchmarks/retrieval_scale.py
    make bench BENCHMARKS=benchmarks/retrieval_scale.py ARGS="--phrasings 100000 --each 1"

Vectors are made up: entries are points on a sphere in groups of alike ones, phrasings lie around them, in as many dimensions as
the packaged embedder's; texts are made of a vocabulary in which few words are common and most are rare. Times are without the
embedding of the question. From publishing to answering in a whole installation: benchmarks/publishing.py.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chatbot.knowledge.scoring import Carried, Scorer  # noqa: E402

PARTS = (384, 512)
WORDS = 30_000
TOP = 10
# How far phrasings lie from their entry and entries from their group, so that likenesses spread as those of real FAQs do.
GROUP_SPREAD, PHRASING_SPREAD, QUESTION_SPREAD = 0.9, 0.7, 0.7


@dataclass(frozen=True)
class Made:
    texts: list[str]
    vectors: np.ndarray
    owners: np.ndarray
    questions: np.ndarray
    question_texts: list[str]
    expected: np.ndarray


def make(phrasings: int, *, each: int, questions: int) -> Made:
    random = np.random.default_rng(1)
    entries = phrasings // each
    width = sum(PARTS)

    def near(centres: np.ndarray, spread: float) -> np.ndarray:
        rows = centres + spread * random.standard_normal(centres.shape, dtype=np.float32) / np.float32(np.sqrt(width))
        return unit_parts(rows)

    groups = unit_parts(random.standard_normal((max(entries // 20, 1), width), dtype=np.float32))
    centres = near(groups[random.integers(0, len(groups), entries)], GROUP_SPREAD)
    owners = np.repeat(np.arange(entries), each)
    blocks = [owners[start : start + 10_000] for start in range(0, len(owners), 10_000)]
    vectors = np.concatenate([near(centres[block], PHRASING_SPREAD) for block in blocks])
    expected = random.integers(0, entries, questions)
    words = np.minimum(random.zipf(1.3, size=(entries, 6)), WORDS)
    common = np.minimum(random.zipf(1.3, size=(len(owners), 3)), WORDS)
    texts = [" ".join(f"w{word}" for word in (*words[owner][:4], *own)) for owner, own in zip(owners, common, strict=True)]
    asked = [" ".join(f"w{word}" for word in words[entry][1:]) for entry in expected]
    return Made(texts, vectors, owners, near(centres[expected], QUESTION_SPREAD), asked, expected)


def unit_parts(rows: np.ndarray) -> np.ndarray:
    halves = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in np.split(rows, np.cumsum(PARTS)[:-1], axis=1)]
    return (np.concatenate(halves, axis=1) / np.sqrt(len(halves))).astype(np.float32)


def measure(phrasings: int, *, each: int, questions: int) -> dict[str, Any]:
    made = make(phrasings, each=each, questions=questions)
    entries = phrasings // each
    started = time.monotonic()
    scorer = Scorer(made.texts, made.vectors, made.owners, entries=entries, parts=PARTS)
    build_s = time.monotonic() - started
    times_ms, cpu_ms, found = [], [], []
    for number in range(questions):
        started, cpu_started = time.monotonic(), time.process_time()
        fused = scorer.score(made.questions[number : number + 1], made.question_texts[number : number + 1]).fused[0]
        found.append(np.argpartition(-fused, TOP)[:TOP])
        times_ms.append((time.monotonic() - started) * 1000)
        cpu_ms.append((time.process_time() - cpu_started) * 1000)
    recall, memory = recall_of(scorer, made, found), scorer.memory_bytes
    added_s = add_one(scorer, made)
    return {
        "phrasings": phrasings,
        "entries": entries,
        "p50_ms": round(statistics.median(times_ms), 2),
        "p95_ms": round(statistics.quantiles(times_ms, n=20)[-1], 2),
        "cpu_p95_ms": round(statistics.quantiles(cpu_ms, n=20)[-1], 2),
        "recall_at_10_of_exact": round(recall, 4),
        "first_is_expected": round(float(np.mean([np.isin(e, f) for e, f in zip(made.expected, found, strict=True)])), 3),
        "memory_mb": round(memory / 1e6),
        "build_s": round(build_s, 2),
        "add_one_s": round(added_s, 2),
    }


def recall_of(scorer: Scorer, made: Made, found: list[np.ndarray]) -> float:
    """The share of the exact first ten that was found; 1 where the search is exact."""
    if not scorer.is_coarse:
        return 1.0
    exact = Scorer(made.texts, made.vectors, made.owners, entries=scorer.size, parts=PARTS, exact_up_to=len(made.texts))
    shares = []
    for number, coarse in enumerate(found):
        fused = exact.score(made.questions[number : number + 1], made.question_texts[number : number + 1]).fused[0]
        shares.append(len(np.intersect1d(np.argpartition(-fused, TOP)[:TOP], coarse)) / TOP)
    return float(np.mean(shares))


def add_one(scorer: Scorer, made: Made) -> float:
    """Seconds to put one more entry of one phrasing into the index that a process holds."""
    rows = np.append(np.arange(len(made.owners)), -1)
    entries = np.append(np.arange(scorer.size), -1)
    owners = np.append(made.owners, scorer.size)
    started = time.monotonic()
    Scorer(
        [*made.texts, "w1 w2 w3"],
        made.questions[:1],
        owners,
        entries=scorer.size + 1,
        parts=PARTS,
        carried=Carried(scorer=scorer, rows=rows, entries=entries),
    )
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phrasings", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--each", type=int, default=5, help="phrasings an entry")
    parser.add_argument("--questions", type=int, default=200)
    options = parser.parse_args()
    columns = [
        "phrasings",
        "entries",
        "p50_ms",
        "p95_ms",
        "cpu_p95_ms",
        "recall_at_10_of_exact",
        "memory_mb",
        "build_s",
        "add_one_s",
    ]
    print("".join(f"{column:>23}" for column in columns))
    lines = []
    for phrasings in options.phrasings:
        lines.append(measure(phrasings, each=options.each, questions=options.questions))
        print("".join(f"{lines[-1][column]:>23}" for column in columns), flush=True)
    for line in lines:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
