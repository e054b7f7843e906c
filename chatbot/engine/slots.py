"""Who may use which cache slot, and what of its content again. Pure bookkeeping; the store does the tensors.

A slot belongs to one conversation and one version until another takes it over, and then nothing of the former is read: the new
owner starts from position 0 or from a copy of the shared system prompt. Keys and values that one version computed are of no use
to another and are never offered to it.

What a customer could learn from how fast an answer starts. Reuse within a conversation tells its owner what he already knows.
Between conversations only the system message is shared, whole or not at all, so no part of one can be guessed piece by piece.
It is the operator's text, the same for everybody: that it was used before is no secret. Should a caller put one customer's words
into it, a fast start would tell another who brings the very same words; therefore
- a system prompt is copied aside only when two conversations have brought it (requests without a conversation count as one
  each), so what stands in one conversation alone is never kept beyond it, nor found by one guess;
- that is a second line and not a proof, for two accounts could guess together: customers' text belongs in the user messages,
  and answering/prompting.py builds its system text from settings alone.
What remains is the load: neighbours share each step, so how busy the engine is shows in the speed, as it does in any queue.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

from chatbot.engine.scheduler import Job

# A copy costs about as much as computing a handful of tokens; below this it is not worth keeping.
MIN_SHARED_TOKENS = 16
# Conversations that must have brought the same system prompt before it is kept.
MIN_SHARING_CONVERSATIONS = 2
# System prompts whose conversations are counted, beside those that are kept.
COUNTED_PREFIXES = 64

# The adapter that computed it, and the tokens.
PrefixKey = tuple[str, tuple[int, ...]]


class PrefixStore(Protocol):
    """The tensors behind the slots (kv_cache.SlotCache, or a recorder in tests)."""

    def save_prefix(self, key: PrefixKey, *, slot: int) -> None: ...

    def load_prefix(self, key: PrefixKey, *, slot: int) -> None: ...

    def drop_prefix(self, key: PrefixKey) -> None: ...

    def copy_slot(self, source: int, *, target: int, length: int) -> None: ...


@dataclass
class _Slot:
    index: int
    conversation: str = ""
    adapter: str = ""
    tokens: list[int] = field(default_factory=list)
    prefix: PrefixKey | None = None


class SlotPool:
    """Slots in order of last use; all methods belong to the inference thread."""

    def __init__(self, store: PrefixStore, *, slots: int, max_prefixes: int = 8) -> None:
        self._store = store
        self._slots = {index: _Slot(index) for index in range(slots)}
        self._idle: OrderedDict[int, None] = OrderedDict((index, None) for index in range(slots))
        self._prefixes: OrderedDict[PrefixKey, None] = OrderedDict()
        self._brought_by: OrderedDict[PrefixKey, set[str]] = OrderedDict()
        self._max_prefixes = max_prefixes

    @property
    def slot_count(self) -> int:
        return len(self._slots)

    @property
    def idle_count(self) -> int:
        return len(self._idle)

    def acquire(self, job: Job) -> None:
        """Give the job a slot: its conversation's own if that is idle, else the one unused for longest."""
        slot = self._own_slot(job) or self._slots[next(iter(self._idle))]
        del self._idle[slot.index]
        if (slot.conversation, slot.adapter) != (job.conversation, job.adapter):
            slot.tokens = []
        slot.conversation, slot.adapter = job.conversation, job.adapter
        job.slot = slot.index
        # At least one token must go through the model, or there is nothing to choose the next from.
        job.reused = job.computed = min(_common_prefix(slot.tokens, job.tokens), job.prompt_tokens - 1)
        slot.tokens = []
        slot.prefix = self._count(job)

    def branch(self, job: Job, *, sibling: Job) -> None:
        """Give a held sibling a copy of the prompt that `job` has computed."""
        self._store.copy_slot(job.slot, target=sibling.slot, length=job.prompt_tokens)
        sibling.reused = sibling.computed = job.prompt_tokens
        sibling.held = False

    def share_prefix(self, job: Job) -> None:
        """Start a job that has computed less than the shared prefix from the stored copy of it, if there is one."""
        key = self._slots[job.slot].prefix
        if key is None or key not in self._prefixes:
            return
        length = len(key[1])
        if job.computed < length < job.prompt_tokens:
            self._prefixes.move_to_end(key)
            self._store.load_prefix(key, slot=job.slot)
            job.reused = job.computed = length

    def keep_prefix(self, job: Job) -> None:
        """Store the shared prefix once a job has computed all of it and another conversation has brought it too."""
        key = self._slots[job.slot].prefix
        if key is None or job.computed < len(key[1]) or key in self._prefixes:
            return
        if len(self._brought_by.get(key, ())) < MIN_SHARING_CONVERSATIONS:
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
        slot.tokens = job.tokens[: job.computed] if keep and job.conversation else []
        self._idle[slot.index] = None
        if not slot.tokens:
            self._idle.move_to_end(slot.index, last=False)
        job.slot = -1

    def forget(self, adapter: str) -> None:
        """Offer nothing that this adapter computed: another may get its name."""
        for slot in self._slots.values():
            if slot.adapter == adapter:
                slot.tokens = []
        for key in [key for key in self._prefixes if key[0] == adapter]:
            del self._prefixes[key]
            self._store.drop_prefix(key)

    def _own_slot(self, job: Job) -> _Slot | None:
        if not job.conversation:
            return None
        owner = (job.conversation, job.adapter)
        idle = (self._slots[index] for index in self._idle)
        return next((slot for slot in idle if (slot.conversation, slot.adapter) == owner and slot.tokens), None)

    def _count(self, job: Job) -> PrefixKey | None:
        """Note who brings this system prompt. Returns its key, None where there is nothing to share."""
        if job.shared_tokens < MIN_SHARED_TOKENS or job.held:
            return None
        key = (job.adapter, tuple(job.tokens[: job.shared_tokens]))
        known = self._brought_by.setdefault(key, set())
        self._brought_by.move_to_end(key)
        if len(known) < MIN_SHARING_CONVERSATIONS:
            known.add(job.conversation or f"job {job.job_id}")
        if len(self._brought_by) > COUNTED_PREFIXES:
            self._brought_by.popitem(last=False)
        return key


def _common_prefix(left: list[int], right: list[int]) -> int:
    length = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        length += 1
    return length
