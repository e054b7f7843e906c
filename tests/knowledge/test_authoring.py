from collections.abc import Callable

import pytest
from django.db import IntegrityError, transaction

from chatbot.errors import ChatbotError, Conflict, InvalidInput, NotFound
from chatbot.knowledge import tasks
from chatbot.knowledge.authoring import add_phrasing, archive_faq, change_of, create_faq, edit_faq, publish_faq, revert_faq
from chatbot.knowledge.content import FaqText
from chatbot.knowledge.models import Faq, FaqStatus
from support_portal.accounts.models import User

pytestmark = pytest.mark.django_db

TEXT = FaqText(question="How long is delivery?", answer="1 to 3 days.", phrasings=["delivery time"], category="Delivery")
NEW = FaqText(question="How long is delivery?", answer="2 to 4 days.", phrasings=["delivery time"], category="Delivery")


@pytest.fixture
def faq(omar: User) -> Faq:
    return create_faq("delivery", locale="en", text=TEXT, author=omar)


def test_a_new_faq_is_a_draft_with_its_first_revision(faq: Faq, omar: User) -> None:
    assert (faq.status, faq.revision, faq.published_at) == (FaqStatus.DRAFT, 1, None)
    first = faq.revisions.get()
    assert (first.number, first.author, FaqText.of(first)) == (1, omar, TEXT)


def test_every_change_leaves_a_revision(faq: Faq, omar: User, dana: User) -> None:
    edit_faq(faq.pk, text=NEW, expected_revision=1, author=dana, note="slower now")
    publish_faq(faq.pk, author=omar)
    archive_faq(faq.pk, author=omar)
    history = list(faq.revisions.values_list("number", "author__username", "status", "answer", "note"))
    assert history == [
        (4, "omar", "archived", "2 to 4 days.", "archived"),
        (3, "omar", "published", "2 to 4 days.", "published"),
        (2, "dana", "draft", "2 to 4 days.", "slower now"),
        (1, "omar", "draft", "1 to 3 days.", "created"),
    ]


def test_an_edit_of_an_older_revision_is_refused_and_loses_nothing(faq: Faq, omar: User, dana: User) -> None:
    edit_faq(faq.pk, text=NEW, expected_revision=1, author=dana)
    with pytest.raises(Conflict) as refused:
        edit_faq(faq.pk, text=TEXT, expected_revision=1, author=omar)
    assert refused.value.code == "faq_conflict"
    faq.refresh_from_db()
    assert (faq.revision, faq.answer) == (2, "2 to 4 days.")


def test_the_same_words_change_nothing(faq: Faq, omar: User) -> None:
    assert edit_faq(faq.pk, text=TEXT, expected_revision=1, author=omar).revision == 1
    assert faq.revisions.count() == 1


def test_publishing_and_archiving_twice_change_nothing(faq: Faq, omar: User) -> None:
    publish_faq(faq.pk, author=omar)
    assert publish_faq(faq.pk, author=omar).revision == 2
    archive_faq(faq.pk, author=omar)
    assert archive_faq(faq.pk, author=omar).revision == 3


def test_an_archived_faq_can_be_published_again(faq: Faq, omar: User) -> None:
    archive_faq(faq.pk, author=omar)
    assert publish_faq(faq.pk, author=omar).status == FaqStatus.PUBLISHED


def test_reverting_brings_the_words_back_as_a_new_revision(faq: Faq, omar: User) -> None:
    edit_faq(faq.pk, text=NEW, expected_revision=1, author=omar)
    reverted = revert_faq(faq.pk, number=1, expected_revision=2, author=omar)
    assert (reverted.revision, FaqText.of(reverted)) == (3, TEXT)
    assert faq.revisions.get(number=3).note == "reverted to revision 1"


def test_reverting_to_a_revision_that_never_was(faq: Faq, omar: User) -> None:
    with pytest.raises(NotFound):
        revert_faq(faq.pk, number=9, expected_revision=1, author=omar)


def test_a_phrasing_is_added_once(faq: Faq, omar: User) -> None:
    assert add_phrasing(faq.pk, phrasing=" when  will it come ", author=omar).phrasings == ["delivery time", "when will it come"]
    assert add_phrasing(faq.pk, phrasing="when will it come", author=omar).revision == 2


