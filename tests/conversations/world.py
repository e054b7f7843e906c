"""A small world for takeovers: two agents, a customer, and a bot whose worker can be overtaken or die in the middle of a word.

Every act is one a person or the product can do at any moment. Refusals are fine; a broken invariant is not.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from chatbot import runtime
from chatbot.answering.answers import Answer, Progress
from chatbot.conversations import agent_messages, expiring, intake, presence, reply, sweeping, takeover
from chatbot.conversations.models import Conversation, Customer, Generation, Message
from chatbot.conversations.staff_models import AgentPresence
from chatbot.errors import ChatbotError
from chatbot.protocol import SERVER_FRAMES
from support_portal.accounts.models import User

LONG_AGO = timedelta(days=30)
WORDS = ("One.", "One. Two.", "One. Two. Three.")


class Killed(BaseException):
    """The worker's process is gone; nothing of it runs any more."""


class World:
    def __init__(self, customer: Customer, agents: list[User], *, seed: int) -> None:
        self.random = random.Random(seed)
        self.customer = customer
        self.agents = agents
        self.conversation_id = self._post("first", conversation_id=None)
        self.said: list[uuid.UUID] = []
        self.answered: list[uuid.UUID] = []
        self.refused: set[str] = set()
        self.done: list[str] = []
        self._writing = False
        self._ending = False
        self.acts: list[Callable[[], object]] = [
            *[
                self.claim,
                self.take_from_colleague,
                self.send,
                self.send,
                self.resend,
                self.hand_back,
                self.release,
                self.pass_on,
            ],
            *[self.resolve, self.write, self.write, self.write_again, self.ask_for_person, self.stay_with_bot, self.retry],
            *[self.lose_desk, self.break_promise, self.type, self.work, self.work, self.work, self.sweep],
        ]

    @property
    def row(self) -> Conversation:
        return Conversation.objects.get(pk=self.conversation_id)

    def act(self) -> None:
        act = self.random.choice(self.acts)
        try:
            act()
            self.done.append(act.__name__)
        except ChatbotError as error:
            self.refused.add(error.code)
        self.check()

    # ---- the customer

    def write(self) -> None:
        client_id = uuid.uuid4()
        self._post(f"message {len(self.said) + 1}", conversation_id=self.conversation_id, client_message_id=client_id)
        self.said.append(client_id)

    def write_again(self) -> None:
        """The browser did not hear that its last message was stored."""
        if self.said:
            self._post(f"message {len(self.said)}", conversation_id=self.conversation_id, client_message_id=self.said[-1])

    def ask_for_person(self) -> None:
        intake.request_person(self.conversation_id, customer_id=self.customer.pk)

    def stay_with_bot(self) -> None:
        intake.cancel_request(self.conversation_id, customer_id=self.customer.pk)

    def retry(self) -> None:
        last = Message.objects.filter(conversation_id=self.conversation_id, role="assistant").order_by("-seq").first()
        if last is not None:
            intake.retry_reply(last.pk, customer_id=self.customer.pk)

    def type(self) -> None:
        presence.customer_typing(self.conversation_id)
        presence.agent_typing(self.conversation_id, agent_id=self._agent().pk)

    def _post(self, text: str, *, conversation_id: uuid.UUID | None, client_message_id: uuid.UUID | None = None) -> uuid.UUID:
        accepted = intake.post_customer_message(
            text,
            customer_id=self.customer.pk,
            client_message_id=client_message_id or uuid.uuid4(),
            conversation_id=conversation_id,
        )
        return accepted.conversation.id

    # ---- the agents

    def claim(self) -> None:
        agent = self._agent()
        takeover.take(self.conversation_id, agent_id=agent.pk)
        assert self.row.assigned_to_id == agent.pk

    def take_from_colleague(self) -> None:
        agent, holder = self._agent(), self.row.assigned_to_id
        takeover.take(self.conversation_id, agent_id=agent.pk, instead_of=holder)
        assert self.row.assigned_to_id == agent.pk

    def send(self) -> None:
        agent, client_id, holder = self._agent(), uuid.uuid4(), self.row.assigned_to_id
        agent_messages.post_agent_message(
            "I am a person.", conversation_id=self.conversation_id, agent_id=agent.pk, client_message_id=client_id
        )
        assert holder == agent.pk, "only who has it may speak"
        self.answered.append(client_id)

    def resend(self) -> None:
        if self.answered:
            author = Message.objects.get(client_message_id=self.answered[-1]).author_id
            agent_messages.post_agent_message(
                "I am a person.", conversation_id=self.conversation_id, agent_id=author, client_message_id=self.answered[-1]
            )

    def hand_back(self) -> None:
        takeover.hand_back(self.conversation_id, agent_id=self._agent().pk, note=self.random.choice(["", "All said."]))

    def release(self) -> None:
        takeover.release(self.conversation_id, agent_id=self._agent().pk)

    def pass_on(self) -> None:
        to = self.random.choice([None, *(agent.pk for agent in self.agents)])
        takeover.assign(self.conversation_id, by_id=self._agent().pk, to_id=to)

    def resolve(self) -> None:
        takeover.resolve(self.conversation_id, by_id=self._agent().pk)

    def lose_desk(self) -> None:
        """The browser of whoever has it died long ago."""
        past = timezone.now() - LONG_AGO
        AgentPresence.objects.update(seen_at=past)
        Conversation.objects.filter(pk=self.conversation_id, status="held").update(held_since=past)
        expiring.expire()
        assert self.row.status != "held"

    def break_promise(self) -> None:
        past = timezone.now() - LONG_AGO
        Conversation.objects.filter(pk=self.conversation_id, status="waiting").update(promised_until=past)
        expiring.expire()
        assert self.row.status != "waiting"

    def _agent(self) -> User:
        return self.random.choice(self.agents)

    # ---- the bot

    def work(self) -> None:
        """A worker writes the next reply; while it writes, everybody goes on."""
        free = Q(status="pending") | Q(status="running", lease_until__lt=timezone.now())
        waiting = Generation.objects.filter(free, conversation_id=self.conversation_id).order_by("reply__seq").first()
        if waiting is None or self._writing:
            return
        self._writing = True
        try:
            reply.write_reply(waiting.pk)
        except Killed:
            Generation.objects.filter(pk=waiting.pk, status="running").update(lease_until=timezone.now() - LONG_AGO)
        finally:
            self._writing = False

    def steps(self) -> Iterator[Progress | Answer]:
        for words in WORDS:
            self._go_on()
            if not self._ending and self.random.random() < 0.05:
                raise Killed
            yield Progress(words)
        self._go_on()
        reason = self.random.choice(["confident", "confident", "asked"])
        yield Answer(text=WORDS[-1], decision="compose", language="en", trace={"reason": reason})

    def _go_on(self) -> None:
        if not self._ending and self.random.random() < 0.4:
            self.act()

    def sweep(self) -> None:
        sweeping.sweep()

    # ---- what must always be so

    def check(self) -> None:
        row = self.row
        assert (row.status == "held") == (row.assigned_to_id is not None)
        messages = list(row.messages.order_by("seq").values_list("seq", "client_message_id"))
        assert [seq for seq, _ in messages] == list(range(1, row.last_seq + 1))
        sent = [client_id for _, client_id in messages]
        assert all(sent.count(client_id) == 1 for client_id in (*self.said, *self.answered))
        if row.status in ("held", "resolved"):
            active = row.generations.filter(status__in=["pending", "running"], taken_over=False)
            assert not active.exists(), "the bot works while a person has it"

    def finish(self) -> None:
        """Everybody goes home; the bot says what is left to say."""
        self._ending = True
        if (holder := self.row.assigned_to_id) is not None:
            takeover.hand_back(self.conversation_id, agent_id=holder)
        Generation.objects.filter(conversation_id=self.conversation_id, status="running").update(
            lease_until=timezone.now() - LONG_AGO
        )
        for _ in range(30):
            sweeping.sweep()
            if not self.row.generations.filter(status__in=["pending", "running"]).exists():
                break
            self.work()

    def check_stream(self, *, in_order: bool = True) -> None:
        """From the news that a person is there to the news that it is gone, the customer hears nothing of the bot.

        in_order: what was stored first was announced first. Not so with several processes, whose news can overtake each other;
        but even then an answer that was being written when somebody came shows nothing more.
        """
        held = False
        cut: set[Any] = set()
        growing: set[Any] = set()
        for _, fields in runtime.valkey().xrange(f"conversation:{self.conversation_id}"):
            frame: Any = SERVER_FRAMES.validate_json(fields[b"frame"])
            if frame.type == "conversation.changed":
                held = frame.conversation.status == "held"
                cut |= growing if held else set()
            elif frame.type == "reply.progress":
                assert not (in_order and held), "the bot spoke while a person was there"
                assert (frame.message_id, frame.attempt) not in cut, "the bot went on after a person had come"
                growing.add((frame.message_id, frame.attempt))
            elif in_order and held and frame.type == "message.changed" and frame.message.role == "assistant":
                assert frame.message.status == "stopped"
