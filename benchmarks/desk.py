"""What the desk costs at the size of years, and how soon an agent sees what a customer writes.

    make bench BENCHMARKS=benchmarks/desk.py                         lists and search in 100,000 conversations, 1,000,000 messages
    make bench BENCHMARKS=benchmarks/desk.py ARGS="--conversations 2000 --messages 20000"
    make bench BENCHMARKS=benchmarks/desk.py ARGS="--live --chats 64"  message to agent's screen beside 64 streaming chats

Lists and searches are timed in this process, against the database named in DATABASE_URL, which is migrated and filled when it is
empty; each line tells the statements it took and how PostgreSQL went about the longest. --live starts the whole product with
ENGINE=scripted in a temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

QUERIES = [
    *["delivery", "how", "the", "a", "order number", "refund battery charger", "helmet scratch", "order LW839201", "lw12"],
    *["Priya", "customer code 0fe3a", "zzzzz", '"delivery" & | ! (cost', "je ne regrette"],
    *["退款", "订单 物流", "税", "怎么查询我的订单到哪了", "返品", "返", "ポイント", "自転車の修理"],
]
NARROWED = [
    {"tag": "vip"},
    {"language": "ja"},
    {"priority": 2},
    {"sentiment": "negative"},
    {"unread": True},
    {"tag": "nobody-has-this"},
]


def lists(rounds: int) -> list[dict[str, Any]]:
    from chatbot.conversations import inbox, searching  # Django is set up by now.
    from chatbot.conversations.inbox import Filters
    from support_portal.accounts.models import User

    viewer, _ = User.objects.get_or_create(username="bench-agent")
    rows = [measure(f"list {q}", lambda q=q: inbox.page_of(Filters(queue=q), viewer_id=viewer.pk), rounds) for q in inbox.QUEUES]
    for narrowed in NARROWED:
        chosen = Filters(queue="resolved", **narrowed)
        rows.append(
            measure(f"list resolved {narrowed}", lambda chosen=chosen: inbox.page_of(chosen, viewer_id=viewer.pk), rounds)
        )
    middle = inbox.page_of(Filters(queue="all"), viewer_id=viewer.pk).next
    if middle is not None:
        deep = inbox.Position(middle.moment.replace(year=middle.moment.year - 1, month=12), middle.id)
        rows.append(
            measure("list all, deep", lambda: inbox.page_of(Filters(queue="all"), viewer_id=viewer.pk, before=deep), rounds)
        )
    for query in QUERIES:
        chosen = Filters(queue="all", query=query)
        rows.append(measure(f"search {query}", lambda chosen=chosen: searching.search(chosen, viewer_id=viewer.pk), rounds))
    for queue in ("waiting", "resolved"):
        chosen = Filters(queue=queue, query="delivery", tag="vip")
        rows.append(
            measure(
                f"search {queue}, tag vip: delivery", lambda chosen=chosen: searching.search(chosen, viewer_id=viewer.pk), rounds
            )
        )
    return [*rows, *news(rounds), *pages(rounds)]


def news(rounds: int) -> list[dict[str, Any]]:
    """Telling agents of eight conversations that have changed: read and drawn for all of them together."""
    from chatbot.conversations.inbox import Filters, Watched
    from chatbot.conversations.models import Conversation
    from support_portal.accounts.models import User
    from support_portal.desk.list_news import Asked, lists_of

    ids = tuple(Conversation.objects.order_by("-last_message_at").values_list("pk", flat=True)[:8])
    viewers = [User.objects.get_or_create(username=f"bench-agent-{number}")[0].pk for number in range(50)]
    found = []
    for agents in (1, 10, 50):
        asked = [
            Asked(Watched(Filters(queue="mine" if place % 5 == 4 else "all"), viewer, ids), with_counts=True, stream_id="")
            for place, viewer in enumerate(viewers[:agents])
        ]
        found.append(measure(f"news for {agents} agents", lambda asked=asked: lists_of(asked), rounds))
    return found


def pages(rounds: int) -> list[dict[str, Any]]:
    """Whole requests, with session, rights, choices and templates."""
    from django.test import Client

    from chatbot.conversations.models import Conversation
    from support_portal.accounts.models import User

    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(User.objects.get(username="bench-agent"))
    newest = Conversation.objects.order_by("-last_message_at").values_list("pk", flat=True)[0]
    paths = ["/desk/", "/desk/?queue=all", "/desk/?queue=all&q=delivery", f"/desk/{newest}/", f"/desk/{newest}/?pane=1"]
    return [measure(f"page {path.replace(str(newest), 'ID')}", lambda path=path: client.get(path), rounds) for path in paths]


def measure(name: str, call: Callable[[], Any], rounds: int) -> dict[str, Any]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    call()
    times_ms = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        times_ms.append((time.perf_counter() - started) * 1000)
    with CaptureQueriesContext(connection) as captured:
        call()
    longest = max(captured.captured_queries, key=lambda query: float(query["time"]), default={"sql": ""})["sql"]
    return {
        "name": name,
        "p50_ms": quantile(times_ms, 0.5),
        "p95_ms": quantile(times_ms, 0.95),
        "queries": len(captured),
        "plan": plan_of(longest),
    }


def plan_of(statement: str) -> str:
    """The scans and joins of a statement, outermost first."""
    from django.db import connection

    if not statement.lstrip().upper().startswith(("SELECT", "WITH")):
        return ""
    with connection.cursor() as cursor:
        # psycopg has filled the parameters in; no further ones are given, so that a % in them stays what it is.
        cursor.execute("EXPLAIN (FORMAT JSON) " + statement.replace("%", "%%"), [])
        plan = cursor.fetchone()[0]
    nodes: list[str] = []
    _walk((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"], nodes)
    return " < ".join(dict.fromkeys(nodes))


def _walk(node: dict[str, Any], nodes: list[str]) -> None:
    if node["Node Type"] not in ("Limit", "Sort", "Result", "Unique", "Subquery Scan", "CTE Scan"):
        nodes.append(node["Node Type"] + (f" {node['Index Name']}" if "Index Name" in node else ""))
    for child in node.get("Plans", []):
        _walk(child, nodes)


def quantile(values: list[float], share: float) -> float:
    ordered = statistics.quantiles(values, n=100, method="inclusive") if len(values) > 1 else values * 99
    return round(ordered[round(share * 100) - 1], 1)


def prepare(*, conversations: int, messages: int) -> None:
    """Migrate and, when it is empty, fill the database."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "support_portal.settings")
    import django

    django.setup()
    from django.core.management import call_command

    from chatbot.conversations.models import Conversation

    call_command("migrate", verbosity=0)
    if not Conversation.objects.exists():
        call_command("seedload", conversations=conversations, messages=messages)


