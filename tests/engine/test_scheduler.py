from __future__ import annotations

import pytest

from chatbot.engine.scheduler import Job, QueueFull, Scheduler


def job(number: int, *, conversation: str = "", tokens: int = 10, computed: int = 0) -> Job:
    made = Job(number, conversation or f"c{number}", list(range(tokens)), max_new_tokens=5)
    made.computed = computed
    return made


def scheduler(*jobs: Job, max_running: int = 4, max_waiting: int = 4, prefill_chunk: int = 16) -> Scheduler:
    made = Scheduler(max_running=max_running, max_waiting=max_waiting)
    made.prefill_chunk, made.prefill_chunk_beside_writing = prefill_chunk, prefill_chunk // 2
    for one in jobs:
        made.enqueue(one)
    return made


def test_conversations_take_turns() -> None:
    rooms = scheduler(job(1, conversation="a"), job(2, conversation="a"), job(3, conversation="a"), job(4, conversation="b"))
    assert [one.job_id for one in rooms.admit()] == [1, 4, 2, 3]


def test_a_late_conversation_does_not_wait_for_a_whole_backlog() -> None:
    rooms = scheduler(*(job(n, conversation="a") for n in range(4)), max_running=1)
    first = rooms.admit()[0]
    rooms.enqueue(job(9, conversation="b"))
    rooms.remove(first)
    assert [rooms.admit()[0].job_id for _ in range(1)] == [1]
    rooms.remove(rooms.running[0])
    assert rooms.admit()[0].job_id == 9


def test_twenty_requests_of_one_conversation_delay_others_by_one_turn() -> None:
    rooms = scheduler(*(job(n, conversation="a") for n in range(20)), max_running=2, max_waiting=40)
    turns = []
    for n in range(100, 103):
        rooms.enqueue(job(n, conversation=f"late {n}"))
    while rooms.waiting_count:
        turns += [one.job_id for one in rooms.admit()]
        rooms.remove(rooms.running[0])
    assert turns[:6] == [0, 100, 101, 102, 1, 2]


def with_siblings(number: int, count: int, *, conversation: str = "", tokens: int = 10) -> Job:
    first = job(number, conversation=conversation, tokens=tokens)
    first.siblings = [job(number * 100 + n, tokens=tokens) for n in range(1, count)]
    for sibling in first.siblings:
        sibling.held = True
    return first


def test_siblings_start_together_or_not_at_all() -> None:
    rooms = scheduler(job(1), with_siblings(2, 3), job(3), max_running=3)
    first = rooms.admit()[0]
    assert (first.job_id, len(rooms.running), rooms.waiting_count, rooms.places_ahead) == (1, 1, 2, 4)
    rooms.remove(first)
    assert [one.job_id for one in rooms.admit()] == [2, 201, 202]


def test_siblings_are_not_overtaken_and_let_the_next_in_when_one_ends() -> None:
    rooms = scheduler(job(1), with_siblings(2, 2), *(job(n) for n in range(3, 6)), max_running=2, max_waiting=9)
    rooms.admit()
    for n in range(6, 9):
        rooms.enqueue(job(n))
        assert rooms.admit() == []
    rooms.remove(rooms.running[0])
    assert [one.job_id for one in rooms.admit()] == [2, 201]
    rooms.remove(rooms.running[0])
    assert [one.job_id for one in rooms.admit()] == [3]


def test_a_held_sibling_takes_no_part_until_it_has_its_copy() -> None:
    first = with_siblings(1, 2)
    rooms = scheduler(first)
    rooms.admit()
    assert [segment.job.job_id for segment in rooms.plan()] == [1]
    sibling = first.siblings[0]
    sibling.held, sibling.computed = False, 9
    assert [segment.job.job_id for segment in rooms.plan()] == [101, 1]


