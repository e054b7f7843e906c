"""Questions with a known answer, runs over them, and what customers asked in vain."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from chatbot.quality.asked import Asked, turns_of


class TestQuestion(models.Model):
    """A question that must go on being answered right. expected: a FAQ's key, or empty where the bot must not answer."""

    __test__ = False  # pytest takes every Test... for tests

    text = models.TextField()
    locale = models.CharField(max_length=35, default="en")
    history = models.JSONField(default=list, blank=True)
    expected = models.CharField(max_length=100, blank=True, default="")
    note = models.CharField(max_length=300, blank=True, default="")
    identity = models.CharField(max_length=64)
    source = models.ForeignKey(
        "conversations.Message", on_delete=models.SET_NULL, null=True, blank=True, related_name="test_questions"
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["identity"], name="test_question_once"),
            models.CheckConstraint(name="test_question_has_text", condition=~Q(text="")),
        ]

    def __str__(self) -> str:
        return f"test question {self.pk}"

    def asked(self) -> Asked:
        return Asked(text=self.text, locale=self.locale, history=turns_of(self.history), expected=self.expected or None)


class QuestionRun(models.Model):
    """One pass over many questions. SUITE answers them as they are now; WHAT_IF decides them twice, live and with a change."""

    class Kind(models.TextChoices):
        SUITE = "suite", "Test questions"
        WHAT_IF = "what_if", "What would change"

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting for a worker"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        STOPPED = "stopped", "Stopped"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # The last sign of life of the worker that has it; older than RUN_SILENCE_S means that another may take it.
    beat_at = models.DateTimeField(null=True, blank=True)
    stop_requested = models.BooleanField(default=False)
    total = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=40, blank=True, default="")
    # What answered: of the knowledge, and of the weights.
    fingerprint = models.CharField(max_length=64, blank=True, default="")
    model_version = models.CharField(max_length=120, blank=True, default="")
    # Of what the model was told before any question, so that runs before and after an upgrade are told apart.
    prompt = models.CharField(max_length=64, blank=True, default="")
    # Of WHAT_IF: the FAQ whose draft is applied, other thresholds, how many of the newest customer messages are asked again.
    faq = models.ForeignKey("knowledge.Faq", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    faq_revision = models.PositiveIntegerField(default=0)
    thresholds = models.JSONField(default=dict, blank=True)
    messages = models.PositiveIntegerField(default=0)
    # Another version of the model, and other instructions to it; None: those of now.
    version = models.CharField(max_length=120, blank=True, default="")
    instructions = models.TextField(null=True, blank=True)
    # Also write, live and with the change, the answers of the questions whose outcome differs.
    full_answers = models.BooleanField(default=False)
    # How many questions may be written, twice each: the costly part. And how many are to be, known once all are decided.
    answers_most = models.PositiveIntegerField(default=0)
    answers_total = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="question_run_ended_has_time",
                condition=Q(status__in=["waiting", "running"]) | Q(finished_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["kind", "-created_at"], name="question_run_newest"),
            models.Index(fields=["beat_at"], name="question_run_active", condition=Q(status__in=["waiting", "running"])),
        ]

    def __str__(self) -> str:
        return f"run {self.pk}"

    @property
    def is_active(self) -> bool:
        return self.status in (self.Status.WAITING, self.Status.RUNNING)

    @property
    def changes_writing(self) -> bool:
        """Whether the model would write otherwise from the same passages."""
        return bool(self.version) or self.instructions is not None


class QuestionResult(models.Model):
    """What one question got in one run. Of WHAT_IF: `before` is the live outcome, the fields beside it are with the change."""

    class Change(models.TextChoices):
        FIXED = "fixed", "Fixed"
        BROKEN = "broken", "Broken"
        CHANGED = "changed", "Other answer"
        REWORDED = "reworded", "Other words"
        SAME = "same", "Same"

    run = models.ForeignKey(QuestionRun, on_delete=models.CASCADE, related_name="results")
    number = models.PositiveIntegerField()
    question = models.ForeignKey(TestQuestion, on_delete=models.SET_NULL, null=True, blank=True, related_name="results")
    # Of a real conversation: the words stay in its message and go with it.
    message = models.ForeignKey(
        "conversations.Message", on_delete=models.CASCADE, null=True, blank=True, related_name="question_results"
    )
    expected = models.CharField(max_length=100, blank=True, default="")
    decision = models.CharField(max_length=10)
    verdict = models.CharField(max_length=14)
    keys = models.JSONField(default=list, blank=True)
    confidence = models.FloatField(default=0.0)
    answer = models.TextField(blank=True, default="")
    ttft_s = models.FloatField(null=True, blank=True)
    total_s = models.FloatField(default=0.0)
    before = models.JSONField(null=True, blank=True)
    # Of WHAT_IF empty while the model's answers, which decide it, are not written.
    change = models.CharField(max_length=8, choices=Change.choices, blank=True, default="")

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="question_result_once")]

    def __str__(self) -> str:
        return f"result {self.number} of {self.run_id}"


class Gap(models.Model):
    """Something customers ask and do not get: alike questions together. The texts stay in the customers' messages."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        HANDLED = "handled", "Handled"
        IGNORED = "ignored", "Ignored"

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    reason = models.CharField(max_length=300, blank=True, default="")
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    # The FAQ written for it.
    faq = models.ForeignKey("knowledge.Faq", on_delete=models.SET_NULL, null=True, blank=True, related_name="gaps")
    # The published FAQ that comes closest to the most central question, and how sure the search is of it.
    nearest_key = models.CharField(max_length=100, blank=True, default="")
    nearest_confidence = models.FloatField(default=0.0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(name="gap_decided_has_time", condition=Q(status="open") | Q(decided_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"gap {self.pk}"


class GapQuestion(models.Model):
    """One customer's message that belongs to a gap."""

    class Kind(models.TextChoices):
        REFUSED = "refused", "Not known"
        ASKED_BACK = "asked_back", "Asked back in vain"
        DOWN_RATED = "down_rated", "Rated not helpful"
        HANDED_OFF = "handed_off", "Wanted a person afterwards"
        FAILED = "failed", "No answer came"

    gap = models.ForeignKey(Gap, on_delete=models.CASCADE, related_name="questions")
    message = models.OneToOneField("conversations.Message", on_delete=models.CASCADE, related_name="gap_question")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    locale = models.CharField(max_length=35)
    asked_at = models.DateTimeField()
    # To the middle of its gap: the highest is the most central question.
    nearness = models.FloatField(default=0.0)

    class Meta:
        ordering = ["-asked_at"]
        indexes = [models.Index(fields=["gap", "-asked_at"], name="gap_question_newest")]

    def __str__(self) -> str:
        return f"gap question {self.pk}"
