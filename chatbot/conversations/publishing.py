"""Put news of a conversation on its stream, where every web process reads it. The database stays the truth.

One Redis stream a conversation. Losing an entry, or the whole stream, delays what a browser sees until its next snapshot; it
never changes what is true. Frames hold whole states, so a reader may see one twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import UUID

import redis

from chatbot import runtime
from chatbot.answering.language import direction
from chatbot.protocol import ReplyProgress, ReplyWaiting, StreamFrame
from chatbot.rendering import render_markdown
from chatbot.telemetry import log_event

# Replies come in sentences; a busy model may finish several in one step. One frame for all that came within this time.
GATHER_S = 0.04
STREAM_ENTRIES = 1000
STREAM_TTL_S = 3600
# Which of them are real is known at the end; the pipeline lets no mark through that has no passage.
CITATION_NUMBERS = range(1, 10)


def stream_key(conversation_id: UUID) -> str:
    return f"conversation:{conversation_id}"


def announce(conversation_id: UUID, frame: StreamFrame) -> bool:
    """Append a frame to the conversation's stream. False when Redis does not take it now."""
    return announce_all([(conversation_id, frame)])


def announce_all(frames: Sequence[tuple[UUID, StreamFrame]]) -> bool:
    """Append each frame to its conversation's stream, in one round trip. False when Redis does not take them now."""
    try:
        with runtime.valkey().pipeline(transaction=False) as pipe:
            for conversation_id, frame in frames:
                key = stream_key(conversation_id)
                pipe.xadd(key, {"frame": frame.model_dump_json()}, maxlen=STREAM_ENTRIES, approximate=True)
                pipe.expire(key, STREAM_TTL_S)
            pipe.execute()
    except redis.RedisError as error:
        log_event("stream.publish_failed", conversation=frames[0][0], error=type(error).__name__)
        return False
    return True


class ReplyPublisher:
    """Announce the progress of one attempt at a reply, at most every GATHER_S."""

    def __init__(self, *, conversation_id: UUID, message_id: UUID, attempt: int) -> None:
        self._conversation_id = conversation_id
        self._message_id = message_id
        self._attempt = attempt
        self._index = 0
        self._sent_at = 0.0

    def start(self) -> None:
        """Take back what an earlier attempt has shown."""
        self._send("")

    def progress(self, text: str) -> None:
        """Show `text`, the whole verified reply so far."""
        wait_s = self._sent_at + GATHER_S - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        self._send(text)

    def waiting(self, position: int) -> None:
        announce(self._conversation_id, ReplyWaiting(message_id=self._message_id, attempt=self._attempt, position=position))

    def _send(self, text: str) -> None:
        frame = ReplyProgress(
            message_id=self._message_id,
            attempt=self._attempt,
            index=self._index,
            html=render_markdown(text, citations=CITATION_NUMBERS),
            dir=direction(text),
            sent_at_ms=time.time_ns() // 1_000_000,
        )
        announce(self._conversation_id, frame)
        self._index += 1
        self._sent_at = time.monotonic()
