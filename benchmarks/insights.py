"""The insight page over a million messages in 100,000 conversations: the page, each panel, the counting and the export.

    make bench BENCHMARKS=benchmarks/insights.py ARGS="--conversations 100000 --messages 1000000"

Fills the empty database it is given (`seedload`), counts the facts, and asks for the page as an administrator's browser would.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "support_portal.settings")

import django  # noqa: E402

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from chatbot.conversations.models import Message  # noqa: E402
from chatbot.insights import facts, reports  # noqa: E402
from chatbot.insights.models import ConversationFact  # noqa: E402
from chatbot.insights.periods import recent  # noqa: E402
from support_portal.accounts.models import User  # noqa: E402

PANELS = [
    *(reports.totals, reports.by_column, reports.by_hour, reports.by_dimension, reports.agent_times, reports.topic_trends),
    *(reports.satisfaction, reports.top_sources, reports.choices),
]
# What a load of plain conversations lacks: people, topics, moods, points, sources. By the id, so that every run has the same.
_ENRICH = """
    UPDATE insights_conversationfact SET
        topic = 'Topic ' || (hash % 14), sentiment = (ARRAY['negative', 'neutral', 'neutral', 'positive'])[1 + hash % 4],
        csat_bot = CASE WHEN hash % 9 = 0 THEN 1 + hash % 5 END, csat_person = CASE WHEN hash % 23 = 0 THEN 1 + hash % 5 END,
        agent_id = CASE WHEN hash % 5 = 0 THEN 1 + hash % 40 END, team_id = 1 + hash % 6,
        person_response_s = CASE WHEN hash % 5 = 0 THEN hash % 900 END,
        channel = (ARRAY['page', 'widget', 'api'])[1 + hash % 3], sources = ARRAY['faq-' || hash % 108, 'faq-' || hash % 37]
    FROM (SELECT conversation_id AS id, abs(hashtext(conversation_id::text)) AS hash FROM insights_conversationfact) AS hashed
    WHERE id = conversation_id
"""


def timed_ms(deed: Callable[[], Any]) -> float:
    started = time.perf_counter()
    deed()
    return (time.perf_counter() - started) * 1000


def page_ms(client: Client, query: str, *, rounds: int) -> list[float]:
    client.get(f"/insights/?{query}")
    return [timed_ms(lambda: client.get(f"/insights/?{query}")) for _ in range(rounds)]


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[18]


def export_s(client: Client) -> tuple[float, int]:
    started, size = time.perf_counter(), 0
    response: Any = client.get("/insights/conversations.xlsx?period=90")
    for piece in response.streaming_content:
        size += len(piece)
    return time.perf_counter() - started, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    call_command("seedload", conversations=options.conversations, messages=options.messages, verbosity=0)
    counting_s = timed_ms(facts.refresh) / 1000
    again_s = timed_ms(facts.refresh) / 1000
    with connection.cursor() as cursor:
        cursor.execute(_ENRICH)
        cursor.execute("VACUUM (ANALYZE) insights_conversationfact")
    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.create_superuser("omar"))
    found: dict[str, Any] = {
        "messages": Message.objects.count(),
        "conversations": ConversationFact.objects.count(),
        "counting_s": round(counting_s, 1),
        "counting_again_s": round(again_s, 2),
    }
    today, zone = timezone.localdate(), ZoneInfo(timezone.get_default_timezone_name())
    year = reports.Selection(recent(365, today=today, zone=zone))
    spans = {"30": "period=30", "90": "period=90", "365": f"period=custom&from={year.period.first}&until={year.period.last}"}
    for days, query in spans.items():
        times = page_ms(client, query, rounds=options.rounds)
        print(f"page, {days:>3} days: p50 {statistics.median(times):5.0f} ms   p95 {p95(times):5.0f} ms")
        found[f"page_{days}_days_p95_ms"] = round(p95(times))
    with CaptureQueriesContext(connection) as caught:
        client.get("/insights/?period=90")
    found["queries"] = len(caught)
    for panel in PANELS:
        times = [timed_ms(functools.partial(panel, year)) for _ in range(3)]
        print(f"  {panel.__name__:<16} {statistics.median(times):6.0f} ms over 365 days")
    seconds, size = export_s(client)
    found |= {"export_90_days_s": round(seconds, 1), "export_mb": round(size / 1e6, 1)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
