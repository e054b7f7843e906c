"""What every socket of ours does with what a browser sends: understand it, throttle it, obey it, and say what went wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from chatbot import protocol
from chatbot.errors import ChatbotError, InvalidInput
from chatbot.telemetry import log_crash

MAX_BAD_FRAMES = 20
CLOSED_BAD_FRAMES = 4400

Doors = Mapping[type[protocol.Frame], Callable[[Any], Awaitable[None]]]


class Commands(ABC):
    """Mix into a websocket consumer, before it. An expected error becomes an `error` frame and the socket stays open."""

    client_frames: TypeAdapter[Any]
    send: Callable[..., Awaitable[None]]
    close: Callable[..., Awaitable[None]]
    bad_frames = 0

    @abstractmethod
    def doors(self) -> Doors:
        """What obeys each kind of frame."""

    @abstractmethod
    def throttle(self, command: protocol.Frame) -> None:
        """Raise TooFast for a browser that sends too much."""

    def error_frame(self, error: ChatbotError, command: protocol.Frame | None) -> protocol.Error:
        return protocol.Error(code=error.code, message=error.message, field=error.field, retry_after_s=error.retry_after_s)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        command: protocol.Frame | None = None
        try:
            command = self._parsed(text_data)
            self.throttle(command)
            await self.doors()[type(command)](command)
        except ChatbotError as error:
            await self._refuse(error, command)
        except Exception as error:
            # The text of an unexpected error may hold anything; neither the browser nor the log gets it.
            log_crash("websocket command", error)
            await self._refuse(ChatbotError("Something went wrong on our side. Please try again."), command)

    async def tell(self, frame: protocol.Frame) -> None:
        await self.send(text_data=frame.model_dump_json())

    async def pong(self, command: protocol.Ping) -> None:
        await self.tell(protocol.Pong())

    def _parsed(self, text_data: str | None) -> protocol.Frame:
        """The frame behind the text. Raises InvalidInput; the error names the field, never what stood in it."""
        if text_data is None:
            raise InvalidInput("Binary frames are not understood.", code="frame_invalid")
        if len(text_data) > protocol.MAX_FRAME_BYTES:
            raise InvalidInput("This is too long to send.", code="frame_too_big")
        try:
            frame: protocol.Frame = self.client_frames.validate_json(text_data)
        except ValidationError as error:
            raise _invalid(error) from None
        return frame

    async def _refuse(self, error: ChatbotError, command: protocol.Frame | None) -> None:
        await self.tell(self.error_frame(error, command))
        if command is None:
            self.bad_frames += 1
            if self.bad_frames >= MAX_BAD_FRAMES:
                await self.close(code=CLOSED_BAD_FRAMES)


def _invalid(error: ValidationError) -> InvalidInput:
    first = error.errors(include_input=False, include_context=False)[0]
    field = str(first["loc"][-1]) if first["loc"] else ""
    if field == "text" and first["type"] == "string_too_long":
        return InvalidInput("This message is too long.", code="message_too_long", field="text")
    if field == "text" and first["type"] == "string_too_short":
        return InvalidInput("Write something first.", code="message_empty", field="text")
    return InvalidInput("This frame is not understood.", code="frame_invalid", field=field)
