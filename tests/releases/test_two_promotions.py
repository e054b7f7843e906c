"""Two people promote at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection

from chatbot.errors import Conflict
from chatbot.releases import stages, versions
from chatbot.releases.models import Evaluation, ModelVersion, Promotion

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(base: ModelVersion, make_adapter: Callable[..., Path]) -> None:
    """Both passed the gate against the same live version, so the second has not been compared with what is live by then."""
    names = ["one", "two"]
    for value, name in enumerate(names):
        version = versions.add_adapter(make_adapter(name, value=value + 1.0), name=name)
        Evaluation.objects.create(version=version, against=base, dataset="march", data_sha256="0", passed=True)
    together, ended = threading.Barrier(len(names)), dict[str, str]()

    def promote(name: str) -> None:
        together.wait(timeout=10)
        try:
            stages.to_live(name)
            ended[name] = "live"
        except Conflict as error:
            ended[name] = error.code
        finally:
            connection.close()

    threads = [threading.Thread(target=promote, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(ended.values()) == ["gate_refused", "live"]
    live = versions.live_version()
    assert live is not None and ended[live.name] == "live" and ModelVersion.objects.filter(is_live=True).count() == 1
    assert [step.version.name for step in Promotion.objects.filter(kind=Promotion.Kind.LIVE)] == [live.name]
