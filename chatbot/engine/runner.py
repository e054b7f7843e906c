"""One forward pass over the segments of a step. Knows tensors and the model; knows no requests, queues or text."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from chatbot.engine.kv_cache import SlotCache, Span, StepLayout
from chatbot.engine.requests import EngineError
from chatbot.engine.scheduler import Segment


class Runner:
    """The model, its cache and its device."""

    def __init__(self, model: torch.nn.Module, cache: SlotCache, *, device: str) -> None:
        self.model = model
        self.cache = cache
        self.device = torch.device(device)

    @torch.inference_mode()
    def step(self, segments: Sequence[Segment]) -> torch.Tensor | None:
        """Run all segments packed as one sequence. Returns float32 logits (rows, vocabulary) of the rows that choose a token.

        Writing a segment's keys and values again gives the same result, so a failed step may be repeated.
        """
        ids: list[int] = []
        positions: list[int] = []
        cells: list[int] = []
        chosen: list[int] = []
        spans = []
        for segment in segments:
            count = len(segment.tokens)
            base = segment.job.slot * self.cache.context + segment.start
            spans.append(Span(segment.job.slot, segment.start, len(ids), count))
            ids.extend(segment.tokens)
            positions.extend(range(segment.start, segment.start + count))
            cells.extend(range(base, base + count))
            chosen.extend(range(len(ids) - segment.logit_rows, len(ids)))
        return self._forward(ids, positions, StepLayout(spans, self._tensor(cells)), chosen)

    @torch.inference_mode()
    def probe(self) -> None:
        """Run one token through an empty cache, which learns the shapes of the layers. Before `cache.allocate`.

        Raises EngineError for a model that keeps its state elsewhere, or attends in its own way and would read other requests.
        """
        try:
            self._forward([0], [0], StepLayout([Span(0, 0, 0, 1)], self._tensor([0])), [0])
        except (AttributeError, NotImplementedError, TypeError, ValueError, AssertionError) as error:
            raise EngineError("unsupported_model", f"this kind of model does not run here: {error}") from error
        if not self.cache.keys or self.cache.attended_layers != set(range(len(self.cache.keys))):
            raise EngineError("unsupported_model", "this kind of model does not use transformers' attention interface")

    def _forward(self, ids: list[int], positions: list[int], layout: StepLayout, chosen: list[int]) -> torch.Tensor | None:
        self.cache.begin(layout)
        output = self.model(
            input_ids=self._tensor(ids).unsqueeze(0),
            position_ids=self._tensor(positions).unsqueeze(0),
            past_key_values=self.cache,
            use_cache=True,
            # A pure prefill step still needs one row: an empty selection is not supported everywhere.
            logits_to_keep=self._tensor(chosen or [len(ids) - 1]),
        )
        return output.logits[0].float() if chosen else None

    def _tensor(self, values: list[int]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.long, device=self.device)
