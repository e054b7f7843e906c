from __future__ import annotations

import uuid

import pytest

from chatbot.telemetry import log_event


def test_event_line_carries_ids_and_numbers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    log_event("generation.failed", conversation=uuid.UUID(int=1), generation=7, attempt=1, code="engine_busy", total_ms=12.34)
    [line] = caplog.messages
    assert line.startswith("generation.failed conversation=00000000-0000-0000-0000-000000000001 generation=7 ")
    assert line.endswith(" attempt=1 code=engine_busy total_ms=12.3")


@pytest.mark.parametrize("name", ["generation.unheard_of", ""])
def test_unknown_event_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="unknown log event"):
        log_event(name)


def test_unknown_field_is_refused() -> None:
    with pytest.raises(ValueError, match="no field 'text'"):
        log_event("generation.failed", text="hello")


@pytest.mark.parametrize("text", ["my card number is 4111", "line\nbreak", "地址", "x" * 81])
def test_value_that_looks_like_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be an identifier"):
        log_event("generation.failed", code=text)
