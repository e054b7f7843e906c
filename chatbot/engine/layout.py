"""Where the rows of one forward pass come from and go to. Pure bookkeeping on lists, turned into index tensors once a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import torch


@dataclass(frozen=True)
class Span:
    """Rows `first` to `first + rows` of the packed sequence belong to `slot`, at positions `start` and up."""

    slot: int
    start: int
    first: int
    rows: int

    @property
    def end(self) -> int:
        return self.start + self.rows


@dataclass(frozen=True)
class Table:
    """Spans side by side as a batch, aligned at their ends: B spans, R rows for the longest, L positions for the furthest.

    cells: (B, L) flat cell of each position; what is left of a span's first position repeats that one and is hidden.
    rows: (B, R) packed row of each query; what is left of a span's first row repeats that one and is dropped.
    real: (N,) indices into B * R of the rows that are none of those, in packed order.
    lengths: (B,) positions of each span.
    """

    cells: torch.Tensor
    rows: torch.Tensor
    real: torch.Tensor
    lengths: torch.Tensor

    def hidden(self, window: int) -> torch.Tensor:
        """What a query may not see, (B, 1, R, L): later positions, other spans' padding, and all before the window."""
        width, height = self.cells.shape[1], self.rows.shape[1]
        key_at = torch.arange(width, device=self.cells.device)
        query_at = torch.arange(width - height, width, device=self.cells.device).unsqueeze(1)
        late = key_at > query_at
        if window:
            late = late | (key_at <= query_at - window)
        return late | (key_at < width - self.lengths.view(-1, 1, 1, 1))


@dataclass
class StepLayout:
    """One forward pass. cells: (T,) flat cell of each packed row.

    table: the first `tabled` spans, to be attended as one batch; the others are attended one by one.
    masks: additive masks by shape, made once a step for all layers.
    """

    spans: Sequence[Span]
    cells: torch.Tensor
    table: Table | None = None
    tabled: int = 0
    masks: dict[tuple[int, ...], torch.Tensor] = field(default_factory=dict)


def filled_up(rows: int) -> int:
    """The next of few sizes: on a CPU every size of a product costs memory for code of its own, and time to generate it."""
    step = 1 if rows <= 16 else 4 if rows <= 64 else 16
    return rows + -rows % step


def make_table(spans: Sequence[Span], *, context: int, device: torch.device, width: int = 0) -> Table:
    """Lay spans side by side. width: at least so many positions, for shapes that come again."""
    width = max(width, *(span.end for span in spans))
    height = max(span.rows for span in spans)
    firsts = list(accumulate((span.rows for span in spans), initial=0))
    cells = [[span.slot * context + max(at - (width - span.end), 0) for at in range(width)] for span in spans]
    rows = [[firsts[n] + max(at - (height - span.rows), 0) for at in range(height)] for n, span in enumerate(spans)]
    real = [n * height + at for n, span in enumerate(spans) for at in range(height - span.rows, height)]
    lengths = [span.end for span in spans]
    return Table(*(torch.tensor(part, dtype=torch.long, device=device) for part in (cells, rows, real, lengths)))
