"""For machines that watch: /healthz (is it alive), /readyz (would a customer get an answer), /metrics (Prometheus)."""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections.abc import Callable
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from chatbot import runtime
from chatbot.insights.metrics import InstallationCollector, Numbers, read_numbers

DATABASE_TIMEOUT_S = 2


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    parts = {"database": _timed(_ask_database), "redis": _timed(runtime.valkey().ping)}
    healthy = all(part["ok"] for part in parts.values())
    return JsonResponse({"status": "ok" if healthy else "down", "parts": parts}, status=200 if healthy else 503)


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Tell how many workers could answer, but not what they are called: this page is for everyone."""
    try:
        workers = runtime.workers()
    except redis.RedisError:
        return _not_ready("Redis does not answer, so no worker can be reached.")
    if not workers:
        return _not_ready("No generation worker with a loaded model has reported within the last seconds.")
    if not any(worker.slots for worker in workers):
        return _not_ready("Generation workers are there, but the server that MODEL_URL names does not answer them.")
    body = {
        "status": "ready",
        "workers": len(workers),
        "models": sorted({worker.model_version for worker in workers}),
        "slots": sum(worker.slots for worker in workers),
        "running": sum(worker.running for worker in workers),
        "waiting": sum(worker.waiting for worker in workers),
    }
    return JsonResponse(body)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    if not _may_read_metrics(request):
        return HttpResponse("Metrics are read from this machine, or with METRICS_TOKEN as bearer token.\n", "text/plain", 403)
    registry = CollectorRegistry()
    registry.register(InstallationCollector(numbers=_numbers(), workers=_workers()))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _not_ready(reason: str) -> JsonResponse:
    return JsonResponse({"status": "not ready", "workers": 0, "reason": reason}, status=503)


def _timed(ask: Callable[[], Any]) -> dict[str, Any]:
    """Ask one part. An error is told by its kind only: its text can hold addresses and user names."""
    started = time.monotonic()
    try:
        ask()
        error = ""
    except (redis.RedisError, psycopg.Error, DatabaseError) as failure:
        error = type(failure).__name__
    state: dict[str, Any] = {"ok": not error, "ms": round((time.monotonic() - started) * 1000, 1)}
    return state | ({"error": error} if error else {})


def _ask_database() -> None:
    """Use a connection of its own: the pool would make a health check wait behind a busy house, or a dead server."""
    parameters = connection.get_connection_params() | {"connect_timeout": DATABASE_TIMEOUT_S}
    parameters.pop("pool", None)
    with psycopg.connect(**parameters) as own:
        own.execute("SELECT 1")


def _numbers() -> Numbers | None:
    try:
        return read_numbers()
    except DatabaseError:
        return None


def _workers() -> list[runtime.WorkerState] | None:
    try:
        return runtime.workers()
    except redis.RedisError:
        return None


def _may_read_metrics(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if settings.METRICS_TOKEN and scheme.lower() == "bearer":
        return secrets.compare_digest(token.strip().encode(), settings.METRICS_TOKEN.encode())
    # A proxy on this machine makes everybody look local; a forwarded request is never taken for a local one.
    forwarded = any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "X-Real-IP"))
    try:
        return not forwarded and ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
