"""Judge answers: the queue, verdicts, second opinions. Callers have checked the right `review_answers`.

Each person has one verdict an answer. Two people at once are no accident but a second opinion: both verdicts stay. Until they
have given theirs, nobody is shown what others said, so that agreement means something (agreement.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Exists, F, Func, OuterRef, Q, QuerySet

from chatbot.answering.prompting import Turn
from chatbot.conversations import transcripts
from chatbot.conversations.models import Citation, Generation, Message
from chatbot.errors import InvalidInput, NotFound
from chatbot.learning.models import Feedback
from chatbot.learning.review_models import AnswerReview, ReviewItem, ReviewRequest

PAGE_ITEMS = 40
MAX_ASKED = 2
STATES = ("open", "asked", "mine", "judged", "disagreed", "all")
_TURNS = 8


@dataclass(frozen=True)
class Filters:
    """state: one of STATES. reason, locale, verdict: left empty each lets everything through."""

    state: str = "open"
    reason: str = ""
    locale: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Place:
    """Where a page of the list ends: the last item's (weight, id). Written into links, so it is read with suspicion."""

    weight: int
    id: int

    def __str__(self) -> str:
        return f"{self.weight}.{self.id}"

    @classmethod
    def parse(cls, text: str) -> Place:
        weight, _, number = text.partition(".")
        if not (weight.isascii() and weight.isdigit() and number.isascii() and number.isdigit() and len(text) < 25):
            raise InvalidInput("This link to a page of the list is broken.", field="before")
        return cls(int(weight), int(number))


@dataclass(frozen=True)
class Opened:
    """An answer with all that is needed to judge it.

    own: this person's verdict. others: everybody else's, empty until own is given; others_given: how many there are.
    """

    item: ReviewItem
    generation: Generation
    reply: Message
    question: Message | None
    before: Sequence[Turn]
    citations: Sequence[Citation]
    feedback: Feedback | None
    own: AnswerReview | None
    others: Sequence[AnswerReview]
    others_given: int
    requests: Sequence[ReviewRequest]


@dataclass(frozen=True)
class Marked:
    """others: the verdicts of those who were there before or at the same time."""

    review: AnswerReview
    others: Sequence[AnswerReview]


def items(filters: Filters, *, person_id: int, before: Place | None = None) -> list[ReviewItem]:
    """One page and one item more, the worst first. Raises InvalidInput for filters that no link of ours contains."""
    rows = _matching(filters, person_id=person_id)
    if before is not None:
        rows = rows.filter(Q(weight__lt=before.weight) | Q(weight=before.weight, pk__lt=before.id))
    parts = ("generation__reply__in_reply_to", "generation__feedback", "correction")
    found = rows.select_related(*parts).defer("generation__trace").prefetch_related("reviews__reviewer")
    return list(found.order_by("-weight", "-pk")[: PAGE_ITEMS + 1])


def counts(person_id: int) -> dict[str, int]:
    """How many answers each state has for this person; "judged" and "all" are not counted."""
    return {state: _matching(Filters(state), person_id=person_id).count() for state in ("open", "asked", "disagreed")}


def reasons_open(person_id: int) -> dict[str, int]:
    """How many answers to review have each reason; one may have several."""
    rows = _matching(Filters("open"), person_id=person_id).annotate(reason=Func(F("reasons"), function="unnest"))
    counted = dict(rows.order_by().values_list("reason").annotate(answers=Count("pk")))
    return {reason: counted.get(reason, 0) for reason in ReviewItem.Reason.values}


def locales() -> list[str]:
    return sorted(found for found in ReviewItem.objects.order_by().values_list("locale", flat=True).distinct() if found)


def next_item(filters: Filters, *, person_id: int, after: ReviewItem) -> int | None:
    """The next of a list in its order, from its top again at its end; None where nothing else is in it."""
    rows = _matching(filters, person_id=person_id).exclude(pk=after.pk).order_by("-weight", "-pk").values_list("pk", flat=True)
    later = rows.filter(Q(weight__lt=after.weight) | Q(weight=after.weight, pk__lt=after.pk))
    return later.first() or rows.first()


def access_item(item_id: int) -> ReviewItem:
    found = ReviewItem.objects.filter(pk=item_id).first()
    if found is None:
        raise NotFound("This answer is not on the list, or its conversation was deleted.", code="review_not_found")
    return found


