"""What customers say of the answers: proposals for learning, never training data by themselves."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from chatbot.learning.review_models import AgentDraft, AnswerReview, Correction, ReviewItem, ReviewRequest
from chatbot.learning.training_models import ConsentWithdrawal, Dataset, DatasetLine, Example, Sweep, TrainingRun

# Django finds all models of the room here.
__all__ = [
    "AgentDraft",
    "AnswerReview",
    "ConsentWithdrawal",
    "Correction",
    "Dataset",
    "DatasetLine",
    "Example",
    "Feedback",
    "ReviewItem",
    "ReviewRequest",
    "Satisfaction",
    "Sweep",
    "TrainingRun",
]


class Feedback(models.Model):
    """A customer's thumb for one generation's answer. An answer that is written again can be rated again."""

    class Reason(models.TextChoices):
        INCORRECT = "incorrect", "Incorrect"
        INCOMPLETE = "incomplete", "Incomplete"
        OUTDATED = "outdated", "Out of date"
        NOT_MY_QUESTION = "not_my_question", "Not what was asked"
        OTHER = "other", "Other"

    generation = models.OneToOneField("conversations.Generation", on_delete=models.CASCADE, related_name="feedback")
    message = models.ForeignKey("conversations.Message", on_delete=models.CASCADE, related_name="feedback")
    rating = models.SmallIntegerField()
    reason = models.CharField(max_length=20, choices=Reason.choices, blank=True, default="")
    comment = models.TextField(blank=True, default="", max_length=1000)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.CheckConstraint(name="feedback_rating_is_a_thumb", condition=Q(rating__in=[-1, 1]))]

    def __str__(self) -> str:
        return f"{self.rating:+d} for generation {self.generation_id}"


class Satisfaction(models.Model):
    """What a customer thinks of a conversation when it has ended: of the bot, and of the person, where one wrote.

    Asked once: an empty score says that he would rather not tell.
    """

    class About(models.TextChoices):
        BOT = "bot", "The bot"
        PERSON = "person", "The person"

    conversation = models.ForeignKey("conversations.Conversation", on_delete=models.CASCADE, related_name="satisfaction")
    about = models.CharField(max_length=6, choices=About.choices)
    score = models.PositiveSmallIntegerField(null=True, blank=True)
    comment = models.TextField(blank=True, default="", max_length=1000)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["conversation", "about"], name="satisfaction_once"),
            models.CheckConstraint(name="satisfaction_one_to_five", condition=Q(score__isnull=True) | Q(score__range=(1, 5))),
            models.CheckConstraint(name="satisfaction_about_known", condition=Q(about__in=["bot", "person"])),
        ]

    def __str__(self) -> str:
        return f"{self.score or 'no'} points for the {self.about} in {self.conversation_id}"