def live(*, chats: int, samples: int) -> dict[str, Any]:
    from benchmarks.desk_live import measure_live
    from tests.stack import SENTENCES, running_stack

    with tempfile.TemporaryDirectory() as name:
        script = Path(name) / "script.jsonl"
        script.write_text(json.dumps({"match": "", "pieces": [f"{sentence} " for sentence in SENTENCES] * 4, "gap_s": 0.1}))
        environment = {"MODEL_MAX_RUNNING": "64", "MODEL_MAX_WAITING": "512"}
        with running_stack(Path(name) / "data", script=script, **environment) as stack:
            return asyncio.run(measure_live(stack, chats=chats, samples=samples))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20, help="times each list and search is asked for")
    parser.add_argument("--live", action="store_true", help="message to agent's screen instead")
    parser.add_argument("--chats", type=int, default=64, help="chats that stream meanwhile")
    parser.add_argument("--samples", type=int, default=400, help="messages that are timed")
    options = parser.parse_args()
    if options.live:
        print(json.dumps({"benchmark": "desk_live", **live(chats=options.chats, samples=options.samples)}))
        return
    prepare(conversations=options.conversations, messages=options.messages)
    rows = lists(options.rounds)
    print(f"{'':44} {'p50 ms':>8} {'p95 ms':>8} {'queries':>8}  plan of the longest")
    for row in rows:
        print(f"{row['name'][:44]:44} {row['p50_ms']:>8} {row['p95_ms']:>8} {row['queries']:>8}  {row['plan'][:120]}")
    for kind in ("list", "search", "news", "page"):
        of_kind = [row["p95_ms"] for row in rows if row["name"].startswith(kind)]
        print(json.dumps({"benchmark": "desk", "kind": kind, "cases": len(of_kind), "worst_p95_ms": max(of_kind)}))


if __name__ == "__main__":
    main()
