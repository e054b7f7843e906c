"""The pure reducer behind the chat page, in the browser that runs it: frames may come twice, late, in part or from a replay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

STATIC = Path(__file__).resolve().parents[2] / "static"
ORIGIN = "http://modules.test"
CONVERSATION = {"id": "c", "status": "open", "created_at": "2026-01-01T00:00:00Z", "last_seq": 2}

Frame = dict[str, Any]


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    """A page that can import the site's modules; they come from the folder, no server is needed."""

    def serve(route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        if path == "/":
            route.fulfill(body="<!doctype html><title>modules</title>", content_type="text/html")
        else:
            route.fulfill(path=STATIC / path.lstrip("/"), content_type="text/javascript")

    context = chromium.new_context()
    context.route(f"{ORIGIN}/**", serve)
    page = context.new_page()
    page.goto(f"{ORIGIN}/")
    page.evaluate("import('/js/chat/transcript.js').then((module) => { window.transcript = module; })")
    yield page
    context.close()


def reduced(page: Page, *frames: Frame, conversation_id: str = "c") -> dict[str, Any]:
    """The state after these frames."""
    code = """([id, frames]) => {
        const { newTranscript, reduce, pendingReplies, hasGap } = window.transcript;
        const state = frames.reduce((state, frame) => reduce(state, frame, 1000), newTranscript(id));
        return { ...state, pending: pendingReplies(state).map((message) => message.id), gap: hasGap(state) };
    }"""
    result: dict[str, Any] = page.evaluate(code, [conversation_id, list(frames)])
    return result


def message(message_id: str, seq: int, **changes: Any) -> Frame:
    plain = {"role": "assistant", "status": "complete", "text": message_id, "html": f"<p>{message_id}</p>", "dir": "ltr"}
    more = {
        "created_at": "2026-01-01T00:00:00Z",
        "client_message_id": None,
        "attempt": 1,
        "decision": "",
        "rating": 0,
        "error": "",
    }
    return {"id": message_id, "seq": seq, "citations": [], "choices": [], **plain, **more, **changes}


def asked(**changes: Any) -> Frame:
    return message("q", 1, role="customer", client_message_id="k", attempt=0, **changes)


def reply(status: str = "pending", **changes: Any) -> Frame:
    return message("r", 2, status=status, **changes)


def accepted(reply_message: Frame) -> Frame:
    return {
        "type": "message.accepted",
        "client_message_id": "k",
        "conversation": CONVERSATION,
        "message": asked(),
        "reply": reply_message,
    }


def snapshot(*messages: Frame, at: str = "5-0", has_earlier: bool = False) -> Frame:
    return {
        "type": "conversation.snapshot",
        "conversation": CONVERSATION,
        "messages": list(messages),
        "has_earlier": has_earlier,
        "stream_id": at,
    }


def changed(changed_message: Frame, at: str) -> Frame:
    return {"type": "message.changed", "message": changed_message, "stream_id": at}


def progress(text: str, *, attempt: int = 1, index: int = 1, at: str = "2-0") -> Frame:
    return {
        "type": "reply.progress",
        "message_id": "r",
        "attempt": attempt,
        "index": index,
        "html": text,
        "dir": "ltr",
        "sent_at_ms": 0,
        "stream_id": at,
    }


def queued(text: str = "hello") -> Frame:
    item = {"clientMessageId": "k", "text": text, "createdAt": "2026-01-01T00:00:00Z", "status": "sending", "error": ""}
    return {"type": "local.queued", "item": item}


def test_accepting_moves_the_message_out_of_the_outbox(page: Page) -> None:
    state = reduced(page, queued(), accepted(reply()), conversation_id="")
    assert state["outbox"] == []
    assert [m["id"] for m in state["messages"]] == ["q", "r"]
    assert (state["conversationId"], state["phase"], state["pending"]) == ("c", "ready", ["r"])


def test_a_snapshot_takes_the_place_of_a_lost_acknowledgement(page: Page) -> None:
    state = reduced(page, queued(), snapshot(asked(), reply()))
    assert state["outbox"] == []
    assert len(state["messages"]) == 2


def test_every_frame_applied_twice_changes_nothing(page: Page) -> None:
    frames = [
        accepted(reply()),
        progress("a", index=1, at="2-0"),
        progress("b", index=2, at="2-1"),
        changed(reply("complete"), "3-0"),
    ]
    once = reduced(page, *frames)
    doubled = reduced(page, *[frame for frame in frames for _ in range(2)])
    assert doubled == once
    assert reduced(page, *frames, *frames) == once


def test_a_missed_progress_frame_does_no_harm(page: Page) -> None:
    whole = reduced(page, accepted(reply()), progress("a", index=1), progress("ab", index=2, at="2-1"))
    part = reduced(page, accepted(reply()), progress("ab", index=2, at="2-1"))
    assert part["progress"] == whole["progress"]


def test_late_progress_does_not_bring_a_finished_reply_back(page: Page) -> None:
    state = reduced(page, accepted(reply()), changed(reply("complete"), "3-0"), progress("late", at="2-0"))
    assert state["pending"] == []
    assert state["progress"] == {}


def test_a_later_attempt_replaces_an_earlier_one_and_not_the_other_way_round(page: Page) -> None:
    state = reduced(
        page,
        accepted(reply()),
        progress("long text", index=7),
        progress("", attempt=2, index=0, at="2-1"),
        progress("x", index=8, at="2-2"),
    )
    assert state["progress"]["r"]["attempt"] == 2
    assert state["progress"]["r"]["html"] == ""


@pytest.mark.parametrize("status", ["complete", "stopped", "failed"])
def test_every_end_takes_the_pending_state_away(page: Page, status: str) -> None:
    state = reduced(page, accepted(reply()), {"type": "local.stopping", "id": "r"}, progress("a"), changed(reply(status), "3-0"))
    assert (state["pending"], state["progress"], state["stopping"]) == ([], {}, {})


def test_trying_again_starts_afresh(page: Page) -> None:
    failed = changed(reply("failed", error="internal"), "3-0")
    again = changed(reply("pending", attempt=2, text="", html=""), "4-0")
    state = reduced(page, accepted(reply()), progress("old"), failed, again)
    assert (state["pending"], state["progress"]) == (["r"], {})
    done = reduced(
        page, accepted(reply()), failed, again, progress("new", attempt=3, at="5-0"), changed(reply("complete", attempt=3), "6-0")
    )
    assert (done["pending"], done["messages"][1]["attempt"]) == ([], 3)


def test_a_pending_state_that_was_overtaken_does_not_return(page: Page) -> None:
    """The web process announces the new reply while a worker already announces its end."""
    for attempt in (0, 1):
        state = reduced(
            page, accepted(reply(attempt=0)), changed(reply("complete"), "3-0"), changed(reply(attempt=attempt), "3-1")
        )
        assert state["pending"] == []


def test_a_replay_from_the_beginning_ends_where_the_snapshot_stands(page: Page) -> None:
    """After a snapshot with a pending reply, the server replays the whole stream: old states, and text the snapshot has not."""
    old = [
        changed(asked(), "1-0"),
        changed(reply(), "1-1"),
        progress("old run", index=4, at="2-0"),
        changed(reply("stopped"), "3-0"),
    ]
    replay = [*old, changed(reply(attempt=2), "4-0")]
    state = reduced(page, snapshot(asked(), reply(attempt=2), at="5-0"), *replay)
    assert (state["pending"], state["progress"]) == (["r"], {})
    live = reduced(
        page, snapshot(asked(), reply(attempt=3), at="5-0"), *replay, progress("new run", attempt=3, index=1, at="4-5")
    )
    assert live["progress"]["r"]["html"] == "new run"
    assert live["streamId"] == "5-0"


def test_an_older_change_never_overwrites_a_newer_one(page: Page) -> None:
    state = reduced(page, snapshot(asked(), reply("complete", rating=1), at="5-0"), changed(reply("complete", rating=0), "4-0"))
    assert state["messages"][1]["rating"] == 1


def test_messages_stand_in_the_order_of_their_numbers_whatever_comes_first(page: Page) -> None:
    state = reduced(page, snapshot(), changed(message("d", 4), "6-0"), changed(asked(), "6-1"), changed(reply("complete"), "6-2"))
    assert [m["seq"] for m in state["messages"]] == [1, 2, 4]
    assert state["gap"] is True


def test_earlier_pages_stay_over_a_reconnect_when_they_join(page: Page) -> None:
    early = {
        "type": "messages.earlier",
        "conversation_id": "c",
        "messages": [message("a", 1), message("b", 2)],
        "has_earlier": False,
    }
    recent = snapshot(message("x", 3), message("y", 4), has_earlier=True)
    state = reduced(page, recent, early, snapshot(message("x", 3), message("y", 4), has_earlier=True, at="9-0"))
    assert [m["seq"] for m in state["messages"]] == [1, 2, 3, 4]
    assert state["hasEarlier"] is False
    apart = reduced(page, recent, early, snapshot(message("z", 9), has_earlier=True, at="9-0"))
    assert [m["seq"] for m in apart["messages"]] == [9]
    assert apart["hasEarlier"] is True


def test_a_refused_message_stays_with_its_reason(page: Page) -> None:
    error = {"type": "error", "code": "message_too_long", "message": "Too long.", "client_message_id": "k", "message_id": None}
    (item,) = reduced(page, queued(), error)["outbox"]
    assert (item["status"], item["error"]) == ("refused", "Too long.")


def test_a_refused_rating_goes_back(page: Page) -> None:
    error = {"type": "error", "code": "unavailable", "message": "No.", "client_message_id": None, "message_id": "r"}
    state = reduced(page, snapshot(asked(), reply("complete", rating=1)), {"type": "local.rated", "id": "r", "rating": -1}, error)
    assert state["messages"][1]["rating"] == 1
    assert state["feedback"] is None


def test_a_stranger_sees_that_there_is_nothing(page: Page) -> None:
    error = {"type": "error", "code": "conversation_not_found", "message": "No.", "client_message_id": None, "message_id": None}
    assert reduced(page, error)["phase"] == "not_found"


def test_queue_notice_ends_with_the_first_words(page: Page) -> None:
    waiting = {"type": "reply.waiting", "message_id": "r", "attempt": 1, "position": 3, "stream_id": "2-0"}
    assert reduced(page, accepted(reply()), waiting)["queue"]["r"]["position"] == 3
    assert reduced(page, accepted(reply()), waiting, progress("a", at="2-1"))["queue"] == {}


def test_backoff_stays_between_half_a_second_and_fifteen(page: Page) -> None:
    code = """async () => {
        const { backoffMs } = await import('/js/chat/socket.js');
        return [0, 1, 2, 5, 40].map((failures) => [backoffMs(failures, () => 0), backoffMs(failures, () => 1)]);
    }"""
    assert page.evaluate(code) == [[500, 500], [500, 1000], [1000, 2000], [7500, 15000], [7500, 15000]]
