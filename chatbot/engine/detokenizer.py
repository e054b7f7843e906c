"""Turn token ids into text pieces as they come: never half a character, never part of a stop string."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

# What a tokenizer writes for bytes that are not yet a whole character.
REPLACEMENT = "\ufffd"
# Tokens a character may take, with room to spare; what is incomplete for longer is not text and is shown as it is.
LONGEST_CHARACTER = 8


class Decoder(Protocol):
    def decode(self, token_ids: list[int], *, skip_special_tokens: bool) -> str: ...


class TextStream:
    """The text of one answer. `push` each token; `finish` at the end; `stopped` once a stop string was written."""

    def __init__(self, decoder: Decoder, *, stop: Sequence[str] = ()) -> None:
        self._decoder = decoder
        self._stop = [text for text in stop if text]
        self._tokens: list[int] = []
        self._shown = 0  # tokens whose text is out; decoding starts a little before them, where a word may join on
        self._context = 0
        self._held = ""
        self.text = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """Add a token and return the text that is now certain, possibly none."""
        if self.stopped:
            return ""
        self._tokens.append(token)
        piece = self._new_text()
        waiting = len(self._tokens) - self._shown
        if not piece or (piece.endswith(REPLACEMENT) and waiting < LONGEST_CHARACTER):
            return ""
        self._context, self._shown = self._shown, len(self._tokens)
        return self._emit(piece, last=False)

    def finish(self) -> str:
        """Return what is left: text held back for a stop string, and an incomplete last character as it is."""
        if self.stopped:
            return ""
        piece = self._new_text()
        self._shown = len(self._tokens)
        return self._emit(piece.rstrip(REPLACEMENT), last=True)

    def _new_text(self) -> str:
        before = self._decoder.decode(self._tokens[self._context : self._shown], skip_special_tokens=True)
        after = self._decoder.decode(self._tokens[self._context :], skip_special_tokens=True)
        return after[len(before) :]

    def _emit(self, piece: str, *, last: bool) -> str:
        text = self._held + piece
        cuts = [at for stop in self._stop if (at := text.find(stop)) >= 0]
        if cuts:
            self.stopped = True
            text, self._held = text[: min(cuts)], ""
        else:
            keep = 0 if last else max((_overlap(text, stop) for stop in self._stop), default=0)
            text, self._held = text[: len(text) - keep], text[len(text) - keep :]
        self.text += text
        return text


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
