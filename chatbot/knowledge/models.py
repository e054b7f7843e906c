"""What the company says (Faq), how it came to (FaqRevision), and what is searched (Phrasing, KnowledgeIndex)."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from pgvector.django import VectorField

# Keys stand in addresses and files: no blanks, slashes or quotes. Python matches these whole (fullmatch).
KEY_PATTERN = r"^\w[\w.*?:@+~!()-]*$"
# Lower-case BCP 47: en, zh-hans, pt-br.
LOCALE_PATTERN = r"^[a-z]{2,3}(-[a-z0-9]{2,8})*$"
MAX_KEY_CHARS = 100
MAX_QUESTION_CHARS = 500
MAX_PHRASING_CHARS = 500
MAX_PHRASINGS = 200
MAX_ANSWER_CHARS = 20_000
MAX_CATEGORY_CHARS = 200


class FaqStatus(models.TextChoices):
    DRAFT = "draft", "Draft"
    PUBLISHED = "published", "Published"
    ARCHIVED = "archived", "Archived"


class FaqContent(models.Model):
    """The fields that a revision keeps."""

    category = models.CharField(max_length=MAX_CATEGORY_CHARS, blank=True)
    question = models.CharField(max_length=MAX_QUESTION_CHARS)
    answer = models.TextField(help_text="Markdown")
    phrasings = ArrayField(models.TextField(), default=list, blank=True)
    status = models.CharField(max_length=10, choices=FaqStatus.choices, default=FaqStatus.DRAFT)

    class Meta:
        abstract = True


class Faq(FaqContent):
    """One question in one language. The same key in several locales is one thing said in several languages."""

    Status = FaqStatus

    key = models.CharField(max_length=MAX_KEY_CHARS)
    locale = models.CharField(max_length=35)
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    published_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["key", "locale"]
        constraints = [
            # Also serves access by key and the lookup of an imported line.
            models.UniqueConstraint(fields=["key", "locale"], name="faq_key_locale_once"),
            models.CheckConstraint(name="faq_key_shape", condition=Q(key__regex=KEY_PATTERN)),
            models.CheckConstraint(name="faq_locale_shape", condition=Q(locale__regex=LOCALE_PATTERN)),
            models.CheckConstraint(name="faq_has_question", condition=~Q(question="")),
            models.CheckConstraint(name="faq_status_known", condition=Q(status__in=FaqStatus.values)),
            models.CheckConstraint(
                name="faq_published_is_whole", condition=~Q(status="published") | (Q(published_at__isnull=False) & ~Q(answer=""))
            ),
        ]
        indexes = [
            # The desk's list of one status, newest change first.
            models.Index(fields=["status", "-updated_at"], name="faq_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.key} ({self.locale})"

    def all_phrasings(self) -> list[str]:
        """The question and its phrasings, in order, each once."""
        return list(dict.fromkeys([self.question, *self.phrasings]))


class FaqRevision(FaqContent):
    """A FAQ as it was after one change, with who made it. Never changed."""

    faq = models.ForeignKey(Faq, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            # Also serves the list of a FAQ's revisions, newest first.
            models.UniqueConstraint(fields=["faq", "number"], name="faq_revision_number_once"),
            models.CheckConstraint(name="faq_revision_from_one", condition=Q(number__gte=1)),
        ]

    def __str__(self) -> str:
        return f"{self.faq_id}#{self.number}"


class Phrasing(models.Model):
    """One way to ask a published FAQ, embedded. Written only by indexing; a row is never changed, only replaced."""

    faq = models.ForeignKey(Faq, on_delete=models.CASCADE, related_name="embedded_phrasings")
    text = models.TextField()
    text_hash = models.CharField(max_length=64)
    embedder = models.CharField(max_length=200)
    vector = VectorField()

    class Meta:
        constraints = [
            # Two embedders may stand side by side while one replaces the other. Also serves the comparison of wanted and present.
            models.UniqueConstraint(fields=["faq", "text_hash", "embedder"], name="phrasing_once"),
        ]

    def __str__(self) -> str:
        return f"phrasing {self.pk} of {self.faq_id}"


class KnowledgeIndex(models.Model):
    """What serving processes search: one row. A higher `version` tells them to load the phrasings again."""

    singleton = models.BooleanField(default=True, unique=True)
    version = models.PositiveBigIntegerField(default=0)
    embedder = models.CharField(max_length=200, blank=True)
    # Of the phrasings the calibration was fitted on; another one means that it is due again.
    fingerprint = models.CharField(max_length=64, blank=True)
    calibration = models.JSONField(null=True, blank=True)
    refreshed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(name="knowledge_index_is_one", condition=Q(singleton=True))]

    def __str__(self) -> str:
        return f"knowledge index {self.version}"
