"""How often the right FAQ is found, and how honest the confidence is, on public question sets and the demo company.

    make bench BENCHMARKS=benchmarks/retrieval.py ARGS="--data ../shared/data"

Prints a table and one JSON line a set. `other half` is the half of the questions (by hash of the text) that no weight or
threshold was chosen on. Embedding everything takes some minutes on two cores; --questions N takes the N first by hash.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chatbot.answering.decisions import decide  # noqa: E402
from chatbot.engine.embedder import default_embedder  # noqa: E402
from chatbot.knowledge.evaluation import (  # noqa: E402
    Figures,
    Outcome,
    RememberingEmbedder,
    figures_of,
    read_questions,
    said_before,
    search_as_served,
)
from chatbot.knowledge.search_index import SearchIndex  # noqa: E402

DEMO = ROOT / "support_portal/demo_company"
SETS = {
    "banking77 k0": ("banking77/faqs_k0.jsonl", "banking77/questions.jsonl"),
    "banking77 k5": ("banking77/faqs_k5.jsonl", "banking77/questions.jsonl"),
    "banking77 k10": ("banking77/faqs_k10.jsonl", "banking77/questions.jsonl"),
    "clinc150 k5": ("clinc150/faqs_k5.jsonl", "clinc150/questions.jsonl"),
    "clinc150 k20": ("clinc150/faqs_k20.jsonl", "clinc150/questions.jsonl"),
}
COLUMNS = {
    "recall_at_1": "R@1",
    "recall_at_3": "R@3",
    "mrr_at_10": "MRR",
    "null_auroc": "AUROC",
    "accepted_at_95": "FPR95",
    "refused": "refused",
    "answered": "answered",
    "wrong": "wrong",
}


def by_hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def in_tuning_half(text: str) -> bool:
    return by_hash(text)[0] % 2 == 0


def measure(
    faqs: Path, questions: Path, *, embedder: RememberingEmbedder, limit: int | None
) -> tuple[list[Outcome], list[float]]:
    rows = [json.loads(line) for line in faqs.read_text(encoding="utf-8").splitlines() if line.strip()]
    asked = sorted(read_questions(questions.read_bytes()), key=lambda question: by_hash(question["text"]))[:limit]
    texts = {text for row in rows for text in (row["question"], *row["phrasings"])}
    texts |= {text for question in asked for text in (question["text"], *said_before(question)[-1:])}
    with tqdm(total=len(texts), desc="embedding", unit=" texts", disable=None) as bar:
        embedder.remember(texts, progress=bar.update)
    index = SearchIndex.from_faqs(rows, embedder)
    outcomes, rank_ms = [], []
    for question in asked:
        found = search_as_served(index, question)
        outcomes.append(Outcome(question["text"], question.get("expected"), found, decide(found.confidence)))
        rank_ms.append(found.timings_ms.get("rank", 0.0))
    return outcomes, rank_ms


def shown(name: str, figures: Figures) -> str:
    values = asdict(figures)
    cells = ("-" if values[field] is None else f"{values[field] * 100:.1f}" for field in COLUMNS)
    return f"{name:<28}" + "".join(f"{cell:>10}" for cell in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="the folder with banking77 and clinc150")
    parser.add_argument("--questions", type=int, help="at most this many a set")
    options = parser.parse_args()
    sets = {"demo company": (DEMO / "faqs.jsonl", DEMO / "questions.jsonl")}
    sets |= {name: (options.data / faqs, options.data / questions) for name, (faqs, questions) in SETS.items()}
    embedder = RememberingEmbedder(default_embedder())
    lines: list[dict[str, Any]] = []
    print(f"{'%':<28}" + "".join(f"{label:>10}" for label in COLUMNS.values()))
    for name, (faqs, questions) in sets.items():
        if not faqs.exists():
            print(f"{name:<28}  not measured: {faqs} is not there")
            continue
        outcomes, rank_ms = measure(faqs, questions, embedder=embedder, limit=options.questions)
        other = [outcome for outcome in outcomes if not in_tuning_half(outcome.text)]
        print(shown(name, figures_of(outcomes)))
        print(shown("  other half", figures_of(other)), flush=True)
        lines.append(
            {
                "set": name,
                **asdict(figures_of(outcomes)),
                "other_half": asdict(figures_of(other)),
                "rank_ms_p50": round(statistics.median(rank_ms), 2),
                "rank_ms_p95": round(statistics.quantiles(rank_ms, n=20)[-1], 2),
            }
        )
    for line in lines:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
