import json
from collections.abc import Callable

import pytest

from chatbot.knowledge import tasks
from chatbot.knowledge.authoring import archive_faq, create_faq, edit_faq
from chatbot.knowledge.content import FaqTerms, FaqText
from chatbot.knowledge.faq_files import Format
from chatbot.knowledge.importing import MAX_ISSUES, export_faqs, import_faqs
from chatbot.knowledge.models import Faq, FaqRevision, FaqStatus
from support_portal.accounts.models import User
from tests.knowledge.conftest import SHOP

pytestmark = pytest.mark.django_db


def file(*faqs: dict[str, object]) -> bytes:
    return "\n".join(json.dumps(faq) for faq in faqs).encode()


def faq(**changes: object) -> dict[str, object]:
    return {"key": "a", "locale": "en", "question": "Q?", "answer": "A.", **changes}


def state() -> list[tuple[object, ...]]:
    fields = ("key", "locale", "category", "question", "phrasings", "answer", "status", "revision", "updated_at")
    return list(Faq.objects.values_list(*fields))


def test_new_faqs_are_published_with_a_first_revision_by_their_author(omar: User) -> None:
    report = import_faqs(file(*SHOP), format="jsonl", author=omar)
    assert (report.created, report.changed, report.unchanged, report.errors) == (4, 0, 0, ())
    assert set(Faq.objects.values_list("status", flat=True)) == {FaqStatus.PUBLISHED}
    assert set(FaqRevision.objects.values_list("number", "author", "note")) == {(1, omar.pk, "imported")}


@pytest.mark.parametrize("format", ["jsonl", "csv", "xlsx"])
def test_importing_what_was_exported_changes_nothing(format: Format, omar: User) -> None:
    import_faqs(file(*SHOP), format="jsonl", author=omar)
    tricky = FaqText(question="=1+1?", answer="-5 %\n\n'=x", phrasings=["+65", "'@", "a  b", "ＡＢ"], category="@c")
    create_faq("tricky", locale="en", text=tricky, author=omar)
    archive_faq(Faq.objects.get(key="hours").pk, author=omar)
    before = state()
    exported = b"".join(export_faqs(format=format))
    report = import_faqs(exported, format=format, author=omar)
    assert (report.created, report.changed, report.unchanged, report.errors) == (0, 0, 5, ())
    assert state() == before
    assert format == "xlsx" or b"".join(export_faqs(format=format)) == exported


def test_an_export_of_published_faqs_has_exactly_the_known_columns() -> None:
    import_faqs(file(*SHOP), format="jsonl", author=None)
    header = b"".join(export_faqs(format="csv")).split(b"\n")[0]
    assert header == b"key,locale,category,question,phrasings,answer"
    assert json.loads(next(iter(export_faqs(format="jsonl")))).keys() == SHOP[0].keys()


def test_a_changed_faq_gets_a_new_revision_and_the_rest_stays() -> None:
    import_faqs(file(*SHOP), format="jsonl", author=None)
    report = import_faqs(file({**SHOP[0], "answer": "Within 60 days."}, *SHOP[1:]), format="jsonl", author=None)
    assert (report.created, report.changed, report.unchanged) == (0, 1, 3)
    changed = Faq.objects.get(key="returns", locale="en")
    assert (changed.revision, changed.answer) == (2, "Within 60 days.")
    assert changed.revisions.get(number=1).answer == SHOP[0]["answer"]


def test_a_file_without_status_leaves_an_archived_faq_archived() -> None:
    import_faqs(file(faq()), format="jsonl", author=None)
    archive_faq(Faq.objects.get().pk, author=None)
    import_faqs(file(faq(answer="New.")), format="jsonl", author=None)
    assert Faq.objects.get().status == FaqStatus.ARCHIVED


def test_a_status_in_the_file_is_followed() -> None:
    import_faqs(file(faq(status="draft")), format="jsonl", author=None)
    assert Faq.objects.get().status == FaqStatus.DRAFT
    import_faqs(file(faq(status="published")), format="jsonl", author=None)
    assert Faq.objects.get().published_at is not None


def test_a_dry_run_counts_and_writes_nothing() -> None:
    report = import_faqs(file(*SHOP), format="jsonl", author=None, dry_run=True)
    assert report.created == 4
    assert not Faq.objects.exists()


