"""Let this process's engine follow the database: load the live adapter, make it live, drop what was forgotten.

No restart and no pause: an adapter is loaded beside running requests, these end on the version they began with, and the next
one gets the new version. A worker that cannot follow says so once and goes on with what it has.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from chatbot import runtime
from chatbot.engine.requests import Engine, EngineError
from chatbot.releases import versions
from chatbot.releases.models import ModelVersion
from chatbot.telemetry import log_crash, log_event

logger = logging.getLogger(__name__)

FOLLOW_S = 2
# A version that could not be loaded is tried again: its files may have been on their way to this machine.
RETRY_S = 30.0


@dataclass(frozen=True)
class _Failure:
    version: str
    code: str
    at: float


_failure: _Failure | None = None
# Of versions in shadow or canary, by name: nobody waits for them, so they are tried again in the same quiet way.
_staged_failures: dict[str, float] = {}
_thread: threading.Thread | None = None


def start() -> None:
    """List the base weights of the running engine and load the live version on them, before the first request."""
    folder = runtime.model_folder() if settings.ENGINE == "torch" else None
    versions.record_loaded(runtime.engine().versions[0], folder=folder)
    follow()


def follow_live() -> None:
    """The keeper's duty: a query while nothing changes. Loading has a thread of its own: leases must be renewed meanwhile."""
    global _thread
    if (_thread is not None and _thread.is_alive()) or not _behind(runtime.engine()):
        return
    _thread = threading.Thread(target=_follow_and_let_go, name="following", daemon=True)
    _thread.start()


def follow() -> None:
    """Do what the database says now."""
    global _failure
    engine, live = runtime.engine(), versions.live_version()
    if live is not None and live.name != engine.model_version:
        code = _switch(engine, live)
        if code and (_failure is None or (_failure.version, _failure.code) != (live.name, code)):
            log_event("version.not_followed", version=live.name, code=code)
            ModelVersion.objects.filter(pk=live.pk).update(load_error=code)
        _failure = _Failure(live.name, code, time.monotonic()) if code else None
    for version in _staged_missing(engine):
        _load_staged(engine, version)
    for name in _forgotten(engine):
        with contextlib.suppress(EngineError):  # long answers still use it: the keeper asks again
            engine.drop_version(name)


def _behind(engine: Engine) -> bool:
    """One query, asked every two seconds: is there anything to do?"""
    wanted = Q(is_live=True) | ~Q(stage="") | Q(name__in=_loaded(engine), base__isnull=False, folder="")
    now = time.monotonic()
    for version in ModelVersion.objects.filter(wanted).only("name", "is_live", "stage", "folder"):
        if version.is_live:
            failed = _failure is not None and _failure.version == version.name and now - _failure.at < RETRY_S
            if version.name != engine.model_version and not failed:
                return True
        elif not version.stage or (version.name not in engine.versions and _may_try(version.name, now)):
            return True
    return False


def _may_try(name: str, now: float) -> bool:
    return now - _staged_failures.get(name, -RETRY_S) >= RETRY_S


def _loaded(engine: Engine) -> list[str]:
    """The adapters this worker holds besides the live version."""
    return [name for name in engine.versions[1:] if name != engine.model_version]


def _staged_missing(engine: Engine) -> list[ModelVersion]:
    """Versions in shadow or canary that this worker does not have and has not failed to load a moment ago."""
    now = time.monotonic()
    staged = ModelVersion.objects.exclude(stage="").exclude(name__in=engine.versions).select_related("base")
    return [version for version in staged if _may_try(version.name, now)]


def _load_staged(engine: Engine, version: ModelVersion) -> None:
    """Load a version beside the live one. Until that has worked, its conversations are answered by the live one."""
    try:
        if version.root.name != engine.versions[0]:
            raise EngineError("adapter_wrong_base", f"{version} belongs to {version.root}")
        remote = settings.ENGINE == "remote"
        engine.load_version(version.name, versions.adapter_folder(version) if remote else versions.verify_files(version))
    except EngineError as error:
        _staged_failures[version.name] = time.monotonic()
        log_event("version.not_followed", version=version.name, code=error.code)
        ModelVersion.objects.filter(pk=version.pk).update(load_error=error.code)
        return
    _staged_failures.pop(version.name, None)
    ModelVersion.objects.filter(pk=version.pk).update(load_error="", last_loaded_at=Now())


def _switch(engine: Engine, live: ModelVersion) -> str:
    """Load the live version where needed and let it answer. Returns why that failed, or nothing."""
    started, previous, base = time.monotonic(), engine.model_version, engine.versions[0]
    try:
        if live.root.name != base:
            raise EngineError("adapter_wrong_base", f"{live} belongs to {live.root}, this worker runs {base}")
        if live.name not in engine.versions:
            # A remote server has the weights itself, so this machine need not.
            remote = settings.ENGINE == "remote"
            engine.load_version(live.name, versions.adapter_folder(live) if remote else versions.verify_files(live))
        engine.make_live(live.name)
    except EngineError as error:
        logger.warning("version %s is not loaded (%s): %s", live.name, error.code, error)
        return error.code
    except Exception as error:  # Files of others: whatever is wrong with them, this worker goes on answering.
        log_crash(f"loading version {live.name}", error)
        return "internal"
    ModelVersion.objects.filter(pk=live.pk).update(load_error="", last_loaded_at=Now())
    log_event("version.followed", version=live.name, previous=previous, load_ms=(time.monotonic() - started) * 1000)
    return ""


def _forgotten(engine: Engine) -> list[str]:
    """Loaded adapters whose files were taken away."""
    loaded = _loaded(engine)
    if not loaded:
        return []
    return list(ModelVersion.objects.filter(name__in=loaded, base__isnull=False, folder="").values_list("name", flat=True))


def _follow_and_let_go() -> None:
    try:
        follow()
    except Exception as error:  # The database may be away for a while; the keeper calls again.
        logger.warning("following the live version failed: %s", type(error).__name__)
    finally:
        connection.close()
