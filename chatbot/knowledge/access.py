"""The only way to a FAQ from outside this room. The public sees answering ones alone; anything else does not exist for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from django.db.models import F, Func, IntegerField, Q, QuerySet
from django.utils import timezone

from chatbot.errors import NotFound
from chatbot.knowledge.models import Faq, FaqRevision, FaqStatus
from chatbot.knowledge.passages import FALLBACK_LOCALE, best_locale

_NO_FAQ = "This FAQ does not exist or is no longer published."
EXPIRING_DAYS = 30
FEW_PHRASINGS = 5
Attention = Literal["", "review", "change", "expiring", "expired", "planned", "few_phrasings"]
Order = Literal["", "question", "category", "expires"]


def access_published_faq(key: str, *, locale: str) -> Faq:
    """The answering FAQ of this key in the locale that suits the reader best. Raises NotFound."""
    found = {faq.locale: faq for faq in published_faqs([key])} if "\x00" not in key else {}
    if not found:
        raise NotFound(_NO_FAQ, code="faq_not_found")
    return found[best_locale(list(found), wanted=locale)]


def answering_faqs() -> QuerySet[Faq]:
    """What the assistant may say at this moment: published, and within its dates."""
    now = timezone.now()
    return Faq.objects.filter(
        Q(valid_from__isnull=True) | Q(valid_from__lte=now),
        Q(valid_until__isnull=True) | Q(valid_until__gt=now),
        status=FaqStatus.PUBLISHED,
    )


def published_faqs(keys: Iterable[str]) -> QuerySet[Faq]:
    """Answering FAQs of these keys, all locales."""
    return answering_faqs().filter(key__in=list(keys))


def validity_turned(*, since: datetime | None) -> bool:
    """Whether a published FAQ has begun or ceased to answer since then, so that the search must be refreshed."""
    turns = Q(valid_from__lte=timezone.now()), Q(valid_until__lte=timezone.now())
    if since is not None:
        turns = turns[0] & Q(valid_from__gt=since), turns[1] & Q(valid_until__gt=since)
    return Faq.objects.filter(turns[0] | turns[1], status=FaqStatus.PUBLISHED).exists()


def access_faq_as_staff(faq_id: int) -> Faq:
    """Any FAQ, drafts included; the caller has checked the right. Raises NotFound."""
    faq = Faq.objects.select_related("owner", "written_by").filter(pk=faq_id).first()
    if faq is None:
        raise NotFound("This FAQ does not exist.", code="faq_not_found")
    return faq


def faqs_for_staff(
    *,
    text: str = "",
    status: str = "",
    locale: str = "",
    category: str = "",
    owner: str = "",
    attention: str = "",
    order: str = "",
) -> QuerySet[Faq]:
    """FAQs as the desk lists them, newest change first. Each filter left empty lets everything through.

    owner: a user's id, or "none". An attention that is not known finds nothing.
    """
    faqs = _ordered(Faq.objects.all(), order)
    for field, value in (("status", status), ("locale", locale), ("category", category)):
        if value:
            faqs = faqs.filter(**{field: value})
    if owner:
        faqs = faqs.filter(owner_id=int(owner)) if _is_id(owner) else faqs.filter(owner__isnull=owner == "none")
    if attention:
        faqs = faqs.filter(_needing(attention))
    words = text.replace("\x00", "").split()
    for word in words[:10]:
        faqs = faqs.filter(
            Q(key__icontains=word) | Q(question__icontains=word) | Q(answer__icontains=word) | Q(phrasings__icontains=word)
        )
    return faqs


def faqs_by_id(faq_ids: Iterable[int]) -> QuerySet[Faq]:
    return Faq.objects.filter(pk__in=list(faq_ids)).order_by("question", "pk")


def _is_id(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) < 19


def _ordered(faqs: QuerySet[Faq], order: str) -> QuerySet[Faq]:
    if order == "question":
        return faqs.order_by("question", "pk")
    if order == "category":
        return faqs.order_by("category", "question", "pk")
    if order == "expires":
        return faqs.order_by(F("valid_until").asc(nulls_last=True), "pk")
    return faqs.order_by("-updated_at", "-pk")


def _needing(attention: str) -> Q:
    now = timezone.now()
    if attention == "review":
        return Q(status=FaqStatus.REVIEW) | Q(change_status=FaqStatus.REVIEW)
    if attention == "change":
        return Q(change_number__isnull=False)
    if attention == "few_phrasings":
        return Q(
            pk__in=Faq.objects.annotate(ways=Func(F("phrasings"), function="cardinality", output_field=IntegerField()))
            .filter(ways__lt=FEW_PHRASINGS)
            .values("pk")
        ) & Q(status=FaqStatus.PUBLISHED)
    dates = {
        "expiring": Q(valid_until__gt=now, valid_until__lte=now + timedelta(days=EXPIRING_DAYS)),
        "expired": Q(valid_until__lte=now),
        "planned": Q(valid_from__gt=now),
    }
    return dates[attention] & Q(status=FaqStatus.PUBLISHED) if attention in dates else Q(pk__in=[])


def revisions_of(faq: Faq) -> QuerySet[FaqRevision]:
    """A FAQ's revisions with their authors, newest first."""
    return faq.revisions.select_related("author", "owner", "written_by")


def translations_of(key: str) -> list[Faq]:
    """The key's FAQs, the original first: English where there is one, else the oldest."""
    faqs = list(Faq.objects.filter(key=key).order_by("pk"))
    return sorted(faqs, key=lambda faq: (faq.locale != FALLBACK_LOCALE, not faq.locale.startswith(FALLBACK_LOCALE), faq.pk))


def locales() -> list[str]:
    """The languages in use, sorted."""
    return sorted(Faq.objects.order_by().values_list("locale", flat=True).distinct())


def categories() -> list[str]:
    """The categories in use, sorted."""
    return sorted(Faq.objects.exclude(category="").order_by().values_list("category", flat=True).distinct())
