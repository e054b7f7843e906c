"""What help for agents keeps: how conversations read, notes for who takes over, canned replies."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

MAX_SHORTCUT_CHARS = 40
MAX_TITLE_CHARS = 120
MAX_CANNED_CHARS = 4000


class ConversationReading(models.Model):
    """How the classifiers read a conversation up to `seq`; lists show the outcome, which Conversation holds in its own words.

    mood and topics are running sums, so that only news is read again.
    """

    class Sentiment(models.TextChoices):
        ANGRY = "angry", "Angry"
        UNHAPPY = "unhappy", "Unhappy"
        NEUTRAL = "neutral", "Neutral"
        PLEASED = "pleased", "Pleased"

    conversation = models.OneToOneField("conversations.Conversation", on_delete=models.CASCADE, related_name="reading")
    seq = models.PositiveIntegerField(default=0)
    sentiment = models.CharField(max_length=10, choices=Sentiment.choices, blank=True, default="")
    mood = models.JSONField(default=dict, blank=True)
    topics = models.JSONField(default=dict, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"reading of {self.conversation_id}"


class ConversationNote(models.Model):
    """A summary for the agent who takes over, or for the record.

    It stands at once in the customer's own words; where a model has put it into better ones, model_version names that.
    """

    class Kind(models.TextChoices):
        HANDOFF = "handoff", "At the handoff"
        CLOSE = "close", "At the close"

    conversation = models.ForeignKey("conversations.Conversation", on_delete=models.CASCADE, related_name="notes_for_agents")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    text = models.TextField()
    # The newest message that it takes in.
    seq = models.PositiveIntegerField()
    model_version = models.CharField(max_length=120, blank=True, default="")
    # The model shall write it, when no customer needs it; it tries once.
    to_write = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["conversation", "kind", "seq"], name="note_for_agents_once")]
        indexes = [models.Index(fields=["id"], name="note_for_agents_to_write", condition=Q(to_write=True))]

    def __str__(self) -> str:
        return f"{self.kind} note of {self.conversation_id}"


class CannedReply(models.Model):
    """A text that agents send often, with {variables}. Without a team it is everybody's."""

    shortcut = models.SlugField(max_length=MAX_SHORTCUT_CHARS, allow_unicode=True)
    title = models.CharField(max_length=MAX_TITLE_CHARS)
    text = models.TextField(max_length=MAX_CANNED_CHARS)
    # Empty: for every language.
    locale = models.CharField(max_length=35, blank=True, default="")
    team = models.ForeignKey("staffing.Team", on_delete=models.CASCADE, null=True, blank=True, related_name="canned_replies")
    use_count = models.PositiveIntegerField(default=0)
    last_used_at = models.DateTimeField(null=True, blank=True)
    written_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["shortcut", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["shortcut", "locale", "team"], name="canned_once_a_team", condition=Q(team__isnull=False)
            ),
            models.UniqueConstraint(fields=["shortcut", "locale"], name="canned_once_for_all", condition=Q(team__isnull=True)),
            models.CheckConstraint(name="canned_has_text", condition=~Q(text="")),
        ]

    def __str__(self) -> str:
        return f"/{self.shortcut}"
