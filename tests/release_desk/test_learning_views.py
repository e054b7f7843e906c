"""Examples, datasets and training runs as the release desk shows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from chatbot.conversations.models import Customer
from chatbot.learning import datasets, forgetting, runs, tasks
from chatbot.learning.models import Dataset, Example, TrainingRun
from chatbot.releases.models import ModelVersion
from chatbot.staffing.models import AuditEntry
from support_portal.accounts.models import User
from support_portal.release_desk import curves
from tests.release_desk.conftest import made

pytestmark = pytest.mark.django_db
XSS = "<script>alert(1)</script>"
PAGES = [f"/releases/{room}/" for room in ("examples", "datasets", "datasets/build", "runs", "runs/start")]


def page(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def test_only_admins_enter_and_empty_pages_explain(client: Client, erin: User, omar: User) -> None:
    assert {client.get(url).status_code for url in PAGES} == {302}
    client.force_login(erin)
    assert {client.get(url).status_code for url in PAGES} == {403}
    client.force_login(omar)
    contents = [page(client, url) for url in PAGES]
    for content, told in zip(
        contents, ("No examples yet", "No datasets yet", "Nothing to build", "No training", "Nothing to train"), strict=True
    ):
        assert told in content
    for url in ("/releases/examples/bulk/", "/releases/examples/gather/", "/releases/runs/1/stop/"):
        assert client.get(url).status_code == 405
    for url in (
        "examples/9/",
        "datasets/9/",
        "runs/9/",
        "runs/9/progress/",
        "datasets/compare/?a=x&b=1",
        "datasets/9/sft/train/",
    ):
        assert client.get(f"/releases/{url}").status_code == 404


def test_examples_are_filtered_and_never_run_as_script(admin: Client) -> None:
    one = made(1, question=f"Open {XSS}?", chosen=f"Yes {XSS} [1].", flags=["burst"])
    made(2, locale="zh-hans", status="rejected", decided_at=one.happened_at)
    content = page(admin, "/releases/examples/")
    assert "Open &lt;script&gt;" in content and XSS not in content and "many at once" in content and "1 example<" in content
    assert "2 examples" in page(admin, "/releases/examples/?status=")
    assert "No example here" in page(admin, "/releases/examples/?status=proposed&flags=none")
    assert "1 example<" in page(admin, "/releases/examples/?status=&locale=zh-hans&text=open")
    detail = page(admin, f"/releases/examples/{one.pk}/")
    assert XSS not in detail and "Approve although flagged" in detail and "correction:1" in detail


def test_one_by_one_goes_on_to_the_next(admin: Client, omar: User) -> None:
    first, second = made(1), made(2, flags=["strange_word"])
    query = "status=proposed"
    went = admin.post(f"/releases/examples/{second.pk}/decide/", {"action": "approve", "query": query})
    assert went["Location"] == f"/releases/examples/{first.pk}/?{query}"
    went = admin.post(f"/releases/examples/{first.pk}/decide/", {"action": "reject", "query": query})
    assert went["Location"] == f"/releases/examples/?{query}"
    second.refresh_from_db()
    assert (second.status, second.decided_by) == ("approved", omar)
    again = admin.post(f"/releases/examples/{first.pk}/decide/", {"action": "approve"}, follow=True)
    assert "Nothing was changed" in again.content.decode()
    assert AuditEntry.objects.filter(action__in=["examples.approved", "examples.rejected"], actor_id=omar.pk).count() >= 2


def test_many_at_once_leaves_flagged_ones(admin: Client, sent: list[tuple[int, ...]]) -> None:
    rows = [made(number) for number in range(3)] + [made(9, flags=["burst"])]
    url = "/releases/examples/bulk/"
    assert "Nothing was changed" in admin.post(url, {"action": "approve"}, follow=True).content.decode()
    assert "Nothing was changed" in admin.post(url, {"action": "x", "example": rows[0].pk}, follow=True).content.decode()
    told = admin.post(url, {"action": "approve", "everything": "1", "query": "status=proposed"}, follow=True).content.decode()
    assert "3 approved. 1 were left" in told
    admin.post(url, {"action": "reject", "example": [rows[0].pk, rows[3].pk]})
    assert list(Example.objects.order_by("pk").values_list("status", flat=True)) == [
        "rejected",
        "approved",
        "approved",
        "rejected",
    ]
    assert "Never gathered yet" in page(admin, "/releases/examples/")
    assert "Looking now" in admin.post("/releases/examples/gather/", follow=True).content.decode()
    tasks.sweep(*sent[-1])
    assert "by Omar: 0 new" in page(admin, "/releases/examples/")


def test_a_dataset_is_counted_built_read_and_taken_along(admin: Client, approved: list[Example]) -> None:
    url = "/releases/datasets/build/"
    assert "24 approved examples match" in page(admin, url)
    counted = admin.post(url, {"name": "", "locales": ["en"], "action": "count"}).content.decode()
    assert "24 approved" in counted and "Please mend" not in counted and not Dataset.objects.exists()
    assert "letters, digits" in admin.post(url, {"name": "../up", "action": "build"}).content.decode()
    went = admin.post(url, {"name": "march", "sources": ["correction"], "action": "build"})
    dataset = Dataset.objects.get()
    assert went["Location"] == f"/releases/datasets/{dataset.pk}/" and AuditEntry.objects.filter(action="dataset.built").exists()
    assert "already" in admin.post(url, {"name": "march", "action": "build"}).content.decode()
    content = page(admin, went["Location"])
    assert "A reviewer&#x27;s correction" in content and "Held out" in content
    file = admin.get(f"/releases/datasets/{dataset.pk}/sft/train/")
    assert "attachment" in file["Content-Disposition"] and all(json.loads(line)["prompt"] for line in file.content.splitlines())
    assert admin.get(f"/releases/datasets/{dataset.pk}/sft/x/").status_code == 404
    datasets.build("april")
    both = page(admin, f"/releases/datasets/compare/?a={dataset.pk}&b={Dataset.objects.get(name='april').pk}")
    assert "exactly the same lines" in both
    assert "march (24 examples)" in page(admin, "/releases/runs/start/")


def test_a_run_is_started_watched_stopped_and_resumed(
    admin: Client,
    tuned: ModelVersion,
    dataset: Dataset,
    sent: list[tuple[int, ...]],
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    fields = {"dataset": str(dataset.pk), "method": "sft", "budget_minutes": "20"}
    for change, told in (
        ({"method": "dpo"}, "nothing of this kind"),
        ({"budget_minutes": "0"}, "greater than or equal"),
        ({"dataset": "77"}, "Select a valid choice"),
    ):
        assert told in admin.post("/releases/runs/start/", fields | change).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        url = admin.post("/releases/runs/start/", fields)["Location"]
    run = TrainingRun.objects.get()
    assert sent == [(run.pk,)] and run.options == {"budget_minutes": 20.0}
    content = page(admin, url)
    assert f'data-poll-url="{url}progress/"' in content and "20 minutes at most" in content
    folder = runs.folder_of(run)
    folder.mkdir(parents=True)
    lines = [{"step": step, "loss": 3 / step} for step in range(1, 11)] + [
        {"step": 5, "eval_loss": 2.0},
        {"step": 10, "eval_loss": 1.5},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 11, "lo')
    (folder / "state.json").write_text(json.dumps({"step": 10, "steps": 20, "seconds": 300, "peak_memory_bytes": 5_000_000_000}))
    told = admin.get(f"{url}progress/").json()
    assert told["done"] is False and "step 10 of at most 20" in told["html"] and 'value="50"' in told["html"]
    assert "stroke-loss-tuning" in told["html"] and "fell from 2.000 to 1.500" in told["html"]
    assert "It stops after the step" in admin.post(f"{url}stop/", follow=True).content.decode()
    assert "Go on from where it was" in page(admin, url)
    admin.post(f"{url}go-on/")
    TrainingRun.objects.filter(pk=run.pk).update(
        status="failed", error="out_of_memory", error_text=XSS, finished_at=run.created_at
    )
    content = page(admin, url)
    assert "There was not enough memory" in content and XSS not in content and "data-poll-url" not in content
    TrainingRun.objects.filter(pk=run.pk).update(status="done", error="", version=tuned)
    assert "See first whether it is better" in page(admin, url)
    assert "Nothing was changed" in admin.post(f"{url}go-on/", follow=True).content.decode()
    assert f"Run {run.pk}" in page(admin, "/releases/runs/")


def test_what_learnt_from_an_erased_person_is_trained_anew_by_a_click(
    admin: Client, alice: Customer, tuned: ModelVersion, dataset: Dataset, approved: list[Example], sent: list[tuple[int, ...]]
) -> None:
    url = f"/releases/runs/anew/{tuned.pk}/"
    assert "Learnt from what was erased" not in page(admin, "/releases/runs/") and admin.post(url).status_code == 404
    ids = list(dataset.lines.filter(half="train").values_list("sha256", flat=True))
    run = runs.start(dataset)
    TrainingRun.objects.filter(pk=run.pk).update(status="done", version=tuned, finished_at=run.created_at)
    ModelVersion.objects.filter(pk=tuned.pk).update(trained_on=ids)
    gone = dataset.lines.filter(half="train")[:2]
    Example.objects.filter(lines__in=[line.pk for line in gone]).update(customer=alice)
    forgetting.forget_person(alice.pk)
    content = page(admin, "/releases/runs/")
    assert "2 examples erased" in content and "Retrain without them" in content and "in the coming night" in content
    went = admin.post(url)["Location"]
    assert "anew without what was erased" in page(admin, went)
    assert "makes it anew" in page(admin, "/releases/runs/")
    assert "already" in admin.post(url, follow=True).content.decode()


def test_a_run_without_a_base_says_what_to_do(admin: Client, dataset: Dataset) -> None:
    fields = {"dataset": str(dataset.pk), "method": "sft", "budget_minutes": "20"}
    assert "start the generation worker once first" in admin.post("/releases/runs/start/", fields).content.decode()


def test_long_curves_are_thinned_and_keep_their_end() -> None:
    chart = curves.chart([{"step": step, "loss": 1 + 1 / step} for step in range(1, 1001)])
    assert chart is not None and len(chart.lines[0].points) <= curves.MOST_POINTS
    assert chart.lines[0].points[-1].x == 100 and curves.chart([]) is None
