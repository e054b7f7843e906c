"""Read the gaps, the most asked first, and decide about them. Callers have checked the right: the texts are customers' own."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from django.utils import timezone

from chatbot.errors import InvalidInput, NotFound
from chatbot.knowledge.models import Faq, FaqStatus
from chatbot.quality.gathering import WINDOW
from chatbot.quality.models import Gap, GapQuestion
from chatbot.quality.suite import Author

WEEKS = 8
EXAMPLES = 3
_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Week:
    starts: date
    questions: int


@dataclass(frozen=True)
class Bar:
    x: int
    y: int
    height: int
    starts: date
    questions: int


@dataclass(frozen=True)
class Effect:
    """Questions a week before and after the FAQ was published; after: None during the first days, which tell nothing."""

    published_at: datetime
    before: float
    after: float | None


@dataclass(frozen=True)
class GapView:
    """volume: questions in the last 30 days. trend: of the last 7 days, less those of the 7 before. weeks: oldest first."""

    gap: Gap
    title: str
    volume: int
    trend: int
    kinds: list[tuple[str, int]]
    languages: list[tuple[str, int]]
    examples: list[GapQuestion]
    weeks: list[Week]
    nearest: Faq | None
    effect: Effect | None

    @property
    def trend_sign(self) -> str:
        return f"+{self.trend}" if self.trend > 0 else f"−{-self.trend}" if self.trend else "±0"

    @property
    def bars(self) -> list[Bar]:
        """The weeks as bars of a chart 80 wide and 24 high; a week without questions keeps a trace."""
        most = max((week.questions for week in self.weeks), default=0) or 1
        heights = [max(1, round(24 * week.questions / most)) for week in self.weeks]
        return [
            Bar(x=number * 10 + 1, y=24 - height, height=height, starts=week.starts, questions=week.questions)
            for number, (week, height) in enumerate(zip(self.weeks, heights, strict=True))
        ]


def list_gaps(*, status: str = Gap.Status.OPEN) -> list[GapView]:
    """By volume, then by trend. Raises InvalidInput for a status that does not exist."""
    if status not in Gap.Status.values:
        raise InvalidInput("There is no such list of gaps.", field="status")
    gaps = list(Gap.objects.filter(status=status).select_related("faq", "decided_by"))
    views = _views(gaps)
    shown = [view for view in views if view.volume or status != Gap.Status.OPEN]
    return sorted(shown, key=lambda view: (-view.volume, -view.trend, view.gap.pk))


def counts() -> dict[str, int]:
    found = Counter(Gap.objects.values_list("status", flat=True))
    return {str(status): found[status] for status in Gap.Status.values}


def access_gap(gap_id: int) -> GapView:
    """Raises NotFound."""
    gap = Gap.objects.filter(pk=gap_id).select_related("faq", "decided_by").first()
    if gap is None:
        raise NotFound("This gap does not exist.", code="gap_not_found")
    return _views([gap], examples=50)[0]


def decide_gap(gap_id: int, *, status: str, reason: str, author: Author) -> None:
    """Mark it as handled or ignored, with a reason, or open it again. Raises NotFound, InvalidInput."""
    gap = access_gap(gap_id).gap
    if status not in Gap.Status.values:
        raise InvalidInput("A gap is open, handled or ignored.", field="status")
    if status == Gap.Status.IGNORED and not reason.strip():
        raise InvalidInput("Please say why, so that nobody has to ask again.", field="reason")
    _decide(gap, status=status, reason=reason, author=author)


def faq_written(gap_id: int, *, faq: Faq, author: Author) -> None:
    """Remember the FAQ that was written for it; from now on the gap is handled."""
    gap = access_gap(gap_id).gap
    gap.faq = faq
    _decide(gap, status=Gap.Status.HANDLED, reason=f"FAQ {faq.key}", author=author)


def _decide(gap: Gap, *, status: str, reason: str, author: Author) -> None:
    gap.status, gap.reason = status, reason.strip()[:300]
    gap.decided_at = None if status == Gap.Status.OPEN else timezone.now()
    gap.decided_by_id = author.pk if author else None
    gap.save()


def _views(gaps: Sequence[Gap], *, examples: int = EXAMPLES) -> list[GapView]:
    rows: dict[int, list[GapQuestion]] = defaultdict(list)
    asked = GapQuestion.objects.filter(gap__in=gaps).select_related("message").order_by("-nearness", "-asked_at")
    for question in asked:
        rows[question.gap_id].append(question)
    keys = {gap.nearest_key for gap in gaps}
    nearest = {faq.key: faq for faq in Faq.objects.filter(key__in=keys, status=FaqStatus.PUBLISHED).order_by("-locale")}
    return [_view(gap, rows[gap.pk], nearest=nearest.get(gap.nearest_key), examples=examples) for gap in gaps]


def _view(gap: Gap, rows: Sequence[GapQuestion], *, nearest: Faq | None, examples: int) -> GapView:
    now = timezone.now()
    recent = [row for row in rows if row.asked_at >= now - WINDOW]
    last = sum(row.asked_at >= now - _WEEK for row in rows)
    before = sum(now - 2 * _WEEK <= row.asked_at < now - _WEEK for row in rows)
    labels = dict(GapQuestion.Kind.choices)
    return GapView(
        gap=gap,
        title=rows[0].message.text if rows else "",
        volume=len(recent),
        trend=last - before,
        kinds=[(str(labels[kind]), count) for kind, count in Counter(row.kind for row in recent).most_common()],
        languages=Counter(row.locale for row in recent).most_common(),
        examples=_different(rows, most=examples),
        weeks=_weeks(rows, now=now),
        nearest=nearest,
        effect=_effect(gap, rows, now=now),
    )


def _different(rows: Iterable[GapQuestion], *, most: int) -> list[GapQuestion]:
    """The most central ones, each wording once."""
    return list({row.message.text.casefold(): row for row in reversed(list(rows))}.values())[::-1][:most]


def _weeks(rows: Sequence[GapQuestion], *, now: datetime) -> list[Week]:
    """The last WEEKS spans of seven days, the last of which ends now."""
    weeks = []
    for number in range(WEEKS, 0, -1):
        starts = now - number * _WEEK
        weeks.append(Week(starts.date(), sum(starts <= row.asked_at < starts + _WEEK for row in rows)))
    last = weeks[-1]
    return [*weeks[:-1], replace(last, questions=sum(row.asked_at >= now - _WEEK for row in rows))]


def _effect(gap: Gap, rows: Sequence[GapQuestion], *, now: datetime) -> Effect | None:
    if gap.faq is None or gap.faq.status != FaqStatus.PUBLISHED or gap.faq.published_at is None or not rows:
        return None
    published = gap.faq.published_at
    first = min(row.asked_at for row in rows)
    weeks_before = max((published - max(first, published - WEEKS * _WEEK)) / _WEEK, 1.0)
    weeks_after = (now - published) / _WEEK
    before = sum(published - WEEKS * _WEEK <= row.asked_at < published for row in rows)
    after = sum(row.asked_at >= published for row in rows)
    return Effect(
        published, round(before / weeks_before, 1), round(after / max(weeks_after, 1.0), 1) if weeks_after >= 2 / 7 else None
    )
