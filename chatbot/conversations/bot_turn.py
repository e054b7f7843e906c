"""Make the bot fall silent when a person comes, and answer again when the person has gone. Inside a deed, under its lock."""

from __future__ import annotations

import functools

from django.db.models.functions import Now

from chatbot.conversations import affinity, reply, tasks
from chatbot.conversations.custody import Deed
from chatbot.conversations.models import Conversation, Generation, Message

Role = Message.Role
_ACTIVE = [Generation.Status.PENDING, Generation.Status.RUNNING]


def silence(deed: Deed) -> None:
    """End every reply of the conversation: at once what nobody has begun; what is being written stops where it is.

    A reply's worker hears of it within leases.end_stopped's pace. What it would publish meanwhile is refused by the stream
    (publishing), what it would store is cut to what was shown (reply).
    """
    for generation in deed.conversation.generations.select_for_update().filter(status__in=_ACTIVE):
        generation.taken_over = True
        if generation.status == Generation.Status.PENDING:
            reply.store_stopped(generation)
            deed.afterwards(functools.partial(reply.announce_reply, generation.pk))
        else:
            Generation.objects.filter(pk=generation.pk).update(taken_over=True, stop_requested_at=Now())
        deed.silenced.append(generation.pk)


def resume(deed: Deed) -> None:
    """Let the bot answer what the customer wrote last, if nobody has."""
    spoken = deed.conversation.messages.exclude(role=Role.SYSTEM).order_by("-seq")
    last = spoken.first()
    if last is None:
        return
    if last.role == Role.CUSTOMER:
        answer_message(deed, last)
    elif last.role == Role.ASSISTANT and (last.error == reply.TAKEN_OVER or _is_silenced(last)):
        write_again(deed, last)


def _is_silenced(answer: Message) -> bool:
    """Whether its worker has yet to hear that a person came, and has gone again."""
    return answer.generations.filter(status=Generation.Status.RUNNING, taken_over=True).exists()


def answer_message(deed: Deed, message: Message) -> Message:
    """Write the empty reply and the work to fill it, to be handed over after the commit."""
    answer = deed.add_message(role=Role.ASSISTANT, status=Message.Status.PENDING, in_reply_to=message)
    generation = Generation.objects.create(conversation=deed.conversation, reply=answer)
    deed.afterwards(functools.partial(_hand_over, generation.pk, deed.conversation))
    return answer


def write_again(deed: Deed, answer: Message) -> None:
    """Empty a reply and have it written anew. A silenced worker that is still at it loses its claim."""
    before = answer.generations.order_by("-pk").first()
    answer.generations.filter(status__in=_ACTIVE).update(
        status=Generation.Status.STOPPED, lease_until=None, finished_at=Now(), finish_reason="cancelled", announced=True
    )
    answer.citations.all().delete()
    Message.objects.filter(pk=answer.pk).update(
        status=Message.Status.PENDING, text="", decision="", choices=[], error="", finished_at=None
    )
    # A higher fence at once: browsers tell this pending state from the finished one before it by the attempt.
    fence = before.fence + 1 if before else 0
    generation = Generation.objects.create(conversation=deed.conversation, reply=answer, fence=fence)
    answer.refresh_from_db()
    deed.changed_message(answer)
    deed.afterwards(functools.partial(_hand_over, generation.pk, deed.conversation))


def _hand_over(generation_id: int, conversation: Conversation) -> None:
    """After the commit: give the work to the workers. The row is the outbox; a sweeper finds what the broker did not take."""
    tasks.enqueue(generation_id, queue=affinity.preferred_queue(conversation.pk))
