"""Shape what the FAQ pages show: the narrowed list, and a history with its differences. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import F, Func, IntegerField, QuerySet

from chatbot.knowledge.access import faqs_for_staff, revisions_of
from chatbot.knowledge.models import Faq, FaqRevision
from support_portal.faqs.differences import Line, differences

MAX_QUERY_CHARS = 200
MAX_REVISIONS = 100


@dataclass(frozen=True)
class Chosen:
    """What the list is narrowed to; empty fields narrow nothing."""

    q: str = ""
    status: str = ""
    locale: str = ""
    category: str = ""

    @classmethod
    def from_query(cls, values: dict[str, str]) -> Chosen:
        # NUL is the one character that PostgreSQL cannot compare with.
        return cls(
            **{name: values.get(name, "").replace("\x00", "").strip()[:MAX_QUERY_CHARS] for name in cls.__dataclass_fields__}
        )


@dataclass(frozen=True)
class Change:
    """A revision and how it differs from the one before it. parts: (what, lines) of each field that changed."""

    revision: FaqRevision
    parts: list[tuple[str, list[Line]]]


def find_faqs(chosen: Chosen) -> QuerySet[Faq]:
    """The FAQs, newest change first, with `phrasing_count`."""
    faqs = faqs_for_staff(text=chosen.q, status=chosen.status, locale=chosen.locale, category=chosen.category)
    return faqs.defer("answer").annotate(phrasing_count=Func(F("phrasings"), function="cardinality", output_field=IntegerField()))


def locales_in_use() -> list[str]:
    return sorted(Faq.objects.order_by().values_list("locale", flat=True).distinct())


def history(faq: Faq) -> list[Change]:
    """The newest MAX_REVISIONS changes, newest first."""
    revisions = list(revisions_of(faq)[: MAX_REVISIONS + 1])
    older: list[FaqRevision | None] = [*revisions[1:], None]
    pairs = zip(revisions[:MAX_REVISIONS], older, strict=False)
    return [Change(new, changed_parts(old, new)) for new, old in pairs]


def changed_parts(old: FaqRevision | None, new: FaqRevision) -> list[tuple[str, list[Line]]]:
    """Per field, the lines that differ. Against nothing, everything is new."""
    before, after = (_parts(old) if old else {}), _parts(new)
    changed = [(name, differences(before.get(name, ""), text)) for name, text in after.items()]
    return [(name, lines) for name, lines in changed if lines]


def _parts(revision: FaqRevision) -> dict[str, str]:
    return {
        "Status": revision.get_status_display(),
        "Category": revision.category,
        "Question": revision.question,
        "Other ways to ask it": "\n".join(revision.phrasings),
        "Answer": revision.answer,
    }
