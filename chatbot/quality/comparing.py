"""Hold two runs over the test questions beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from chatbot.quality.models import QuestionResult, QuestionRun
from chatbot.quality.outcomes import Outcome, change_between, counts


@dataclass(frozen=True)
class Difference:
    """One question in both runs. kind: fixed, broken, changed, reworded, same."""

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
    order = {"broken": 0, "fixed": 1, "changed": 2, "reworded": 3, "same": 4}
    return sorted(found, key=lambda one: order[one.kind])


def count(differences: Iterable[Difference]) -> dict[str, int]:
    return counts(one.kind for one in differences)


def verdicts(run: QuestionRun) -> dict[str, int]:
    return dict(Counter(run.results.order_by().values_list("verdict", flat=True)).most_common())


@dataclass(frozen=True)
class Beside:
    """A WHAT_IF run in figures, live and with the change. verdicts: how many test questions came to which, as (live, then).

    seconds: the median time of the answers that were written both ways.
    """

    verdicts: dict[str, tuple[int, int]]
    written: int
    seconds: tuple[float, float] | None


def beside(run: QuestionRun) -> Beside:
    known = run.results.exclude(change="").order_by()
    pairs = list(known.filter(message=None).values_list("before__verdict", "verdict"))
    live, then = Counter(str(pair[0]) for pair in pairs), Counter(pair[1] for pair in pairs)
    times = list(known.filter(before__has_key="full").values_list("before__full__total_s", "total_s"))
    seconds = (median(float(pair[0]) for pair in times), median(pair[1] for pair in times)) if times else None
    return Beside({name: (live[name], then[name]) for name in {*live, *then}}, len(times), seconds)


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
