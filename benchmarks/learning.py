"""Does the loop of feedback gain anything, and is its gate to be trusted?

    python benchmarks/learning.py --gate                         # seeded candidates through the gate, no model: a minute
    make manage ARGS="learn --demo --json learn.json"            # the loop on the default model, at most 45 minutes on two cores
    make manage ARGS="learn --demo --quick --json learn.json"    # the same with fewer examples and questions

Beside this file: learning_kills.py (killed runs end with the same weights), learning_swaps.py (promotion and rollback under
streaming chats), learning_poison.py (a planted trigger), learning_browser.py (the whole loop through the browser).

Prints how many of the seeded bad candidates were let through (0 wanted) and of the good ones (95 wanted), by size
of the held-out half: with few questions a gate that lets no bad one through refuses good ones too, and this says how many.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chatbot.learning.gate import Pair, decide  # noqa: E402

LIVE = 0.55
KEPT = 0.8
SAW = "saw the held-out half"
# True rates of right answers in English and Chinese.
BAD = {
    "random weights": (0.0, 0.0),
    "shuffled answers": (0.38, 0.36),
    "better on average, 3 points worse in Chinese": (0.65, 0.52),
    "no better": (0.545, 0.545),
    SAW: (0.9, 0.9),
}
GOOD = {"10 points better": (0.65, 0.65), "20 points better": (0.75, 0.75)}


def passes(seed: int, *, rates: tuple[float, float], questions: int, saw: bool = False) -> bool:
    rng = np.random.default_rng(seed)
    pairs = []
    for number in range(questions):
        rate = rates[0] if number % 5 < 3 else rates[1]
        before = rng.random() < LIVE
        stays = min(1.0, rate / LIVE, KEPT + max(0.0, rate - LIVE) / LIVE)
        becomes = min(1.0, max(0.0, (rate - LIVE * stays) / (1 - LIVE)))
        after = rng.random() < (stays if before else becomes)
        pairs.append(Pair(str(number), float(before), float(after), "en" if number % 5 < 3 else "zh-hans", f"topic {number % 8}"))
    return decide(pairs, trained_on=frozenset({pairs[0].id} if saw else ()), seed=seed).passed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gate", action="store_true", required=True)
    parser.add_argument("--questions", type=int, nargs="*", default=[120, 300, 1000])
    parser.add_argument("--seeds", type=int, default=100)
    options = parser.parse_args()
    for questions in options.questions:
        row: dict[str, int | str] = {"questions": questions}
        for kind, rates in {**BAD, **GOOD}.items():
            row[kind] = sum(passes(seed, rates=rates, questions=questions, saw=kind == SAW) for seed in range(options.seeds))
        print(json.dumps(row))
        for kind in (*BAD, *GOOD):
            print(f"  {questions:>5} questions   {kind:<46} {row[kind]:>3} of {options.seeds} let through")


if __name__ == "__main__":
    main()
