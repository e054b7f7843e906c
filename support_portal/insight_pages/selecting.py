"""What the reader has chosen, from the address: period, team, language, channel. A broken one shows the default and says so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from chatbot.errors import InvalidInput
from chatbot.insights.periods import Period, between, month_of, recent
from chatbot.insights.reports import Selection

PERIODS = [
    ("7", "7 days"),
    ("30", "30 days"),
    ("90", "90 days"),
    ("month", "This month"),
    ("last_month", "Last month"),
    ("custom", "From … to …"),
]
DEFAULT_PERIOD = "30"


@dataclass(frozen=True)
class Chosen:
    """The fields of the form as they stand in it, and what they mean. problem: a sentence, where they mean nothing."""

    selection: Selection
    period: str = DEFAULT_PERIOD
    team: str = ""
    language: str = ""
    channel: str = ""
    problem: str = ""

    @property
    def filtered(self) -> bool:
        return bool(self.team or self.language or self.channel)

    def query(self, **changed: str) -> str:
        """The address of these choices, some of them changed."""
        fields = {"period": self.period, "team": self.team, "language": self.language, "channel": self.channel} | changed
        if fields["period"] == "custom":
            fields |= {"from": self.selection.period.first.isoformat(), "until": self.selection.period.last.isoformat()}
        if fields["period"] == DEFAULT_PERIOD:
            del fields["period"]
        return "?" + urlencode({name: value for name, value in fields.items() if value})


def choose(request: HttpRequest, *, today: date | None = None) -> Chosen:
    zone = ZoneInfo(settings.TIME_ZONE)
    today = today or timezone.localtime(timezone=zone).date()
    given = {
        name: request.GET.get(name, "").replace("\x00", "")[:40]
        for name in ("period", "from", "until", "team", "language", "channel")
    }
    default = Chosen(Selection(recent(30, today=today, zone=zone)))
    try:
        period = _period(given, today=today, zone=zone)
        team = _number(given["team"])
    except InvalidInput as error:
        return replace(default, problem=error.message)
    selection = Selection(period, team=team, locale=given["language"], channel=given["channel"])
    return Chosen(
        selection,
        period=given["period"] or DEFAULT_PERIOD,
        team=given["team"],
        language=given["language"],
        channel=given["channel"],
    )


def _period(given: dict[str, str], *, today: date, zone: ZoneInfo) -> Period:
    name = given["period"] or DEFAULT_PERIOD
    if name in ("7", "30", "90"):
        return recent(int(name), today=today, zone=zone)
    if name == "month":
        return between(today.replace(day=1), today, zone=zone)
    if name == "last_month":
        return month_of(today.replace(day=1) - timedelta(days=1), zone=zone)
    if name == "custom":
        return between(_day(given["from"], "from"), _day(given["until"], "until"), zone=zone)
    raise InvalidInput("There is no such period; the last 30 days are shown.", field="period")


def _day(text: str, name: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("Choose the first and the last day; the last 30 days are shown.", field=name) from error
    if not 2000 <= day.year <= 2100:
        raise InvalidInput("Choose days of this century; the last 30 days are shown.", field=name)
    return day


def _number(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 18):
        raise InvalidInput("There is no such team; the last 30 days of all teams are shown.", field="team")
    return int(text)
