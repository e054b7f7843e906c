"""Who may use which cache slot, and what of its content again. Pure bookkeeping; `copy_prefix` and `save_prefix` do the tensors.

A slot belongs to one conversation until another takes it over, and then nothing of the former is read: the new owner starts
from position 0 or from a copy of the shared system prompt, which is matched as a whole, token for token. So a customer's
text can neither be read by another conversation nor be guessed from how fast another answer starts.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

from chatbot.engine.scheduler import Job

# A copy costs about as much as computing a handful of tokens; below this it is not worth keeping.
MIN_SHARED_TOKENS = 16


class PrefixStore(Protocol):
    """The tensors behind the slots (kv_cache.SlotCache, or a recorder in tests)."""

    def save_prefix(self, key: tuple[int, ...], *, slot: int) -> None: ...

    def load_prefix(self, key: tuple[int, ...], *, slot: int) -> None: ...

    def drop_prefix(self, key: tuple[int, ...]) -> None: ...


@dataclass
class _Slot:
    index: int
    conversation: str = ""
    tokens: list[int] = field(default_factory=list)
    busy: bool = False


class SlotPool:
    """Slots in order of last use; all methods belong to the inference thread."""

    def __init__(self, store: PrefixStore, *, slots: int, max_prefixes: int = 8) -> None:
        self._store = store
        self._slots = {index: _Slot(index) for index in range(slots)}
        self._idle: OrderedDict[int, None] = OrderedDict((index, None) for index in range(slots))
        self._prefixes: OrderedDict[tuple[int, ...], None] = OrderedDict()
        self._max_prefixes = max_prefixes

    @property
    def idle_count(self) -> int:
        return len(self._idle)

    def acquire(self, job: Job) -> None:
        """Give the job a slot: its conversation's own if that is idle, else the one unused for longest."""
        slot = self._own_slot(job.conversation) or self._slots[next(iter(self._idle))]
        del self._idle[slot.index]
        slot.busy = True
        if slot.conversation != job.conversation or not job.conversation:
            slot.tokens = []
        slot.conversation = job.conversation
        job.slot = slot.index
        # At least one token must go through the model, or there is nothing to choose the next from.
        job.reused = job.computed = min(_common_prefix(slot.tokens, job.tokens), job.prompt_tokens - 1)
        slot.tokens = []

    def share_prefix(self, job: Job) -> None:
        """Start a job that has computed less than the shared prefix from the stored copy of it, if there is one."""
        key = self._key(job)
        if key and job.computed < len(key) < job.prompt_tokens and key in self._prefixes:
            self._prefixes.move_to_end(key)
            self._store.load_prefix(key, slot=job.slot)
            job.reused = job.computed = len(key)

    def keep_prefix(self, job: Job) -> None:
        """Store the shared prefix once a job has computed all of it."""
        key = self._key(job)
        if not key or job.computed < len(key) or key in self._prefixes:
            return
        if len(self._prefixes) >= self._max_prefixes:
            oldest, _ = self._prefixes.popitem(last=False)
            self._store.drop_prefix(oldest)
        self._store.save_prefix(key, slot=job.slot)
        self._prefixes[key] = None

    def release(self, job: Job, *, keep: bool) -> None:
        """Return a job's slot; with `keep`, its conversation's next turn may start from what was computed."""
        if job.slot < 0:
            return
        slot = self._slots[job.slot]
        slot.busy = False
        slot.tokens = job.tokens[: job.computed] if keep and job.conversation else []
        self._idle[slot.index] = None
        if not slot.tokens:
            self._idle.move_to_end(slot.index, last=False)
        job.slot = -1

    def _own_slot(self, conversation: str) -> _Slot | None:
        if not conversation:
            return None
        idle = (self._slots[index] for index in self._idle)
        return next((slot for slot in idle if slot.conversation == conversation and slot.tokens), None)

    @staticmethod
    def _key(job: Job) -> tuple[int, ...]:
        return tuple(job.tokens[: job.shared_tokens]) if job.shared_tokens >= MIN_SHARED_TOKENS else ()


def _common_prefix(left: list[int], right: list[int]) -> int:
    length = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        length += 1
    return length
