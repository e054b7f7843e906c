"""How far two reviewers of the same answers agree: percent, and Cohen's kappa, which leaves out what chance would give.

Kappa is (observed - expected) / (1 - expected); Cohen (1960). 0 is chance, 1 is full agreement, 0.6 and more is usually called
good.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from chatbot.learning.review_models import AnswerReview

VERDICTS: tuple[str, ...] = tuple(AnswerReview.Verdict.values)
# The newest; what people agreed on years ago says little about now.
MOST = 5000


@dataclass(frozen=True)
class Agreement:
    """answers: judged by two. kappa is None where chance alone would explain everything (all verdicts are the same)."""

    answers: int
    percent: float
    kappa: float | None
    pairs: Sequence[tuple[str, str]]

    def table(self) -> list[tuple[str, list[int]]]:
        """One row a first verdict, one column a second one, in the order of VERDICTS."""
        counted = Counter(self.pairs)
        return [(first, [counted[first, second] for second in VERDICTS]) for first in VERDICTS]


def agreement() -> Agreement:
    """Over all answers with two verdicts or more: the first two of each."""
    rows = (
        AnswerReview.objects.filter(item__given__gt=1)
        .order_by("-item_id", "created_at", "pk")
        .values_list("item_id", "verdict")[: 2 * MOST]
    )
    said: dict[int, list[str]] = defaultdict(list)
    for item_id, verdict in rows:
        said[item_id].append(verdict)
    return agreement_of([(found[0], found[1]) for found in said.values() if len(found) > 1])


def agreement_of(pairs: Sequence[tuple[str, str]]) -> Agreement:
    total = len(pairs)
    if not total:
        return Agreement(0, 0.0, None, ())
    observed = sum(first == second for first, second in pairs) / total
    firsts, seconds = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    expected = sum(firsts[verdict] * seconds[verdict] for verdict in firsts) / total**2
    kappa = None if expected == 1 else (observed - expected) / (1 - expected)
    return Agreement(total, observed * 100, kappa, tuple(pairs))
