"""The form of a team. Hours are typed as people write them: 09:00-12:30, 13:00-17:00."""

from __future__ import annotations

import re
from datetime import date
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.forms import BoundField

from chatbot.staffing.models import Team
from chatbot.staffing.teams import Span, TeamPlan
from support_portal.accounts.models import User

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SPAN = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?\s*[-–—]\s*(\d{1,2})(?:[:.](\d{2}))?")
_HOLIDAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[\s:,]+(.*))?")


class TeamForm(forms.Form):
    name = forms.CharField(max_length=80, help_text="As colleagues see it; customers never do.")
    members = forms.ModelMultipleChoiceField(
        queryset=User.objects.none(), required=False, widget=forms.CheckboxSelectMultiple, help_text="Who gets its conversations."
    )
    always_open = forms.BooleanField(
        label="Always there",
        required=False,
        help_text="Day and night, every day. The hours and holidays below then do not count.",
    )
    time_zone = forms.ChoiceField(
        choices=[(zone, zone.replace("_", " ")) for zone in sorted(available_timezones())],
        help_text="The clock by which the hours above are read, summer time included.",
    )
    holidays = forms.CharField(
        required=False,
        max_length=40_000,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}),
        help_text="One a line, for example: 2026-12-25 Christmas Day. Nobody is there on these whole days.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people: Any = self.fields["members"]
        people.queryset = User.objects.filter(is_active=True).order_by("first_name", "username")
        people.label_from_instance = lambda user: f"{user.display_name} ({user.get_role_display()})"
        for number, day in enumerate(DAYS):
            widget = forms.TextInput(attrs={"placeholder": "closed", "autocomplete": "off", "aria-describedby": "hours-hint"})
            self.fields[f"day_{number}"] = forms.CharField(label=day, required=False, max_length=200, widget=widget)

    @property
    def days(self) -> list[BoundField]:
        return [self[f"day_{number}"] for number in range(len(DAYS))]

    def clean(self) -> dict[str, Any]:
        found = dict(self.cleaned_data)
        for number in range(len(DAYS)):
            try:
                found[f"day_{number}"] = spans_of(found.get(f"day_{number}", ""), weekday=number)
            except ValueError as error:
                self.add_error(f"day_{number}", str(error))
        return found

    def clean_holidays(self) -> tuple[tuple[date, str], ...]:
        try:
            return holidays_of(self.cleaned_data["holidays"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    def plan(self) -> TeamPlan:
        found = self.cleaned_data
        return TeamPlan(
            name=found["name"].strip(),
            time_zone=found["time_zone"],
            always_open=found["always_open"],
            member_ids=frozenset(user.pk for user in found["members"]),
            hours=tuple(span for number in range(len(DAYS)) for span in found[f"day_{number}"]),
            holidays=found["holidays"],
        )


def spans_of(text: str, *, weekday: int) -> tuple[Span, ...]:
    """Raises ValueError with a sentence for whoever typed it."""
    spans = []
    for part in filter(None, (piece.strip() for piece in re.split(r"[,;]", text))):
        match = _SPAN.fullmatch(part)
        if match is None:
            raise ValueError(f"“{part[:40]}” is not understood. Write 09:00-17:00, and a comma before a second span.")
        hour, minute, to_hour, to_minute = (int(group or 0) for group in match.groups())
        opens, closes = hour * 60 + minute, to_hour * 60 + to_minute
        if minute > 59 or to_minute > 59 or opens > 24 * 60 or closes > 24 * 60:
            raise ValueError(f"“{part[:40]}” is not a time of the day; it goes from 00:00 to 24:00.")
        if closes <= opens:
            raise ValueError(f"“{part[:40]}” ends before it begins. Past midnight? End at 24:00 and go on at 00:00 the next day.")
        spans.append(Span(weekday, opens, closes))
    ordered = sorted(spans, key=lambda span: span.opens_minute)
    if any(later.opens_minute < earlier.closes_minute for earlier, later in zip(ordered, ordered[1:], strict=False)):
        raise ValueError("Two of these spans overlap.")
    return tuple(ordered)


def holidays_of(text: str) -> tuple[tuple[date, str], ...]:
    """Raises ValueError with a sentence that names the line."""
    found: dict[date, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _HOLIDAY.fullmatch(line.strip())
        try:
            day = date.fromisoformat(match[1] if match else "")
        except ValueError as error:
            raise ValueError(f"Line {number} does not begin with a date like 2026-12-25.") from error
        if day in found:
            raise ValueError(f"Line {number} names {day} a second time.")
        found[day] = ((match[2] if match else "") or "").strip()[:80]
    return tuple(sorted(found.items()))


def initial_of(team: Team) -> dict[str, Any]:
    hours: dict[int, list[str]] = {}
    for span in team.hours.all():
        hours.setdefault(span.weekday, []).append(f"{clock(span.opens_minute)}-{clock(span.closes_minute)}")
    return {
        "name": team.name,
        "members": [user.pk for user in team.members.all()],
        "always_open": team.always_open,
        "time_zone": team.time_zone,
        "holidays": "\n".join(f"{holiday.day} {holiday.name}".strip() for holiday in team.holidays.all()),
        **{f"day_{weekday}": ", ".join(spans) for weekday, spans in hours.items()},
    }


def clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
