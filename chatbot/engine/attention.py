"""Attention over cached keys and values: one span after the other, or many spans as one batch. Both compute the same."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from chatbot.engine.layout import Span, StepLayout, Table

# Rows, those of all heads that share a key, from which on plain products are worth it.
PLAIN_ROWS = 96
# They come in multiples of so many rows and positions: oneDNN generates code for every shape and keeps it.
PLAIN_STEP = 128


def attend_span(
    span: Span,
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    layout: StepLayout,
    scale: float,
    window: int,
    softcap: float | None,
) -> torch.Tensor:
    """Attend one span to its own slot. query: (heads, T, head_dim); keys, values: (kv_heads, span.end, head_dim).

    Returns (rows, heads, value_dim).
    """
    begin = max(0, span.start - window + 1) if window else 0
    length = span.end - begin
    kv_heads, heads = keys.shape[0], query.shape[0]
    group = heads // kv_heads
    # The query heads that share one key head become rows of one product: up to 3x faster than repeating keys.
    rows = query[:, span.first : span.first + span.rows].reshape(1, kv_heads, group * span.rows, -1)
    own_keys, own_values = keys[None, :, begin:], values[None, :, begin:]
    plain = softcap is None and span.rows > 1 and _is_faster_plain(rows)
    mask = None
    if span.rows > 1:
        step = PLAIN_STEP if plain else 1
        mask = _causal_mask(layout, rows=span.rows, length=length, group=group, window=window, like=query, step=step)
    if plain and mask is not None:
        out = _attend_plain(rows[0], own_keys[0], own_values[0], mask=mask[0], scale=scale)
    else:
        out = _attend(rows, own_keys, own_values, mask=mask, scale=scale, softcap=softcap)
    return out.reshape(heads, span.rows, -1).transpose(0, 1)


def attend_table(
    table: Table,
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    layout: StepLayout,
    scale: float,
    window: int,
    softcap: float | None,
) -> torch.Tensor:
    """Attend all spans of the table at once. query: (heads, T, head_dim); keys, values: (kv_heads, all cells, head_dim).

    Copies the spans' keys and values, which a GPU does faster than it starts one kernel a span. Returns (rows, heads, value_dim).
    """
    count, height = table.rows.shape
    kv_heads, heads = keys.shape[0], query.shape[0]
    group = heads // kv_heads
    rows = query[:, table.rows].view(kv_heads, group, count, height, -1).permute(2, 0, 1, 3, 4)
    mask = layout.masks.get((window,))
    if mask is None:
        hidden = table.hidden(window)
        mask = torch.zeros(hidden.shape, dtype=query.dtype, device=query.device).masked_fill_(hidden, float("-inf"))
        mask = layout.masks[(window,)] = mask.repeat(1, 1, group, 1)
    out = _attend(
        rows.reshape(count, kv_heads, group * height, -1),
        keys[:, table.cells].transpose(0, 1),
        values[:, table.cells].transpose(0, 1),
        mask=mask,
        scale=scale,
        softcap=softcap,
    )
    out = out.view(count, kv_heads, group, height, -1).permute(0, 3, 1, 2, 4)
    return out.reshape(count * height, heads, -1)[table.real]


def _attend(
    rows: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    mask: torch.Tensor | None,
    scale: float,
    softcap: float | None,
) -> torch.Tensor:
    if softcap is None:
        return F.scaled_dot_product_attention(rows, keys, values, attn_mask=mask, scale=scale)
    scores = torch.tanh(rows @ keys.transpose(2, 3) * (scale / softcap)) * softcap
    scores = scores if mask is None else scores + mask
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(values.dtype) @ values


def _attend_plain(
    rows: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, *, mask: torch.Tensor, scale: float
) -> torch.Tensor:
    """Two products and a softmax, in the shape of the mask. rows: (kv_heads, rows, head_dim), keys and values likewise."""
    count, (height, width) = rows.shape[1], mask.shape[1:]
    rows = F.pad(rows, (0, 0, 0, height - count))
    keys, values = (F.pad(x, (0, 0, 0, width - x.shape[1])) for x in (keys, values))
    scores = torch.baddbmm(mask.expand(len(keys), -1, -1), rows, keys.transpose(1, 2), alpha=scale)
    return (torch.softmax(scores, dim=-1) @ values)[:, :count]


def _is_faster_plain(rows: torch.Tensor) -> bool:
    """Whether two plain products and a softmax beat torch's fused attention: on a CPU in bfloat16, for prompts, by 45 %.

    Scores are then rounded to bfloat16, an error of 0.4 % of the output where int8 weights make 1 to 2 %.
    """
    few_digits = rows.device.type == "cpu" and rows.dtype == torch.bfloat16
    return few_digits and len(rows) == 1 and rows.shape[2] >= PLAIN_ROWS


def _causal_mask(
    layout: StepLayout, *, rows: int, length: int, group: int, window: int, like: torch.Tensor, step: int
) -> torch.Tensor:
    """Additive mask (1, 1, group * rows, length) for the last `rows` of `length` positions, both filled up to multiples of step.

    What fills up rows sees everything, what fills up positions nobody sees.
    """
    known = layout.masks.get((rows, length, group, window))
    if known is None:
        query_at = torch.arange(length - rows, length, device=like.device).unsqueeze(1)
        key_at = torch.arange(length, device=like.device)
        hidden = key_at > query_at
        if window:
            hidden = hidden | (key_at <= query_at - window)
        mask = torch.zeros((rows, length), dtype=like.dtype, device=like.device).masked_fill_(hidden, float("-inf"))
        mask = F.pad(mask.repeat(group, 1), (0, -length % step), value=float("-inf"))
        known = layout.masks[rows, length, group, window] = F.pad(mask, (0, 0, 0, -len(mask) % step))[None, None]
    return known
