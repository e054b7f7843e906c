"""What the people who work here add to a conversation: who had it, notes, marks. Its customer sees none of it.

The room's other models, and the way to these for Django, are in models.py.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

MAX_TAG_CHARS = 40


class ConversationEvent(models.Model):
    """Who had the conversation, and why it changed hands. Only ever added to; what people said stands in Message."""

    class Kind(models.TextChoices):
        ASKED = "asked", "A person was asked for"
        CANCELLED = "cancelled", "The customer stays with the bot"
        CLAIMED = "claimed", "Taken by a person"
        RELEASED = "released", "Put back into the queue"
        HANDED_BACK = "handed_back", "Handed back to the bot"
        ASSIGNED = "assigned", "Given to a person or a team"
        TRANSFERRED = "transferred", "Passed on"
        EXPIRED = "expired", "Nobody came in the promised time"
        RETURNED = "returned", "Taken from an agent who was away"
        RESOLVED = "resolved", "Resolved"
        REOPENED = "reopened", "Opened again"
        CONTACT_LEFT = "contact_left", "An e-mail address was left"
        PRIORITY = "priority", "Priority changed"
        TAGGED = "tagged", "Tags changed"

    conversation = models.ForeignKey("conversations.Conversation", on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    # Nobody: the customer, or the product itself.
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    to_agent = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    team = models.ForeignKey("staffing.Team", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    reason = models.CharField(max_length=20, blank=True, default="")
    # Of CLAIMED and EXPIRED: how long the customer had waited.
    waited_ms = models.PositiveBigIntegerField(null=True, blank=True)
    # Of PRIORITY and TAGGED: from what to what. Never what people wrote.
    data = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        indexes = [
            # A conversation's history; how often and how fast things happened (insights).
            models.Index(fields=["conversation", "id"], name="event_of_conversation"),
            models.Index(fields=["kind", "at"], name="event_by_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.conversation_id}"


class Note(models.Model):
    """What colleagues tell each other about a conversation. Its customer never sees it: it is no Message."""

    conversation = models.ForeignKey("conversations.Conversation", on_delete=models.CASCADE, related_name="notes")
    # Its place among the messages: after the one with this seq.
    seq_after = models.PositiveIntegerField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    author_name = models.CharField(max_length=150)
    text = models.TextField()
    # Made by the author's browser, so that sending it again writes it once.
    client_note_id = models.UUIDField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["conversation", "client_note_id"], name="note_client_id_once")]

    def __str__(self) -> str:
        return f"note {self.pk} of {self.conversation_id}"


class Mention(models.Model):
    """A colleague whom a note calls by @username."""

    note = models.ForeignKey(Note, on_delete=models.CASCADE, related_name="mentions")
    agent = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["note", "agent"], name="mention_once")]
        # Whom somebody waits for (inbox.counts).
        indexes = [models.Index(fields=["agent", "-id"], name="mention_unseen", condition=Q(seen_at__isnull=True))]

    def __str__(self) -> str:
        return f"mention of {self.agent_id} in note {self.note_id}"


class Tag(models.Model):
    """The words conversations have been marked with, to choose from; the marks themselves stand in Conversation.tags."""

    name = models.CharField(max_length=MAX_TAG_CHARS, unique=True)

    def __str__(self) -> str:
        return self.name


class ReadMark(models.Model):
    """How far an agent has read a conversation. Unread is what the customer has written after it."""

    agent = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    conversation = models.ForeignKey("conversations.Conversation", on_delete=models.CASCADE, related_name="read_marks")
    seq = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "conversation"], name="read_mark_once")]

    def __str__(self) -> str:
        return f"{self.agent_id} read {self.conversation_id} up to {self.seq}"


class ContactRequest(models.Model):
    """Where a customer wants to be written to, because nobody was there."""

    conversation = models.ForeignKey("conversations.Conversation", on_delete=models.CASCADE, related_name="contact_requests")
    email = models.EmailField()
    message = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["conversation"], name="contact_one_open", condition=Q(done_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"contact request {self.pk} of {self.conversation_id}"


class AgentPresence(models.Model):
    """When an agent's desk was last heard of. A row of its own, so that no beat touches a conversation."""

    agent = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+")
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.agent_id} seen at {self.seen_at}"
