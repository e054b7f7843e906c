"""What a model may learn from, the frozen sets made of it, the runs over them. Django finds these through models.py."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q


class Example(models.Model):
    """One thing to learn, with where it came from. A proposal until somebody has approved it.

    kind: ANSWER teaches `chosen`; PAIR teaches `chosen` rather than `rejected`; RATED says whether `chosen`, an answer that was
    given, was good (`label`). asked: question, history, passages and language as the model would see them, without personal data.
    """

    class Kind(models.TextChoices):
        ANSWER = "answer", "Right answer"
        PAIR = "pair", "Better and worse answer"
        RATED = "rated", "Rated answer"

    class Source(models.TextChoices):
        THUMB = "thumb", "A customer's thumb"
        CORRECTION = "correction", "A reviewer's correction"
        EDITED_DRAFT = "edited_draft", "A draft that an agent changed"
        SENT_DRAFT = "sent_draft", "A draft that an agent sent as it was"
        REVIEWED = "reviewed", "Reviewed as right"
        FAQ = "faq", "A published FAQ"

    class Status(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"
        MERGED = "merged", "Same as another"

    class Consent(models.TextChoices):
        GIVEN = "given", "Given"
        WITHHELD = "withheld", "Withheld"
        NOT_NEEDED = "not_needed", "Not needed: the company's own words"

    kind = models.CharField(max_length=6, choices=Kind.choices)
    source = models.CharField(max_length=12, choices=Source.choices)
    # What it was made of, as "feedback:17"; a sweep makes it once.
    origin = models.CharField(max_length=80, unique=True)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.PROPOSED)
    consent = models.CharField(max_length=10, choices=Consent.choices, default=Consent.GIVEN)
    locale = models.CharField(max_length=35)
    topic = models.CharField(max_length=200, blank=True, default="")
    is_refusal = models.BooleanField(default=False)
    asked = models.JSONField()
    chosen = models.TextField()
    rejected = models.TextField(blank=True, default="")
    label = models.BooleanField(null=True, blank=True)
    # Examples of one group never stand in two halves of a dataset: a conversation's, or a FAQ's.
    group = models.CharField(max_length=120)
    fingerprint = models.CharField(max_length=64)
    merged_into = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="merged")
    flags = ArrayField(models.CharField(max_length=24), default=list, blank=True)
    redactions = models.JSONField(default=dict, blank=True)
    redaction_version = models.PositiveSmallIntegerField(default=0)
    model_version = models.CharField(max_length=120, blank=True, default="")
    # A person's examples go with his conversations.
    conversation = models.ForeignKey(
        "conversations.Conversation", on_delete=models.CASCADE, null=True, blank=True, related_name="examples"
    )
    customer = models.ForeignKey(
        "conversations.Customer", on_delete=models.CASCADE, null=True, blank=True, related_name="examples"
    )
    message = models.ForeignKey("conversations.Message", on_delete=models.CASCADE, null=True, blank=True, related_name="examples")
    faq = models.ForeignKey("knowledge.Faq", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    faq_revision = models.PositiveIntegerField(default=0)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    happened_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(name="example_rated_has_label", condition=~Q(kind="rated") | Q(label__isnull=False)),
            models.CheckConstraint(name="example_pair_has_both", condition=~Q(kind="pair") | ~Q(rejected="")),
            models.CheckConstraint(name="example_has_words", condition=~Q(chosen="")),
            models.CheckConstraint(
                name="example_decided_has_time", condition=~Q(status__in=["approved", "rejected"]) | Q(decided_at__isnull=False)
            ),
        ]
        indexes = [
            models.Index(fields=["status", "-id"], name="example_by_status"),
            models.Index(fields=["fingerprint"], name="example_fingerprint"),
        ]

    def __str__(self) -> str:
        return f"example {self.pk} ({self.origin})"


class ConsentWithdrawal(models.Model):
    """A person who does not want his words to train, now or later."""

    customer = models.OneToOneField("conversations.Customer", on_delete=models.CASCADE, related_name="consent_withdrawal")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"customer {self.customer_id}"


class Sweep(models.Model):
    """One look for what may be learnt. by: who asked for it; nobody for the one of each night."""

    at = models.DateTimeField(auto_now_add=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    proposed = models.PositiveIntegerField()
    merged = models.PositiveIntegerField()
    passed_over = models.PositiveIntegerField()
    # How many living examples have each flag now.
    flags = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"sweep {self.pk}"


class Dataset(models.Model):
    """A frozen set of examples in a folder; the hash is that of its lines. Erasing a person takes lines out and says so."""

    name = models.CharField(max_length=80, unique=True)
    folder = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64)
    manifest = models.JSONField(default=dict)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name


class DatasetLine(models.Model):
    """Which example became which lines. The example may go; the line's hash stays, so that it can be found and taken out."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="lines")
    example = models.ForeignKey(Example, on_delete=models.SET_NULL, null=True, related_name="lines")
    half = models.CharField(max_length=8)
    sha256 = models.CharField(max_length=64)

    class Meta:
        indexes = [models.Index(fields=["sha256"], name="dataset_line_hash")]

    def __str__(self) -> str:
        return f"line {self.sha256[:8]} of {self.dataset_id}"


class TrainingRun(models.Model):
    """One training, in a folder of its own below DATA_DIR. Its process writes curve and result there."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting for a worker"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        STOPPED = "stopped", "Stopped"
        FAILED = "failed", "Failed"

    class Method(models.TextChoices):
        SFT = "sft", "Right answers (supervised)"
        DPO = "dpo", "Better and worse answers (DPO)"
        KTO = "kto", "Thumbs (KTO)"

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="runs")
    method = models.CharField(max_length=3, choices=Method.choices, default=Method.SFT)
    base = models.ForeignKey("releases.ModelVersion", on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey("releases.ModelVersion", on_delete=models.SET_NULL, null=True, blank=True, related_name="runs")
    # The version that it makes anew, without examples that were erased since.
    retrains = models.ForeignKey(
        "releases.ModelVersion", on_delete=models.SET_NULL, null=True, blank=True, related_name="retrainings"
    )
    options = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.WAITING)
    error = models.CharField(max_length=40, blank=True, default="")
    error_text = models.CharField(max_length=500, blank=True, default="")
    folder = models.CharField(max_length=300)
    stop_requested = models.BooleanField(default=False)
    result = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # The last sign of life of the worker that has it.
    beat_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["status"], name="training_run_one_running", condition=Q(status="running")),
            models.UniqueConstraint(
                fields=["retrains"], name="training_run_one_retraining", condition=Q(status__in=["waiting", "running"])
            ),
            models.CheckConstraint(
                name="training_run_ended_has_time",
                condition=Q(status__in=["waiting", "running"]) | Q(finished_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"training run {self.pk}"

    @property
    def is_active(self) -> bool:
        return self.status in (self.Status.WAITING, self.Status.RUNNING)
