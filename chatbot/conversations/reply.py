"""Write the reply to one customer message: claim it, ask the pipeline, publish as it grows, close it once and for all."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from chatbot import runtime
from chatbot.answering import pipeline
from chatbot.answering.answers import Answer, Progress, Question
from chatbot.conversations import affinity, custody, handoff, leases, publishing, transcripts
from chatbot.conversations.leases import Claim
from chatbot.conversations.models import Citation, Conversation, Generation, Message
from chatbot.documents.search import search_all
from chatbot.protocol import MessageChanged
from chatbot.releases import stages
from chatbot.telemetry import log_crash, log_event

# Message.error of a reply that was cut short because a person came.
TAKEN_OVER = "taken_over"
SPOKEN = [Message.Role.CUSTOMER, Message.Role.ASSISTANT, Message.Role.AGENT]


@dataclass(frozen=True)
class Work:
    """What a claimed generation needs, read once, so that no connection is held while the model writes."""

    generation: Generation
    question: Question


def write_reply(generation_id: int) -> int | None:
    """Write one reply. Returns the id of the conversation's next waiting generation, if there is one.

    1. Claim the generation; if somebody has it, do nothing.
    2. Read the question and the turns before it, then give the database connection back.
    3. Stream the pipeline's verified text to the conversation.
    4. Close: one transaction, only while the claim holds, and only as far as it was shown when a person has come meanwhile.
       Then announce the whole message.
    A failure gives the work back for another attempt, or, at the last attempt, fails the reply with a sentence.
    """
    held = leases.claim(generation_id)
    if held is None:
        return None
    started = time.monotonic()
    publisher: publishing.ReplyPublisher | None = None
    try:
        work = _read(held)
        leases.release_connection()
        publisher = _publisher(work, held)
        answer = _write(work, held, publisher)
        _close(work, held, answer, shown=publisher.shown, total_ms=(time.monotonic() - started) * 1000)
        if answer.prompt_tokens:  # else the model was not asked, and no cache has grown here
            affinity.remember(work.generation.conversation_id)
    except Exception as error:
        log_crash(f"generation {generation_id}", error)
        shown = publisher.shown if publisher else ""
        _fail(held, shown=shown, code=getattr(error, "code", "internal"), total_ms=(time.monotonic() - started) * 1000)
    finally:
        leases.let_go(held)
    return _next_waiting(generation_id)


def _read(held: Claim) -> Work:
    generation = Generation.objects.select_related("conversation", "reply__in_reply_to").get(pk=held.generation_id)
    asked = generation.reply.in_reply_to
    assert asked is not None  # A generation is made with its reply, a reply with the message it answers.
    question = Question(
        text=asked.text,
        locale=generation.conversation.locale,
        history=transcripts.turns_before(asked),
        conversation=str(generation.conversation_id),
        company=runtime.company(),
        deadline_s=settings.REPLY_DEADLINE_S,
        second_look=settings.ANSWER_SECOND_LOOK,
        look_heads=settings.LOOK_HEADS_DIR,
        version=_staged_version(generation.conversation_id),
    )
    return Work(generation, question)


def _staged_version(conversation_id: UUID) -> str:
    """The canary where it answers this conversation and this worker has it; else the live version, which needs no name."""
    version = stages.version_for(conversation_id).version
    return version if version in runtime.engine().versions else ""


def _publisher(work: Work, held: Claim) -> publishing.ReplyPublisher:
    generation = work.generation
    return publishing.ReplyPublisher(
        conversation_id=generation.conversation_id,
        message_id=generation.reply_id,
        generation_id=generation.pk,
        attempt=held.fence,
    )


def _write(work: Work, held: Claim, publisher: publishing.ReplyPublisher) -> Answer:
    publisher.start()
    steps = pipeline.answer(
        work.question,
        search=search_all,
        engine=runtime.engine(),
        should_stop=lambda: held.ended.is_set() or runtime.stopping.is_set(),
    )
    for step in steps:
        if isinstance(step, Answer):
            return step
        if isinstance(step, Progress):
            publisher.progress(step.text)
        else:
            publisher.waiting(step.position)
    raise AssertionError("the pipeline ended without an answer")


def _close(work: Work, held: Claim, answer: Answer, *, shown: str, total_ms: float) -> None:
    """Store the reply, if the claim still holds; announce it after the commit.

    Under the conversation's lock: whoever takes it over comes before or after. When somebody came before, the bot says nothing
    more; what it had shown stays.
    """
    generation = work.generation
    with transaction.atomic():
        conversation = custody.lock(generation.conversation_id)
        owned = leases.owned(held).first()
        if owned is None:
            log_event("generation.lost_lease", generation=generation.pk, attempt=held.fence)
            return
        taken_over = owned.taken_over or conversation.status == custody.Status.HELD
        if taken_over:
            answer = cut_to(shown, answer)
        elif answer.finish_reason == "cancelled" and runtime.stopping.is_set() and not held.lost:
            leases.give_back(held)
            return
        _store(owned, answer, taken_over=taken_over, total_ms=total_ms)
        _mark(conversation, generation, answer)
        if answer.trace.get("reason") == "asked" and not taken_over:
            handoff.ask_for_person(conversation, reason=handoff.Reason.ASKED)
        transaction.on_commit(functools.partial(announce_reply, generation.pk))
    _log(generation, answer, total_ms=total_ms)


def cut_to(shown: str, answer: Answer) -> Answer:
    """The answer as far as the customer has seen it, with the sources of that."""
    cited = tuple(citation for citation in answer.citations if f"[{citation.number}]" in shown or shown == answer.text)
    return replace(answer, text=shown, citations=cited if shown else (), choices=(), finish_reason="cancelled")


def _store(generation: Generation, answer: Answer, *, taken_over: bool, total_ms: float) -> None:
    """Write the generation, its message and its sources. The caller has the lease and the conversation's lock."""
    cancelled = answer.finish_reason == "cancelled"
    Generation.objects.filter(pk=generation.pk).update(
        status=Generation.Status.STOPPED if cancelled else Generation.Status.DONE,
        lease_until=None,
        finished_at=Now(),
        text=answer.text,
        decision=answer.decision,
        finish_reason=answer.finish_reason,
        model_version=answer.model_version,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        ttft_ms=answer.ttft_ms,
        total_ms=total_ms,
        trace=answer.trace | {"worker": runtime.worker_name()},
    )
    Message.objects.filter(pk=generation.reply_id).update(
        status=Message.Status.STOPPED if cancelled else Message.Status.COMPLETE,
        text=answer.text,
        decision=answer.decision,
        choices=list(answer.choices),
        error=TAKEN_OVER if taken_over else "",
        finished_at=Now(),
    )
    Citation.objects.filter(message_id=generation.reply_id).delete()
    Citation.objects.bulk_create(
        Citation(message_id=generation.reply_id, number=c.number, faq_id=c.faq_id, revision=c.revision, key=c.key, title=c.title)
        for c in answer.citations
    )


