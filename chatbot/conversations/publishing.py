"""Put news of a conversation on its streams, where every web process reads it. The database stays the truth.

Three kinds of Redis streams: one a conversation for its customer, one a conversation for staff alone, and one for the whole
desk. Losing an entry, or a whole stream, delays what a browser sees until its next snapshot; it never changes what is true.
Frames hold whole states, so a reader may see one twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from uuid import UUID

import redis
from redis.commands.core import Script

from chatbot import runtime
from chatbot.answering.language import direction
from chatbot.conversations.staff_frames import StaffFrame
from chatbot.protocol import ReplyProgress, ReplyWaiting, StreamFrame
from chatbot.rendering import render_markdown
from chatbot.telemetry import log_event

# Replies come in sentences; a busy model may finish several in one step. One frame for all that came within this time.
GATHER_S = 0.04
STREAM_ENTRIES = 1000
DESK_ENTRIES = 5000
STREAM_TTL_S = 3600
DESK_KEY = "desk"
# Which of them are real is known at the end; the pipeline lets no mark through that has no passage.
CITATION_NUMBERS = range(1, 10)

# Appends progress unless a person has taken the conversation over. One step in Redis: after the news that somebody is there,
# nothing of the bot follows on the stream, however late its worker hears of it.
_SPEAK = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'frame', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""

Entry = tuple[str, StreamFrame | StaffFrame]


def stream_key(conversation_id: UUID) -> str:
    """What the customer sees."""
    return f"conversation:{conversation_id}"


def staff_key(conversation_id: UUID) -> str:
    """What only staff sees of one conversation: notes, who has it, who looks at it, who types."""
    return f"staff:{conversation_id}"


def announce(conversation_id: UUID, frame: StreamFrame) -> bool:
    """Append a frame to the conversation's own stream. False when Redis does not take it now."""
    return append([(stream_key(conversation_id), frame)])


def announce_all(frames: Sequence[tuple[UUID, StreamFrame]]) -> bool:
    """Append each frame to its conversation's own stream, in one round trip. False when Redis does not take them now."""
    return append([(stream_key(conversation_id), frame) for conversation_id, frame in frames])


def append(entries: Sequence[Entry], *, silenced: Sequence[int] = ()) -> bool:
    """Append frames to streams, in order and in one round trip. False when Redis does not take them now.

    silenced: generations that may show nothing any more from here on, whatever their workers still write.
    """
    if not entries and not silenced:
        return True
    try:
        with runtime.valkey().pipeline(transaction=bool(silenced)) as pipe:
            for generation_id in silenced:
                pipe.set(_silenced_key(generation_id), "1", ex=STREAM_TTL_S)
            for key, frame in entries:
                entries_kept = DESK_ENTRIES if key == DESK_KEY else STREAM_ENTRIES
                pipe.xadd(key, {"frame": frame.model_dump_json()}, maxlen=entries_kept, approximate=True)
                pipe.expire(key, STREAM_TTL_S)
            pipe.execute()
    except redis.RedisError as error:
        log_event("stream.publish_failed", conversation=entries[0][0] if entries else "", error=type(error).__name__)
        return False
    return True


class ReplyPublisher:
    """Announce the progress of one attempt at a reply, at most every GATHER_S. `shown`: what the customer has seen of it."""

    def __init__(self, *, conversation_id: UUID, message_id: UUID, generation_id: int, attempt: int) -> None:
        self.shown = ""
        self._conversation_id = conversation_id
        self._message_id = message_id
        self._silenced_key = _silenced_key(generation_id)
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
        if self._speak(frame):
            self.shown = text
        self._index += 1
        self._sent_at = time.monotonic()

    def _speak(self, frame: ReplyProgress) -> bool:
        keys = [stream_key(self._conversation_id), self._silenced_key]
        try:
            return bool(_speak_script()(keys=keys, args=[frame.model_dump_json(), STREAM_ENTRIES, STREAM_TTL_S]))
        except redis.RedisError as error:
            log_event("stream.publish_failed", conversation=self._conversation_id, error=type(error).__name__)
            return False


def _silenced_key(generation_id: int) -> str:
    return f"silenced:{generation_id}"


@cache
def _speak_script() -> Script:
    return runtime.valkey().register_script(_SPEAK)
