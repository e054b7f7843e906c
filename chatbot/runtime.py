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

import redis
from django.conf import settings

from chatbot.company import Company
from chatbot.engine.requests import Engine

WORKER_BEAT_S = 2
WORKER_TTL_S = 15

# Set when this worker is told to stop: replies in work give their claim back instead of finishing.
stopping = threading.Event()
_engine_lock = threading.Lock()
_engine: Engine | None = None


@dataclass(frozen=True)
class WorkerState:
    name: str
    model_version: str
    slots: int
    running: int
    waiting: int
    tokens_total: int
    beat_at_ms: int


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
            made = _scripted_engine() if settings.ENGINE == "scripted" else _torch_engine()
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
    )


def _scripted_engine() -> Engine:
    from chatbot.engine.fake import ScriptedEngine

    return ScriptedEngine(
        script=Path(settings.ENGINE_SCRIPT) if settings.ENGINE_SCRIPT else None,
        max_running=settings.MODEL_MAX_RUNNING,
        max_waiting=settings.MODEL_MAX_WAITING,
        context_tokens=settings.MODEL_CONTEXT_TOKENS,
    )


def announce_worker() -> None:
    """Say in Redis that this process answers, and how busy it is."""
    stats = engine().stats()
    key = f"worker:{socket.gethostname()}:{os.getpid()}"
    fields: dict[bytes | bytearray | memoryview[int] | str | float, bytes | bytearray | memoryview[int] | str | float] = {
        "model_version": stats.model_version,
        "slots": stats.slots,
        "running": stats.running,
        "waiting": stats.waiting,
        "tokens_total": stats.tokens_total,
        "beat_at_ms": time.time_ns() // 1_000_000,
    }
    with valkey().pipeline(transaction=False) as pipe:
        pipe.hset(key, mapping=fields)
        pipe.expire(key, WORKER_TTL_S)
        pipe.execute()


def withdraw_worker() -> None:
    valkey().delete(f"worker:{socket.gethostname()}:{os.getpid()}")


def workers() -> list[WorkerState]:
    """Generation workers that have announced themselves lately. Raises redis.RedisError when Redis is down."""
    client = valkey()
    names = sorted(client.scan_iter("worker:*", count=1000))
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hgetall(name)
        states = pipe.execute()
    return [_worker_state(name.decode(), fields) for name, fields in zip(names, states, strict=True) if fields]


def _worker_state(name: str, fields: dict[bytes, bytes]) -> WorkerState:
    return WorkerState(
        name=name.removeprefix("worker:"),
        model_version=fields[b"model_version"].decode(),
        slots=int(fields[b"slots"]),
        running=int(fields[b"running"]),
        waiting=int(fields[b"waiting"]),
        tokens_total=int(fields[b"tokens_total"]),
        beat_at_ms=int(fields[b"beat_at_ms"]),
    )
