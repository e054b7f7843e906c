"""What the company says (Faq), how it came to (FaqRevision), and what is searched (Phrasing, KnowledgeIndex)."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
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
    REVIEW = "review", "In review"
    PUBLISHED = "published", "Published"
    ARCHIVED = "archived", "Archived"


class FaqContent(models.Model):
    """The fields that a revision keeps.

    valid_from, valid_until: outside of them (from inclusive, until exclusive) a published FAQ does not answer.
    written_by: who last changed what customers read; status changes have other authors.
    """

    category = models.CharField(max_length=MAX_CATEGORY_CHARS, blank=True)
    question = models.CharField(max_length=MAX_QUESTION_CHARS)
    answer = models.TextField(help_text="Markdown")
    phrasings = ArrayField(models.TextField(), default=list, blank=True)
    status = models.CharField(max_length=10, choices=FaqStatus.choices, default=FaqStatus.DRAFT)
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    written_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        abstract = True


class Faq(FaqContent):
    """One question in one language. The same key in several locales is one thing said in several languages.

    A published FAQ can have one change that is not published yet: its words stand in the revision of number `change_number`.
    """

    Status = FaqStatus

    key = models.CharField(max_length=MAX_KEY_CHARS)
    locale = models.CharField(max_length=35)
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    published_at = models.DateTimeField(null=True, blank=True)
    # When what customers read was last changed, or confirmed: a translation written before the original is out of date.
    written_at = models.DateTimeField(default=timezone.now)
    change_number = models.PositiveIntegerField(null=True, blank=True)
    change_status = models.CharField(max_length=10, choices=FaqStatus.choices, blank=True, default="")

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
            models.CheckConstraint(
                name="faq_valid_in_order",
                condition=Q(valid_from__isnull=True) | Q(valid_until__isnull=True) | Q(valid_until__gt=models.F("valid_from")),
            ),
            models.CheckConstraint(
                name="faq_change_is_of_a_published_one",
                condition=Q(change_number__isnull=True, change_status="")
                | Q(change_number__isnull=False, change_status__in=["draft", "review"], status="published"),
            ),
        ]
        indexes = [
            # The desk's list of one status, newest change first.
            models.Index(fields=["status", "-updated_at"], name="faq_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.key} ({self.locale})"

    @property
    def latest_revision(self) -> int:
        """The newest revision, the unpublished change included: what an author must have seen before writing another."""
        return max(self.revision, self.change_number or 0)

    def all_phrasings(self) -> list[str]:
        """The question and its phrasings, in order, each once."""
        return list(dict.fromkeys([self.question, *self.phrasings]))


class FaqRevision(FaqContent):
    """A FAQ as it was after one change, with who made it. Never changed.

    is_change: words that were not published with it; customers went on reading the revision before.
    """

    faq = models.ForeignKey(Faq, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    is_change = models.BooleanField(default=False)
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


class LearnedPhrasing(models.Model):
    """One more way to ask a FAQ, which a model version has learnt from reviewed examples (learned.py). Without personal data."""

    version = models.ForeignKey("releases.ModelVersion", on_delete=models.CASCADE, related_name="learned_phrasings")
    faq = models.ForeignKey(Faq, on_delete=models.CASCADE, related_name="learned_phrasings")
    text = models.CharField(max_length=MAX_PHRASING_CHARS)
    # The hash of the dataset's line that it stands in.
    origin = models.CharField(max_length=64, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "faq", "text"], name="learned_phrasing_once")]

    def __str__(self) -> str:
        return f"learned phrasing {self.pk} of {self.faq_id}"


class KnowledgeIndex(models.Model):
    """What serving processes search: one row. A higher `version` tells them to load the phrasings again."""

    singleton = models.BooleanField(default=True, unique=True)
    version = models.PositiveBigIntegerField(default=0)
    embedder = models.CharField(max_length=200, blank=True)
    # The setting that made the embedder, so that processes can go on with it while the next one's vectors are being made.
    embedder_source = models.CharField(max_length=1000, blank=True, default="")
    # Of the phrasings the calibration was fitted on; another one means that it is due again.
    fingerprint = models.CharField(max_length=64, blank=True)
    calibration = models.JSONField(null=True, blank=True)
    refreshed_at = models.DateTimeField(null=True, blank=True)
    # The model version whose learned phrasings are in the index; empty where the live one brings none.
    learned_of = models.CharField(max_length=120, blank=True, default="")

    class Meta:
        constraints = [models.CheckConstraint(name="knowledge_index_is_one", condition=Q(singleton=True))]

    def __str__(self) -> str:
        return f"knowledge index {self.version}"
