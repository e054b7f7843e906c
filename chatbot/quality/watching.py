"""Stand between the pipeline and what it uses: remember what it searched and asked, or let another version of the model write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chatbot.answering.answers import Match, Ranking, Search
from chatbot.answering.prompting import estimate_tokens, neutralise
from chatbot.engine.requests import ChatMessage, Engine, EngineError, EngineStats, GenerationHandle, GenerationRequest


class WatchedSearch:
    """Searches, and remembers every match it returned."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._found: dict[tuple[str, str, str], Match] = {}

    def __call__(
        self, text: str, *, locale: str, limit: int = 5, context: Sequence[str] = (), said: Sequence[str] = ()
    ) -> Ranking:
        ranking = self._search(text, locale=locale, limit=limit, context=context, said=said)
        for match in ranking.matches:
            self._found.setdefault((match.key, match.locale, match.question), match)
        return ranking

    def shown_in(self, prompt: Sequence[ChatMessage]) -> list[Match]:
        """The matches that stand as passages in a prompt, in its order."""
        text = prompt[-1].content if prompt else ""
        places = [(text.find(neutralise(match.question)), match) for match in self._found.values()]
        return [match for place, match in sorted(places, key=lambda pair: pair[0]) if place >= 0]

    def cited(self, keys: Sequence[str], *, titles: Sequence[str]) -> list[Match]:
        """The matches behind citations, in their order."""
        by_title = {(match.key, match.question): match for match in self._found.values()}
        by_key = {match.key: match for match in self._found.values()}
        found = [by_title.get((key, title)) or by_key.get(key) for key, title in zip(keys, titles, strict=True)]
        return [match for match in found if match is not None]


class _InFront:
    """The engine behind it does the work, and keeps its versions as they are."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.context_tokens = engine.context_tokens

    @property
    def model_version(self) -> str:
        return self._engine.model_version

    @property
    def versions(self) -> tuple[str, ...]:
        return self._engine.versions

    @property
    def alive(self) -> bool:
        return self._engine.alive

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        return self._engine.submit(request)

    def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        return self._engine.count_tokens(messages)

    def stats(self) -> EngineStats:
        return self._engine.stats()

    def start(self) -> None:
        """The engine belongs to the process, which starts and stops it."""

    def stop(self) -> None:
        """See start()."""

    def load_version(self, name: str, folder: Path) -> None:
        raise EngineError("not_here", "the versions of the engine behind stay as they are")

    def drop_version(self, name: str) -> None:
        raise EngineError("not_here", "the versions of the engine behind stay as they are")

    make_live = drop_version


class WatchedEngine(_InFront):
    """Remembers the requests it was given."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.requests: list[GenerationRequest] = []

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        handle = super().submit(request)
        self.requests.append(request)
        return handle


class VersionEngine(_InFront):
    """Lets one version write everything that asks for no other, whichever is live."""

    def __init__(self, engine: Engine, version: str) -> None:
        super().__init__(engine)
        self._version = version

    @property
    def model_version(self) -> str:
        return self._version

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        return super().submit(replace(request, version=request.version or self._version))


class PlanningEngine:
    """Stands in for a model while only the decision matters: refuses every request, and remembers that it was asked."""

    context_tokens = 4096

    def __init__(self) -> None:
        self.requests: list[GenerationRequest] = []

    @property
    def model_version(self) -> str:
        return ""

    @property
    def versions(self) -> tuple[str, ...]:
        return ()

    @property
    def alive(self) -> bool:
        return True

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        self.requests.append(request)
        raise EngineError("planned", "only the decision is wanted")

    def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        return estimate_tokens(messages)

    def stats(self) -> EngineStats:
        return EngineStats(waiting=0, running=0, slots=1, tokens_total=0, model_version="")

    def start(self) -> None:
        """There is nothing to start."""

    def stop(self) -> None:
        """There is nothing to stop."""

    def load_version(self, name: str, folder: Path) -> None:
        raise EngineError("not_here", "there is no model here")

    def drop_version(self, name: str) -> None:
        raise EngineError("not_here", "there is no model here")

    make_live = drop_version
