"""Fill an empty database with invented conversations, by COPY, so that the desk can be measured at the size of years."""

from __future__ import annotations

import json
import random
import time
import uuid
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from django.db.models import JSONField, Model

from chatbot.conversations.models import Conversation, Customer, Generation, Message

DEMO_FAQS = Path(settings.BASE_DIR) / "support_portal/demo_company/faqs.jsonl"
SPAN_DAYS = 365
# Of a thousand conversations; the rest are resolved.
OPEN, WAITING = 30, 10
JAPANESE = [
    "商品の返品はできますか？",
    "注文番号を教えてください。",
    "配送先を変更したいです。",
    "領収書を発行していただけますか？",
    "自転車の修理はいくらですか？",
    "届いた荷物が壊れていました。",
    "お支払い方法を変更できますか？",
    "ポイントの有効期限はいつまでですか？",
]
NAMES = [
    "Amber",
    "Bruno",
    "Chidi",
    "Dmitri",
    "Eleni",
    "Farah",
    "Goran",
    "Hana",
    "Ines",
    "Jonas",
    "Kenji",
    "Lina",
    "Marek",
    "Nadia",
    "Oscar",
    "Priya",
    "Quinn",
    "Rosa",
    "Soren",
    "Tariq",
]
THINGS = [
    "helmet",
    "saddle",
    "chain",
    "pedals",
    "brake",
    "lights",
    "rack",
    "lock",
    "pump",
    "tyre",
    "bell",
    "basket",
    "gloves",
    "battery",
    "charger",
    "display",
    "fork",
]
TAGS = ["refund", "delivery", "vip", "broken", "invoice", "second-visit"]
EXTRAS = [
    "My order number is LW{n}.",
    "I am {name}, by the way.",
    "It is about the {thing}.",
    "I wrote about this on day {d} already.",
    "The {thing} arrived with a scratch.",
    "Please answer today.",
    "Customer code {code}.",
    "Thanks, {name}",
]


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--conversations", type=int, default=100_000)
        parser.add_argument("--messages", type=int, default=1_000_000)
        parser.add_argument("--seed", type=int, default=1)

    def handle(self, *, conversations: int, messages: int, seed: int, **options: Any) -> None:
        if Conversation.objects.exists():
            raise CommandError("This database has conversations. seedload fills an empty one and nothing else.")
        if conversations < 1 or messages < 2 * conversations:
            raise CommandError("There must be at least one conversation, and two messages for each.")
        started = time.monotonic()
        load = Load(conversations=conversations, messages=messages, seed=seed)
        with transaction.atomic():
            for model in (Customer, Conversation, Message, Generation):
                self.stdout.write(f"{model.__name__.lower()}s: {_copy(model, load.rows_of(model))}")
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE)")
        self.stdout.write(f"loaded in {time.monotonic() - started:.0f} s")


