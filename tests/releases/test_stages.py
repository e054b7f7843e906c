from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from chatbot.engine.fake import ScriptedEngine
from chatbot.errors import Conflict, InvalidInput
from chatbot.releases import following, stages, versions
from chatbot.releases.models import Evaluation, ModelVersion, Promotion
from chatbot.staffing.models import AuditEntry
from support_portal.accounts.models import User

Make = Callable[..., Path]


@pytest.fixture
def tuned(base: ModelVersion, make_adapter: Make) -> ModelVersion:
    return versions.add_adapter(make_adapter(), name="tuned")


def judged(version: ModelVersion, *, passed: bool) -> None:
    live = versions.live_version()
    assert live is not None
    reasons = [] if passed else [["no_gain", "The gain may be chance."]]
    Evaluation.objects.create(
        version=version, against=live, dataset="d", data_sha256="0", verdict={"reasons": reasons}, passed=passed
    )


def live_name() -> str:
    version = versions.live_version()
    return version.name if version else ""


def test_the_gate_stands_before_live_and_canary(tuned: ModelVersion, omar: User) -> None:
    for go_on in (lambda **how: stages.to_live("tuned", **how), lambda **how: stages.to_canary("tuned", percent=10, **how)):
        with pytest.raises(Conflict) as refused:
            go_on(by=omar)
        assert refused.value.code == "gate_refused"
    judged(tuned, passed=False)
    with pytest.raises(Conflict, match="may be chance"):
        stages.to_live("tuned", by=omar, reason="too short")
    assert live_name() == "house-model"
    judged(tuned, passed=True)
    stages.to_live("tuned", by=omar)
    assert live_name() == "tuned" and not Promotion.objects.get().overridden


def test_an_override_keeps_its_reason_in_the_audit_log(tuned: ModelVersion, omar: User) -> None:
    judged(tuned, passed=False)
    stages.to_live("tuned", by=omar, reason="The old one quotes last year's prices.")
    promotion = Promotion.objects.get()
    assert promotion.overridden and promotion.reason.startswith("The old one") and promotion.by == omar
    entry = AuditEntry.objects.get(action="version.staged")
    assert entry.actor_id == omar.pk and entry.detail["overridden"] is True


def test_rolling_back_and_forth(tuned: ModelVersion, omar: User) -> None:
    with pytest.raises(Conflict):
        stages.roll_back(by=omar)
    judged(tuned, passed=True)
    stages.to_live("tuned", by=omar)
    assert stages.roll_back(by=omar).name == "house-model" and live_name() == "house-model"
    assert stages.roll_back(by=omar).name == "tuned"
    assert list(Promotion.objects.values_list("kind", flat=True)) == ["rolled_back", "rolled_back", "live"]


@pytest.mark.django_db(transaction=True)
def test_of_two_promotions_at_once_one_wins(tuned: ModelVersion, make_adapter: Make) -> None:
    other = versions.add_adapter(make_adapter("other", value=2.0), name="other")
    for version in (tuned, other):
        judged(version, passed=True)
    together = threading.Barrier(2)

    def promote(name: str) -> str:
        try:
            together.wait(10)
            return stages.to_live(name).name
        except Conflict as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(promote, ["tuned", "other"]))
    # The second finds another version live than the one it was compared with.
    assert outcomes in (["gate_refused", "other"], ["gate_refused", "tuned"]) and live_name() in outcomes
    assert [one.version.name for one in Promotion.objects.select_related("version")] == [live_name()]


def test_a_canary_answers_its_share_and_keeps_its_conversations(tuned: ModelVersion) -> None:
    judged(tuned, passed=True)
    with pytest.raises(InvalidInput):
        stages.to_canary("tuned", percent=60)
    stages.to_canary("tuned", percent=10)
    ids = [uuid.uuid5(uuid.NAMESPACE_OID, str(number)) for number in range(600)]
    first = {one for one in ids if stages.in_share(one, "tuned", percent=10)}
    assert 35 <= len(first) <= 90
    assert all((stages.version_for(one).version == "tuned") == (one in first) for one in ids[:30])
    stages.to_canary("tuned", percent=30)
    assert first <= {one for one in ids if stages.in_share(one, "tuned", percent=30)}
    assert all(stages.version_for(one).version == "tuned" for one in list(first)[:10])
    stages.withdraw("tuned", reason="enough")
    assert stages.version_for(ids[0]) == stages.Chosen()


def test_one_version_a_stage(tuned: ModelVersion, make_adapter: Make) -> None:
    other = versions.add_adapter(make_adapter("other", value=2.0), name="other")
    stages.to_shadow("tuned")
    stages.to_shadow(other.name)
    assert list(ModelVersion.objects.filter(stage="shadow").values_list("name", flat=True)) == ["other"]
    assert stages.version_for(uuid.uuid4()) == stages.Chosen(shadow="other")


def test_workers_load_staged_versions_beside_the_live_one(tuned: ModelVersion, engine: ScriptedEngine) -> None:
    stages.to_shadow("tuned")
    following.follow()
    assert "tuned" in engine.versions and engine.model_version == "house-model"


def test_a_damaged_adapter_reaches_no_stage(tuned: ModelVersion, settings: Any) -> None:
    judged(tuned, passed=True)
    weights = versions.adapter_folder(tuned) / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"oops")
    for go_on in (stages.to_live, stages.to_shadow):
        with pytest.raises(Exception, match="is not what|hash|differs|damaged|SHA"):
            go_on("tuned")
    assert live_name() == "house-model"