def test_a_phrasing_goes_to_the_translation_of_its_language(faq: Faq, omar: User) -> None:
    chinese = create_faq(faq.key, locale="zh-hans", text=FaqText("多久？", "一至三天。"), author=omar, publish=True)
    assert add_phrasing(faq.pk, phrasing="几天能到", locale="zh-hans", author=omar) == chinese
    assert add_phrasing(chinese.pk, phrasing="how many days", locale="en-gb", author=omar) == faq
    assert add_phrasing(faq.pk, phrasing="combien de jours", locale="fr", author=omar) == faq, "there is no French one"
    faq.refresh_from_db()
    assert faq.phrasings == ["delivery time", "how many days", "combien de jours"]


def test_a_phrasing_can_wait_as_an_unpublished_change(faq: Faq, omar: User) -> None:
    publish_faq(faq.pk, author=omar)
    for phrasing in ("one way", "another way"):
        add_phrasing(faq.pk, phrasing=phrasing, publish=False, author=omar)
    faq.refresh_from_db()
    change = change_of(faq)
    assert faq.phrasings == ["delivery time"] and change is not None
    assert change.phrasings == ["delivery time", "one way", "another way"]


def test_an_empty_phrasing_is_refused(faq: Faq, omar: User) -> None:
    with pytest.raises(InvalidInput):
        add_phrasing(faq.pk, phrasing=" \u200b", author=omar)


def test_key_and_locale_are_taken_once(faq: Faq, omar: User) -> None:
    with pytest.raises(Conflict) as refused:
        create_faq("delivery", locale="en", text=TEXT, author=omar)
    assert (refused.value.code, refused.value.field) == ("faq_exists", "key")
    create_faq("delivery", locale="de", text=TEXT, author=omar)


@pytest.mark.parametrize(
    ("key", "locale", "text", "field"),
    [
        ("a b", "en", TEXT, "key"),
        ("a", "EN", TEXT, "locale"),
        ("a", "en", FaqText(question="", answer="A."), "question"),
        ("a", "en", FaqText(question="Q?", answer=""), "answer"),
        ("a", "en", FaqText(question="Q?", answer="a" * 20_001), "answer"),
        ("a", "en", FaqText(question="Q?", answer="A.", phrasings=["p" * 501]), "phrasings"),
    ],
)
def test_what_cannot_be_stored_names_its_field(key: str, locale: str, text: FaqText, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        create_faq(key, locale=locale, text=text, author=None)
    assert (refused.value.code, refused.value.field) == ("faq_invalid", field)
    assert not Faq.objects.exists()


@pytest.mark.parametrize("change", [publish_faq, archive_faq])
def test_an_unknown_faq_is_not_found(change: Callable[..., Faq]) -> None:
    with pytest.raises(NotFound):
        change(123, author=None)


def test_every_change_asks_for_a_refresh_after_the_commit(
    django_capture_on_commit_callbacks: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(tasks, "enqueue_refresh", lambda: asked.append("refresh"))
    with django_capture_on_commit_callbacks(execute=True):
        faq = create_faq("a", locale="en", text=TEXT, author=None)
        assert asked == []
    with django_capture_on_commit_callbacks(execute=True):
        publish_faq(faq.pk, author=None)
        archive_faq(faq.pk, author=None)
    assert asked == ["refresh"] * 3


def test_a_refused_change_asks_for_nothing(faq: Faq, django_capture_on_commit_callbacks: Callable[..., list[object]]) -> None:
    with django_capture_on_commit_callbacks() as callbacks, pytest.raises(ChatbotError):
        edit_faq(faq.pk, text=NEW, expected_revision=7, author=None)
    assert callbacks == []


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"key": "a b"}, "faq_key_shape"),
        ({"locale": "EN"}, "faq_locale_shape"),
        ({"question": ""}, "faq_has_question"),
        ({"status": "live"}, "faq_status_known"),
        ({"status": "published"}, "faq_published_is_whole"),
    ],
)
def test_the_database_has_the_last_word(fields: dict[str, str], constraint: str) -> None:
    row = {"key": "a", "locale": "en", "question": "Q?", "answer": "A.", **fields}
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Faq.objects.create(**row)
