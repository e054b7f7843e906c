"""One row of facts for each conversation. Derived from the conversations, never written by hand, and can be built again."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q


class ConversationFact(models.Model):
    """What the insight pages count. Times in seconds; null where it never came to it. See facts.py for how each is found."""

    class Outcome(models.TextChoices):
        CONFIRMED = "confirmed", "Confirmed"
        ASSUMED = "assumed", "Assumed"
        HANDED_OFF = "handed_off", "Handed off"
        ABANDONED = "abandoned", "Abandoned"
        OPEN = "open", "Still going on"

    conversation = models.OneToOneField(
        "conversations.Conversation", on_delete=models.CASCADE, primary_key=True, related_name="fact"
    )
    # The customer's first message, and the last message of anybody.
    begun_at = models.DateTimeField()
    quiet_since = models.DateTimeField()
    locale = models.CharField(max_length=20)
    channel = models.CharField(max_length=20, default="web")
    # Plain numbers: a fact outlives the team or the account it names.
    team_id = models.BigIntegerField(null=True)
    agent_id = models.BigIntegerField(null=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    handoff_reason = models.CharField(max_length=40, blank=True, default="")
    reopened = models.BooleanField(default=False)
    customer_messages = models.PositiveIntegerField(default=0)
    bot_answers = models.PositiveIntegerField(default=0)
    agent_messages = models.PositiveIntegerField(default=0)
    # From the customer's first message to the first reply, complete; from asking for a person to that person's first message;
    # from the customer's first message to the end of a settled conversation.
    first_response_s = models.FloatField(null=True)
    person_response_s = models.FloatField(null=True)
    resolution_s = models.FloatField(null=True)
    # Of the first reply that the model wrote: waiting for a worker and in the model's queue, to its first text, tokens a second.
    queue_s = models.FloatField(null=True)
    first_text_s = models.FloatField(null=True)
    tokens_per_s = models.FloatField(null=True)
    csat_bot = models.PositiveSmallIntegerField(null=True)
    csat_person = models.PositiveSmallIntegerField(null=True)
    thumbs_up = models.PositiveIntegerField(default=0)
    thumbs_down = models.PositiveIntegerField(default=0)
    topic = models.CharField(max_length=100, blank=True, default="")
    sentiment = models.CharField(max_length=10, blank=True, default="")
    # Keys of the FAQs and passages that the bot's answers rest on, each once.
    sources = ArrayField(models.CharField(max_length=100), default=list, blank=True)

    class Meta:
        indexes = [
            # Every panel reads a span of days (reports.py), the export walks it.
            models.Index(fields=["begun_at", "conversation"], name="fact_begun"),
            # Those that settle by being left alone (facts.refresh).
            models.Index(fields=["quiet_since"], name="fact_open", condition=Q(outcome="open")),
        ]

    def __str__(self) -> str:
        return f"facts of {self.conversation_id}"


class FactsState(models.Model):
    """How far the facts follow the conversations; one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    # Changes up to here are counted, by the database's clock.
    counted_to = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(name="facts_state_is_one", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"counted to {self.counted_to}"
