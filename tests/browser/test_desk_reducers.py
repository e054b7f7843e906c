"""The pure reducers behind the desk, in the browser that runs them: news may come twice, late, or while somebody works."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.test_transcript import message, page

__all__ = ["page"]  # the page that can import the site's modules
Frame = dict[str, Any]
DATA = {
    "conversation_id": "c",
    "version": 1,
    "status": "open",
    "holder": "bot",
    "holder_id": None,
    "holder_name": "",
    "last_seq": 2,
}
DATA |= {"tags": [], "priority": 0, "viewer": {"id": 1, "name": "Dana"}, "viewers": [], "has_earlier": False, "stream_id": "5-0"}


@pytest.fixture
def modules(page: Page) -> Page:
    page.evaluate("""Promise.all([import('/js/desk/inbox.js'), import('/js/desk/conversation.js')])
        .then(([inbox, conversation]) => Object.assign(window, { inbox, conversation }))""")
    return page


def row(row_id: str, place: str, version: int = 1, *, matches: bool = True) -> Frame:
    return {"id": row_id, "place": place, "version": version, "matches": matches, "html": f"{row_id}{version}"}


def loaded(*rows: Frame, has_next: bool = False) -> Frame:
    return {"type": "list.loaded", "rows": list(rows), "hasNext": has_next, "counts": None, "streamId": "1-0"}


def news(*rows: Frame, stream_id: str = "2-0") -> Frame:
    return {"type": "list.rows", "rows": list(rows), "counts": {"waiting": 1}, "stream_id": stream_id}


SETTLE = {"type": "list.settle"}


def listed(page: Page, *frames: Frame, by_wait: bool = False, search: bool = False) -> dict[str, Any]:
    code = """([options, frames]) => {
        const state = frames.reduce((state, frame) => inbox.reduce(state, frame), inbox.newInbox(options));
        return { ...state, ids: state.rows.map((row) => row.id), waiting: inbox.waitingChanges(state) };
    }"""
    result: dict[str, Any] = page.evaluate(code, [{"byWait": by_wait, "search": search}, list(frames)])
    return result


def test_rows_keep_their_places_until_the_list_settles(modules: Page) -> None:
    frames = [loaded(row("b", "2"), row("a", "1")), news(row("a", "9", 2), row("c", "5"), row("b", "2", 2, matches=False))]
    state = listed(modules, *frames)
    assert (state["ids"], state["waiting"], state["streamId"]) == (["b", "a"], 1, "2-0")
    assert listed(modules, *frames, SETTLE)["ids"] == ["a", "c"]


def test_the_waiting_queue_is_sorted_the_other_way(modules: Page) -> None:
    assert listed(modules, loaded(row("a", "1"), row("c", "3")), news(row("b", "2")), SETTLE, by_wait=True)["ids"] == [
        "a",
        "b",
        "c",
    ]


def test_what_belongs_on_a_later_page_is_not_added(modules: Page) -> None:
    first_page = loaded(row("c", "3"), row("b", "2"), has_next=True)
    assert listed(modules, first_page, news(row("a", "1")), SETTLE)["ids"] == ["c", "b"]
    assert listed(modules, first_page, news(row("d", "4")), SETTLE)["ids"] == ["d", "c", "b"]


def test_older_news_changes_nothing_whatever_the_order(modules: Page) -> None:
    several = [news(row("a", "1", version)) for version in (1, 2, 3)]
    for order in itertools.permutations(several):
        assert listed(modules, loaded(), *order, *order, SETTLE)["rows"][0]["html"] == "a3"
    # Gone again before it was shown.
    assert listed(modules, loaded(), news(row("a", "1")), news(row("a", "1", 2, matches=False)), SETTLE)["ids"] == []


def test_a_search_keeps_what_it_found(modules: Page) -> None:
    state = listed(modules, loaded(row("a", "1")), news(row("a", "9", 2, matches=False), row("b", "5")), SETTLE, search=True)
    assert state["ids"] == ["a"] and state["rows"][0]["html"] == "a1"


def told(page: Page, *frames: Frame, data: Frame | None = None) -> dict[str, Any]:
    code = """([data, frames]) => {
        const { newConversation, reduce, entriesOf, positions, typingNow } = conversation;
        const state = frames.reduce((state, frame) => reduce(state, frame, 1000), newConversation(data));
        const keys = entriesOf(state).map((entry) => entry.key);
        return { ...state, keys, ...positions(state), typing: typingNow(state, 2000) };
    }"""
    start = DATA | {"messages": [message("q", 1, role="customer"), message("r", 2)], "notes": [], "staff_stream_id": "3-0"}
    result: dict[str, Any] = page.evaluate(code, [start | (data or {}), list(frames)])
    return result


def note(note_id: int, seq_after: int, client: str = "x") -> Frame:
    return {
        "type": "note.added",
        "note": {"id": note_id, "seq_after": seq_after, "client_note_id": client},
        "stream_id": f"{note_id}-9",
    }


def test_notes_stand_between_the_messages(modules: Page) -> None:
    written = {"type": "message.changed", "message": message("s", 3), "stream_id": "6-0"}
    state = told(modules, note(8, 2), note(7, 1), note(7, 1), written)
    assert state["keys"] == ["m:q", "n:7", "m:r", "n:8", "m:s"]
    assert (state["after"], state["staff_after"]) == ("6-0", "8-9")


def test_a_reply_cut_before_its_first_word_is_not_shown(modules: Page) -> None:
    cut = message("s", 3, status="stopped", error="taken_over", text="")
    assert told(modules, {"type": "message.changed", "message": cut, "stream_id": "6-0"})["keys"] == ["m:q", "m:r"]


def test_a_sent_text_stands_once_whichever_news_comes_first(modules: Page) -> None:
    item = {"id": "k", "kind": "reply", "text": "hello", "status": "sending", "error": ""}
    sent = message("s", 3, role="agent", client_message_id="k")
    heard = {"type": "message.changed", "message": sent, "stream_id": "6-0"}
    answered = {"type": "local.sent", "id": "k", "message": sent}
    for frames in ([heard, answered], [answered, heard], [answered], [heard], [heard, heard, answered]):
        state = told(modules, {"type": "local.queued", "item": item}, *frames)
        assert (state["keys"], state["outbox"]) == (["m:q", "m:r", "m:s"], [])


def test_who_has_written_types_no_more(modules: Page) -> None:
    typing = {"type": "customer.typing", "expires_at_ms": 1, "stream_id": "4-0"}
    assert told(modules, typing)["typing"] == ["The customer"]
    written = {"type": "message.changed", "message": message("s", 3, role="customer"), "stream_id": "6-0"}
    assert told(modules, typing, written)["typing"] == []
    mine = {"type": "colleague.typing", "agent": {"id": 1, "name": "Dana"}, "expires_at_ms": 1, "stream_id": "4-0"}
    assert told(modules, mine)["typing"] == []


def test_a_reply_in_work_is_followed_from_the_start_of_its_stream(modules: Page) -> None:
    pending = {"messages": [message("r", 2, status="pending")]}
    assert told(modules, data=pending)["after"] == "0-0"
    progress = {
        "type": "reply.progress",
        "message_id": "r",
        "attempt": 1,
        "index": 1,
        "html": "x",
        "dir": "ltr",
        "stream_id": "7-0",
    }
    assert told(modules, progress, data=pending)["after"] == "7-0"


def test_only_a_newer_owner_makes_the_header_outdated(modules: Page) -> None:
    changed = {"type": "owner.changed", "version": 1, "stream_id": "4-0"}
    assert told(modules, changed)["outdated"] is False
    assert told(modules, changed | {"version": 2})["outdated"] is True
    fresh = {"type": "local.owner", "data": DATA | {"version": 2, "status": "held", "holder": "me"}}
    state = told(modules, changed | {"version": 2}, fresh)
    assert (state["outdated"], state["owner"]["holder"]) == (False, "me")
