"""What customers say of the answers: proposals for learning, never training data by themselves."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


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
