"""What the path itself costs: from send to first frame, and from a piece's publishing to its arrival, with a scripted model.

    make bench BENCHMARKS=benchmarks/delivery.py ARGS="--chats 1 16 64"

Starts the whole product with ENGINE=scripted in a temporary folder. The engine writes a sentence every 100 ms without thinking,
so what is measured is database, broker, worker, stream, web process and socket. Client and server share this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.faults.customer import Customer, visitor_cookie  # noqa: E402
from tests.stack import SENTENCES, SEVERAL_QUESTIONS, Stack, running_stack  # noqa: E402


async def measure(stack: Stack, *, chats: int, rounds: int) -> dict[str, float]:
    first_ms: list[float] = []
    piece_ms: list[float] = []
    lost = 0
    cookies = [await asyncio.to_thread(visitor_cookie, stack.url) for _ in range(chats)]
    customers = [await Customer(stack.url, cookie).start() for cookie in cookies]
    await asyncio.sleep(1)
    for _ in range(rounds):
        results = await asyncio.gather(*(one_answer(customer) for customer in customers))
        for first, pieces in results:
            first_ms.append(first)
            piece_ms.extend(pieces)
            lost += not pieces
    await asyncio.gather(*(customer.close() for customer in customers))
    return {
        "chats": chats,
        "answers": chats * rounds,
        "lost": lost,
        "first_frame_p50_ms": quantile(first_ms, 0.5),
        "first_frame_p99_ms": quantile(first_ms, 0.99),
        "piece_p50_ms": quantile(piece_ms, 0.5),
        "piece_p99_ms": quantile(piece_ms, 0.99),
    }


async def one_answer(customer: Customer) -> tuple[float, list[float]]:
    """Ask one question. Returns milliseconds to the first frame of its reply, and the travelling time of each piece."""
    before = len(customer.progress)
    offset_ms = time.time() * 1000 - time.monotonic() * 1000
    sent = time.monotonic()
    client_id = await customer.ask(SEVERAL_QUESTIONS)
    await customer.until_answered(client_id, timeout_s=120)
    frames = customer.progress[before:]
    return (frames[0][3] - sent) * 1000, [at * 1000 + offset_ms - sent_at_ms for _, _, _, at, sent_at_ms in frames]


def quantile(values: list[float], share: float) -> float:
    return (
        round(statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1], 1)
        if len(values) > 1
        else values[0]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chats", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=5, help="answers a chat")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        script = Path(name) / "script.jsonl"
        script.write_text(json.dumps({"match": "", "pieces": [f"{sentence} " for sentence in SENTENCES], "gap_s": 0.1}))
        environment = {"MODEL_MAX_RUNNING": "64", "MODEL_MAX_WAITING": "512"}
        with running_stack(Path(name) / "data", script=script, **environment) as stack:
            rows = [asyncio.run(measure(stack, chats=chats, rounds=options.rounds)) for chats in options.chats]
    print("chats  answers  lost  send->first frame p50/p99 ms  piece p50/p99 ms")
    for row in rows:
        first = f"{row['first_frame_p50_ms']:>14} / {row['first_frame_p99_ms']:<10}"
        piece = f"{row['piece_p50_ms']:>7} / {row['piece_p99_ms']}"
        print(f"{row['chats']:>5}  {row['answers']:>7}  {row['lost']:>4}  {first}  {piece}")
    for row in rows:
        print(json.dumps({"benchmark": "delivery", **row}))


if __name__ == "__main__":
    main()
