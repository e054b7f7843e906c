"""Errors a person can act on. `code` is stable and part of the protocol; `message` is written for its reader."""

from __future__ import annotations


class ChatbotError(Exception):
    """Base of every expected error. Faces turn it into an answer; anything else is a bug and is logged as one."""

    code = "internal"

    def __init__(self, message: str, *, code: str | None = None, field: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.field = field
        self.retry_after_s = retry_after_s


class InvalidInput(ChatbotError):
    code = "invalid_input"


class NotFound(ChatbotError):
    """Also what a stranger gets: whether the object exists is nobody else's business."""

    code = "not_found"


class Conflict(ChatbotError):
    """The object changed meanwhile; nothing was written."""

    code = "conflict"


class TooFast(ChatbotError):
    code = "too_fast"


class Unavailable(ChatbotError):
    """A part of the house is down or full; nothing is lost and it is worth trying again."""

    code = "unavailable"
