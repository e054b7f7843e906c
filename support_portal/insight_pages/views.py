"""The insight page: one period, compared with the one before it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from chatbot.answering.language import NAMES
from chatbot.conversations.models import Conversation
from chatbot.insights import definitions, naming, reports
from chatbot.insights.reports import Selection, Slice
from support_portal.accounts.models import User
from support_portal.accounts.roles import may, requires
from support_portal.demo_company.telling import TAG as DEMO_TAG
from support_portal.insight_pages import findings, panels, words
from support_portal.insight_pages.selecting import PERIODS, Chosen, choose


@requires("read_insights")
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    chosen = choose(request)
    selection = chosen.selection
    now, before = reports.totals(selection)
    columns = reports.by_column(selection)
    slices = reports.by_dimension(selection)
    context = {
        "section": "insights",
        "chosen": chosen,
        "form": form_of(chosen, slices),
        "period_name": words.period_name(selection.period),
        "before_name": words.period_name(selection.period.before),
        "zone": selection.period.zone.key,
        "counted_to": reports.counted_to(),
        "includes_demo": Conversation.objects.filter(tags__contains=[DEMO_TAG]).exists(),
        "export_query": chosen.query(),
        "clear_query": request.path + chosen.query(team="", language="", channel=""),
        "definitions": definitions.DEFINITIONS,
        "total": now.counts.conversations,
        "tiles": panels.tiles(now, before, columns),
        **_outcomes(now, before, columns, selection),
        **_times(now, before, columns, selection),
        **_contents(selection, total=now.counts.conversations),
        **_groups(selection, slices),
        **_knowledge(selection, request),
    }
    return render(request, "insights/overview.html", context)


def form_of(chosen: Chosen, slices: dict[str, list[Slice]]) -> dict[str, Any]:
    """What the filters offer: where nothing is filtered, what the page has counted anyway."""
    names = ("team_id", "locale", "channel")
    counted = {name: sorted(one.key for one in slices[name] if one.key) for name in names}
    found = reports.choices(chosen.selection) if chosen.filtered else counted
    teams = naming.team_names()
    return {
        "periods": [(value, {"text": text, "query": chosen.query(period=value)}) for value, text in PERIODS if value != "custom"],
        "teams": [(str(key), teams.get(key, f"Team {key}")) for key in found["team_id"]],
        "languages": [(key, NAMES.get(key, key)) for key in found["locale"]],
        "channels": [(key, panels.CHANNELS.get(key, key)) for key in found["channel"]],
    }


def _outcomes(now: Slice, before: Slice, columns: list[Slice], selection: Selection) -> dict[str, Any]:
    step = selection.period.step
    return {
        "outcome_finding": findings.outcomes(now.counts, before.counts),
        "outcome_split": panels.outcome_split(now.counts),
        "outcome_rows": panels.outcome_rows(now.counts, before.counts),
        "volume_finding": findings.volume(columns, step=step, total=now.counts, before=before.counts),
        "volume_chart": panels.outcome_columns(columns, selection),
        "columns": [(words.column_name(one.key, step), one.counts) for one in columns],
        "step": step,
    }


def _times(now: Slice, before: Slice, columns: list[Slice], selection: Selection) -> dict[str, Any]:
    waits = (definitions.FIRST_RESPONSE, definitions.PERSON_RESPONSE, definitions.RESOLUTION)
    model = (definitions.QUEUE, definitions.FIRST_TEXT)
    return {
        "time_finding": findings.speed("first reply", now.times.first_response, before.times.first_response),
        "time_chart": panels.time_lines(columns, selection, name="first_response"),
        "time_rows": panels.time_rows(now.times, before.times, waits),
        "person_finding": findings.speed("first words of a person", now.times.person_response, before.times.person_response),
        "person_chart": panels.time_lines(columns, selection, name="person_response"),
        "speed_finding": findings.speed("first words of a model's answer", now.times.first_text, before.times.first_text),
        "speed_chart": panels.time_lines(columns, selection, name="first_text"),
        "speed_rows": panels.time_rows(now.times, before.times, model),
        "tokens_per_s": now.times.tokens_per_s,
    }


def _contents(selection: Selection, *, total: int) -> dict[str, Any]:
    hours = reports.by_hour(selection)
    trends = reports.topic_trends(selection)
    points = reports.satisfaction(selection)
    return {
        "hour_finding": findings.busiest(hours),
        "hour_rows": panels.hour_rows(hours),
        "hours": range(24),
        "topic_finding": findings.topics(trends, total=total),
        "topic_rows": panels.topic_rows(trends, total=total),
        "csat_finding": findings.satisfaction(points),
        "score_rows": panels.score_rows(points),
        "score_totals": {about: sum(given) for about, given in points.items()},
    }


def _groups(selection: Selection, slices: dict[str, list[Slice]]) -> dict[str, Any]:
    reasons = panels.handoff_reasons(slices["handoff_reason"])
    agents = [one for one in slices["agent_id"] if one.key]
    agent_names = naming.agent_names([one.key for one in agents])
    return {
        "sentiment_finding": findings.sentiment(slices["sentiment"]),
        "sentiment_split": panels.sentiment_split(slices["sentiment"]),
        "handoff_finding": findings.handoffs([(reason, number) for reason, number, _ in reasons]),
        "handoff_reasons": reasons,
        "team_rows": panels.group_rows([one for one in slices["team_id"] if one.key], naming.team_names(), about="csat_person"),
        "agent_rows": panels.group_rows(agents, agent_names, times=reports.agent_times(selection), about="csat_person"),
        "language_rows": panels.group_rows(slices["locale"], NAMES),
        "channel_rows": panels.group_rows(slices["channel"], panels.CHANNELS),
    }


def _knowledge(selection: Selection, request: HttpRequest) -> dict[str, Any]:
    user = request.user
    assert isinstance(user, User)  # `requires` has let nobody else in.
    return {
        "source_rows": panels.source_rows(selection),
        "gap_rows": panels.gap_rows(selection, may_read=may(user, "read_conversations")),
    }
