"""Forward passes over the segments of a step. Knows tensors and the model; knows no requests, queues or text."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import torch

from chatbot.engine.decode_graphs import DecodeGraphs
from chatbot.engine.hidden_states import HiddenStates
from chatbot.engine.kv_cache import SlotCache
from chatbot.engine.layout import Span, StepLayout, filled_up, make_table
from chatbot.engine.lora import AdapterSet
from chatbot.engine.requests import EngineError
from chatbot.engine.scheduler import Job, Segment

# Up to so many rows a span counts as writing: such spans are attended as one batch where that pays, on a GPU.
SHORT_ROWS = 17
# Two short texts that no tokenizer needs to know, for the proof at start.
PROOF = ((5, 3, 8, 2, 9, 4), (7, 1, 6))
# Relative error of the logits. In few digits an own order of rounding alone makes several per cent; a missing mask or position
# makes a third and more.
PROOF_TOLERANCE = {torch.float32: 0.01}
PROOF_TOLERANCE_IN_FEW_DIGITS = 0.2
# What models raise that want other inputs, or another cache, than they are given.
UNFIT = (AttributeError, NotImplementedError, TypeError, ValueError, AssertionError, IndexError, RuntimeError)


# What ran, the logits of its rows, and the watched layers' states of the same rows.
Step = tuple[list[Segment], torch.Tensor | None, dict[int, torch.Tensor]]


class Runner:
    """The model, its cache and its device. graphs: replay the decoding steps of a GPU as CUDA graphs."""

    def __init__(
        self, model: Any, cache: SlotCache, *, device: str, adapters: AdapterSet | None = None, graphs: bool = False
    ) -> None:
        self.model = model
        self.cache = cache
        self.device = torch.device(device)
        self.adapters = adapters
        self.batch_short_spans = self.device.type == "cuda"
        self._takes = inspect.signature(model.forward).parameters.keys()
        self._wants_graphs = graphs
        self._graphs: DecodeGraphs | None = None
        self._states = HiddenStates(model)
        self.hidden: dict[int, torch.Tensor] = {}

    @torch.inference_mode()
    def step(self, segments: Sequence[Segment]) -> torch.Tensor | None:
        """Run all segments. Returns float32 logits (rows, vocabulary) of the rows that choose a token, None for no such row.

        Writing a segment's keys and values again gives the same result, so a failed step may be repeated. Afterwards `hidden`
        holds of each watched layer what it gave out for the same rows, float32 (rows, width); nothing in padded batches.
        """
        self.hidden = {}
        if self.cache.padded:
            return self._padded_step(segments)
        spans = self._begin(segments)
        ids, positions, chosen = _rows(segments)
        decoding = all(span.rows == 1 for span in spans) and not self._states.watched
        if self._graphs is not None and decoding and not any(s.job.adapter for s in segments):
            return self._graphs.run(ids, spans)
        short = 0
        while self.batch_short_spans and short < len(spans) and spans[short].rows <= SHORT_ROWS:
            short += 1
        table = make_table(spans[:short], context=self.cache.context, device=self.device) if short > 1 else None
        wanted = len(chosen)
        if self.device.type == "cpu":
            spans = self._fill_up(spans, ids, positions, chosen)
        layout = StepLayout(spans, self._cells(spans), table, short if table else 0)
        picked = self._tensor(chosen or [len(ids) - 1])
        logits = self._packed_pass(self._tensor(ids), self._tensor(positions), layout, picked)
        self.hidden = self._states.rows(picked)
        return logits[:wanted] if wanted else None

    def watch(self, layers: Iterable[int]) -> None:
        """Let the steps from now on keep what these layers give out."""
        self._states.watch(layers)

    @torch.inference_mode()
    def probe(self) -> None:
        """Learn the shapes of the layers and prove that steps compute what the model computes. Before `cache.allocate`.

        Raises EngineError for a model that keeps a state of its own beside keys and values, or that comes out differently.
        """
        if getattr(self.model, "_is_stateful", False):
            raise EngineError("unsupported_model", "models with a recurrent state (Mamba and its kin) do not run here")
        try:
            wanted = self._alone(PROOF)
            self._learn_shapes()
            self.cache.allocate(slots=len(PROOF), context=max(map(len, PROOF)))
            got = self._in_steps(PROOF)
        except UNFIT as error:
            raise EngineError("unsupported_model", f"this kind of model does not run here: {error}") from error
        difference = float((got - wanted).norm() / wanted.norm())
        dtype = next(self.model.parameters()).dtype
        if not difference < PROOF_TOLERANCE.get(dtype, PROOF_TOLERANCE_IN_FEW_DIGITS):
            raise EngineError("unsupported_model", f"this kind of model computes {difference:.0%} off in batches")
        if self._wants_graphs and not self.cache.padded:
            self._graphs = DecodeGraphs(self._packed_pass, self.cache, device=self.device)

    # The proof

    def _alone(self, texts: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """Logits of each text's last row, by transformers' own attention and without a cache."""
        self.model.config._attn_implementation = "eager"
        outputs = [self.model(input_ids=self._tensor(text).unsqueeze(0), use_cache=False).logits[0, -1] for text in texts]
        return torch.stack(outputs).float()

    def _learn_shapes(self) -> None:
        """One token through an empty cache. A model that does not attend through our function is given padded batches."""
        for padded in (False, True):
            self.cache.forget(padded=padded)
            self.model.config._attn_implementation = "eager" if padded else self.cache.attention_name
            with contextlib.suppress(*(() if padded else (*UNFIT, EngineError))):
                self.step([Segment(Job(0, "", [0], 1, slot=0), 0, [0], 1)])
            if self.cache.keys and self.cache.attended_layers == set(range(len(self.cache.keys))):
                return
        if not self.cache.keys:
            raise ValueError("it keeps no keys and values")

    def _in_steps(self, texts: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """The same logits out of two steps: all but the last rows, then these side by side."""
        jobs = [Job(n, "", list(text), 1, slot=n) for n, text in enumerate(texts)]
        self.step([Segment(job, 0, job.tokens[:-1], 0) for job in jobs])
        logits = self.step([Segment(job, len(job.tokens) - 1, job.tokens[-1:], 1) for job in jobs])
        assert logits is not None
        return logits

    # One packed sequence

    def _packed_pass(self, ids: torch.Tensor, positions: torch.Tensor, layout: StepLayout, chosen: torch.Tensor) -> torch.Tensor:
        self.cache.begin(layout)
        # A pure prefill step still asks for one row: an empty selection is not supported everywhere.
        output = self._model(ids.unsqueeze(0), position_ids=positions.unsqueeze(0), logits_to_keep=chosen)
        logits: torch.Tensor = output.logits[0].float()
        return logits if "logits_to_keep" in self._takes else logits[chosen]

    def _fill_up(self, spans: list[Span], ids: list[int], positions: list[int], chosen: list[int]) -> list[Span]:
        """Add rows that nobody asked for, in the spare slot, and choices nobody reads, so that steps come in few sizes."""
        missing = filled_up(len(ids)) - len(ids)
        if missing:
            spans = [*spans, Span(self.cache.spare_slot, 0, len(ids), missing)]
            ids.extend([0] * missing)
            positions.extend(range(missing))
        chosen.extend(chosen[-1:] * (filled_up(len(chosen)) - len(chosen)))
        return spans

    # Padded batches, for models that attend in their own way

    def _padded_step(self, segments: Sequence[Segment]) -> torch.Tensor | None:
        """Writing segments side by side, each longer one alone: padding them to one length would cost more."""
        short = [segment for segment in segments if len(segment.tokens) <= SHORT_ROWS]
        groups = ([short] if short else []) + [[segment] for segment in segments if len(segment.tokens) > SHORT_ROWS]
        done = {id(segment): logits for group in groups for segment, logits in self._padded_pass(group)}
        chosen = [done[id(segment)] for segment in segments if segment.logit_rows]
        return torch.cat(chosen) if chosen else None

    def _padded_pass(self, segments: Sequence[Segment]) -> list[tuple[Segment, torch.Tensor]]:
        """Returns each segment's logits (logit_rows, vocabulary)."""
        spans = _spans(segments)
        table = make_table(spans, context=self.cache.context, device=self.device)
        count, height = table.rows.shape
        self._begin(segments, stride=height)
        self.cache.begin(StepLayout(spans, self._cells(spans), table))
        ids = self._tensor([token for segment in segments for token in segment.tokens])[table.rows]
        places = torch.arange(table.cells.shape[1], device=self.device) - (table.cells.shape[1] - table.lengths.unsqueeze(1))
        mask = (places >= 0).long()
        keep = max(1, *(segment.logit_rows for segment in segments))
        output = self._model(ids, attention_mask=mask, position_ids=places[:, -height:].clamp(min=0), logits_to_keep=keep)
        logits = output.logits[:, -keep:].float()
        return [(segment, logits[n, keep - segment.logit_rows :]) for n, segment in enumerate(segments)]

    # What all passes share

    def _model(self, ids: torch.Tensor, **inputs: Any) -> Any:
        """Call the model with those inputs that its kind takes."""
        taken = {name: value for name, value in inputs.items() if name in self._takes}
        return self.model(input_ids=ids, past_key_values=self.cache, use_cache=True, **taken)

    def _begin(self, segments: Sequence[Segment], *, stride: int = 0) -> list[Span]:
        """Tell the adapters whose rows come next. stride: rows a segment takes in a padded batch, its own the last of them."""
        spans = _spans(segments)
        if self.adapters is not None:
            firsts = [n * stride + stride - span.rows if stride else span.first for n, span in enumerate(spans)]
            owners = zip(segments, firsts, spans, strict=True)
            self.adapters.begin([(segment.job.adapter, first, span.rows) for segment, first, span in owners])
        return spans

    def _cells(self, spans: Sequence[Span]) -> torch.Tensor:
        """(T,) flat cell of each packed row."""
        bases = [(span.slot * self.cache.context + span.start, span.rows) for span in spans]
        return self._tensor([cell for base, rows in bases for cell in range(base, base + rows)])

    def _tensor(self, values: Sequence[int]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.long, device=self.device)


def _spans(segments: Sequence[Segment]) -> list[Span]:
    firsts = accumulate((len(segment.tokens) for segment in segments), initial=0)
    return [Span(s.job.slot, s.start, first, len(s.tokens)) for s, first in zip(segments, firsts, strict=False)]


def _rows(segments: Sequence[Segment]) -> tuple[list[int], list[int], list[int]]:
    """Token ids and positions of the packed rows, and which of the rows choose a token."""
    ids: list[int] = []
    positions: list[int] = []
    chosen: list[int] = []
    for segment in segments:
        ids.extend(segment.tokens)
        positions.extend(range(segment.start, segment.start + len(segment.tokens)))
        chosen.extend(range(len(ids) - segment.logit_rows, len(ids)))
    return ids, positions, chosen
