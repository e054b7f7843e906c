"""Shape what the FAQ pages show: the narrowed list, and a history with its differences. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Func, IntegerField, QuerySet
from django.utils import timezone

from chatbot.insights.faq_usage import FaqUsage, most_used_first, never_used, usage_of
from chatbot.knowledge.access import EXPIRING_DAYS, faqs_for_staff, revisions_of
from chatbot.knowledge.models import Faq, FaqRevision
from support_portal.accounts.models import User
from support_portal.accounts.roles import people_with
from support_portal.faqs.differences import Line, differences

MAX_QUERY_CHARS = 200
MAX_REVISIONS = 100
ATTENTIONS = [
    ("review", "waits for review"),
    ("change", "has an unpublished change"),
    ("unused", "not used in 90 days"),
    ("few_phrasings", "fewer than 5 phrasings"),
    ("expiring", "expires within 30 days"),
    ("expired", "expired"),
    ("planned", "not valid yet"),
]
ORDERS = [
    ("", "newest"),
    ("question", "question"),
    ("category", "category"),
    ("used", "most used"),
    ("expires", "expires next"),
]


@dataclass(frozen=True)
class Chosen:
    """What the list is narrowed to; empty fields narrow nothing."""

    q: str = ""
    status: str = ""
    locale: str = ""
    category: str = ""
    owner: str = ""
    attention: str = ""
    order: str = ""

    @classmethod
    def from_query(cls, values: dict[str, str]) -> Chosen:
        # NUL is the one character that PostgreSQL cannot compare with.
        return cls(
            **{name: values.get(name, "").replace("\x00", "").strip()[:MAX_QUERY_CHARS] for name in cls.__dataclass_fields__}
        )

    @property
    def query(self) -> dict[str, str]:
        return {name: value for name, value in vars(self).items() if value}

    @property
    def narrows(self) -> bool:
        return any(name != "order" for name in self.query)


@dataclass(frozen=True)
class Row:
    """One FAQ of the list. dates: what its validity means today, or nothing."""

    faq: Faq
    phrasings: int
    usage: FaqUsage
    dates: Dates | None


@dataclass(frozen=True)
class Dates:
    tone: str
    words: str


@dataclass(frozen=True)
class Change:
    """A revision and how it differs from the one before it. parts: (what, lines) of each field that changed."""

    revision: FaqRevision
    parts: list[tuple[str, list[Line]]]


def find_faqs(chosen: Chosen) -> QuerySet[Faq]:
    """The FAQs of the list, in its order."""
    unused = chosen.attention == "unused"
    faqs = faqs_for_staff(
        text=chosen.q,
        status=chosen.status,
        locale=chosen.locale,
        category=chosen.category,
        owner=chosen.owner,
        attention="" if unused else chosen.attention,
        order="" if chosen.order == "used" else chosen.order,
    )
    if unused:
        faqs = never_used(faqs).filter(status=Faq.Status.PUBLISHED)
    return most_used_first(faqs) if chosen.order == "used" else faqs


def page_rows(ids: Sequence[int]) -> list[Row]:
    """The rows of one page, in the order of the ids: read only now, so that sorting 10,000 carries no texts."""
    ways = Func(F("phrasings"), function="cardinality", output_field=IntegerField())
    found = Faq.objects.filter(pk__in=ids).select_related("owner").defer("answer", "phrasings").annotate(ways=ways)
    by_id = {faq.pk: faq for faq in found}
    page = [by_id[pk] for pk in ids if pk in by_id]
    usages = usage_of(page)
    return [Row(faq, getattr(faq, "ways"), usages[faq.pk], dates_of(faq)) for faq in page]  # noqa: B009 (annotated)


def dates_of(faq: Faq) -> Dates | None:
    """Say when a published FAQ begins or ceases to answer, if that is soon or past."""
    now = timezone.now()
    if faq.status != Faq.Status.PUBLISHED:
        return None
    if faq.valid_until and faq.valid_until <= now:
        return Dates("danger", "expired")
    if faq.valid_from and faq.valid_from > now:
        return Dates("info", f"answers {_in_words(faq.valid_from, now)}")
    if faq.valid_until and (faq.valid_until - now).days < EXPIRING_DAYS:
        return Dates("warning", f"expires {_in_words(faq.valid_until, now)}")
    return None


def _in_words(moment: datetime, now: datetime) -> str:
    hours = (moment - now).total_seconds() / 3600
    if hours < 1:
        return "within the hour"
    if hours < 48:
        return f"in {int(hours)} h"
    return f"in {int(hours // 24)} days"


def editors() -> QuerySet[User]:
    """Everyone who may look after a FAQ."""
    return people_with("edit_faqs")


def history(faq: Faq) -> list[Change]:
    """The newest MAX_REVISIONS changes, newest first."""
    revisions = list(revisions_of(faq)[: MAX_REVISIONS + 1])
    older: list[FaqRevision | None] = [*revisions[1:], None]
    pairs = zip(revisions[:MAX_REVISIONS], older, strict=False)
    return [Change(new, changed_parts(old, new)) for new, old in pairs]


def changed_parts(old: FaqRevision | Faq | None, new: FaqRevision | Faq) -> list[tuple[str, list[Line]]]:
    """Per field, the lines that differ. Against nothing, everything is new."""
    before, after = (_parts(old) if old else {}), _parts(new)
    changed = [(name, differences(before.get(name, ""), text)) for name, text in after.items()]
    return [(name, lines) for name, lines in changed if lines]


def _parts(said: FaqRevision | Faq) -> dict[str, str]:
    status = said.get_status_display()
    if isinstance(said, FaqRevision) and said.is_change:
        status = "Unpublished change, in review" if said.status == Faq.Status.REVIEW else "Unpublished change"
    return {
        "Status": status,
        "Category": said.category,
        "Question": said.question,
        "Other ways to ask it": "\n".join(said.phrasings),
        "Answer": said.answer,
        "Valid from": _exact(said.valid_from),
        "Valid until": _exact(said.valid_until),
        "Owner": getattr(said.owner, "display_name", ""),
    }


def _exact(moment: datetime | None) -> str:
    return timezone.localtime(moment).strftime("%-d %B %Y, %H:%M") if moment else ""
