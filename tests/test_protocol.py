from __future__ import annotations

import json
import uuid

import pytest
from pydantic import ValidationError

from chatbot import protocol
from support_portal.management.commands.protocoldocs import protocol_page
from tests.architecture.source import ROOT


def test_page_is_up_to_date() -> None:
    assert (ROOT / "docs/protocol.md").read_text() == protocol_page(), "run: make manage ARGS=protocoldocs"


@pytest.mark.parametrize("kind", ["", "base", "__class__", "Frame", "conversation.snapshot", "MESSAGE.SEND", "message.send\n"])
def test_unknown_types_are_refused(kind: str) -> None:
    with pytest.raises(ValidationError):
        protocol.CLIENT_FRAMES.validate_json(json.dumps({"type": kind}))


@pytest.mark.parametrize("wrong", [1, 1.5, True, None, [], {}, ["x"], {"$gt": ""}])
@pytest.mark.parametrize("field", ["client_message_id", "text"])
def test_wrong_types_are_refused(field: str, wrong: object) -> None:
    frame = {"type": "message.send", "client_message_id": str(uuid.uuid4()), "text": "hello"}
    with pytest.raises(ValidationError):
        protocol.CLIENT_FRAMES.validate_json(json.dumps(frame | {field: wrong}))


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError):
        protocol.CLIENT_FRAMES.validate_json('{"type": "ping", "role": "admin"}')


@pytest.mark.parametrize("position", ["", "$", "+", "0", "1-1-1", "a-b", "1-1 "])
def test_stream_positions_are_checked(position: str) -> None:
    with pytest.raises(ValidationError):
        protocol.CLIENT_FRAMES.validate_json(json.dumps({"type": "conversation.open", "after": position}))


def test_server_frames_survive_the_wire() -> None:
    frame = protocol.ReplyProgress(message_id=uuid.uuid4(), attempt=1, index=0, html="<p>é你</p>", sent_at_ms=5)
    assert protocol.SERVER_FRAMES.validate_json(frame.model_dump_json()) == frame