def test_removing_a_waiting_job_takes_its_siblings_along() -> None:
    first = with_siblings(1, 3)
    rooms = scheduler(job(9), first, max_running=1)
    rooms.admit()
    for one in (first, *first.siblings):
        rooms.remove(one)
    assert (rooms.waiting_count, rooms.places_ahead, len(rooms.running)) == (0, 0, 1)


def test_queue_counts_free_running_places() -> None:
    rooms = scheduler(*(job(n) for n in range(6)), max_running=2, max_waiting=4)
    with pytest.raises(QueueFull):
        rooms.enqueue(job(7))
    assert len(rooms.admit()) == 2
    assert rooms.waiting_count == 4
    with pytest.raises(QueueFull):
        rooms.enqueue(job(7))


def test_removed_jobs_are_gone_from_both_rooms() -> None:
    one, two, three = job(1), job(2), job(3)
    rooms = scheduler(one, two, three, max_running=1)
    rooms.admit()
    rooms.remove(one)
    rooms.remove(two)
    rooms.remove(two)
    assert (rooms.running, rooms.waiting_count, list(rooms.waiting())) == ([], 1, [three])


def test_decoding_jobs_go_first_and_prompts_share_the_chunk() -> None:
    decoding, first, second = job(1, tokens=10, computed=9), job(2, tokens=6), job(3, tokens=30)
    rooms = scheduler(first, decoding, second, prefill_chunk=16)
    rooms.admit()
    plan = [(s.job.job_id, s.start, len(s.tokens), s.logit_rows) for s in rooms.plan()]
    assert plan == [(1, 9, 1, 1), (2, 0, 6, 1), (3, 0, 2, 0)]


def test_prompts_get_the_whole_chunk_when_nobody_waits_for_the_step() -> None:
    rooms = scheduler(job(1, tokens=6), job(2, tokens=30), prefill_chunk=16)
    rooms.admit()
    assert [len(s.tokens) for s in rooms.plan()] == [6, 10]


def test_a_long_prompt_is_read_in_chunks_without_a_choice_before_the_last() -> None:
    long = job(1, tokens=40)
    rooms = scheduler(long)
    rooms.admit()
    seen = []
    while long.pending:
        segment = rooms.plan()[0]
        seen.append((segment.start, len(segment.tokens), segment.logit_rows))
        long.computed += len(segment.tokens)
    assert seen == [(0, 16, 0), (16, 16, 0), (32, 8, 1)]


def read_all(rooms: Scheduler) -> list[int]:
    """Run steps until every prompt is read; the jobs in the order in which they were done."""
    done = []
    while any(job.pending > 1 for job in rooms.running):
        for segment in rooms.plan():
            segment.job.computed += len(segment.tokens)
            if segment.logit_rows:
                done.append(segment.job.job_id)
                rooms.running.remove(segment.job)
    return done


def test_short_prompts_are_read_before_long_ones() -> None:
    rooms = scheduler(job(1, tokens=90), job(2, tokens=20), job(3, tokens=50))
    rooms.admit()
    assert read_all(rooms) == [2, 3, 1]


def test_a_long_prompt_is_overtaken_for_no_longer_than_its_own_length() -> None:
    rooms = scheduler(job(1, tokens=64), max_running=100, max_waiting=100)
    done: list[int] = []
    for number in range(2, 60):  # short prompts without end: one comes with every step
        rooms.enqueue(job(number, tokens=16))
        rooms.admit()
        for segment in rooms.plan():
            segment.job.computed += len(segment.tokens)
            if segment.logit_rows:
                done.append(segment.job.job_id)
                rooms.running.remove(segment.job)
        if 1 in done:
            break
    assert done.index(1) <= 64 // 16 + 1


def test_a_draft_rides_along_and_every_row_of_it_chooses() -> None:
    decoding = job(1, tokens=10, computed=9)
    decoding.draft = [7, 8]
    rooms = scheduler(decoding)
    rooms.admit()
    segment = rooms.plan()[0]
    assert (segment.tokens, segment.start, segment.logit_rows) == ([9, 7, 8], 9, 3)
