"""The sentences that a conversation itself says to its customer, in the customer's language."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, override

from chatbot import runtime
from chatbot.staffing.models import Team

NOTICES = {
    "person_asked": gettext_noop(
        "Our team has been told and will read this conversation. Meanwhile the assistant keeps answering."
    ),
    "outside_hours": gettext_noop(
        "Our team is not there at the moment; it is back on %(when)s. You can leave your e-mail address here, and the assistant "
        "keeps answering."
    ),
    "nobody_there": gettext_noop(
        "Our team cannot come at the moment. Leave your e-mail address here and we will write to you; the assistant keeps "
        "answering."
    ),
    "person_cancelled": gettext_noop("You stay with the assistant."),
    "person_joined": gettext_noop("%(name)s is here and answers you now."),
    "person_assigned": gettext_noop("%(name)s will answer you here."),
    "transferred": gettext_noop("%(name)s has passed you on to colleagues. Meanwhile the assistant answers."),
    "person_left": gettext_noop("%(name)s had to leave. Our team has been told; meanwhile the assistant answers."),
    "handed_back": gettext_noop("%(name)s has left. The assistant answers you again."),
    "handoff_expired": gettext_noop(
        "We are sorry: nobody of our team could come in time. The assistant answers you again. Leave your e-mail address here "
        "and we will write to you."
    ),
    "agent_gone": gettext_noop("%(name)s is not there any more. Our team has been told; meanwhile the assistant answers."),
    "resolved": gettext_noop("%(name)s has marked this as resolved."),
    "contact_left": gettext_noop("Thank you. We will write to %(email)s."),
}
# 'Monday, 23 November, 09:00', in the team's own time; a translation may use other signs and another order.
WHEN = gettext_noop("l, j F, H:i")


def sentence(notice: str, *, locale: str, **values: str) -> str:
    """The notice's text in this language."""
    with override(locale):
        text = _(NOTICES[notice]) % values if values else _(NOTICES[notice])
        return _with_ways(text) if notice == "person_asked" else text


def opening(team: Team, at: datetime, *, locale: str) -> str:
    """A moment on the team's clock, in words."""
    with override(locale):
        zone = ZoneInfo(team.time_zone)
        return f"{date_format(at.astimezone(zone), _(WHEN))} ({zone.key})"


def _with_ways(text: str) -> str:
    company = runtime.company()
    ways = [way for way in (company.phone, company.email) if way]
    return f"{text} {_('You can also reach us at')} {' · '.join(ways)}." if ways else text
