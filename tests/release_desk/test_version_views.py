"""Versions: who may see them, the gate before the customers, every step and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from chatbot.learning import datasets, preferring
from chatbot.learning.models import Dataset, Example
from chatbot.releases import jobs, stages, versions
from chatbot.releases.models import Job, ModelVersion, Promotion
from chatbot.staffing.models import AuditEntry
from chatbot.training import manifest
from support_portal.accounts.models import User
from tests.release_desk.conftest import judged

pytestmark = pytest.mark.django_db
XSS = "<script>alert(1)</script>"
REASON = "The old one quotes last year's prices."


def page(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def live_name() -> str:
    live = versions.live_version()
    return live.name if live else ""


def test_only_admins_enter_and_verbs_are_held(client: Client, erin: User, omar: User, tuned: ModelVersion) -> None:
    url = f"/releases/versions/{tuned.pk}/"
    assert client.get(url).status_code == 302 and "login" in client.get(url)["Location"]
    client.force_login(erin)
    assert client.get(url).status_code == 403 and client.post(f"{url}do/live/").status_code == 403
    assert b"/releases/" not in client.get("/desk/").content
    client.force_login(omar)
    assert 'href="/releases/" aria-current="page"' in page(client, "/releases/")
    assert client.get(f"{url}do/live/").status_code == 405 and client.get("/releases/roll-back/").status_code == 405
    assert client.post(f"{url}do/explode/").status_code == 404
    assert client.get(f"/releases/versions/{tuned.pk + 99}/").status_code == 404


def test_an_empty_house_says_so(admin: Client) -> None:
    assert "No version yet" in page(admin, "/releases/")


def test_the_list_shows_lineage_gain_and_stage(admin: Client, tuned: ModelVersion) -> None:
    ModelVersion.objects.filter(pk=tuned.pk).update(lineage={"dataset": f"march{XSS}", "method": "sft", "run": 7})
    judged(tuned, passed=True)
    stages.to_canary("tuned", percent=10)
    content = page(admin, "/releases/")
    assert "+10.0 points (+2.0 to +18.0)" in content and "canary, 10 %" in content and "run 7" in content
    assert "march&lt;script&gt;" in content and XSS not in content


def test_the_gate_is_overruled_only_with_a_reason(admin: Client, omar: User, tuned: ModelVersion) -> None:
    url = f"/releases/versions/{tuned.pk}/"
    assert "was not compared with the live one" in page(admin, url)
    judged(tuned, passed=False)
    content = page(admin, url)
    assert "may be chance" in content and "Overrule the gate and make it live" in content
    refused = admin.post(f"{url}do/live/", {"reason": "too <b>"})
    assert refused.status_code == 400 and "Nothing was changed" in refused.content.decode()
    assert "too &lt;b&gt;" in refused.content.decode() and live_name() == "house-model"
    told = admin.post(f"{url}do/live/", {"reason": REASON}, follow=True).content.decode()
    assert "tuned is live" in told and "gate overridden" in told and live_name() == "tuned"
    promotion = Promotion.objects.get()
    assert promotion.overridden and promotion.by == omar and promotion.reason == REASON
    assert AuditEntry.objects.filter(action="version.staged", actor_id=omar.pk).exists()


def test_every_step_and_back(admin: Client, tuned: ModelVersion) -> None:
    judged(tuned, passed=True)
    url = f"/releases/versions/{tuned.pk}/"
    assert "The gate passed it" in page(admin, url)
    assert "in the shadow now" in admin.post(f"{url}do/shadow/", follow=True).content.decode()
    assert admin.post(f"{url}do/canary/", {"percent": "60"}).status_code == 400
    assert admin.post(f"{url}do/canary/").status_code == 400
    assert "20 % of the conversations" in admin.post(f"{url}do/canary/", {"percent": "20"}, follow=True).content.decode()
    assert "Disliked" in page(admin, "/releases/")
    assert "is withdrawn" in admin.post(f"{url}do/withdraw/", follow=True).content.decode()
    assert admin.post(f"{url}do/withdraw/").status_code == 400
    admin.post(f"{url}do/live/")
    assert live_name() == "tuned" and "Roll back to it now" in page(admin, "/releases/")
    told = admin.post("/releases/roll-back/", {"reason": "slow"}, follow=True).content.decode()
    assert "house-model answers again" in told and live_name() == "house-model"
    assert [one.kind for one in Promotion.objects.all()] == ["rolled_back", "live", "withdrawn", "canary", "shadow"]


def test_nothing_to_roll_back(admin: Client, base: ModelVersion) -> None:
    assert "Nothing was changed" in admin.post("/releases/roll-back/", follow=True).content.decode()


def test_a_comparison_is_begun_watched_and_read(
    admin: Client, tuned: ModelVersion, dataset: Dataset, data_dir: Path, sent: list[tuple[int, ...]]
) -> None:
    url = f"/releases/versions/{tuned.pk}/"
    assert "Choose a dataset" in admin.post(f"{url}compare/", {"dataset": "99"}, follow=True).content.decode()
    assert admin.post(f"{url}compare/", {"dataset": str(dataset.pk)})["Location"] == url
    job = Job.objects.get()
    assert sent == [(job.pk,)] and AuditEntry.objects.filter(action="version.compared", detail__dataset="march").exists()
    assert "under way already" in admin.post(f"{url}compare/", {"dataset": str(dataset.pk)}, follow=True).content.decode()
    assert "In line" in page(admin, url) and "data-poll-url" in page(admin, url)
    assert jobs.claim(job.pk) is not None
    folder = data_dir / "evaluations" / "abc"
    folder.mkdir(parents=True)
    (folder / "prompts.jsonl").write_text('{"id": "1"}\n{"id": "2"}\n')
    (folder / "house-model.jsonl").write_text('{"id": "1", "text": "a"}\n')
    told = admin.get(f"{url}comparing/").json()
    assert told["done"] is False and "1 of 4 answers" in told["html"]
    judged(tuned, passed=True)
    jobs.end(job)
    assert admin.get(f"{url}comparing/").json()["done"] is True and "data-poll-url" not in page(admin, url)
    found = tuned.evaluations.get()
    content = page(admin, f"/releases/comparisons/{found.pk}/")
    assert "Right answers" in content and "60.0 %" in content and "+2.0 to +18.0" in content
    assert admin.get(f"/releases/comparisons/{found.pk + 9}/").status_code == 404


@pytest.mark.parametrize(
    ("code", "text", "told"),
    [
        ("killed", "", "too little memory"),
        ("disk_full", "", "Free some space"),
        ("odd_code", f"what it said {XSS}", "what it said &lt;script&gt;"),
    ],
)
def test_a_failed_comparison_says_so_at_once(
    admin: Client, tuned: ModelVersion, dataset: Dataset, code: str, text: str, told: str
) -> None:
    url = f"/releases/versions/{tuned.pk}/"
    admin.post(f"{url}compare/", {"dataset": str(dataset.pk)})
    job = jobs.claim(Job.objects.get().pk)
    assert job is not None and admin.get(f"{url}comparing/").json()["done"] is False
    if code == "killed":  # its worker is gone, and nobody has said so
        Job.objects.update(beat_at=timezone.now() - 2 * jobs.SILENCE)
    else:
        jobs.end(job, error=code, text=text)
    assert admin.get(f"{url}comparing/").json()["done"] is True
    content = page(admin, url)
    assert "Comparison failed" in content and told in content and "begin it again" in content.lower() and XSS not in content
    assert "data-poll-url" not in content and "Compare</button>" in content


def test_merging_is_asked_for_watched_and_read(
    admin: Client, tuned: ModelVersion, dataset: Dataset, sent: list[tuple[int, ...]], tmp_path: Path
) -> None:
    url = f"/releases/versions/{tuned.pk}/"
    assert "Merge into the base weights" in page(admin, url)
    admin.post(f"{url}merge/", {"dataset": str(dataset.pk)})
    job = Job.objects.get()
    assert sent == [(job.pk,)] and (job.kind, job.dataset) == ("merge", "march") and "In line" in page(admin, url)
    assert jobs.claim(job.pk) is not None and "Merging under way" in admin.get(f"{url}comparing/").json()["html"]
    merged = ModelVersion.objects.create(
        name="tuned-merged",
        folder=str(tmp_path / "base"),
        size_bytes=3_000_000_000,
        lineage={"adapter": "tuned", "adapter_sha256": tuned.weights_sha256, "base": "house-model"},
    )
    jobs.end(job)
    content = page(admin, url)
    assert "tuned-merged" in content and "Merge and measure" not in content
    found = judged(merged, passed=True)
    compression = {"same": 0.925, "tokens_per_s_before": 20.0, "tokens_per_s_after": 24.0, "speed_ratio": 1.2}
    found.table, found.against = found.table | {"compression": compression}, tuned
    found.save()
    content = page(admin, f"/releases/versions/{merged.pk}/")
    assert "1.20 times as fast" in content and "92.5 % of the answers are the same" in content
    assert "MODEL=tuned-merged" in content and "Make it live" not in content and "Nothing was begun" not in content
    assert "nothing lost beyond chance" in page(admin, "/releases/")
    told = admin.post(f"/releases/versions/{merged.pk}/merge/", follow=True).content.decode()
    assert "only adapters are merged" in told
    admin.post(f"/releases/versions/{merged.pk}/compare/", {"dataset": str(dataset.pk)})
    assert sent[-1] == (Job.objects.latest("pk").pk,)


def test_a_dataset_without_reviewed_answers_is_refused_at_once(
    admin: Client, tuned: ModelVersion, approved: list[Example], sent: list[tuple[int, ...]]
) -> None:
    Example.objects.update(source="faq")
    dataset = datasets.build("only-faqs")
    told = admin.post(f"/releases/versions/{tuned.pk}/compare/", {"dataset": str(dataset.pk)}, follow=True)
    assert "no corrected or reviewed answer" in told.content.decode() and sent == []


def test_two_answers_are_judged_blind(admin: Client, omar: User, tuned: ModelVersion, dataset: Dataset, data_dir: Path) -> None:
    found = judged(tuned, passed=True)
    url = f"/releases/comparisons/{found.pk}/side-by-side/"
    assert admin.get(url).status_code == 404
    lines = manifest.read_lines(datasets.folder_of(dataset), method="sft", half="heldout")
    folder = data_dir / "evaluations" / "abc"
    folder.mkdir(parents=True)
    (folder / "prompts.jsonl").write_text("")
    for name, words in (("house-model", "the old words"), ("tuned", f"the new words {XSS}")):
        rows = [json.dumps({"id": line["id"], "text": words}) for line in lines]
        (folder / f"{name}.jsonl").write_text("\n".join(rows))
    for number in range(len(lines)):
        content = page(admin, url)
        pairing, left = preferring.next_pairing(found, person_id=omar.pk)
        assert pairing is not None and left == len(lines) - number
        assert (
            XSS not in content
            and "the new words &lt;script&gt;" in content
            and "tuned" not in content.split("result so far")[0].split("Which answer")[1]
        )
        choice = "left" if "new" in pairing.left else "right"
        assert admin.post(url, {"key": pairing.key, "choice": choice}).status_code == 302
    tally = preferring.tally(found)
    assert (tally.candidate, tally.live) == (len(lines), 0) and tally.lower95 < 1
    assert "Nothing left to judge" in page(admin, url)
    assert "Nothing was kept" in admin.post(url, {"key": "x", "choice": "left"}, follow=True).content.decode()
