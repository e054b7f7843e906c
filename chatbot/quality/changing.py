"""What a change would do: each question decided live and with the change, and where it takes the model, written both ways.

A draft or other limits change what is found and decided, which costs a search; a version or other instructions change what the
model writes, which costs two answers. So decisions come first, for all questions, and answers for as many as the run allows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db.models import QuerySet

from chatbot import runtime
from chatbot.answering.answers import Search
from chatbot.answering.giving_way import let_customers_go_first
from chatbot.answering.pipeline import LOOK_FROM
from chatbot.company import Company
from chatbot.documents.search import search_all
from chatbot.engine.requests import Engine, EngineError
from chatbot.quality import scratch
from chatbot.quality.items import Item, asked_in, items_of, put_outcome, row_of, store
from chatbot.quality.models import QuestionResult, QuestionRun
from chatbot.quality.outcomes import Outcome, change_between, outcome_of
from chatbot.quality.several import GIVE_WAY_S, in_order
from chatbot.quality.stopping import Stop
from chatbot.quality.thresholds import Thresholds, with_thresholds
from chatbot.quality.trying import plan, try_patiently
from chatbot.quality.watching import VersionEngine
from chatbot.releases import versions
from chatbot.releases.models import ModelVersion

# Versions that this process loaded for runs, with how many runs use each.
_loaded_here: dict[str, int] = {}
_loading = threading.Lock()


@dataclass(frozen=True)
class Side:
    """Who answers: the search, the model in one version, and the company with its instructions."""

    search: Search
    engine: Engine
    company: Company


def candidates() -> list[ModelVersion]:
    """The versions that could answer here and do not: the base weights, and adapters on them whose files are there."""
    live = versions.live_version()
    if live is None:
        return []
    others = ModelVersion.objects.exclude(pk=live.pk).order_by("-added_at")
    return [version for version in others if version == live.root or (version.base_id == live.root.pk and version.folder)]


def work(run: QuestionRun, *, engine: Engine, stop: Stop, workers: int) -> None:
    """Bring a WHAT_IF run to its end, or to where it is to stop. Raises EngineError for a version that cannot be loaded."""
    changed = changed_search(run)
    store((_planned(run, item, changed) for item in items_of(run)), stop=stop)
    if stop.now() or not (run.changes_writing or run.full_answers):
        return
    done = written(run).count()
    waiting = list(to_write(run)[: max(0, run.answers_most - done)])
    QuestionRun.objects.filter(pk=run.pk).update(answers_total=done + len(waiting))
    if not waiting:
        return
    with versioned(engine, run.version) as candidate:
        live = Side(search_all, VersionEngine(engine, engine.model_version), runtime.company())
        after = Side(changed, candidate, changed_company(run))
        sides = partial(_written, sides=(live, after), engine=engine, stop=stop)
        store(in_order(sides, waiting, workers=workers), stop=stop)


def changed_search(run: QuestionRun) -> Search:
    """The search as it would be after the change; the live index is read, never written."""
    search: Search = search_all
    if run.faq is not None:
        search = partial(search_all, search_faqs=scratch.with_draft(run.faq).search)
    return with_thresholds(search, Thresholds.from_json(run.thresholds)) if run.thresholds else search


def changed_company(run: QuestionRun) -> Company:
    company = runtime.company()
    return company if run.instructions is None else company.model_copy(update={"instructions": run.instructions})


def written(run: QuestionRun) -> QuerySet[QuestionResult]:
    """The results whose answers have been written both ways."""
    return run.results.filter(before__has_key="full")


def to_write(run: QuestionRun) -> QuerySet[QuestionResult]:
    """The results whose answers are to be written both ways and are not: test questions first, then the newest messages."""
    rows = run.results.exclude(before__has_key="full").select_related("question", "message__conversation").order_by("number")
    return rows.exclude(change=QuestionResult.Change.SAME) if run.full_answers else rows.filter(change="")


def _planned(run: QuestionRun, item: Item, changed: Search) -> QuestionResult:
    before = outcome_of(plan(item.asked, search=search_all), planned=True)
    after = before if changed is search_all else outcome_of(plan(item.asked, search=changed), planned=True)
    row = row_of(run, item, after)
    row.before = before.as_json()
    undecided = run.changes_writing and (_takes_the_model(before) or _takes_the_model(after))
    row.change = "" if undecided else change_between(before, after)
    return row


def _takes_the_model(planned: Outcome) -> bool:
    """Whether it would write the answer, or be asked what it thinks of what was found."""
    looked_at = settings.ANSWER_SECOND_LOOK and planned.decision != "direct" and planned.confidence >= LOOK_FROM
    return planned.decision == "compose" or looked_at


def _written(row: QuestionResult, *, sides: Sequence[Side], engine: Engine, stop: Stop) -> QuestionResult | None:
    """Answer one question in full, live and with the change; a composed answer is judged anew by what it cites."""
    asked, outcomes = asked_in(row), []
    for side in sides:
        let_customers_go_first(engine, should_stop=stop.now, patience_s=GIVE_WAY_S)
        if asked is None or stop.now():
            return None
        tried = try_patiently(asked, search=side.search, engine=side.engine, company=side.company, should_stop=stop.now)
        outcomes.append(outcome_of(tried))
    if stop.now():  # What was cut off says nothing.
        return None
    before, after = outcomes
    row.before = before.as_json() | {"full": {"total_s": before.total_s}}
    put_outcome(row, after)
    row.change = change_between(before, after)
    return row


@contextmanager
def versioned(engine: Engine, name: str) -> Iterator[Engine]:
    """The engine with one version writing everything, loaded while somebody here needs it. Empty: the live one of now.

    Raises EngineError for a version whose files are gone or do not fit.
    """
    name = name or engine.model_version
    with _loading:
        if name in _loaded_here:
            _loaded_here[name] += 1
        elif name not in engine.versions:
            engine.load_version(name, _folder_of(name, base=engine.versions[0]))
            _loaded_here[name] = 1
    try:
        yield VersionEngine(engine, name)
    finally:
        _let_go(engine, name)


def _let_go(engine: Engine, name: str) -> None:
    with _loading:
        if name not in _loaded_here:
            return
        _loaded_here[name] -= 1
        if not _loaded_here[name]:
            del _loaded_here[name]
            with suppress(EngineError):  # It went live meanwhile.
                engine.drop_version(name)


def _folder_of(name: str, *, base: str) -> Path:
    version = ModelVersion.objects.select_related("base").filter(name=name, base__name=base).exclude(folder="").first()
    if version is None:
        raise EngineError("version_gone", f"{name} is no version of {base}, or its files were taken away")
    # A remote server has the weights itself.
    return versions.adapter_folder(version) if settings.ENGINE == "remote" else versions.verify_files(version)
