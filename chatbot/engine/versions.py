"""Which versions an engine has and which of them is live: names only. The weights of adapters are in lora.py."""

from __future__ import annotations

from chatbot.engine.requests import EngineError


class Versions:
    """The base weights and the adapters on them. The caller holds the engine's lock."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.live = base
        self._adapters: dict[str, bool] = {}  # name -> whether new requests may still name it

    @property
    def names(self) -> tuple[str, ...]:
        return (self.base, *(name for name, is_open in self._adapters.items() if is_open))

    def choose(self, name: str) -> str:
        """Return the version a request gets that asks for `name`, or for none. Raises EngineError("unknown_version")."""
        if name:
            self._require(name)
        return name or self.live

    def adapter_of(self, version: str) -> str:
        return "" if version == self.base else version

    def make_live(self, name: str) -> None:
        self._require(name)
        self.live = name

    def check_new(self, name: str) -> None:
        """Raises EngineError for a name that cannot be given to another adapter."""
        if not name:
            raise EngineError("bad_request", "a version needs a name")
        if name == self.base or name in self._adapters:
            raise EngineError("version_exists", f"there already is a version {name!r}; drop it first or choose another name")

    def add(self, name: str) -> None:
        self.check_new(name)
        self._adapters[name] = True

    def close(self, name: str) -> None:
        """Let no new request have `name`. Raises EngineError for what must stay: the base weights and the live version."""
        self._require(name)
        if name in (self.base, self.live):
            raise EngineError("version_in_use", f"{name!r} cannot be dropped: it is the base weights or the live version")
        self._adapters[name] = False

    def reopen(self, name: str) -> None:
        self._adapters[name] = True

    def forget(self, name: str) -> None:
        del self._adapters[name]

    def _require(self, name: str) -> None:
        if name not in self.names:
            raise EngineError("unknown_version", f"there is no version {name!r}; loaded are {', '.join(self.names)}")
