"""The only way to a FAQ from outside this room. The public sees published ones alone; anything else does not exist for it."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from chatbot.errors import NotFound
from chatbot.knowledge.models import Faq, FaqRevision, FaqStatus
from chatbot.knowledge.passages import best_locale

_NO_FAQ = "This FAQ does not exist or is no longer published."


def access_published_faq(key: str, *, locale: str) -> Faq:
    """The published FAQ of this key in the locale that suits the reader best. Raises NotFound."""
    found = {faq.locale: faq for faq in published_faqs([key])} if "\x00" not in key else {}
    if not found:
        raise NotFound(_NO_FAQ, code="faq_not_found")
    return found[best_locale(list(found), wanted=locale)]


def published_faqs(keys: Iterable[str]) -> QuerySet[Faq]:
    """Published FAQs of these keys, all locales."""
    return Faq.objects.filter(key__in=list(keys), status=FaqStatus.PUBLISHED)


def access_faq_as_staff(faq_id: int) -> Faq:
    """Any FAQ, drafts included; the caller has checked the right. Raises NotFound."""
    faq = Faq.objects.filter(pk=faq_id).first()
    if faq is None:
        raise NotFound("This FAQ does not exist.", code="faq_not_found")
    return faq


def faqs_for_staff(*, text: str = "", status: str = "", locale: str = "", category: str = "") -> QuerySet[Faq]:
    """FAQs as the desk lists them, newest change first. Each filter left empty lets everything through."""
    faqs = Faq.objects.order_by("-updated_at", "-pk")
    if status:
        faqs = faqs.filter(status=status)
    if locale:
        faqs = faqs.filter(locale=locale)
    if category:
        faqs = faqs.filter(category=category)
    words = text.replace("\x00", "").split()
    for word in words[:10]:
        faqs = faqs.filter(
            Q(key__icontains=word) | Q(question__icontains=word) | Q(answer__icontains=word) | Q(phrasings__icontains=word)
        )
    return faqs


def revisions_of(faq: Faq) -> QuerySet[FaqRevision]:
    """A FAQ's revisions with their authors, newest first."""
    return faq.revisions.select_related("author")


def categories() -> list[str]:
    """The categories in use, sorted."""
    return sorted(Faq.objects.exclude(category="").order_by().values_list("category", flat=True).distinct())
