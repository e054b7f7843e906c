"""Two months of made-up conversations, so that desk and insights of a new demo look lived in. The same ones at every time.

Questions and answers are the demo company's own; how sure the search was is drawn from what its calibration expects, so that
decisions and confidences fit each other. Everything carries the tag "demo".
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from chatbot.conversations.models import Citation, Conversation, ConversationEvent, Customer, Generation, Message, Tag
from chatbot.insights import facts
from chatbot.knowledge.models import Faq, FaqStatus, KnowledgeIndex
from chatbot.learning.models import Feedback, Satisfaction
from chatbot.staffing.access import default_team
from chatbot.staffing.models import Team
from support_portal.accounts.models import User
from support_portal.demo_company.telling import TAG, Rows, Telling

DAYS = 60
SEED = 48213
FOLDER = Path(__file__).resolve().parent
DIALOGUES = json.loads((FOLDER / "dialogues.json").read_text())
COLLEAGUES = [("mei", "Mei", "Tan"), ("ravi", "Ravi", "Nair")]
WORKSHOP = "Workshop"
# Conversations on a weekday, Monday first, and how they spread over its hours.
_WEEKDAYS = (17, 15, 14, 14, 16, 13, 8)
_HOURS = (1, 0.5, 0.3, 0.2, 0.3, 0.6, 1.5, 3, 5, 8, 10, 10, 8, 7, 7, 7, 6, 6, 7, 9, 10, 8, 5, 2)
# Without a calibration: most questions are known well.
_EXPECTED = (0.04, 0.04, 0.03, 0.03, 0.03, 0.04, 0.07, 0.1, 0.16, 0.46)
_DOWN_REASONS = ("incomplete", "not_my_question", "incorrect", "outdated")


def load_history() -> int:
    """Add the conversations, unless they are here; returns how many were added. Seconds, by few large inserts."""
    if Conversation.objects.filter(tags__contains=[TAG]).exists():
        return 0
    with transaction.atomic():
        rows = History(now=timezone.now()).rows()
        _store(rows)
        Tag.objects.get_or_create(name=TAG)
    facts.refresh(everything=True)
    return len(rows.conversations)


class History:
    """Makes the rows. Whoever works here and what is known must be in the database."""

    def __init__(self, *, now: datetime) -> None:
        self._rng = random.Random(SEED)
        self._now = now
        self._faqs: dict[tuple[str, str], Faq] = {
            (faq.key, faq.locale): faq for faq in Faq.objects.filter(status=FaqStatus.PUBLISHED)
        }
        self._near: dict[tuple[str, str], list[Faq]] = defaultdict(list)
        for faq in self._faqs.values():
            self._near[faq.locale, faq.category].append(faq)
        self._questions = self._known_questions()
        self._team, self._workshop = default_team(), Team.objects.get_or_create(name=WORKSHOP)[0]
        self._agents = list(User.objects.filter(username="agent")) + colleagues(self._team, self._workshop)
        state = KnowledgeIndex.objects.only("calibration").first()
        self._expected = (((state.calibration if state else None) or {}).get("expected") or {}).get("histogram") or _EXPECTED

    def rows(self) -> Rows:
        rows = Rows()
        for number, at in enumerate(self._moments()):
            if self._rng.random() < 0.17:
                self._with_person(rows, number, at)
            else:
                self._with_bot(rows, number, at)
        for place, minutes in enumerate((4, 11)):
            self._waiting(rows, 100_000 + place, self._now - timedelta(minutes=minutes))
        return rows

    def _known_questions(self) -> list[dict[str, Any]]:
        """The demo's questions that stand alone and whose FAQ is here, and those that nothing is known about."""
        lines = (FOLDER / "questions.jsonl").read_text().splitlines()
        found = [line for line in map(json.loads, lines) if not line.get("history") and "mixed" not in line["tags"]]
        return [one for one in found if one["expected"] is None or (one["expected"], one["locale"]) in self._faqs]

    def _moments(self) -> Iterator[datetime]:
        """When conversations begin, oldest first; business grows a little."""
        zone = ZoneInfo(settings.TIME_ZONE)
        today = self._now.astimezone(zone).date()
        for back in range(DAYS, -1, -1):
            day = today - timedelta(days=back)
            growth = 1 + 0.25 * (DAYS - back) / DAYS
            count = round(_WEEKDAYS[day.weekday()] * growth * self._rng.uniform(0.85, 1.15))
            hours = self._rng.choices(range(24), weights=_HOURS, k=count)
            moments = sorted(
                datetime.combine(day, time(hour, self._rng.randrange(60), self._rng.randrange(60)), zone) for hour in hours
            )
            yield from (moment for moment in moments if moment < self._now - timedelta(minutes=40))

    def _with_bot(self, rows: Rows, number: int, at: datetime) -> None:
        """One to three questions; the later in the two months, the surer the bot."""
        rng = self._rng
        recent = at > self._now - timedelta(days=DAYS / 2)
        asked = self._question(recent)
        topic = self._topic(asked)
        told = Telling(rows, number=number, at=at, locale=asked["locale"], topic=topic, rng=rng)
        decision = self._exchange(told, asked, recent)
        for _ in range(rng.choices((0, 1, 2), weights=(60, 30, 10))[0]):
            follow = self._question(recent, locale=asked["locale"])
            decision = self._exchange(told, follow, recent)
        happy = decision in ("direct", "compose")
        told.row.sentiment = rng.choices(("neutral", "positive", "negative"), weights=(70, 24, 6) if happy else (66, 4, 30))[0]
        told.row.sentiment_score = {"neutral": 0.02, "positive": 0.7, "negative": -0.6}[told.row.sentiment]
        if happy and rng.random() < 0.3:
            told.is_rated(1 if rng.random() < 0.86 else -1, reason=rng.choice(_DOWN_REASONS) if rng.random() < 0.1 else "")
        if rng.random() < 0.4:
            told.ends()
            if rng.random() < 0.55:
                told.gives("bot", rng.choices((5, 4, 3, 2, 1), weights=(46, 32, 12, 6, 4) if happy else (4, 8, 20, 30, 38))[0])
            if rng.random() < 0.06 and told.at < self._now - timedelta(days=4):
                told.opens_again()
                self._exchange(told, self._question(recent, locale=asked["locale"]), recent)

    def _with_person(self, rows: Rows, number: int, at: datetime) -> None:
        rng = self._rng
        dialogue = rng.choices(DIALOGUES, weights=[3 if one["locale"] == "en" else 2 for one in DIALOGUES])[0]
        workshop = dialogue["topic"] == "Repair & warranty"
        agents = self._agents[1:] if workshop and len(self._agents) > 1 else self._agents
        agent = rng.choices(agents, weights=range(len(agents) + 1, 1, -1))[0]
        told = Telling(rows, number=number, at=at, locale=dialogue["locale"], topic=dialogue["topic"], rng=rng)
        told.row.sentiment = dialogue["sentiment"]
        told.row.sentiment_score = {"neutral": 0.0, "positive": 0.6, "negative": -0.7}[dialogue["sentiment"]]
        arrived = self._play(told, dialogue, agent, team=self._workshop if workshop else self._team)
        if not arrived:
            return
        if rng.random() < 0.93:
            told.ends(agent)
            if rng.random() < 0.45:
                pleased = (55, 30, 9, 4, 2) if dialogue["sentiment"] != "negative" else (25, 33, 22, 12, 8)
                told.gives("person", rng.choices((5, 4, 3, 2, 1), weights=pleased)[0])
                if rng.random() < 0.5:
                    told.gives("bot", rng.choices((5, 4, 3, 2, 1), weights=(8, 22, 34, 22, 14))[0])
        else:
            told.ends()

    def _play(self, told: Telling, dialogue: dict[str, Any], agent: User, *, team: Team) -> bool:
        """The dialogue's turns; False when the customer left before a person came."""
        asked, claimed = None, False
        for speaker, text in dialogue["turns"]:
            if speaker == "customer":
                asked = told.asks(text)
            elif speaker == "agent":
                if not claimed:
                    told.asks_for_person(dialogue["reason"], team=team)
                    if self._rng.random() < 0.08:
                        return False
                    told.is_claimed(agent, pause=(20, 420) if 9 <= told.at.hour < 19 else (120, 2400))
                    claimed = True
                told.person(agent, text)
            elif asked is not None:
                self._bot_turn(told, text, asked)
        return True

    def _bot_turn(self, told: Telling, kind: str, asked: Message) -> None:
        if kind == "failed":
            told.fails(asked)
        elif kind == "person":
            told.offers_person(asked)
        else:
            low = (0.4, 0.6) if kind == "clarify" else (0.02, 0.18)
            near = self._near[told.row.locale, told.row.topic][:3]
            told.answers(asked, None, confidence=self._rng.uniform(*low), near=near)

    def _waiting(self, rows: Rows, number: int, since: datetime) -> None:
        """Somebody who waits for a person right now."""
        dialogue = DIALOGUES[number % 2]
        told = Telling(rows, number=number, at=since, locale=dialogue["locale"], topic=dialogue["topic"], rng=self._rng)
        told.row.sentiment, told.row.sentiment_score = dialogue["sentiment"], -0.3
        asked = told.asks(dialogue["turns"][0][1])
        self._bot_turn(told, dialogue["turns"][1][1], asked)
        told.asks_for_person(dialogue["reason"], team=self._team)
        told.waits(since=told.at, until=self._now + timedelta(hours=12))

    def _question(self, recent: bool, *, locale: str = "") -> dict[str, Any]:
        """What is asked: mostly what a FAQ knows; delivery more often lately, before the season."""
        while True:
            asked = self._rng.choice(self._questions)
            if locale and asked["locale"] != locale:
                continue
            if asked["expected"] is None and self._rng.random() < 0.55:
                continue
            if asked["expected"] and "delivery" not in asked["expected"] and recent and self._rng.random() < 0.12:
                continue
            return asked

    def _topic(self, asked: dict[str, Any]) -> str:
        faq = self._faqs.get((asked["expected"] or "", asked["locale"]))
        category = faq.category if faq else ""
        english = self._faqs.get((asked["expected"] or "", "en"))
        return (english.category if english else category)[:60]

    def _exchange(self, told: Telling, asked: dict[str, Any], recent: bool) -> str:
        faq = self._faqs.get((asked["expected"] or "", asked["locale"]))
        message = told.asks(asked["text"])
        near = [faq, *(one for one in self._near[faq.locale, faq.category] if one is not faq)][:3] if faq else []
        return told.answers(message, faq, confidence=self._confidence(known=faq is not None, recent=recent), near=near)

    def _confidence(self, *, known: bool, recent: bool) -> float:
        """Of what the calibration expects the upper part for what is known; a little surer lately."""
        if not known:
            return self._rng.uniform(0.01, 0.45)
        weights: Sequence[float] = [share + (0.02 if place > 5 and recent else 0.0) for place, share in enumerate(self._expected)]
        weights = [0.3 * one if place < 4 else one for place, one in enumerate(weights)]
        tenth = self._rng.choices(range(10), weights=weights)[0]
        return (tenth + self._rng.random()) / 10