def _copy(model: type[Model], rows: Iterator[dict[str, Any]]) -> int:
    """COPY rows of field values into the model's table; fields a row does not name get the model's default."""
    fields = [field for field in model._meta.local_concrete_fields if not (field.primary_key and field.db_returning)]
    adapters = [
        (field.attname, field.get_default(), json.dumps if isinstance(field, JSONField) else _as_it_is) for field in fields
    ]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    count = 0
    with connection.cursor() as cursor, cursor.cursor.copy(f'COPY "{model._meta.db_table}" ({columns}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row([convert(row.get(name, default)) for name, default, convert in adapters])
            count += 1
    return count


def _as_it_is(value: Any) -> Any:
    return value


class Load:
    """Invented conversations in order of time, the same for the same seed. Each call of rows_of() goes through all of them."""

    def __init__(self, *, conversations: int, messages: int, seed: int) -> None:
        self._seed = seed
        self._now = datetime.now(UTC)
        self._agents = list(get_user_model().objects.filter(is_active=True).values_list("pk", "username"))
        self._counts = _spread(conversations, messages, chance=random.Random(seed))
        self._pairs = _pairs()

    def rows_of(self, model: type[Model]) -> Iterator[dict[str, Any]]:
        makers = {
            Customer: self._customers,
            Conversation: self._conversations,
            Message: self._messages,
            Generation: self._generations,
        }
        return makers[model]()

    def _customers(self) -> Iterator[dict[str, Any]]:
        for talk in self._talks():
            yield {"id": talk.customer, "locale": talk.locale, "created_at": talk.started_at}

    def _conversations(self) -> Iterator[dict[str, Any]]:
        for talk in self._talks():
            yield talk.row(self._now)

    def _messages(self) -> Iterator[dict[str, Any]]:
        for talk in self._talks():
            yield from talk.message_rows()

    def _generations(self) -> Iterator[dict[str, Any]]:
        for talk in self._talks():
            for row in talk.message_rows():
                if row["role"] == Message.Role.ASSISTANT:
                    yield _generation(row)

    def _talks(self) -> Iterator[Talk]:
        chance = random.Random(self._seed + 1)
        total = len(self._counts)
        step = timedelta(days=SPAN_DAYS) / total
        for number, count in enumerate(self._counts):
            started_at = self._now - timedelta(days=SPAN_DAYS) + step * number - timedelta(seconds=60 * count)
            # What is still open lies at the end, as it does in life.
            age = total - number
            status = (
                "waiting" if age <= total * WAITING // 1000 else "open" if age <= total * (WAITING + OPEN) // 1000 else "resolved"
            )
            agent = chance.choice(self._agents) if self._agents and chance.random() < 0.2 else None
            if agent and status == "waiting" and chance.random() < 0.5:
                status = "held"
            yield Talk(count, status, started_at, agent if status in ("held", "resolved") else None, self._pairs, chance)


class Talk:
    """One conversation: what it is about, who has it, and its messages."""

    def __init__(
        self,
        count: int,
        status: str,
        started_at: datetime,
        agent: tuple[int, str] | None,
        pairs: dict[str, list[tuple[str, str]]],
        chance: random.Random,
    ) -> None:
        self.id, self.customer = _uuid(chance), _uuid(chance)
        self.status, self.started_at, self.agent = status, started_at, agent
        self.locale = chance.choices(["en", "zh-hans", "ja"], [80, 14, 6])[0]
        self.texts = [_said(number, pairs[self.locale], self.locale, chance) for number in range(count)]
        self.ids = [_uuid(chance) for _ in range(count)]
        self.tags = chance.sample(TAGS, chance.choices([0, 1, 2], [70, 22, 8])[0])
        self.priority = chance.choices([-1, 0, 1, 2], [5, 80, 12, 3])[0]
        self.sentiment = chance.choices(["negative", "neutral", "positive"], [15, 65, 20])[0]

    def row(self, now: datetime) -> dict[str, Any]:
        waiting = self.status == "waiting"
        ended_at = self._at(len(self.ids))
        last_customer = max(number for number in range(len(self.ids)) if self._role(number) == "customer")
        return {
            "id": self.id,
            "customer_id": self.customer,
            "status": self.status,
            "title": self.texts[0][:80],
            "locale": self.locale,
            "language": self.locale,
            "last_seq": len(self.ids),
            "created_at": self.started_at,
            "updated_at": ended_at,
            "assigned_to_id": self.agent[0] if self.agent and self.status == "held" else None,
            "held_since": ended_at if self.status == "held" else None,
            "priority": self.priority,
            "tags": self.tags,
            "waiting_since": ended_at if waiting else None,
            "promised_until": now + timedelta(hours=1) if waiting else None,
            "handoff_reason": "asked" if waiting or self.agent else "",
            "sentiment": self.sentiment,
            "topic": "Orders",
            "last_message_at": ended_at,
            "last_message_preview": self.texts[-1][:160],
            "last_role": self._role(len(self.ids) - 1),
            "last_customer_at": self._at(last_customer + 1),
            "last_customer_seq": last_customer + 1,
            "resolved_at": ended_at if self.status == "resolved" else None,
            "first_response_at": self._at(2),
            "resolved_by_id": self.agent[0] if self.agent and self.status == "resolved" else None,
        }

    def message_rows(self) -> Iterator[dict[str, Any]]:
        for number, (message_id, text) in enumerate(zip(self.ids, self.texts, strict=True)):
            role = self._role(number)
            yield {
                "id": message_id,
                "conversation_id": self.id,
                "seq": number + 1,
                "role": role,
                "text": text,
                "created_at": self._at(number + 1),
                "client_message_id": message_id if role == "customer" else None,
                "decision": "compose" if role == "assistant" else "",
                "in_reply_to_id": self.ids[number - 1] if role == "assistant" else None,
                "finished_at": self._at(number + 1),
                "author_id": self.agent[0] if role == "agent" and self.agent else None,
                "author_name": self.agent[1] if role == "agent" and self.agent else "",
            }

    def _role(self, number: int) -> str:
        if number % 2 == 0:
            return "customer"
        return "agent" if self.agent and number >= 3 else "assistant"

    def _at(self, seq: int) -> datetime:
        return self.started_at + timedelta(seconds=60 * seq)


def _spread(conversations: int, messages: int, *, chance: random.Random) -> list[int]:
    """How many messages each conversation has: two at least, most few, some many, `messages` together."""
    counts = [2] * conversations
    # Which conversations grow long has nothing to do with when they were.
    order = list(range(conversations))
    chance.shuffle(order)
    for _ in range(messages - 2 * conversations):
        counts[order[int(conversations * chance.random() ** 2)]] += 1
    return counts


def _pairs() -> dict[str, list[tuple[str, str]]]:
    """Questions with answers by language, from the demo company's FAQs."""
    pairs: dict[str, list[tuple[str, str]]] = {"en": [], "zh-hans": [], "ja": [(line, line) for line in JAPANESE]}
    for line in DEMO_FAQS.read_text().splitlines():
        faq = json.loads(line)
        pairs[faq["locale"]] += [(asked, faq["answer"]) for asked in [faq["question"], *faq["phrasings"]]]
    return pairs


def _said(number: int, pairs: list[tuple[str, str]], locale: str, chance: random.Random) -> str:
    asked, answer = chance.choice(pairs)
    if number % 2:
        # Most answers are shorter than a whole FAQ.
        return answer[: chance.randrange(60, 400)]
    extra = chance.choice(EXTRAS).format(
        n=chance.randrange(10**6),
        name=chance.choice(NAMES),
        thing=chance.choice(THINGS),
        d=chance.randrange(365),
        code=f"{chance.randrange(16**5):05x}",
    )
    return f"{asked} {extra}" if locale == "en" or chance.random() < 0.4 else asked


def _generation(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "conversation_id": row["conversation_id"],
        "reply_id": row["id"],
        "status": "done",
        "fence": 1,
        "attempts": 1,
        "announced": True,
        "created_at": row["created_at"],
        "started_at": row["created_at"],
        "finished_at": row["created_at"],
        "text": row["text"],
        "decision": "compose",
        "finish_reason": "stop",
        "total_ms": 900.0,
        "ttft_ms": 300.0,
        "trace": {"reason": "moderate", "confidence": 0.7},
    }


def _uuid(chance: random.Random) -> uuid.UUID:
    return uuid.UUID(int=chance.getrandbits(128), version=4)
