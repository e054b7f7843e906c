"""The quality pages: who may see them, the bench, test questions, runs, changes, gaps."""

from __future__ import annotations

import re
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from chatbot.conversations.models import Customer
from chatbot.engine.fake import ScriptedEngine
from chatbot.knowledge import authoring
from chatbot.knowledge.content import FaqText
from chatbot.knowledge.embedding import default_embedder
from chatbot.knowledge.models import Faq
from chatbot.quality import gathering, running, suite, tasks, trials
from chatbot.quality.asked import Asked
from chatbot.quality.models import Gap, QuestionRun, TestQuestion
from support_portal.accounts.models import User
from tests.quality.test_gaps import VOUCHERS, said

pytestmark = pytest.mark.django_db
PAGES = ["/faqs/try/", "/faqs/questions/", "/faqs/questions/add/", "/faqs/questions/export/", "/faqs/changes/", "/faqs/gaps/"]
XSS = "<script>alert(1)</script>"


@pytest.fixture
def editor(client: Client, erin: User) -> Client:
    client.force_login(erin)
    return client


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tasks run when the test says so; what was sent is listed."""
    sent: list[str] = []
    monkeypatch.setattr(tasks, "send", lambda task, *arguments, queue: sent.append(f"{queue}:{task.name}") or True)
    return sent


def test_agents_do_not_enter_and_editors_do(client: Client, dana: User, erin: User) -> None:
    client.force_login(dana)
    assert {client.get(page).status_code for page in PAGES} == {403}
    assert b"Quality" not in client.get("/desk/").content
    client.force_login(erin)
    assert {client.get(page).status_code for page in PAGES} == {200}
    for page in ("/faqs/questions/run/", "/faqs/gaps/gather/", "/faqs/questions/import/"):
        assert client.get(page).status_code == 405


def test_the_bench_shows_everything_about_an_answer(
    editor: Client, erin: User, shop: None, engine: ScriptedEngine, at_once: list[str]
) -> None:
    response = editor.post("/faqs/try/", {"text": "When are the stores open?", "locale": "en", "history": "", "draft": ""})
    assert response.status_code == 302 and at_once == ["generation:quality.try_question"]
    url = response["Location"]
    token = url.rstrip("/").rpartition("/")[2]
    page = editor.get(url).content.decode()
    assert f'data-poll-url="{url}result/"' in page and "Waiting for a worker" in page
    assert editor.get(f"{url}result/").json()["done"] is False
    trials.run_trial(token)
    told = editor.get(f"{url}result/").json()
    assert told["done"] and "Daily from 10:00 to 20:00." in told["html"] and "% sure" in told["html"]
    page = editor.get(url).content.decode()
    assert "Quoted a published answer" in page and "data-poll-url" not in page and "Found, best first" in page


def test_a_colleagues_trial_does_not_exist(editor: Client, omar: User, shop: None) -> None:
    url = editor.post("/faqs/try/", {"text": "When?", "locale": "en"})["Location"]
    editor.force_login(omar)
    assert editor.get(url).status_code == 404 and editor.get(f"{url}result/").status_code == 404


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ({"text": ""}, "This field is required"),
        ({"text": "x" * 4001}, "at most 4000"),
        ({"text": "a", "history": "hello there"}, "must begin with"),
        ({"text": "a", "locale": "xx"}, "Select a valid choice"),
        ({"text": "a", "draft": "999"}, "Select a valid choice"),
        ({"text": "a", "history": "Bot: x\n" * 21}, "At most 20"),
    ],
)
def test_the_bench_explains_bad_input(editor: Client, typed: dict[str, str], complaint: str) -> None:
    page = editor.post("/faqs/try/", {"locale": "en", **typed})
    assert page.status_code == 200 and complaint in page.content.decode()


def test_a_question_is_added_changed_removed_and_never_run_as_script(editor: Client, shop: None, alice: Customer) -> None:
    asked = said(alice, f"{XSS} where is it?")
    page = editor.get(f"/faqs/questions/add/?message={asked.pk}").content.decode()
    assert "&lt;script&gt;" in page and XSS not in page
    fields = {"text": "And on Sunday?", "locale": "en", "history": "Customer: When do you open?\nBot: Daily.\nAll year."}
    editor.post("/faqs/questions/add/", fields | {"expected": "hours", "note": "n", "source": str(asked.pk)})
    question = TestQuestion.objects.get()
    assert (question.source_id, question.expected) == (asked.pk, "hours")
    assert question.history[1] == {"role": "assistant", "text": "Daily.\nAll year."}
    assert "Another" not in editor.get("/faqs/questions/").content.decode()
    again = editor.post("/faqs/questions/add/", fields | {"expected": "hours"})
    assert "among the test questions already" in again.content.decode()
    wrong = editor.post(f"/faqs/questions/{question.pk}/", fields | {"expected": "nothing-like-it"})
    assert "no FAQ with this key" in wrong.content.decode()
    assert editor.post(f"/faqs/questions/{question.pk}/", fields | {"expected": ""}).status_code == 302
    question.refresh_from_db()
    assert question.expected == ""
    assert editor.get(f"/faqs/try/?question={question.pk}").content.decode().count("And on Sunday?") == 1
    assert editor.post(f"/faqs/questions/{question.pk}/remove/").status_code == 302
    assert editor.post(f"/faqs/questions/{question.pk}/remove/").status_code == 404
    assert {editor.get(f"/faqs/questions/add/?message={bad}").status_code for bad in ("x", uuid.uuid4())} == {404}


def test_files_come_in_and_go_out(editor: Client, questions: None) -> None:
    exported = editor.get("/faqs/questions/export/")
    assert "attachment" in exported["Content-Disposition"] and len(exported.content.splitlines()) == 4
    for content, told in ((exported.content, "0 new, 0 changed, 4 as they were"), (b"{", "line 1 is not one JSON object")):
        file = SimpleUploadedFile("q.jsonl", content)
        page = editor.post("/faqs/questions/import/", {"file": file}, follow=True).content.decode()
        assert told in page
    assert "Nothing was imported" in editor.post("/faqs/questions/import/", follow=True).content.decode()


def test_a_run_is_started_watched_and_read(
    editor: Client,
    questions: None,
    engine: ScriptedEngine,
    at_once: list[str],
    django_capture_on_commit_callbacks: object,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        url = editor.post("/faqs/questions/run/")["Location"]
    assert at_once == ["generation:quality.run_questions"]
    run = QuestionRun.objects.get()
    assert "data-poll-reload" in editor.get(url).content.decode()
    assert editor.get(f"{url}progress/").json()["done"] is False
    running.execute(run.pk, workers=1)
    assert editor.get(f"{url}progress/").json()["done"] is True
    page = editor.get(url).content.decode()
    assert "When are the stores open?" in page and "Answered right" in page
    editor.post("/faqs/questions/run/")
    second = QuestionRun.objects.order_by("-created_at")[0]
    running.execute(second.pk, workers=1)
    page = editor.get(f"/faqs/questions/runs/{second.pk}/?show=same").content.decode()
    assert "Compared with the run of" in page and "4 results" in page
    assert "Answered right" in editor.get("/faqs/questions/").content.decode()
    assert editor.get(f"/faqs/questions/runs/{second.pk}/?with={uuid.uuid4()}").status_code == 404
    assert editor.get(f"/faqs/questions/runs/{uuid.uuid4()}/").status_code == 404
    third = editor.post("/faqs/questions/run/")["Location"]
    editor.post(f"{third}stop/")
    assert "Stopped" in editor.get(third).content.decode()


def test_a_run_without_questions_says_so(editor: Client, shop: None) -> None:
    assert "no test questions" in editor.post("/faqs/questions/run/", follow=True).content.decode()


def test_what_would_change_shows_fixed_and_broken(editor: Client, questions: None, engine: ScriptedEngine) -> None:
    hours = Faq.objects.get(key="hours")
    words = FaqText("When are the stores open?", "Only on Mondays.", phrasings=hours.phrasings, category=hours.category)
    authoring.save_change(
        hours.pk, text=words, terms=authoring.FaqTerms.of(hours), expected_revision=hours.latest_revision, author=None
    )
    assert "When are the stores open?" in editor.get(f"/faqs/changes/?draft={hours.pk}").content.decode()
    limits = {"direct_at": "0.9", "compose_at": "0.65", "clarify_at": "0.2"}
    url = editor.post("/faqs/changes/", {"draft": str(hours.pk), **limits, "messages": "0"})["Location"]
    running.execute(QuestionRun.objects.get().pk, workers=1)
    page = editor.get(url).content.decode()
    assert "Only on Mondays." in page and "Other answer" in page and "Write the answers" in page
    editor.post(f"{url}go-on/", {"full_answers": "1"})
    assert QuestionRun.objects.get().status == "waiting" and QuestionRun.objects.get().full_answers
    for typed, told in (({"draft": ""}, "nothing would change"), ({"draft": "", "compose_at": "0.95"}, "must rise")):
        page = editor.post("/faqs/changes/", {**limits, "messages": "0", **typed}).content.decode()
        assert told in page


def test_what_other_instructions_would_change(editor: Client, questions: None, engine: ScriptedEngine) -> None:
    suite.add_question(Asked("什么时候开门？", locale="zh-hans", expected="hours"), author=None)
    typed = {"direct_at": "0.9", "compose_at": "0.65", "clarify_at": "0.2", "messages": "0", "instructions": f"Be short. {XSS}"}
    engine.enqueue(["门店每天 10:00 到 20:00 营业 [1]。"])
    engine.enqueue(["每天 10:00 到 18:00 [1]。"])
    url = editor.post("/faqs/changes/", typed)["Location"]
    running.execute(QuestionRun.objects.get().pk, workers=1)
    page = editor.get(url).content.decode()
    assert "Be short." in page and XSS not in page and "1 answer written both ways" in page
    assert "门店每天" in page and "Median time of a written answer" in page
    assert editor.get(f"{url}progress/").json()["done"]


def test_gaps_are_listed_decided_and_drafted(editor: Client, erin: User, shop: None, alice: Customer, at_once: list[str]) -> None:
    assert "No open gaps" in editor.get("/faqs/gaps/").content.decode()
    editor.post("/faqs/gaps/gather/")
    assert at_once == ["general:quality.gather_gaps"]
    for text in [*VOUCHERS, f"gift vouchers {XSS}"]:
        said(alice, text)
    gathering.gather(embedder=default_embedder())
    gap = Gap.objects.order_by("pk")[0]
    for page in ("/faqs/gaps/", f"/faqs/gaps/{gap.pk}/", f"/faqs/gaps/{gap.pk}/draft/"):
        content = editor.get(page).content.decode()
        assert "voucher" in content and XSS not in content
    proposed = re.search(r'name="key" value="([a-z-]+)"', content)
    assert proposed and "voucher" in proposed[1]
    assert "say why" in editor.post(f"/faqs/gaps/{gap.pk}/decide/", {"status": "ignored"}, follow=True).content.decode()
    fields = {"key": "vouchers", "locale": "en", "question": "Vouchers?", "phrasings": VOUCHERS[0], "category": ""}
    empty = editor.post(f"/faqs/gaps/{gap.pk}/draft/", fields | {"answer": ""})
    assert empty.status_code == 200 and not Faq.objects.filter(key="vouchers").exists()
    made = editor.post(f"/faqs/gaps/{gap.pk}/draft/", fields | {"answer": "From S$20.", "action": "publish"})
    faq = Faq.objects.get(key="vouchers")
    assert made["Location"] == f"/faqs/{faq.pk}/" and faq.status == "published" and faq.phrasings == [VOUCHERS[0]]
    gap.refresh_from_db()
    assert (gap.status, gap.faq, gap.decided_by) == ("handled", faq, erin)
    assert "a week before publishing" in editor.get("/faqs/gaps/?status=handled").content.decode()
    assert editor.get("/faqs/gaps/?status=x").status_code == 404
    assert editor.get(f"/faqs/gaps/{gap.pk + 99}/").status_code == 404


def test_an_answer_is_proposed_only_from_what_is_published(
    editor: Client, shop: None, alice: Customer, engine: ScriptedEngine
) -> None:
    said(alice, "When are the stores open?", decision="direct", rating=-1)
    said(alice, "Is my goldfish insured against theft in Norway?")
    gathering.gather(embedder=default_embedder())
    for gap in Gap.objects.all():
        known = gap.questions.get().message.text.startswith("When")
        url = editor.post(f"/faqs/gaps/{gap.pk}/propose/")["Location"]
        assert "Asking the model" in editor.get(url).content.decode()
        trials.run_trial(url.rpartition("=")[2])
        page = editor.get(url).content.decode()
        assert ("Daily from 10:00 to 20:00.</textarea>" in page) is known
        assert ("there is no proposal" in page) is not known
