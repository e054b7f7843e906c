"""Preallocated keys and values for all slots, behind transformers' own interfaces.

One forward pass carries the tokens of many requests as one packed sequence of batch size 1. The model's attention layers call
`update` (write the new keys and values to their slots) and then `attend` (each span sees its own slot only), so any model class
that goes through transformers' attention interface works unchanged. A model that attends in its own way gets its spans side by
side as a padded batch instead, and `update` returns each span's keys and values from its slot.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache

from chatbot.engine.attention import attend_span, attend_table
from chatbot.engine.layout import StepLayout
from chatbot.engine.requests import EngineError
from chatbot.engine.slots import PrefixKey

_names = itertools.count()


class SlotCache(Cache):
    """Keys and values as one (kv_heads, slots * context, head_dim) tensor a layer; a slot is a run of `context` cells."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.slots = 0
        self.context = 0
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []
        self.attention_name = f"answerdesk_slots_{next(_names)}"
        self.attended_layers: set[int] = set()
        self.padded = False
        self._layer = 0
        self._layout: StepLayout | None = None
        self._prefixes: dict[PrefixKey, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        AttentionInterface.register(self.attention_name, self.attend)

    def close(self) -> None:
        """Free the tensors and take the attention function back."""
        self.keys, self.values, self._prefixes = [], [], {}
        AttentionInterface._global_mapping.pop(self.attention_name, None)

    # Memory

    def token_bytes(self) -> int:
        """Bytes one token takes in all layers. Known after the first forward pass."""
        return sum(x.shape[0] * x.shape[2] * x.element_size() for x in (*self.keys, *self.values))

    @property
    def spare_slot(self) -> int:
        """A slot that no conversation gets: rows that fill up a fixed shape write there."""
        return self.slots

    def allocate(self, *, slots: int, context: int) -> None:
        """Make room for `slots` conversations of `context` tokens. On a CPU untouched pages cost no memory."""
        self.slots, self.context = slots, context
        cells = (slots + 1) * context
        self.keys = [x.new_empty((x.shape[0], cells, x.shape[2])) for x in self.keys]
        self.values = [x.new_empty((x.shape[0], cells, x.shape[2])) for x in self.values]

    def forget(self, *, padded: bool) -> None:
        """Begin anew with a model of unknown shapes, in packed sequences or padded batches."""
        self.padded = padded
        self.keys, self.values = [], []
        self.attended_layers.clear()

    # What transformers calls

    def begin(self, layout: StepLayout) -> None:
        self._layout = layout

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write new keys and values, (batch, kv_heads, rows, head_dim) each, to their cells.

        Returns them as they are, or in a padded batch all keys and values of each span, (batch, kv_heads, positions, head_dim).
        """
        assert self._layout is not None
        self._layer = layer_idx
        table = self._layout.table if self.padded else None
        new_keys, new_values = _packed(key_states), _packed(value_states)
        if table is not None:
            new_keys, new_values = new_keys[:, table.real], new_values[:, table.real]
        if layer_idx >= len(self.keys):  # the first pass of all, which tells the shapes
            self.keys.append(torch.empty_like(new_keys))
            self.values.append(torch.empty_like(new_values))
        keys, values = self.keys[layer_idx], self.values[layer_idx]
        keys.index_copy_(1, self._layout.cells, new_keys)
        values.index_copy_(1, self._layout.cells, new_values)
        if table is None:
            return key_states, value_states
        return keys[:, table.cells].transpose(0, 1), values[:, table.cells].transpose(0, 1)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Positions before the rows of this pass: of a padded batch. The packed sequence tells positions itself."""
        table = self._layout.table if self._layout and self.padded else None
        return 0 if table is None else table.cells.shape[1] - table.rows.shape[1]

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

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
        layout, keys, values = self._layout, self.keys[self._layer], self.values[self._layer]
        self.attended_layers.add(self._layer)
        scale = scaling if scaling is not None else query.shape[-1] ** -0.5
        window = sliding_window or 0
        outputs = []
        if layout.table is not None:
            outputs.append(
                attend_table(layout.table, query[0], keys, values, layout=layout, scale=scale, window=window, softcap=softcap)
            )
        for span in layout.spans[layout.tabled :]:
            cells = slice(span.slot * self.context, span.slot * self.context + span.end)
            own_keys, own_values = keys[:, cells], values[:, cells]
            outputs.append(
                attend_span(span, query[0], own_keys, own_values, layout=layout, scale=scale, window=window, softcap=softcap)
            )
        return (outputs[0] if len(outputs) == 1 else torch.cat(outputs)).unsqueeze(0), None

    # Copies of computed tokens (slots.PrefixStore)

    def copy_slot(self, source: int, *, target: int, length: int) -> None:
        for tensor in (*self.keys, *self.values):
            start = target * self.context
            tensor[:, start : start + length] = tensor[:, source * self.context : source * self.context + length]

    def save_prefix(self, key: PrefixKey, *, slot: int) -> None:
        cells = slice(slot * self.context, slot * self.context + len(key[1]))
        self._prefixes[key] = [(k[:, cells].clone(), v[:, cells].clone()) for k, v in zip(self.keys, self.values, strict=True)]

    def load_prefix(self, key: PrefixKey, *, slot: int) -> None:
        cells = slice(slot * self.context, slot * self.context + len(key[1]))
        for k, v, (stored_k, stored_v) in zip(self.keys, self.values, self._prefixes[key], strict=True):
            k[:, cells] = stored_k
            v[:, cells] = stored_v

    def drop_prefix(self, key: PrefixKey) -> None:
        self._prefixes.pop(key, None)


def _packed(states: torch.Tensor) -> torch.Tensor:
    """(batch, heads, rows, head_dim) as (heads, batch * rows, head_dim)."""
    return states[0] if len(states) == 1 else states.transpose(0, 1).flatten(1, 2)
