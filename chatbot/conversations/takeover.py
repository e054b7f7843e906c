"""Take a conversation over, give it on, hand it back, resolve it. Callers have checked the right `take_conversations`.

One person at a time: each deed holds the conversation's lock and writes only the state that it found there.
"""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from chatbot.conversations import bot_turn, custody, handoff, notes, presence
from chatbot.conversations.custody import Change, Deed, Kind, Status
from chatbot.conversations.models import Conversation
from chatbot.conversations.transcripts import name_of
from chatbot.errors import Conflict
from chatbot.staffing.access import access_team, default_team
from chatbot.staffing.models import Team

Reason = Conversation.HandoffReason
Contact = Conversation.Contact


def take(conversation_id: UUID, *, agent_id: int, instead_of: int | None = None) -> Change:
    """Give the conversation to this agent; the bot falls silent mid-sentence. Taking what one has changes nothing.

    instead_of: the colleague who is known to have it. Raises Conflict (already_taken) when somebody else has it.
    """
    with transaction.atomic():
        deed, agent = _deed(conversation_id, by_id=agent_id)
        if deed.before.assigned_to_id == agent.pk:
            return deed.unchanged()
        _require_free(deed, instead_of=instead_of)
        return _give_to(deed, agent, kind=Kind.CLAIMED, notice="person_joined")


def release(conversation_id: UUID, *, agent_id: int) -> Change:
    """Put what this agent has back into the queue. Raises Conflict (not_yours)."""
    with transaction.atomic():
        deed, agent = _deed(conversation_id, by_id=agent_id)
        _require_holder(deed, agent)
        return _to_queue(deed, deed.conversation.team or default_team(), kind=Kind.RELEASED, notice="person_left")


def hand_back(conversation_id: UUID, *, agent_id: int, note: str = "") -> Change:
    """Give the conversation to the bot, which answers what is unanswered; the note is for colleagues. Raises Conflict."""
    with transaction.atomic():
        deed, agent = _deed(conversation_id, by_id=agent_id)
        _require_holder(deed, agent)
        if note.strip():
            notes.add_note(deed, note)
        return _to_bot(deed, kind=Kind.HANDED_BACK, notice="handed_back", name=name_of(agent))


def assign(
    conversation_id: UUID,
    *,
    by_id: int,
    to_id: int | None = None,
    team_id: int | None = None,
    instead_of: int | None = None,
) -> Change:
    """Give a conversation to a person, who then has it; else to a team's queue; else to the common queue.

    Raises NotFound for a closed account or no such team; Conflict (already_taken) when a colleague has it who is not named by
    instead_of.
    """
    with transaction.atomic():
        deed, agent = _deed(conversation_id, by_id=by_id)
        if deed.before.assigned_to_id != agent.pk:
            _require_free(deed, instead_of=instead_of)
        team = access_team(team_id) if team_id is not None else None
        held = deed.before.status == Status.HELD
        if to_id is None:
            notice = "transferred" if held else "person_asked"
            return _to_queue(deed, team or default_team(), kind=Kind.TRANSFERRED if held else Kind.ASSIGNED, notice=notice)
        if to_id == deed.before.assigned_to_id:
            return deed.unchanged()
        notice = "person_joined" if to_id == by_id else "person_assigned"
        return _give_to(deed, custody.agent_of(to_id), kind=Kind.TRANSFERRED if held else Kind.ASSIGNED, notice=notice, team=team)


def resolve(conversation_id: UUID, *, by_id: int) -> Change:
    """Close it until somebody writes again; twice changes nothing. Raises Conflict (not_yours) when a colleague has it."""
    with transaction.atomic():
        deed, agent = _deed(conversation_id, by_id=by_id)
        if deed.before.status == Status.RESOLVED:
            return deed.unchanged()
        if deed.before.status == Status.HELD:
            _require_holder(deed, agent)
        bot_turn.silence(deed)
        deed.say("resolved", name=name_of(agent))
        deed.remember(Kind.RESOLVED)
        return deed.store("status", **custody.resolved(now=deed.now, by=agent))


def reopen(conversation_id: UUID, *, by_id: int) -> Change:
    """Open a resolved conversation for this agent. Raises Conflict (not_resolved) for one that is open."""
    with transaction.atomic():
        deed, agent = _deed(conversation_id, by_id=by_id)
        if deed.before.status != Status.RESOLVED:
            raise Conflict("This conversation is not resolved.", code="not_resolved")
        return _give_to(deed, agent, kind=Kind.CLAIMED, notice="person_joined")


