"""What machines see: alive, ready, and the numbers."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest
import redis
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from chatbot import runtime
from chatbot.insights import metrics
from support_portal import health

pytestmark = pytest.mark.django_db


def _worker(name: str = "host:1", **fields: Any) -> None:
    state = {
        "model_version": "small-model",
        "slots": 8,
        "running": 2,
        "waiting": 1,
        "tokens_total": 99,
        "beat_at_ms": time.time_ns() // 1_000_000,
    }
    runtime.valkey().hset(f"worker:{name}", mapping=state | fields)
    runtime.valkey().zadd(runtime.WORKERS_KEY, {name: time.time() * 1000})


class _DeadRedis:
    """Every command fails, as with a server that is gone."""

    def __getattr__(self, name: str) -> Any:
        def fail(*args: object, **kwargs: object) -> None:
            raise redis.ConnectionError("refused by 10.0.0.7:6379")

        return fail


@pytest.fixture
def dead_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = _DeadRedis()
    monkeypatch.setattr(runtime, "valkey", lambda: dead)


def _refuse(*args: object, **kwargs: object) -> None:
    raise psycopg.OperationalError("connection to 10.0.0.8 refused")


def test_healthz_names_each_part_with_its_time(client: Client) -> None:
    response = client.get("/healthz")
    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "ok" and set(body["parts"]) == {"database", "redis"}
    assert all(part["ok"] and 0 <= part["ms"] < 2000 for part in body["parts"].values())
    assert "no-store" in response["Cache-Control"]


def test_healthz_without_redis(client: Client, dead_redis: None) -> None:
    response = client.get("/healthz")
    assert response.status_code == 503
    assert response.json()["parts"]["redis"]["error"] == "ConnectionError" and response.json()["parts"]["database"]["ok"]
    assert b"10.0.0.7" not in response.content


def test_healthz_without_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psycopg, "connect", _refuse)
    response = client.get("/healthz")
    assert response.status_code == 503
    assert response.json()["parts"]["database"]["error"] == "OperationalError" and response.json()["parts"]["redis"]["ok"]
    assert b"10.0.0.8" not in response.content


def test_readyz_waits_for_a_worker_with_a_model(client: Client) -> None:
    response = client.get("/readyz")
    assert response.status_code == 503 and "No generation worker" in response.json()["reason"]
    _worker()
    _worker("host:2", slots=4)
    response = client.get("/readyz")
    assert response.status_code == 200
    expected = {"status": "ready", "workers": 2, "models": ["small-model"], "slots": 12, "running": 4, "waiting": 2}
    assert response.json() == expected and b"host" not in response.content


def test_readyz_refuses_workers_whose_model_server_is_away(client: Client) -> None:
    _worker("away:1", slots=0, running=0)
    response = client.get("/readyz")
    assert response.status_code == 503 and "MODEL_URL" in response.json()["reason"]
    _worker("here:1")
    assert client.get("/readyz").status_code == 200


def test_readyz_without_redis(client: Client, dead_redis: None) -> None:
    assert client.get("/readyz").status_code == 503


def test_metrics_for_this_machine_only_or_with_the_token(client: Client, settings: Settings) -> None:
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="::1").status_code == 200
    outside = {"REMOTE_ADDR": "203.0.113.9"}
    assert client.get("/metrics", **outside).status_code == 403
    assert client.get("/metrics", headers={"x-forwarded-for": "203.0.113.9"}).status_code == 403
    assert client.get("/metrics", headers={"authorization": "Bearer "}, **outside).status_code == 403
    settings.METRICS_TOKEN = "s3cret"
    assert client.get("/metrics", headers={"authorization": "Bearer s3cret"}, **outside).status_code == 200
    assert client.get("/metrics", headers={"authorization": "Bearer s3cre"}, **outside).status_code == 403
    assert client.get("/metrics", headers={"authorization": "Bearer ü"}, **outside).status_code == 403


def test_metrics_text(client: Client) -> None:
    _worker()
    response = client.get("/metrics")
    text = response.content.decode()
    assert response["Content-Type"].startswith("text/plain")
    assert 'answerdesk_generations{status="pending"} 0.0' in text
    assert 'answerdesk_worker_tokens_total{model="small-model",worker="host:1"} 99.0' in text
    assert "answerdesk_database_up 1.0" in text and "answerdesk_redis_up 1.0" in text


def test_metrics_tell_the_rest_when_a_part_is_down(client: Client, monkeypatch: pytest.MonkeyPatch, dead_redis: None) -> None:
    text = client.get("/metrics").content.decode()
    assert "answerdesk_redis_up 0.0" in text and 'answerdesk_generations{status="pending"} 0.0' in text

    def no_database() -> metrics.Numbers:
        raise OperationalError

    monkeypatch.setattr(health, "read_numbers", no_database)
    response = client.get("/metrics")
    assert response.status_code == 200 and "answerdesk_database_up 0.0" in response.content.decode()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_wrong_verb(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
