"""Which tokens of which jobs go through the model in the next step. Pure Python: no tensors, no clock, no threads.

A job is prompt and answer in one list of token ids; `computed` says how many of them have keys and values in its slot.
What is left is one token while it decodes and many while its prompt is read, so both are the same kind of segment.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

# Rows of prompt per step. Beside running answers half as many: they wait for the step, and smaller chunks cost no speed.
PREFILL_CHUNK_TOKENS = 256
PREFILL_CHUNK_BESIDE_WRITING = 128


@dataclass(eq=False)
class Job:
    """One request as the scheduler sees it.

    tokens: prompt and answer so far. computed: how many of them are in the slot. draft: guessed tokens to verify in this step.
    shared_tokens: length of the system prompt, the only part that other conversations may share.
    adapter: name of the LoRA adapter that its rows go through; empty for the base weights.
    siblings: further answers to the same prompt, which start together with this job. held: a sibling without keys and values;
    it takes no part in a step until it has been given a copy of the prompt's. turn: its prompt's place among others.
    """

    job_id: int
    conversation: str
    tokens: list[int]
    max_new_tokens: int
    shared_tokens: int = 0
    adapter: str = ""
    computed: int = 0
    reused: int = 0
    slot: int = -1
    draft: list[int] = field(default_factory=list)
    siblings: list[Job] = field(default_factory=list)
    held: bool = False
    turn: int | None = None
    prompt_tokens: int = 0

    def __post_init__(self) -> None:
        self.prompt_tokens = len(self.tokens)

    @property
    def places(self) -> int:
        """Running places that it takes together with its siblings."""
        return 1 + len(self.siblings)

    @property
    def pending(self) -> int:
        return len(self.tokens) - self.computed

    @property
    def new_tokens(self) -> int:
        return len(self.tokens) - self.prompt_tokens


@dataclass(frozen=True)
class Segment:
    """`tokens` of one job at positions `start` and up. The last `logit_rows` of them each choose a next token."""

    job: Job
    start: int
    tokens: list[int]
    logit_rows: int


class QueueFull(Exception):
    """The waiting room has no seat left."""


class Scheduler:
    """Waiting and running jobs. The caller holds the engine's lock around `enqueue`, `remove` and `admit`.

    A job with siblings has one seat and waits for as many running places at once. Nobody overtakes it meanwhile: places are
    left empty until it fits, which costs at most the rest of the answers that run.
    """

    def __init__(self, *, max_running: int, max_waiting: int) -> None:
        self.max_running = max_running
        self.max_waiting = max_waiting
        self.prefill_chunk = PREFILL_CHUNK_TOKENS
        self.prefill_chunk_beside_writing = PREFILL_CHUNK_BESIDE_WRITING
        self.running: list[Job] = []
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()  # conversation -> its jobs, in order of their turn
        self._waiting_count = 0
        self._rows_read = 0

    @property
    def waiting_count(self) -> int:
        return self._waiting_count

    def waiting(self) -> Iterable[Job]:
        return [job for jobs in self._waiting.values() for job in jobs]

    @property
    def places_ahead(self) -> int:
        """Running places that everybody who waits will take."""
        return sum(job.places for job in self.waiting())

    def enqueue(self, job: Job) -> None:
        """Seat a job. Raises QueueFull when every seat and every running place is taken."""
        free_places = self.max_running - len(self.running)
        if self._waiting_count >= self.max_waiting + max(0, free_places):
            raise QueueFull
        self._waiting.setdefault(job.conversation, deque()).append(job)
        self._waiting_count += 1

    def remove(self, job: Job) -> None:
        """Forget a job, waiting or running. Unknown jobs are ignored."""
        if job in self.running:
            self.running.remove(job)
            return
        jobs = self._waiting.get(job.conversation)
        if jobs and job in jobs:
            jobs.remove(job)
            self._waiting_count -= 1
            if not jobs:
                del self._waiting[job.conversation]

    def admit(self) -> list[Job]:
        """Move jobs from waiting to running while there is room: one conversation after the other, each in its own order."""
        admitted: list[Job] = []
        while self._waiting:
            conversation, jobs = next(iter(self._waiting.items()))
            if len(self.running) + jobs[0].places > self.max_running:
                break
            job = jobs.popleft()
            self._waiting_count -= 1
            del self._waiting[conversation]
            if jobs:
                self._waiting[conversation] = jobs  # to the back: the other conversations come first
            admitted += [job, *job.siblings]
            self.running += [job, *job.siblings]
        return admitted

    def plan(self) -> list[Segment]:
        """Pick the next step: every decoding job, then prompts in order of `turn` up to the chunk in all."""
        segments = []
        ready = [job for job in self.running if not job.held]
        for job in ready:
            if job.pending == 1:
                segments.append(Segment(job, job.computed, job.tokens[-1:] + job.draft, 1 + len(job.draft)))
        budget = self.prefill_chunk_beside_writing if segments else self.prefill_chunk
        for job in sorted((job for job in ready if job.pending > 1), key=self._turn):
            if budget > 0:
                count = min(budget, job.pending)
                budget -= count
                self._rows_read += count
                last = count == job.pending
                segments.append(Segment(job, job.computed, job.tokens[job.computed : job.computed + count], int(last)))
        return segments

    def _turn(self, job: Job) -> int:
        """When the prompt would have been read had it been alone from its admission on, in rows read by then.

        So short prompts go first, which halves the wait of most, and a long one is overtaken only by what came within its own
        length of reading: nobody waits for ever.
        """
        if job.turn is None:
            job.turn = self._rows_read + job.pending
        return job.turn