def release_all_of(agent_id: int, *, reason: str = "role_lost") -> int:
    """Put everything that an account holds back: it was closed or lost its role. Returns how many conversations that were."""
    held = list(Conversation.objects.filter(assigned_to=agent_id, status=Status.HELD).values_list("pk", flat=True))
    return sum(return_to_others(conversation_id, agent_id=agent_id, reason=reason) for conversation_id in held)


def return_to_others(conversation_id: UUID, *, agent_id: int, reason: str, among: QuerySet[Conversation] | None = None) -> bool:
    """Take a conversation from an agent who is not there: to the queue when its customer waits for a word, else to the bot.

    False when the agent does not have it any more. among: it must still be one of these, asked again under its lock.
    """
    with transaction.atomic():
        deed = Deed(custody.lock(conversation_id))
        agent = deed.conversation.assigned_to
        if agent is None or agent.pk != agent_id:
            return False
        if among is not None and not among.filter(pk=conversation_id).exists():
            return False
        if _customer_waits(deed.conversation):
            team = deed.conversation.team or default_team()
            _to_queue(deed, team, kind=Kind.RETURNED, notice="agent_gone", name=name_of(agent), reason=reason)
        else:
            _to_bot(deed, kind=Kind.RETURNED, notice="handed_back", name=name_of(agent), reason=reason)
        return True


def expire_request(conversation_id: UUID) -> bool:
    """Give a request that nobody has taken in the promised time back to the bot, and say so. False when it is not due."""
    with transaction.atomic():
        deed = Deed(custody.lock(conversation_id))
        row = deed.conversation
        if row.status != Status.WAITING or row.promised_until is None or row.promised_until > timezone.now():
            return False
        form = Contact.LEFT if row.contact == Contact.LEFT else Contact.OFFERED
        deed.say("handoff_expired")
        deed.remember(Kind.EXPIRED, reason=row.handoff_reason)
        bot_turn.resume(deed)
        deed.store("status", **custody.with_bot(), contact=form)
        return True


def _deed(conversation_id: UUID, *, by_id: int) -> tuple[Deed, AbstractBaseUser]:
    """Lock the conversation for what this account does; an act is also a sign of life."""
    agent = custody.agent_of(by_id)
    presence.seen(by_id)
    return Deed(custody.lock(conversation_id), by=agent), agent


def _require_holder(deed: Deed, agent: AbstractBaseUser) -> None:
    if deed.before.assigned_to_id != agent.pk:
        raise Conflict("You do not have this conversation now.", code="not_yours")


def _require_free(deed: Deed, *, instead_of: int | None) -> None:
    holder = deed.conversation.assigned_to
    if holder is not None and holder.pk != instead_of:
        raise Conflict(f"{name_of(holder)} has this conversation now.", code="already_taken")


def _give_to(deed: Deed, agent: AbstractBaseUser, *, kind: Kind, notice: str, team: Team | None = None) -> Change:
    bot_turn.silence(deed)
    deed.say(notice, name=name_of(agent))
    deed.remember(kind, to_agent=agent, team=team)
    row = deed.conversation
    form = Contact.NONE if row.contact == Contact.OFFERED else row.contact
    return deed.store("owner", **custody.held_by(agent, now=deed.now), team=team or row.team, contact=form)


def _to_queue(deed: Deed, team: Team, *, kind: Kind, notice: str, name: str = "", reason: str = "") -> Change:
    """name: of whom the notice speaks, else of who does it."""
    row = deed.conversation
    place = handoff.queue_place(row, team, now=deed.now)
    name = name or (name_of(deed.by) if deed.by else "")
    if notice != "person_asked":
        deed.say(notice, name=name)
    elif not place.notice and row.status != Status.WAITING:
        deed.say(notice)
    place.tell(deed)
    deed.remember(kind, team=team, reason=reason)
    fields = place.fields if "status" in place.fields else place.fields | custody.with_bot()
    bot_turn.resume(deed)
    if row.status == Status.WAITING and "waiting_since" in fields:
        fields["waiting_since"] = row.waiting_since  # a change of the team costs nobody the place
    why = Reason.TRANSFERRED if kind == Kind.TRANSFERRED else Reason.RETURNED
    kept = row.handoff_reason if kind == Kind.ASSIGNED else why
    return deed.store("owner", **fields, handoff_reason=kept or Reason.TRANSFERRED)


def _to_bot(deed: Deed, *, kind: Kind, notice: str, name: str, reason: str = "") -> Change:
    deed.say(notice, name=name)
    deed.remember(kind, reason=reason)
    bot_turn.resume(deed)
    return deed.store("owner", **custody.with_bot())


def _customer_waits(conversation: Conversation) -> bool:
    """Whether the customer's last words have no answer yet."""
    asked, answered = conversation.last_customer_at, conversation.last_agent_at
    return asked is not None and (answered is None or asked > answered)
