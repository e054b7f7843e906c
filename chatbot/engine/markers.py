"""The marks with which a prompt's template separates its messages, and how text is kept from holding any.

The text of a message is data. Where a tokenizer reads such a mark inside it as the mark itself, its writer could end the message
and open another one, a system turn for instance.
"""

from __future__ import annotations

import re

# For instance <|im_start|>, <｜User｜>, <start_of_turn>, </s>, <<SYS>>, [/INST], [TOOL_RESULTS], [gMASK].
COMMON_MARKERS = re.compile(r"<[|｜][^<>]{1,60}>|<{1,2}/?[A-Za-z_][^<>\s]{0,40}>|\[/?(?:[A-Z_]{3,40}|gMASK|sMASK)\]")


def broken_up(match: re.Match[str]) -> str:
    """Put a space behind a mark's first character: the words stay, the mark is none any more."""
    return f"{match[0][0]} {match[0][1:]}"


def without_markers(text: str) -> str:
    """Break up the marks of common templates, for a model whose own tokenizer is not at hand."""
    return COMMON_MARKERS.sub(broken_up, text)