def colleagues(*teams: Team) -> list[User]:
    """Two more people for the desk. They have no password: nobody signs in as them."""
    found = []
    for username, first, last in COLLEAGUES:
        user, made = User.objects.get_or_create(
            username=username, defaults={"first_name": first, "last_name": last, "role": User.Role.AGENT}
        )
        if made:
            user.set_unusable_password()
            user.save(update_fields=["password"])
        found.append(user)
    for team in teams:
        team.members.add(*found)
    return found


def _store(rows: Rows) -> None:
    parts: list[tuple[type[models.Model], list[Any]]] = [
        *((Customer, rows.customers), (Conversation, rows.conversations), (Message, rows.messages)),
        *((Generation, rows.generations), (Citation, rows.citations), (Feedback, rows.feedback)),
        *((Satisfaction, rows.satisfaction), (ConversationEvent, rows.events)),
    ]
    with _dates_as_given([model for model, _ in parts]):
        for model, made in parts:
            model._default_manager.bulk_create(made, batch_size=1000)


@contextmanager
def _dates_as_given(known: Sequence[type[models.Model]]) -> Iterator[None]:
    """Let rows keep their made-up times: `auto_now` would set the present one."""
    fields = [one for model in known for one in model._meta.concrete_fields if isinstance(one, models.DateTimeField)]
    before = [(one, one.auto_now, one.auto_now_add) for one in fields]
    for one in fields:
        one.auto_now = one.auto_now_add = False
    try:
        yield
    finally:
        for one, auto_now, auto_now_add in before:
            one.auto_now, one.auto_now_add = auto_now, auto_now_add
