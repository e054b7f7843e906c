"""Who said what, and how each answer came about. PostgreSQL is the truth; the stream only carries news of it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q

from chatbot.conversations.staff_models import (
    MAX_TAG_CHARS,
    AgentPresence,
    ContactRequest,
    ConversationEvent,
    Mention,
    Note,
    ReadMark,
    Tag,
)

# Django finds all models of the room here.
__all__ = [
    "MAX_TAG_CHARS",
    "AgentPresence",
    "Citation",
    "ContactRequest",
    "Conversation",
    "ConversationEvent",
    "Customer",
    "Generation",
    "Mention",
    "Message",
    "Note",
    "ReadMark",
    "Tag",
]

PREVIEW_CHARS = 160


class Customer(models.Model):
    """An anonymous person with a browser; the id stands in a signed cookie and nowhere else."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    locale = models.CharField(max_length=20, default="en")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"customer {self.id}"


class Conversation(models.Model):
    """One talk with one customer, and who has it: the bot, the queue of those who wait for a person, or one agent.

    The bot answers unless a person holds it. Whoever changes a row holds its lock; `version` goes up with every change that a
    list of conversations can show.
    """

    class Status(models.TextChoices):
        OPEN = "open", "The bot answers"
        WAITING = "waiting", "Waiting for a person"
        HELD = "held", "A person answers"
        RESOLVED = "resolved", "Resolved"

    class Priority(models.IntegerChoices):
        LOW = -1, "Low"
        NORMAL = 0, "Normal"
        HIGH = 1, "High"
        URGENT = 2, "Urgent"

    class HandoffReason(models.TextChoices):
        ASKED = "asked", "Asked for a person"
        NOTHING_KNOWN = "nothing_known", "Nothing known about it"
        UNSUPPORTED = "unsupported", "No answer could be supported"
        LOW_CONFIDENCE = "low_confidence", "The bot was not sure"
        ANGER = "anger", "The customer is angry"
        ERROR = "error", "An answer failed"
        TRANSFERRED = "transferred", "Passed on by a colleague"
        RETURNED = "returned", "Its agent was away"

    class Contact(models.TextChoices):
        NONE = "", "Not asked for"
        OFFERED = "offered", "Form offered"
        LEFT = "left", "Address left"

    class Sentiment(models.TextChoices):
        UNKNOWN = "", "Not known"
        NEGATIVE = "negative", "Negative"
        NEUTRAL = "neutral", "Neutral"
        POSITIVE = "positive", "Positive"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="conversations")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    title = models.CharField(max_length=120, blank=True, default="")
    locale = models.CharField(max_length=20, default="en")
    # The way the customer came in: the chat page, the widget on the company's site, a machine.
    channel = models.CharField(max_length=20, default="page")
    # The seq of the newest message. Raised under a lock on this row, so a conversation's numbers have no gap.
    last_seq = models.PositiveIntegerField(default=0)
    version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    # Who has it. No team means the default one.
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="held_conversations"
    )
    held_since = models.DateTimeField(null=True, blank=True)
    team = models.ForeignKey("staffing.Team", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    priority = models.SmallIntegerField(choices=Priority.choices, default=Priority.NORMAL)
    waiting_since = models.DateTimeField(null=True, blank=True)
    # When a request that nobody has taken goes back to the bot; and, of one made outside working hours, when somebody comes.
    promised_until = models.DateTimeField(null=True, blank=True)
    opens_at = models.DateTimeField(null=True, blank=True)
    handoff_reason = models.CharField(max_length=20, choices=HandoffReason.choices, blank=True, default="")
    contact = models.CharField(max_length=10, choices=Contact.choices, blank=True, default=Contact.NONE)
    contact_left_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    reopened_at = models.DateTimeField(null=True, blank=True)
    reopen_count = models.PositiveIntegerField(default=0)

    # What a list shows of it, so that a page of the list is one query.
    language = models.CharField(max_length=20, blank=True, default="")
    topic = models.CharField(max_length=60, blank=True, default="")
    sentiment = models.CharField(max_length=10, choices=Sentiment.choices, blank=True, default=Sentiment.UNKNOWN)
    sentiment_score = models.FloatField(null=True, blank=True)
    tags = ArrayField(models.CharField(max_length=MAX_TAG_CHARS), default=list, blank=True)
    last_message_at = models.DateTimeField(null=True, blank=True)
    last_message_preview = models.CharField(max_length=PREVIEW_CHARS, blank=True, default="")
    last_role = models.CharField(max_length=10, blank=True, default="")
    last_customer_at = models.DateTimeField(null=True, blank=True)
    last_customer_seq = models.PositiveIntegerField(default=0)
    last_agent_at = models.DateTimeField(null=True, blank=True)
    first_response_at = models.DateTimeField(null=True, blank=True)
    first_agent_response_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            # One owner: exactly a held conversation has an agent, exactly a waiting one waits.
            models.CheckConstraint(
                name="conversation_held_iff_assigned",
                condition=Q(status="held", assigned_to__isnull=False, held_since__isnull=False)
                | (~Q(status="held") & Q(assigned_to__isnull=True, held_since__isnull=True)),
            ),
            models.CheckConstraint(
                name="conversation_waiting_iff_since",
                condition=Q(status="waiting", waiting_since__isnull=False, promised_until__isnull=False)
                | (~Q(status="waiting") & Q(waiting_since__isnull=True, promised_until__isnull=True)),
            ),
            models.CheckConstraint(
                name="conversation_resolved_iff_time",
                condition=Q(status="resolved", resolved_at__isnull=False) | (~Q(status="resolved") & Q(resolved_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="conversation_status_known", condition=Q(status__in=["open", "waiting", "held", "resolved"])
            ),
        ]
        indexes = [
            # A customer's own list, newest first (transcripts.conversations_of).
            models.Index(fields=["customer", "-updated_at"], name="conversation_of_customer"),
            # What has changed lately (insights).
            models.Index(fields=["-updated_at", "-id"], name="conversation_newest"),
            # The desk's lists, newest message first (inbox.page_of).
            models.Index(fields=["status", "-last_message_at", "-id"], name="conversation_status_last"),
            models.Index(fields=["-last_message_at", "-id"], name="conversation_last"),
            models.Index(
                fields=["team", "-last_message_at", "-id"], name="conversation_team_last", condition=Q(team__isnull=False)
            ),
            # What an agent has; whose agent is away (expiring.return_forsaken).
            models.Index(fields=["assigned_to", "-last_message_at", "-id"], name="conversation_held", condition=Q(status="held")),
            # The queue, as it is served (inbox.page_of), and what nobody took in time (expiring.expire_requests).
            models.Index(F("priority").desc(), "waiting_since", "id", name="conversation_waiting", condition=Q(status="waiting")),
            models.Index(fields=["promised_until"], name="conversation_promised", condition=Q(status="waiting")),
            models.Index(fields=["-contact_left_at"], name="conversation_contact_left", condition=Q(contact="left")),
            GinIndex(fields=["tags"], name="conversation_tags"),
        ]

    def __str__(self) -> str:
        return f"conversation {self.id}"


class Message(models.Model):
    class Role(models.TextChoices):
        CUSTOMER = "customer", "Customer"
        ASSISTANT = "assistant", "Assistant"
        AGENT = "agent", "Agent"
        SYSTEM = "system", "System"

    class Status(models.TextChoices):
        PENDING = "pending", "Being written"
        COMPLETE = "complete", "Complete"
        STOPPED = "stopped", "Stopped"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    seq = models.PositiveIntegerField()
    role = models.CharField(max_length=10, choices=Role.choices)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.COMPLETE)
    text = models.TextField(blank=True, default="")
    # Made by the browser of the customer or the agent who wrote it.
    client_message_id = models.UUIDField(null=True, blank=True)
    # The customer's message that this reply answers.
    in_reply_to = models.OneToOneField("self", on_delete=models.CASCADE, null=True, blank=True, related_name="reply")
    decision = models.CharField(max_length=10, blank=True, default="")
    choices = models.JSONField(default=list, blank=True)
    error = models.CharField(max_length=40, blank=True, default="")
    # Of an agent's message; the name is kept as the customer saw it.
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    author_name = models.CharField(max_length=150, blank=True, default="")
    # Of a system message: which one it is; its text is in the customer's language (notices.py).
    notice = models.CharField(max_length=20, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["seq"]
        constraints = [
            models.UniqueConstraint(fields=["conversation", "seq"], name="message_seq_once"),
            models.UniqueConstraint(
                fields=["conversation", "client_message_id"],
                name="message_client_id_once",
                condition=Q(client_message_id__isnull=False),
            ),
            models.CheckConstraint(
                name="message_client_id_is_a_persons",
                condition=Q(client_message_id__isnull=True) | Q(role__in=["customer", "agent"]),
            ),
            models.CheckConstraint(name="message_agent_is_named", condition=~Q(role="agent") | ~Q(author_name="")),
        ]

    def __str__(self) -> str:
        return f"message {self.seq} of {self.conversation_id}"


class Generation(models.Model):
    """One attempt-counted piece of work: write the reply to one message.

    PENDING rows are the outbox. A worker claims one with a lease: `fence` goes up with every claim, and only the holder of
    the newest fence may write. The lease's end is set and compared in the database's clock.
    """

    class Status(models.TextChoices):
        PENDING = "pending", "Waiting for a worker"
        RUNNING = "running", "Being written"
        DONE = "done", "Done"
        STOPPED = "stopped", "Stopped by the customer"
        FAILED = "failed", "Failed"

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="generations")
    reply = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="generations")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    # Claims of this reply so far, those of earlier generations of it included: the number every progress frame carries.
    fence = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    enqueued_at = models.DateTimeField(null=True, blank=True)
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    # A person has taken the conversation over: nothing more of this may be shown, whoever still writes it.
    taken_over = models.BooleanField(default=False)
    # False until the finished reply has been put on the conversation's stream; the sweeper puts it there if the worker could not.
    announced = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    text = models.TextField(blank=True, default="")
    decision = models.CharField(max_length=10, blank=True, default="")
    finish_reason = models.CharField(max_length=12, blank=True, default="")
    error = models.CharField(max_length=40, blank=True, default="")
    model_version = models.CharField(max_length=120, blank=True, default="")
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    ttft_ms = models.FloatField(null=True, blank=True)
    total_ms = models.FloatField(null=True, blank=True)
    trace = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["conversation"], name="generation_one_running", condition=Q(status="running")),
            models.UniqueConstraint(
                fields=["reply"], name="generation_one_active_a_reply", condition=Q(status__in=["pending", "running"])
            ),
            models.CheckConstraint(
                name="generation_running_has_lease", condition=~Q(status="running") | Q(lease_until__isnull=False)
            ),
            models.CheckConstraint(
                name="generation_finished_has_time", condition=Q(status__in=["pending", "running"]) | Q(finished_at__isnull=False)
            ),
        ]
        indexes = [
            # The sweeper's two questions: who still waits or lost his lease; whose end was not announced.
            models.Index(
                fields=["lease_until", "enqueued_at"], name="generation_active", condition=Q(status__in=["pending", "running"])
            ),
            models.Index(
                fields=["finished_at"], name="generation_unannounced", condition=Q(announced=False, finished_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"generation {self.pk} ({self.status})"


class Citation(models.Model):
    """What a reply rests on: the FAQ's revision as it was then. The FAQ may change or go; the words stay traceable."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="citations")
    number = models.PositiveSmallIntegerField()
    faq = models.ForeignKey("knowledge.Faq", on_delete=models.SET_NULL, null=True, related_name="+")
    revision = models.PositiveIntegerField()
    key = models.CharField(max_length=100)
    title = models.CharField(max_length=500)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["message", "number"], name="citation_number_once")]

    def __str__(self) -> str:
        return f"[{self.number}] {self.key}"