def _mark(conversation: Conversation, generation: Generation, answer: Answer) -> None:
    """Bring what lists show up to this reply, unless something was said after it. Holds the conversation's lock."""
    now = timezone.now()
    fields: dict[str, Any] = {"updated_at": now}
    if not conversation.messages.filter(seq__gt=generation.reply.seq, role__in=SPOKEN).exclude(text="").exists():
        said = Message(role=Message.Role.ASSISTANT, seq=generation.reply.seq, text=answer.text)
        fields |= custody.said_fields(conversation, said, at=now)
    if answer.language:
        fields["language"] = answer.language
    Conversation.objects.filter(pk=conversation.pk).update(**fields)


def announce_reply(generation_id: int) -> None:
    """Put the finished reply on the stream, and remember that it is there. Called again by the sweeper when it is not."""
    generation = Generation.objects.filter(pk=generation_id).only("pk", "conversation_id", "reply_id").first()
    if generation is None:
        return
    view = transcripts.view_of(generation.reply_id)
    if view is None:
        return
    news = custody.touch(generation.conversation_id, "reply")
    entries: list[publishing.Entry] = [(publishing.stream_key(generation.conversation_id), MessageChanged(message=view))]
    if publishing.append([*entries, news] if news else entries):
        Generation.objects.filter(pk=generation_id).update(announced=True)


def _fail(held: Claim, *, shown: str, code: str, total_ms: float) -> None:
    """Give the work back, or end it when this was the last attempt."""
    with transaction.atomic():
        generation = leases.owned(held).first()
        if generation is None:
            return
        log_event(
            "generation.failed",
            conversation=generation.conversation_id,
            generation=generation.pk,
            attempt=held.fence,
            code=code,
            total_ms=total_ms,
        )
        if generation.taken_over:
            end_as_stopped(generation, text=shown)
        elif generation.attempts < settings.REPLY_MAX_ATTEMPTS:
            leases.give_back(held)
        else:
            end_as_failed(generation, code=code)


def end_as_failed(generation: Generation, *, code: str) -> None:
    """Tell the customer that no answer came, and why in a word; "try again" starts a new generation."""
    Generation.objects.filter(pk=generation.pk).update(
        status=Generation.Status.FAILED, lease_until=None, finished_at=Now(), finish_reason="error", error=code
    )
    Message.objects.filter(pk=generation.reply_id).update(status=Message.Status.FAILED, error=code, text="", finished_at=Now())
    transaction.on_commit(functools.partial(announce_reply, generation.pk))


def end_as_stopped(generation: Generation, *, text: str = "") -> None:
    """End a reply that nobody writes: the customer stopped it before any worker began it, or a person came. Tell it."""
    store_stopped(generation, text=text)
    transaction.on_commit(functools.partial(announce_reply, generation.pk))


def store_stopped(generation: Generation, *, text: str = "") -> None:
    """See end_as_stopped(); whoever calls this announces the reply after the commit."""
    Generation.objects.filter(pk=generation.pk).update(
        status=Generation.Status.STOPPED,
        lease_until=None,
        finished_at=Now(),
        finish_reason="cancelled",
        taken_over=generation.taken_over,
        text=text,
    )
    Message.objects.filter(pk=generation.reply_id).update(
        status=Message.Status.STOPPED, text=text, error=TAKEN_OVER if generation.taken_over else "", finished_at=Now()
    )


def _next_waiting(generation_id: int) -> int | None:
    """The oldest generation of the same conversation that waits for this one's end. Work given back is the sweeper's."""
    return (
        Generation.objects.filter(conversation__generations=generation_id, status=Generation.Status.PENDING)
        .exclude(pk=generation_id)
        .order_by("reply__seq")
        .values_list("pk", flat=True)
        .first()
    )


def _log(generation: Generation, answer: Answer, *, total_ms: float) -> None:
    log_event(
        "generation.finished",
        conversation=generation.conversation_id,
        generation=generation.pk,
        decision=answer.decision,
        finish_reason=answer.finish_reason,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        ttft_ms=answer.ttft_ms,
        total_ms=total_ms,
        model=answer.model_version,
    )
