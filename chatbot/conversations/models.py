"""Who said what, and how each answer came about. PostgreSQL is the truth; the stream only carries news of it."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q


class Customer(models.Model):
    """An anonymous person with a browser; the id stands in a signed cookie and nowhere else."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    locale = models.CharField(max_length=20, default="en")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"customer {self.id}"


class Conversation(models.Model):
    class Status(models.TextChoices):
        OPEN = "open", "The bot answers"
        WAITING = "waiting", "Waiting for a person"
        CLOSED = "closed", "Closed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="conversations")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    title = models.CharField(max_length=120, blank=True, default="")
    locale = models.CharField(max_length=20, default="en")
    # The seq of the newest message. Raised under a lock on this row, so a conversation's numbers have no gap.
    last_seq = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            # A customer's own list, newest first (transcripts.conversations_of).
            models.Index(fields=["customer", "-updated_at"], name="conversation_of_customer"),
            # The desk's lists, by status and newest first (transcripts.page_of_conversations).
            models.Index(fields=["status", "-updated_at", "-id"], name="conversation_by_status"),
            models.Index(fields=["-updated_at", "-id"], name="conversation_newest"),
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
    # Made by the browser; only customers' messages have one.
    client_message_id = models.UUIDField(null=True, blank=True)
    # The customer's message that this reply answers.
    in_reply_to = models.OneToOneField("self", on_delete=models.CASCADE, null=True, blank=True, related_name="reply")
    decision = models.CharField(max_length=10, blank=True, default="")
    choices = models.JSONField(default=list, blank=True)
    error = models.CharField(max_length=40, blank=True, default="")
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
                name="message_client_id_is_customers", condition=Q(client_message_id__isnull=True) | Q(role="customer")
            ),
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
