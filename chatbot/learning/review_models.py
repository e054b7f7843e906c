"""What the people who work here say of the answers, and write themselves. Django finds these models through models.py."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q


class ReviewItem(models.Model):
    """An answer worth a look, and why. Filled by reviews.gather; what people say of it stands in AnswerReview."""

    class Reason(models.TextChoices):
        RATED_DOWN = "rated_down", "Rated not helpful"
        UNSUPPORTED = "unsupported", "Sentences were withheld"
        LOW_SUPPORT = "low_support", "Little in the sources supports it"
        REFUSED = "refused", "The bot did not know"
        HANDED_OFF = "handed_off", "A person was asked for afterwards"
        SAMPLE = "sample", "Random sample"

    generation = models.OneToOneField("conversations.Generation", on_delete=models.CASCADE, related_name="review_item")
    reasons = ArrayField(models.CharField(max_length=20, choices=Reason.choices), default=list)
    # The worst first: the sum of the reasons' weights.
    weight = models.PositiveSmallIntegerField(default=0)
    locale = models.CharField(max_length=20, blank=True, default="")
    # Verdicts so far, and how many are wanted: two once somebody was asked for a second opinion.
    given = models.PositiveSmallIntegerField(default=0)
    wanted = models.PositiveSmallIntegerField(default=1)
    answered_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            # The queue: what is still to be judged, the worst and newest first.
            models.Index(fields=["-weight", "-id"], name="review_open", condition=Q(given__lt=F("wanted"))),
            models.Index(fields=["-id"], name="review_judged", condition=Q(given__gte=F("wanted"))),
        ]

    def __str__(self) -> str:
        return f"review of generation {self.generation_id}"


class AnswerReview(models.Model):
    """What one person who works here says of one answer. Each has one verdict; a change of mind replaces it."""

    class Verdict(models.TextChoices):
        RIGHT = "right", "Right"
        WRONG = "wrong", "Wrong"
        INCOMPLETE = "incomplete", "Incomplete"
        OUTDATED = "outdated", "Out of date"
        UNSAFE = "unsafe", "Unsafe"

    item = models.ForeignKey(ReviewItem, on_delete=models.CASCADE, related_name="reviews")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    verdict = models.CharField(max_length=12, choices=Verdict.choices)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["created_at", "pk"]
        constraints = [models.UniqueConstraint(fields=["item", "reviewer"], name="review_once_a_person")]
        indexes = [models.Index(fields=["reviewer", "-updated_at"], name="review_of_person")]

    def __str__(self) -> str:
        return f"{self.verdict} by {self.reviewer_id}"


class ReviewRequest(models.Model):
    """Somebody is asked what they think of an answer; done when their verdict is there."""

    item = models.ForeignKey(ReviewItem, on_delete=models.CASCADE, related_name="requests")
    asked = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    done = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "asked"], name="review_asked_once")]
        indexes = [models.Index(fields=["asked"], name="review_asked_open", condition=Q(done=False))]

    def __str__(self) -> str:
        return f"{self.asked_id} asked about {self.item_id}"


class Correction(models.Model):
    """The better answer that a reviewer wrote, and what it was used for. An answer is corrected once."""

    item = models.OneToOneField(ReviewItem, on_delete=models.CASCADE, related_name="correction")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    shown = models.TextField(blank=True, default="")
    better = models.TextField()
    # What came of it; empty where it was not wished.
    faq = models.ForeignKey("knowledge.Faq", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    faq_change = models.CharField(max_length=12, blank=True, default="")
    phrasing = models.CharField(max_length=500, blank=True, default="")
    # Of chatbot.quality, which this room does not know.
    test_question_id = models.BigIntegerField(null=True, blank=True)
    example = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"correction of item {self.item_id}"


class AgentDraft(models.Model):
    """A draft of the model that an agent took into the composer, what led to it, and what was sent in the end ("" until then)."""

    conversation = models.ForeignKey("conversations.Conversation", on_delete=models.CASCADE, related_name="agent_drafts")
    agent = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    # Turns as {"role", "content"}, the customer's question last.
    context = models.JSONField(default=list)
    draft = models.TextField()
    # The sources it was written from: [{"key", "revision", "title"}].
    sources = models.JSONField(default=list, blank=True)
    model_version = models.CharField(max_length=120, blank=True, default="")
    # The conversation's last message when it was taken over: what the agent sends later is what became of it.
    after_seq = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    sent = models.TextField(blank=True, default="")
    message = models.ForeignKey("conversations.Message", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["created_at"], name="draft_unsettled", condition=Q(sent=""))]

    def __str__(self) -> str:
        return f"draft {self.pk} in {self.conversation_id}"
