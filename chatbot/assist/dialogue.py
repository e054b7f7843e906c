"""A conversation as the helpers of agents see it: who said what, people's answers included, and what is still unanswered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from chatbot.answering.language import detect
from chatbot.answering.prompting import Turn
from chatbot.conversations.access import access_conversation_as_staff
from chatbot.conversations.models import Conversation, Message
from chatbot.errors import InvalidInput

MAX_MESSAGES = 60
_SPEAKERS = (Message.Role.CUSTOMER, Message.Role.ASSISTANT, Message.Role.AGENT)


@dataclass(frozen=True)
class Dialogue:
    """turns: oldest first. question: what the customer wrote last, in one piece; language: that of their words."""

    conversation: Conversation
    turns: tuple[Turn, ...]
    last_seq: int

    @property
    def question(self) -> str:
        """The customer's messages that nobody has answered yet, or else the last one."""
        open_ones: list[str] = []
        for turn in reversed(self.turns):
            if turn.role == "user":
                open_ones.append(turn.text)
            elif open_ones:
                break
        return "\n".join(reversed(open_ones))

    @property
    def before(self) -> tuple[Turn, ...]:
        """What was said before the question."""
        last = max((place for place, turn in enumerate(self.turns) if turn.role == "user"), default=0)
        while last and self.turns[last - 1].role == "user":
            last -= 1
        return self.turns[:last]

    @property
    def language(self) -> str:
        return detect(self.question, fallback=self.conversation.locale)

    @property
    def customer_texts(self) -> tuple[str, ...]:
        return tuple(turn.text for turn in self.turns if turn.role == "user")


def dialogue_of(conversation_id: UUID) -> Dialogue:
    """The newest MAX_MESSAGES messages with words. Raises NotFound, InvalidInput where the customer has not written yet."""
    conversation = access_conversation_as_staff(conversation_id)
    rows = list(
        Message.objects.filter(conversation=conversation, role__in=_SPEAKERS)
        .exclude(text="")
        .exclude(status__in=[Message.Status.FAILED, Message.Status.PENDING])
        .order_by("-seq")
        .values_list("seq", "role", "text")[:MAX_MESSAGES]
    )[::-1]
    turns = tuple(Turn(role=_role(role), text=text) for _, role, text in rows)
    if not any(turn.role == "user" for turn in turns):
        raise InvalidInput("The customer has not written anything yet.", code="nothing_asked")
    return Dialogue(conversation, turns, rows[-1][0])


def as_context(turns: Sequence[Turn]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.text} for turn in turns]


def _role(role: str) -> Literal["user", "assistant"]:
    return "user" if role == Message.Role.CUSTOMER else "assistant"
