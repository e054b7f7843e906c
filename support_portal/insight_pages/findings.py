"""The sentence above a chart: what it shows, before anybody has looked at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chatbot.insights.periods import Step
from chatbot.insights.reports import Counts, Slice, Spread, TopicTrend
from support_portal.insight_pages import words

# Fewer than this tell a story about chance.
ENOUGH = 20
ENOUGH_SCORES = 5
NOTHING = "Nothing to show in this period"


def outcomes(now: Counts, before: Counts) -> str:
    if not now.conversations:
        return "No conversations in this period"
    said = f"The bot answered {words.percent(now.share('answered'))} of the conversations without a person"
    if now.conversations < ENOUGH or before.conversations < ENOUGH:
        return said
    change = words.points_change(now.share("answered"), before.share("answered"))
    if change.direction == "same":
        return f"{said}, as in the period before"
    return f"{said}, {change.text} {'more' if change.direction == 'up' else 'less'} than in the period before"


def volume(now: Sequence[Slice], *, step: Step, total: Counts, before: Counts) -> str:
    if not total.conversations:
        return NOTHING
    most = max(now, key=lambda one: one.counts.conversations)
    where = {"day": "on ", "week": "in the ", "month": "in "}[step] + words.column_name(most.key, step)
    said = f"{words.many(total.conversations, 'conversation')}, most of them {where}"
    change = words.relative_change(total.conversations, before.conversations)
    if change.direction not in ("up", "down") or before.conversations < ENOUGH:
        return said
    more = "" if "times" in change.text else " more" if change.direction == "up" else " fewer"
    return f"{said}; {change.text}{more} than before"


def speed(name: str, now: Spread, before: Spread) -> str:
    """name: for example "first reply"."""
    if now.p50 is None:
        return f"No {name} was measured in this period"
    said = f"Half of the customers had the {name} within {words.duration(now.p50)}, nine of ten within {words.duration(now.p90)}"
    change = words.relative_change(now.p50, before.p50)
    if change.direction in ("up", "down"):
        said += "; that was slower than before" if change.direction == "up" else "; that was quicker than before"
    return said


def busiest(hours: Mapping[tuple[int, int], tuple[int, int]]) -> str:
    total = sum(count for count, _ in hours.values())
    if not total:
        return NOTHING
    (weekday, hour), (count, _) = max(hours.items(), key=lambda item: (item[1][0], -item[0][0], -item[0][1]))
    working = sum(count for (day, hour), (count, _) in hours.items() if day < 5 and 9 <= hour < 18)
    return (
        f"Busiest on {words.WEEKDAYS[weekday]}s, {words.hour_range(hour)}; {words.percent(1 - working / total)} came outside "
        "Monday to Friday, 09–18 h"
    )


def topics(trends: Sequence[TopicTrend], *, total: int) -> str:
    if not trends or not total:
        return "No topics are known in this period"
    first = trends[0]
    said = f"{first.topic} is asked about most ({words.percent(first.conversations / total)} of the conversations)"
    growing = [
        one for one in trends if one.before >= 5 and one.conversations >= ENOUGH and one.conversations / one.before >= 1.25
    ]
    if not growing:
        return said
    most = max(growing, key=lambda one: one.conversations / one.before)
    change = words.relative_change(most.conversations, most.before)
    grown = change.text if "times" in change.text else f"{change.text} more"
    return f"{said}; {'that is' if most is first else f'{most.topic} grew most, with'} {grown} than before"


def satisfaction(points: Mapping[str, Sequence[int]]) -> str:
    said = []
    for about, name in (("bot", "the bot"), ("person", "the team")):
        given = sum(points[about])
        if given >= ENOUGH_SCORES:
            said.append(f"{words.percent(sum(points[about][3:]) / given)} are content with {name}")
    return (" and ".join(said)) or "Too few customers have given points to say more"


def sentiment(slices: Sequence[Slice]) -> str:
    known = {one.key: one.counts.conversations for one in slices if one.key}
    total = sum(known.values())
    if not total:
        return "No mood is known in this period"
    unhappy, pleased = (words.percent(known.get(mood, 0) / total) for mood in ("negative", "positive"))
    return f"{unhappy} of the customers sounded unhappy, {pleased} pleased"


def handoffs(reasons: Sequence[tuple[str, int]]) -> str:
    total = sum(number for _, number in reasons)
    if not total:
        return "Nobody was handed to a person in this period"
    reason, number = reasons[0]
    return f"{words.percent(number / total)} of the handoffs: {reason[:1].lower()}{reason[1:]}"