def test_one_bad_line_and_nothing_is_written() -> None:
    report = import_faqs(file(*SHOP, faq(key="bad key")), format="jsonl", author=None)
    assert [(issue.line, issue.field) for issue in report.errors] == [(5, "key")]
    assert report.created == 0
    assert not Faq.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"key": ""}, "key"),
        ({"key": "a/b"}, "key"),
        ({"key": "k" * 101}, "key"),
        ({"locale": "English"}, "locale"),
        ({"locale": "en_GB"}, "locale"),
        ({"question": " "}, "question"),
        ({"question": "q" * 501}, "question"),
        ({"answer": "\n"}, "answer"),
        ({"answer": "a" * 20_001}, "answer"),
        ({"phrasings": ["p" * 501]}, "phrasings"),
        ({"phrasings": [f"p{number}" for number in range(201)]}, "phrasings"),
        ({"status": "live"}, "status"),
    ],
)
def test_what_cannot_be_stored_is_named(changes: dict[str, object], field: str) -> None:
    report = import_faqs(file(faq(**changes)), format="jsonl", author=None)
    assert [(issue.line, issue.field) for issue in report.errors] == [(1, field)]


def test_a_repeated_key_names_both_lines() -> None:
    report = import_faqs(file(faq(), faq(locale="de"), faq(answer="Other.")), format="jsonl", author=None)
    assert [str(issue) for issue in report.errors] == ["line 3: key 'a' in 'en' stands already on line 1"]


def test_errors_are_listed_up_to_a_limit() -> None:
    report = import_faqs(file(*[faq(key="no good")] * 200), format="jsonl", author=None)
    assert len(report.errors) == MAX_ISSUES
    assert report.more_errors


def test_an_empty_file_is_an_error() -> None:
    assert [issue.message for issue in import_faqs(b"\n", format="jsonl", author=None).errors] == ["contains no FAQ"]


def test_locales_are_lowered_and_texts_cleaned() -> None:
    import_faqs(file(faq(locale="zh-Hans", question=" 多久\u200b ？ ", phrasings=["x", " x", ""])), format="jsonl", author=None)
    stored = Faq.objects.get()
    assert (stored.locale, stored.question, stored.phrasings) == ("zh-hans", "多久 ？", ["x"])


def test_the_number_of_queries_does_not_grow_with_the_file(django_assert_max_num_queries: Callable[..., object]) -> None:
    with django_assert_max_num_queries(12):
        import_faqs(file(*[faq(key=f"k{number}") for number in range(300)]), format="jsonl", author=None)
    assert Faq.objects.count() == FaqRevision.objects.count() == 300


def test_the_index_is_refreshed_once_after_the_commit(
    django_capture_on_commit_callbacks: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(tasks, "enqueue_refresh", lambda: asked.append("refresh"))
    with django_capture_on_commit_callbacks(execute=True):
        import_faqs(file(*SHOP), format="jsonl", author=None)
    with django_capture_on_commit_callbacks(execute=True):
        import_faqs(file(*SHOP), format="jsonl", author=None)
    assert asked == ["refresh"]


def test_one_bad_line_of_ten_thousand_is_named_and_nothing_is_imported() -> None:
    lines = [json.dumps(faq(key=f"faq-{number}")) for number in range(10_000)]
    lines[7_776] = json.dumps(faq(key="faq-7776", answer="a" * 50_000))
    report = import_faqs("\n".join(lines).encode(), format="jsonl", author=None)
    assert [str(issue) for issue in report.errors] == ["line 7777: answer has 50,000 characters; at most 20,000 are allowed"]
    assert not Faq.objects.exists()


def test_an_import_leaves_dates_owner_and_translations_as_they_are(omar: User) -> None:
    import_faqs(file(*SHOP), format="jsonl", author=omar)
    english, chinese = Faq.objects.filter(key="returns").order_by("locale")
    assert english.written_at == chinese.written_at and english.written_by == omar
    terms = FaqTerms(owner_id=omar.pk)
    edit_faq(english.pk, text=FaqText.of(english), terms=terms, expected_revision=1, author=omar)
    import_faqs(file({**SHOP[0], "answer": "Within 60 days."}), format="jsonl", author=omar)
    english.refresh_from_db()
    assert english.owner == omar and english.written_at > chinese.written_at
