"""Preallocated keys and values for all slots, and attention over them, behind transformers' own interfaces.

One forward pass carries the tokens of many requests as one packed sequence of batch size 1. The model's attention layers call
`update` (write the new keys and values to their slots) and then `attend` (each segment sees its own slot only), so any model
class that goes through transformers' attention interface works unchanged.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from transformers import AttentionInterface
from transformers.cache_utils import Cache

from chatbot.engine.requests import EngineError

_names = itertools.count()


@dataclass(frozen=True)
class Span:
    """Rows `first` to `first + rows` of the packed sequence belong to `slot`, at positions `start` and up."""

    slot: int
    start: int
    first: int
    rows: int


@dataclass
class StepLayout:
    """Where the rows of one forward pass go. cells: (T,) index of each row in the flat cache."""

    spans: Sequence[Span]
    cells: torch.Tensor
    masks: dict[tuple[int, int, int, int], torch.Tensor] = field(default_factory=dict)


class SlotCache(Cache):
    """Keys and values as one (slots * context, kv_heads, head_dim) tensor a layer; a slot is a run of `context` cells."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.slots = 0
        self.context = 0
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []
        self.attention_name = f"answerdesk_slots_{next(_names)}"
        self.attended_layers: set[int] = set()
        self._layer = 0
        self._layout: StepLayout | None = None
        self._prefixes: dict[tuple[int, ...], list[tuple[torch.Tensor, torch.Tensor]]] = {}
        AttentionInterface.register(self.attention_name, self.attend)

    def close(self) -> None:
        """Free the tensors and take the attention function back."""
        self.keys, self.values, self._prefixes = [], [], {}
        AttentionInterface._global_mapping.pop(self.attention_name, None)

    # Memory

    def token_bytes(self) -> int:
        """Bytes one token takes in all layers. Known after the first forward pass."""
        return sum(x.shape[1] * x.shape[2] * x.element_size() for x in (*self.keys, *self.values))

    def allocate(self, *, slots: int, context: int) -> None:
        """Make room for `slots` conversations of `context` tokens. On a CPU untouched pages cost no memory."""
        self.slots, self.context = slots, context
        self.keys = [x.new_empty((slots * context, *x.shape[1:])) for x in self.keys]
        self.values = [x.new_empty((slots * context, *x.shape[1:])) for x in self.values]

    # What transformers calls

    def begin(self, layout: StepLayout) -> None:
        self._layout = layout

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write new keys and values, (1, kv_heads, T, head_dim) each, to their cells."""
        assert self._layout is not None
        self._layer = layer_idx
        new_keys, new_values = key_states[0].transpose(0, 1), value_states[0].transpose(0, 1)
        if layer_idx >= len(self.keys):  # the first pass of all, which tells the shapes
            self.keys.append(torch.empty_like(new_keys))
            self.values.append(torch.empty_like(new_values))
        self.keys[layer_idx].index_copy_(0, self._layout.cells, new_keys)
        self.values[layer_idx].index_copy_(0, self._layout.cells, new_values)
        return key_states, value_states

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0

    def attend(
        self,
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float | None = None,
        sliding_window: int | None = None,
        softcap: float | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, None]:
        """Attend each span to its own slot. query: (1, heads, T, head_dim); returns (1, T, heads, value_dim)."""
        if kwargs.get("s_aux") is not None or kwargs.get("position_bias") is not None:
            raise EngineError("unsupported_model", "attention with sinks or learned position bias is not supported")
        assert self._layout is not None
        self.attended_layers.add(self._layer)
        scale = scaling if scaling is not None else query.shape[-1] ** -0.5
        window = sliding_window or 0
        outputs = [self._attend_span(span, query, scale, window, softcap) for span in self._layout.spans]
        return (outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)), None

    def _attend_span(self, span: Span, query: torch.Tensor, scale: float, window: int, softcap: float | None) -> torch.Tensor:
        """Returns (1, rows, heads, value_dim)."""
        end = span.start + span.rows
        begin = max(0, span.start - window + 1) if window else 0
        base = span.slot * self.context
        keys = self.keys[self._layer][base + begin : base + end].transpose(0, 1).unsqueeze(0)
        values = self.values[self._layer][base + begin : base + end].transpose(0, 1).unsqueeze(0)
        heads, kv_heads = query.shape[1], keys.shape[1]
        group = heads // kv_heads
        # The query heads that share one key head become rows of one product: up to 3x faster than repeating keys.
        rows = query[:, :, span.first : span.first + span.rows].reshape(1, kv_heads, group * span.rows, -1)
        mask = self._mask(span.rows, end - begin, group, window, like=query) if span.rows > 1 else None
        if softcap is None:
            out = F.scaled_dot_product_attention(rows, keys, values, attn_mask=mask, scale=scale)
        else:
            scores = torch.tanh(rows @ keys.transpose(2, 3) * (scale / softcap)) * softcap
            scores = scores if mask is None else scores + mask
            out = torch.softmax(scores, dim=-1, dtype=torch.float32).to(values.dtype) @ values
        return out.reshape(1, heads, span.rows, -1).transpose(1, 2)

    def _mask(self, rows: int, length: int, group: int, window: int, *, like: torch.Tensor) -> torch.Tensor:
        """Additive causal mask (1, 1, group * rows, length), made once a step for all layers."""
        assert self._layout is not None
        known = self._layout.masks.get((rows, length, group, window))
        if known is None:
            query_at = torch.arange(length - rows, length, device=like.device).unsqueeze(1)
            key_at = torch.arange(length, device=like.device)
            hidden = key_at > query_at
            if window:
                hidden = hidden | (key_at <= query_at - window)
            known = torch.zeros((rows, length), dtype=like.dtype, device=like.device).masked_fill_(hidden, float("-inf"))
            known = known.repeat(group, 1)[None, None]
            self._layout.masks[rows, length, group, window] = known
        return known

    # The shared system prompt (slots.PrefixStore)

    def save_prefix(self, key: tuple[int, ...], *, slot: int) -> None:
        cells = slice(slot * self.context, slot * self.context + len(key))
        self._prefixes[key] = [(k[cells].clone(), v[cells].clone()) for k, v in zip(self.keys, self.values, strict=True)]

    def load_prefix(self, key: tuple[int, ...], *, slot: int) -> None:
        cells = slice(slot * self.context, slot * self.context + len(key))
        for (k, v), (stored_k, stored_v) in zip(zip(self.keys, self.values, strict=True), self._prefixes[key], strict=True):
            k[cells] = stored_k
            v[cells] = stored_v

    def drop_prefix(self, key: tuple[int, ...]) -> None:
        self._prefixes.pop(key, None)
