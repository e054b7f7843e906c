"""Decoding steps of a GPU as CUDA graphs: one launch a step instead of thousands, for steps of one row a request.

A graph replays fixed shapes on fixed addresses. So a step is padded to the next size in rows and in positions, its inputs are
copied into the graph's own tensors, and rows that nobody asked for write to a spare slot. The pass itself is the eager one; on
a device without graphs it simply runs, which is how its padding is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from chatbot.engine.kv_cache import SlotCache
from chatbot.engine.layout import Span, StepLayout, Table, make_table

Pass = Callable[[torch.Tensor, torch.Tensor, StepLayout, torch.Tensor], torch.Tensor]

ROW_SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
POSITIONS_STEP = 512
WARM_UPS = 2


@dataclass
class _Captured:
    """One shape. inputs: the tensors that the graph reads, to be overwritten before each replay."""

    inputs: list[torch.Tensor]
    replay: Callable[[], torch.Tensor]


class DecodeGraphs:
    """Graphs by (rows, positions), captured when a shape comes for the first time. Needs `spare_slot` in the cache."""

    def __init__(self, forward: Pass, cache: SlotCache, *, device: torch.device) -> None:
        self._forward = forward
        self._cache = cache
        self._device = device
        self._captured: dict[tuple[int, int], _Captured] = {}

    def run(self, ids: Sequence[int], spans: Sequence[Span]) -> torch.Tensor:
        """One row a span. Returns float32 logits (len(spans), vocabulary)."""
        rows = next((size for size in ROW_SIZES if size >= len(spans)), len(spans))
        longest = max(span.end for span in spans)
        width = min(-(-longest // POSITIONS_STEP) * POSITIONS_STEP, self._cache.context)
        spare = [Span(self._cache.spare_slot, 0, at, 1) for at in range(len(spans), rows)]
        inputs = self._inputs([*ids, *([0] * len(spare))], [*spans, *spare], width=width)
        known = self._captured.get((rows, width))
        if known is None:
            known = self._captured[rows, width] = self._capture(inputs)
        for own, new in zip(known.inputs, inputs, strict=True):
            own.copy_(new)
        return known.replay()[: len(spans)].clone()

    def _inputs(self, ids: Sequence[int], spans: Sequence[Span], *, width: int) -> list[torch.Tensor]:
        """Ids, positions, cells to write, and the table's four tensors."""
        table = make_table(spans, context=self._cache.context, device=self._device, width=width)
        starts = [span.start for span in spans]
        cells = [span.slot * self._cache.context + span.start for span in spans]
        firsts = [torch.tensor(part, dtype=torch.long, device=self._device) for part in (ids, starts, cells)]
        return [*firsts, table.cells, table.rows, table.real, table.lengths]

    def _capture(self, inputs: list[torch.Tensor]) -> _Captured:
        own = [tensor.clone() for tensor in inputs]
        chosen = torch.arange(len(own[0]), device=self._device)

        def run() -> torch.Tensor:
            return self._forward(own[0], own[1], table_layout(own), chosen)

        if self._device.type != "cuda":
            return _Captured(own, run)
        # Capture must not be the first run of anything: kernels are chosen and workspaces made on a side stream before it.
        side: Any = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                run()
        torch.cuda.current_stream(self._device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = run()

        def replay() -> torch.Tensor:
            graph.replay()
            return logits

        return _Captured(own, replay)


def table_layout(inputs: list[torch.Tensor]) -> StepLayout:
    """The layout of a captured step, all of it in tensors: no span is attended alone."""
    return StepLayout([], inputs[2], Table(*inputs[3:]), 0)