def open_item(item_id: int, *, person_id: int) -> Opened:
    """Raises NotFound."""
    parts = ("generation__conversation", "generation__reply__in_reply_to", "generation__feedback", "correction")
    item = ReviewItem.objects.select_related(*parts).filter(pk=item_id).first() or access_item(item_id)
    generation = item.generation
    reviews = list(item.reviews.select_related("reviewer"))
    own = next((review for review in reviews if review.reviewer_id == person_id), None)
    others = [review for review in reviews if review.reviewer_id != person_id]
    question = generation.reply.in_reply_to
    return Opened(
        item=item,
        generation=generation,
        reply=generation.reply,
        question=question,
        before=transcripts.turns_before(question)[-_TURNS:] if question else (),
        citations=list(generation.reply.citations.all()),
        feedback=getattr(generation, "feedback", None),
        own=own,
        others=others if own else (),
        others_given=len(others),
        requests=list(item.requests.select_related("asked", "asked_by")),
    )


@transaction.atomic
def mark(item_id: int, *, person_id: int, verdict: str) -> Marked:
    """Give a verdict, or another one than before. Raises NotFound, InvalidInput."""
    if verdict not in AnswerReview.Verdict.values:
        raise InvalidInput("There is no such verdict.", field="verdict")
    item = _locked(item_id)
    review, _ = AnswerReview.objects.update_or_create(item=item, reviewer_id=person_id, defaults={"verdict": verdict})
    ReviewRequest.objects.filter(item=item, asked_id=person_id).update(done=True)
    _count(item)
    return Marked(review, list(item.reviews.exclude(reviewer_id=person_id).select_related("reviewer")))


@transaction.atomic
def unmark(item_id: int, *, person_id: int) -> None:
    """Take one's verdict back; the answer is to be judged again. Without one nothing changes. Raises NotFound."""
    item = _locked(item_id)
    AnswerReview.objects.filter(item=item, reviewer_id=person_id).delete()
    ReviewRequest.objects.filter(item=item, asked_id=person_id).update(done=False)
    _count(item)


@transaction.atomic
def ask(item_id: int, *, people: Sequence[int], by_id: int) -> int:
    """Ask people what they think of an answer; returns how many were asked now. Who has said it already is passed over.

    people: ids of active people who may review; the face has checked that. Raises NotFound, InvalidInput.
    """
    wanted = list(dict.fromkeys(people))
    if not 1 <= len(wanted) <= MAX_ASKED:
        raise InvalidInput(f"Choose one or {MAX_ASKED} people.", field="people")
    item = _locked(item_id)
    there = set(item.reviews.values_list("reviewer_id", flat=True)) | set(item.requests.values_list("asked_id", flat=True))
    made = [ReviewRequest(item=item, asked_id=person, asked_by_id=by_id) for person in wanted if person not in there]
    ReviewRequest.objects.bulk_create(made)
    _count(item)
    return len(made)


def _locked(item_id: int) -> ReviewItem:
    found = ReviewItem.objects.select_for_update().filter(pk=item_id).first()
    return found or access_item(item_id)


def _count(item: ReviewItem) -> None:
    """Bring the item's numbers up to date. The caller holds its lock."""
    given = set(item.reviews.values_list("reviewer_id", flat=True))
    asked = set(item.requests.values_list("asked_id", flat=True))
    item.given, item.wanted = len(given), max(1, len(given | asked))
    item.save(update_fields=["given", "wanted"])


def _matching(filters: Filters, *, person_id: int) -> QuerySet[ReviewItem]:
    rows = _in_state(filters.state, person_id=person_id)
    if filters.reason:
        if filters.reason not in ReviewItem.Reason.values:
            raise InvalidInput("There is no such reason.", field="reason")
        rows = rows.filter(reasons__contains=[filters.reason])
    if filters.locale:
        rows = rows.filter(locale=filters.locale[:20].replace("\x00", ""))
    if filters.verdict:
        if filters.verdict not in AnswerReview.Verdict.values:
            raise InvalidInput("There is no such verdict.", field="verdict")
        rows = rows.filter(Exists(AnswerReview.objects.filter(item=OuterRef("pk"), verdict=filters.verdict)))
    return rows


def _in_state(state: str, *, person_id: int) -> QuerySet[ReviewItem]:
    """ "open" leaves out what this person has judged: what is still wanted there is somebody else's word."""
    rows = ReviewItem.objects.all()
    own = Exists(AnswerReview.objects.filter(item=OuterRef("pk"), reviewer_id=person_id))
    if state == "open":
        return rows.filter(~own, given__lt=F("wanted"))
    if state == "asked":
        return rows.filter(Exists(ReviewRequest.objects.filter(item=OuterRef("pk"), asked_id=person_id, done=False)))
    if state == "mine":
        return rows.filter(own)
    if state == "judged":
        return rows.filter(given__gte=F("wanted"))
    if state == "disagreed":
        said = AnswerReview.objects.filter(item=OuterRef("pk")).order_by().values("item")
        several = said.annotate(kinds=Count("verdict", distinct=True)).filter(kinds__gt=1)
        # Nobody learns from a list what they have not been asked yet.
        return rows.filter(own, Exists(several), given__gt=1)
    if state != "all":
        raise InvalidInput("There is no such list.", field="state")
    return rows
