"""Files that editors upload (Document, DocumentFile) and what is searched of them (Passage, DocumentIndex)."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

MAX_NAME_CHARS = 200


class DocumentStatus(models.TextChoices):
    WAITING = "waiting", "Waiting"
    READING = "reading", "Reading"
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"
    ARCHIVED = "archived", "Archived"


class SuggestionStatus(models.TextChoices):
    NONE = "", "None"
    WAITING = "waiting", "Waiting"
    WRITING = "writing", "Writing"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class Document(models.Model):
    """One file by its name. The status is of the newest upload; an earlier revision answers until that one is ready.

    revision: the newest upload; live_revision: the one whose passages are searched, 0 for none.
    left_out: paragraphs that read like orders to an assistant, as {"page", "text"}; hidden: invisible pieces of the file.
    """

    Status = DocumentStatus

    name = models.CharField(max_length=MAX_NAME_CHARS, unique=True)
    title = models.CharField(max_length=300, blank=True)
    locale = models.CharField(max_length=35, default="en")
    kind = models.CharField(max_length=10, blank=True)
    status = models.CharField(max_length=10, choices=DocumentStatus.choices, default=DocumentStatus.WAITING)
    error_code = models.CharField(max_length=40, blank=True)
    error = models.CharField(max_length=500, blank=True)
    revision = models.PositiveIntegerField(default=0)
    live_revision = models.PositiveIntegerField(default=0)
    pages = models.PositiveIntegerField(default=0)
    size_bytes = models.PositiveIntegerField(default=0)
    hidden = models.PositiveIntegerField(default=0)
    left_out = models.JSONField(default=list, blank=True)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    uploaded_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, blank=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    suggestion_status = models.CharField(max_length=10, choices=SuggestionStatus.choices, blank=True, default="")
    suggestion_note = models.CharField(max_length=300, blank=True)
    suggestion_claimed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(name="document_has_name", condition=~Q(name="")),
            models.CheckConstraint(name="document_status_known", condition=Q(status__in=DocumentStatus.values)),
            models.CheckConstraint(name="document_ready_is_live", condition=~Q(status="ready") | Q(live_revision__gt=0)),
            models.CheckConstraint(name="document_archived_is_not_live", condition=~Q(status="archived") | Q(live_revision=0)),
            models.CheckConstraint(name="document_failed_says_why", condition=~Q(status="failed") | ~Q(error="")),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_answering(self) -> bool:
        return self.live_revision > 0

    @property
    def is_moving(self) -> bool:
        """Whether a page that shows it should look again soon."""
        return self.status in (DocumentStatus.WAITING, DocumentStatus.READING) or self.suggestion_status in (
            SuggestionStatus.WAITING,
            SuggestionStatus.WRITING,
        )


class DocumentFile(models.Model):
    """The bytes as they came. In the database, so that web and workers share them and one backup holds everything."""

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="files")
    revision = models.PositiveIntegerField()
    content = models.BinaryField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["document", "revision"], name="document_file_once")]

    def __str__(self) -> str:
        return f"{self.document_id}#{self.revision}"


class Passage(models.Model):
    """A piece of one revision. Rows of earlier revisions stay, without vectors: replies cite them.

    vectors: one float32 row a window of the text, `embedder`'s, little-endian.
    """

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="passages")
    revision = models.PositiveIntegerField()
    order = models.PositiveIntegerField()
    page = models.PositiveIntegerField(default=0)
    heading = models.CharField(max_length=300, blank=True)
    text = models.TextField()
    embedder = models.CharField(max_length=200, blank=True)
    vectors = models.BinaryField(default=bytes)

    class Meta:
        ordering = ["document", "revision", "order"]
        constraints = [models.UniqueConstraint(fields=["document", "revision", "order"], name="passage_order_once")]

    def __str__(self) -> str:
        return f"passage {self.order} of {self.document_id}#{self.revision}"


class DocumentIndex(models.Model):
    """One row. A higher `version` tells serving processes to load the passages again."""

    singleton = models.BooleanField(default=True, unique=True)
    version = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(name="document_index_is_one", condition=Q(singleton=True))]

    def __str__(self) -> str:
        return f"document index {self.version}"


class SuggestedFaq(models.Model):
    """A draft FAQ that the model wrote from a passage, for an editor to judge."""

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="suggestions")
    passage = models.ForeignKey(Passage, on_delete=models.SET_NULL, null=True, related_name="+")
    faq = models.OneToOneField("knowledge.Faq", on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"suggestion {self.pk} from {self.document_id}"
