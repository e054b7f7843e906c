"""Hold two runs over the test questions beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from chatbot.quality.models import QuestionResult, QuestionRun
from chatbot.quality.outcomes import Outcome, change_between, counts


@dataclass(frozen=True)
class Difference:
    """One question in both runs. kind: fixed, broken, changed, same."""

    kind: str
    text: str
    was: str
    now: str
    before: QuestionResult
    after: QuestionResult


def last_finished(*, before: QuestionRun | None = None) -> QuestionRun | None:
    """The newest finished run over the test questions, or the newest one before another."""
    done = QuestionRun.objects.filter(kind=QuestionRun.Kind.SUITE, status=QuestionRun.Status.DONE).order_by("-created_at")
    return (done.filter(created_at__lt=before.created_at) if before else done).first()


def compare(run: QuestionRun, earlier: QuestionRun) -> list[Difference]:
    """The questions that both asked, by what happened to them: broken first."""
    then = {row.question_id: row for row in earlier.results.all() if row.question_id}
    found = []
    for row in run.results.select_related("question").exclude(question=None):
        if row.question and (was := then.get(row.question.pk)):
            kind = _kind(was, row)
            found.append(Difference(kind, row.question.text, _told(was), _told(row), was, row))
    order = {"broken": 0, "fixed": 1, "changed": 2, "same": 3}
    return sorted(found, key=lambda one: order[one.kind])


def count(differences: Iterable[Difference]) -> dict[str, int]:
    return counts(one.kind for one in differences)


def verdicts(run: QuestionRun) -> dict[str, int]:
    return dict(Counter(run.results.order_by().values_list("verdict", flat=True)).most_common())


def _kind(before: QuestionResult, after: QuestionResult) -> str:
    return change_between(_outcome(before), _outcome(after))


def _outcome(row: QuestionResult) -> Outcome:
    return Outcome(
        decision=row.decision,
        verdict=row.verdict,  # type: ignore[arg-type]  # stored by outcomes, read back
        keys=tuple(row.keys),
        confidence=row.confidence,
        answer=row.answer,
    )


def _told(row: QuestionResult) -> str:
    return f"{row.verdict} by {row.decision}" + (f" from {row.keys[0]}" if row.keys else "")
