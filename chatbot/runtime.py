"""The only door from Django to the engine, the embedder and Redis: one of each a process, made at first use.

The web process asks for Redis alone, so it never loads torch or an embedder. Generation workers announce themselves in
Redis; `workers` reads those announcements for the health pages.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import redis
from django.conf import settings

from chatbot.company import Company
from chatbot.engine.requests import Engine

WORKER_BEAT_S = 2
WORKER_TTL_S = 15
# No new work is sent straight to a worker that has missed two beats, long before it counts as gone.
ROOM_TTL_S = 5
# Every worker that has announced itself lately, by the time of its last beat: found without searching all keys.
WORKERS_KEY = "workers"

# Set when this worker is told to stop: replies in work give their claim back instead of finishing.
stopping = threading.Event()
_engine_lock = threading.Lock()
_engine: Engine | None = None


@dataclass(frozen=True)
class WorkerState:
    """See EngineStats for what the engine's numbers mean."""

    name: str
    model_version: str
    slots: int
    running: int
    waiting: int
    tokens_total: int
    beat_at_ms: int
    cache_slots: int = 0
    free_cache_slots: int = 0
    steps_total: int = 0
    steps_per_s: float = 0.0
    rows_per_step: float = 0.0


def company() -> Company:
    found: Company = settings.COMPANY
    return found


@cache
def valkey() -> redis.Redis:
    """The synchronous client. Commands give up after 2 s: a reply or a health page must not hang on Redis."""
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=1, health_check_interval=30)


def engine() -> Engine:
    """The running engine of this process; loads it at the first call. Raises EngineError when it cannot."""
    global _engine
    with _engine_lock:
        if _engine is None:
            made = {"torch": _torch_engine, "remote": _remote_engine, "scripted": _scripted_engine}[settings.ENGINE]()
            made.start()
            _engine = made
        return _engine


def model_folder() -> Path:
    """The folder of the configured weights. Raises EngineError with the command that fetches them."""
    from chatbot.engine.fetching import resolve_model  # Imports huggingface_hub, which only model commands need.

    return resolve_model(settings.MODEL, models_dir=settings.MODELS_DIR)


def _torch_engine() -> Engine:
    # The lazy imports of torch: only a generation worker pays for it.
    from chatbot.engine.device import choose_device
    from chatbot.engine.engine import BatchedEngine

    device, dtype = choose_device(settings.MODEL_DEVICE, settings.MODEL_DTYPE)
    return BatchedEngine(
        model_folder(),
        device=device,
        dtype=dtype,
        max_running=settings.MODEL_MAX_RUNNING,
        max_waiting=settings.MODEL_MAX_WAITING,
        context_tokens=settings.MODEL_CONTEXT_TOKENS,
        cuda_graphs=settings.MODEL_CUDA_GRAPHS and device == "cuda",
    )


def _remote_engine() -> Engine:
    from chatbot.engine.remote import RemoteEngine  # Imports an HTTP client, which only a generation worker needs.

    return RemoteEngine(
        settings.MODEL_URL,
        model=settings.MODEL_NAME,
        api_key=settings.MODEL_API_KEY,
        max_running=settings.MODEL_MAX_RUNNING,
        max_waiting=settings.MODEL_MAX_WAITING,
        context_tokens=settings.MODEL_CONTEXT_TOKENS,
    )


def _scripted_engine() -> Engine:
    from chatbot.engine.fake import ScriptedEngine

    return ScriptedEngine(
        script=Path(settings.ENGINE_SCRIPT) if settings.ENGINE_SCRIPT else None,
        max_running=settings.MODEL_MAX_RUNNING,
        max_waiting=settings.MODEL_MAX_WAITING,
        context_tokens=settings.MODEL_CONTEXT_TOKENS,
    )


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def announce_worker() -> None:
    """Say in Redis that this process answers, how busy it is, and how many answers more it could begin at once."""
    stats = engine().stats()
    name, now_ms = worker_name(), time.time_ns() // 1_000_000
    fields: dict[bytes | bytearray | memoryview[int] | str | float, bytes | bytearray | memoryview[int] | str | float] = {
        "model_version": stats.model_version,
        "slots": stats.slots,
        "running": stats.running,
        "waiting": stats.waiting,
        "tokens_total": stats.tokens_total,
        "beat_at_ms": now_ms,
        "cache_slots": stats.cache_slots,
        "free_cache_slots": stats.free_cache_slots,
        "steps_total": stats.steps_total,
        "steps_per_s": stats.steps_per_s,
        "rows_per_step": stats.rows_per_step,
    }
    with valkey().pipeline(transaction=False) as pipe:
        pipe.hset(f"worker:{name}", mapping=fields)
        pipe.expire(f"worker:{name}", WORKER_TTL_S)
        pipe.set(f"room:{name}", stats.slots - stats.running - stats.waiting, ex=ROOM_TTL_S)
        pipe.zadd(WORKERS_KEY, {name: now_ms})
        pipe.execute()


def withdraw_worker() -> None:
    valkey().delete(f"worker:{worker_name()}", f"room:{worker_name()}")


def workers() -> list[WorkerState]:
    """Generation workers that have announced themselves lately. Raises redis.RedisError when Redis is down."""
    names = worker_names()
    with valkey().pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hgetall(f"worker:{name}")
        states = pipe.execute()
    return [_worker_state(name, fields) for name, fields in zip(names, states, strict=True) if fields]


def worker_names() -> list[str]:
    """Every worker that has announced itself in the last hours, dead ones too. Raises redis.RedisError."""
    client: Any = valkey()  # redis-py types every answer as a union of all protocols' shapes
    return sorted(name.decode() for name in client.zrange(WORKERS_KEY, 0, -1))


def _worker_state(name: str, fields: dict[bytes, bytes]) -> WorkerState:
    """A worker of an older release announces fewer numbers; its others stay 0."""
    text = {key.decode(): value.decode() for key, value in fields.items()}
    return WorkerState(
        name=name,
        model_version=text["model_version"],
        slots=int(text["slots"]),
        running=int(text["running"]),
        waiting=int(text["waiting"]),
        tokens_total=int(text["tokens_total"]),
        beat_at_ms=int(text["beat_at_ms"]),
        cache_slots=int(text.get("cache_slots", 0)),
        free_cache_slots=int(text.get("free_cache_slots", 0)),
        steps_total=int(text.get("steps_total", 0)),
        steps_per_s=float(text.get("steps_per_s", 0)),
        rows_per_step=float(text.get("rows_per_step", 0)),
    )
