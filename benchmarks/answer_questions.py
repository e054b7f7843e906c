"""Draw questions whose answers can be counted by benchmarks/answers.py, from FAQ files alone.

    python -m benchmarks.answer_questions OUT [--demo 250] [--places 40] [--place-questions 700] [--skip-places 0]

Writes, always the same for the same files:
- OUT/demo.jsonl: the demo company's questions, its FAQs' own phrasings with a slip of the pen in every third, and follow-ups,
  each after the question and answer of a FAQ;
- OUT/places-faqs.jsonl and OUT/places.jsonl: FAQs of some places of DSTC10 (shared data), and their questions with the place's
  name or, in every second one, after a turn in which both sides have spoken of the place.

Nothing is tuned on these: they exist to bring the number of written answers to a thousand (`evaluateanswers --compose`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

DEMO = Path(__file__).resolve().parent.parent / "support_portal" / "demo_company"
# Beside the clone; --shared names another place.
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
# Follow-ups that fit any shop; what no FAQ answers must be declined, and no answer may invent the figure asked for.
FOLLOW_UPS = {
    "en": ("And how long does that take?", "And what does it cost?", "Can I do that online too?", "Until when is that possible?"),
    "zh-hans": ("那需要多长时间？", "那要多少钱？", "网上也可以办吗？", "最晚到什么时候？"),
}


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def number_of(text: str) -> int:
    """The same number for the same text, spread evenly."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def spread(rows: Iterable[dict[str, Any]], *, most: int) -> list[dict[str, Any]]:
    """At most so many, chosen and ordered by hash, so that every part of a list is like the whole."""
    return sorted(rows, key=lambda row: number_of(json.dumps(row, sort_keys=True)))[:most]


def slipped(text: str) -> str:
    """Swap two letters of the longest word: the commonest slip there is."""
    word = max(text.split(), key=len)
    if len(word) < 5 or not word.isascii():
        return text
    place = 1 + number_of(text) % (len(word) - 3)
    return text.replace(word, word[:place] + word[place + 1] + word[place] + word[place + 2 :], 1)


def turns(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "text": question}, {"role": "assistant", "text": answer}]


def phrasings_of(faqs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"text": slipped(said) if number_of(said) % 3 == 0 else said, "locale": faq["locale"], "expected": faq["key"]}
        for faq in faqs
        for said in faq["phrasings"]
    ]


def follow_ups_of(faqs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """No key is expected: whether a FAQ answers the follow-up is not known."""
    return [
        {"text": asked, "locale": faq["locale"], "history": turns(faq["question"], faq["answer"])}
        for faq in faqs
        for asked in FOLLOW_UPS.get(faq["locale"], ())
    ]


def demo_questions(*, more: int) -> list[dict[str, Any]]:
    faqs, asked = read(DEMO / "faqs.jsonl"), read(DEMO / "questions.jsonl")
    drawn = spread(phrasings_of(faqs), most=more - more // 3) + spread(follow_ups_of(faqs), most=more // 3)
    return [*asked, *drawn]


def place_base(faqs: Sequence[dict[str, Any]], *, places: int, skip: int = 0) -> list[dict[str, Any]]:
    names = sorted({faq["category"] for faq in faqs}, key=number_of)[skip : skip + places]
    return [faq for faq in faqs if faq["category"] in names]


def place_questions(base: Sequence[dict[str, Any]], *, most: int) -> list[dict[str, Any]]:
    of_place: dict[str, list[dict[str, Any]]] = {}
    for faq in base:
        of_place.setdefault(faq["category"], []).append(faq)
    asked = []
    for place, faqs in of_place.items():
        name = place.title()
        for before, faq in zip([faqs[-1], *faqs[:-1]], faqs, strict=True):
            question = {"text": f"{faq['question']} ({name})", "locale": "en", "expected": faq["key"]}
            if number_of(faq["key"]) % 2:
                history = turns(f"{before['question']} I mean the {name}.", before["answer"])
                question = {"text": faq["question"], "locale": "en", "expected": faq["key"], "history": history}
            asked.append(question)
    return spread(asked, most=most)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--demo", type=int, default=250, help="questions drawn beside the demo company's own (250)")
    parser.add_argument("--places", type=int, default=40, help="places of the second base (40)")
    parser.add_argument("--place-questions", type=int, default=700, help="questions about these (700)")
    parser.add_argument("--skip-places", type=int, default=0, help="leave out the first N, for a base of other places (0)")
    parser.add_argument("--shared", type=Path, default=SHARED, help=f"the evaluation data ({SHARED})")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    base = place_base(read(options.shared / "dstc10" / "faqs.jsonl"), places=options.places, skip=options.skip_places)
    files = {
        "demo.jsonl": demo_questions(more=options.demo),
        "places-faqs.jsonl": base,
        "places.jsonl": place_questions(base, most=options.place_questions),
    }
    for name, rows in files.items():
        (options.out / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        print(f"{options.out / name}: {len(rows)} lines")


if __name__ == "__main__":
    main()
