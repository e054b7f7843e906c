"""The demo company is loaded once, and a second start changes nothing."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from pytest_django import Settings

from chatbot.assist import canned
from chatbot.conversations.models import Conversation, Customer
from chatbot.knowledge.access import faqs_for_staff
from chatbot.knowledge.models import Faq, FaqRevision, Phrasing
from support_portal.accounts.models import User
from support_portal.demo_company.accounts import CHANGED
from support_portal.demo_company.management.commands import loaddemo

pytestmark = pytest.mark.django_db


class _Embedder:
    """Quick vectors that only depend on the text; the real ones are the knowledge room's concern."""

    name = "test-embedder"
    dimensions = 8
    parts = (8,)

    def encode(self, texts: list[str]) -> Any:
        rows = np.array([np.random.default_rng(list(text.encode())).normal(size=self.dimensions) for text in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path) -> None:
    rows = [
        {"key": f"q{n}", "locale": "en", "question": f"Question {n}?", "phrasings": [f"ask {n}", f"tell {n}"], "answer": "Yes."}
        for n in range(6)
    ]
    file = tmp_path / "faqs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(loaddemo, "FAQS_FILE", file)
    monkeypatch.setattr(loaddemo, "default_embedder", _Embedder)
    settings.DATA_DIR = tmp_path / "data"
    settings.DEMO_HISTORY = False  # test_history.py
    settings.CSRF_TRUSTED_ORIGINS = ["http://127.0.0.1:8123", "http://localhost:8123"]


def _accounts(settings: Settings) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads((settings.DATA_DIR / "demo-accounts.json").read_text())
    return rows


def test_faqs_are_published_and_embedded(settings: Settings) -> None:
    call_command("loaddemo")
    assert faqs_for_staff(status="published").count() == 6
    assert Phrasing.objects.count() == 18


def test_the_accounts_fit_their_passwords_and_are_for_the_owner_only(settings: Settings) -> None:
    call_command("loaddemo")
    rows = _accounts(settings)
    assert [(row["role"], row["username"], row["url"]) for row in rows] == [
        ("agent", "agent", "http://127.0.0.1:8123/desk/"),
        ("lead", "lead", "http://127.0.0.1:8123/insights/"),
        ("editor", "editor", "http://127.0.0.1:8123/faqs/"),
        ("admin", "admin", "http://127.0.0.1:8123/people/"),
    ]
    for row in rows:
        user = User.objects.get(username=row["username"])
        assert user.role == row["role"] and user.check_password(row["password"]) and not user.must_change_password
    assert stat.S_IMODE((settings.DATA_DIR / "demo-accounts.json").stat().st_mode) == 0o600


def test_a_second_run_changes_nothing(settings: Settings) -> None:
    call_command("loaddemo")
    before = _accounts(settings)
    Faq.objects.filter(key="q1").update(answer="Edited by a person.")
    call_command("loaddemo")
    assert _accounts(settings) == before
    assert Faq.objects.get(key="q1").answer == "Edited by a person."
    assert (Faq.objects.count(), FaqRevision.objects.count(), Phrasing.objects.count(), User.objects.count()) == (6, 6, 18, 4)


def test_a_password_changed_in_the_browser_stays(settings: Settings) -> None:
    call_command("loaddemo")
    agent = User.objects.get(username="agent")
    agent.set_password("my own password 1")
    agent.save()
    for _ in range(2):
        call_command("loaddemo")
    agent.refresh_from_db()
    assert agent.check_password("my own password 1")
    assert {row["username"]: row["password"] for row in _accounts(settings)}["agent"] == CHANGED


@pytest.mark.parametrize("damage", [None, "{", '{"a": 1}', "[1]"])
def test_a_lost_file_gets_new_passwords(settings: Settings, damage: str | None) -> None:
    call_command("loaddemo")
    path = settings.DATA_DIR / "demo-accounts.json"
    if damage is None:
        path.unlink()
    else:
        path.write_text(damage)
    call_command("loaddemo")
    row = _accounts(settings)[0]
    assert User.objects.get(username="agent").check_password(row["password"])


def test_the_desk_has_canned_replies_at_once(alice: Customer) -> None:
    call_command("loaddemo")
    talk = Conversation.objects.create(customer=alice, locale="zh-hans")
    offered = canned.offered(talk.pk, agent_id=User.objects.get(username="agent").pk, agent_name="Dana")
    assert [reply.locale for reply in offered] == ["zh-hans"] * (len(offered) // 2) + ["en"] * (len(offered) // 2)
    assert len(offered) >= 10 and not any(reply.missing for reply in offered) and "Dana" in offered[0].text + offered[2].text
    canned.remove(offered[0].id, by_id=User.objects.get(username="lead").pk)
    call_command("loaddemo")
    assert canned.all_replies().count() == len(offered) - 1


def test_the_demo_companys_own_file_is_whole() -> None:
    from chatbot.knowledge.importing import import_faqs

    own = Path(loaddemo.__file__).resolve().parents[2] / "faqs.jsonl"
    report = import_faqs(own.read_bytes(), format="jsonl", author=None, dry_run=True)
    assert report.errors == () and report.created >= 120
