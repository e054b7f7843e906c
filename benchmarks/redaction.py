"""How much personal data redaction finds, and how much of what it takes was personal.

    python benchmarks/redaction.py --data ../shared/data/pii/sentences.jsonl [--json FILE] [--misses 20]

Counted are names, phones, mails, addresses (streets and post codes), cards, bank accounts, ids and IP addresses. A mark counts as
found when nine in ten of its letters and digits are taken away. A find counts as right when more than half of it lies in a mark
of these kinds. The tagger has learnt from the first half of the file, so the second half is the honest figure. The Chinese set is
made up (redaction_chinese.py).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.redaction_chinese import sentences  # noqa: E402
from chatbot.learning.redaction import find  # noqa: E402

KINDS = {
    "PERSON": "name",
    "STREET_ADDRESS": "address",
    "ZIP_CODE": "address",
    "PHONE_NUMBER": "phone",
    "EMAIL_ADDRESS": "email",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "US_SSN": "id",
    "US_DRIVER_LICENSE": "id",
    "IP_ADDRESS": "ip",
    # Chinese sets of our own
    "ID": "id",
    "ORDER": "order",
}
FOUND_AT = 0.9


def measure(lines: Sequence[dict[str, Any]], *, misses: int = 0) -> dict[str, Any]:
    found: Counter[str] = Counter()
    marked: Counter[str] = Counter()
    right: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    shown = 0
    for line in lines:
        text = line["text"]
        finds = find(text)
        gone = {at for item in finds for at in range(item.start, item.end)}
        personal = set()
        for span in line["spans"]:
            if span["entity_type"] not in KINDS:
                continue
            letters = [at for at in range(span["start_position"], span["end_position"]) if text[at].isalnum()]
            personal.update(letters)
            kind = KINDS[span["entity_type"]]
            marked[kind] += 1
            hit = sum(at in gone for at in letters) >= FOUND_AT * len(letters)
            found[kind] += hit
            if not hit and shown < misses:
                shown += 1
                print(f"MISSED {kind}: {span['entity_value']!r} in {text[:160]!r}", file=sys.stderr)
        for item in finds:
            letters = [at for at in range(item.start, item.end) if text[at].isalnum()]
            good = sum(at in personal for at in letters) > len(letters) / 2
            taken[item.kind] += 1
            right[item.kind] += good
            if not good and shown < misses:
                shown += 1
                print(f"WRONGLY {item.kind}: {text[item.start : item.end]!r} in {text[:160]!r}", file=sys.stderr)
    return {
        "sentences": len(lines),
        "recall": round(found.total() / max(1, marked.total()), 4),
        "precision": round(right.total() / max(1, taken.total()), 4),
        "by_kind": {
            kind: {
                "marked": marked[kind],
                "recall": round(found[kind] / marked[kind], 3) if marked[kind] else None,
                "precision": round(right[kind] / taken[kind], 3) if taken[kind] else None,
            }
            for kind in sorted({*marked, *taken})
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--misses", type=int, default=0, help="show so many of each half")
    options = parser.parse_args()
    lines = [json.loads(line) for line in options.data.read_text().splitlines()]
    rows = []
    begun = time.perf_counter()
    sets = {"learnt from": lines[: len(lines) // 2], "held out": lines[len(lines) // 2 :], "all": lines}
    sets |= {"Chinese, mended with": sentences(), "Chinese, held out": sentences(held_out=True)}
    for name, part in sets.items():
        figures = {"set": name, **measure(part, misses=options.misses if "held out" in name else 0)}
        rows.append(figures)
        rates = f"recall {figures['recall']:.3f}   precision {figures['precision']:.3f}"
        print(f"{name:<20} {figures['sentences']:>4} sentences   {rates}")
        for kind, row in figures["by_kind"].items() if "held out" in name else ():
            print(f"    {kind:<8} {row['marked']:>4} marked   recall {row['recall']}   precision {row['precision']}")
    print(f"{(time.perf_counter() - begun) / sum(map(len, sets.values())) * 1000:.2f} ms a sentence")
    if options.json:
        options.json.write_text("\n".join(json.dumps(row) for row in rows) + "\n")


if __name__ == "__main__":
    main()
