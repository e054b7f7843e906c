"""Half an hour of a working day: does anything leak? Arrivals at 90 % of capacity, stops, deadlines, lost customers.

    python -m benchmarks.soak --minutes 30

Customers arrive at random (Poisson) and hold conversations with short and long prompts. Some stop an answer, some have a deadline
that passes, some leave without a word so that nobody reads on. Every few seconds one line. At the end no request may run or wait,
every cache slot must be free, and the memory must have stayed flat; otherwise the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.generation import configured_model  # noqa: E402
from benchmarks.generation_figures import resident_bytes  # noqa: E402
from benchmarks.soak_traffic import Traffic, growth_per_s, longest_prompt, new_request  # noqa: E402
from chatbot.engine.device import choose_device  # noqa: E402
from chatbot.engine.engine import BatchedEngine  # noqa: E402
from chatbot.engine.requests import EngineError  # noqa: E402

LOAD = 0.9
CAPACITY_S = 60
DRAIN_S = 180
# Memory is judged after this share of the run: before, the first pages of every slot are still being touched.
SETTLING = 0.25


def warm_up(engine: BatchedEngine) -> None:
    """Touch every cache slot to the length it will have: each is another conversation's with the longest prompt."""
    slots = engine.stats().cache_slots
    for start in range(0, slots, engine.stats().slots):
        names = range(start, min(start + engine.stats().slots, slots))
        handles = [engine.submit(new_request(f"warm {name}", longest_prompt(), new_tokens=60)) for name in names]
        for handle in handles:
            handle.output  # noqa: B018


def measure_capacity(engine: BatchedEngine, *, seconds: float, seed: int) -> float:
    """Answers a second while more customers ask than can be served, counted once all places have been taken in turn."""
    traffic = Traffic(engine, random.Random(seed))
    started, before = 0.0, 0
    while not started or time.monotonic() - started < seconds:
        if not started and traffic.ended_count >= engine.stats().slots:
            started, before = time.monotonic(), traffic.ended_count
        while traffic.open_count < 2 * engine.stats().slots:
            traffic.arrive()
        time.sleep(0.02)
    answered, elapsed = traffic.ended_count - before, time.monotonic() - started
    traffic.send_all_home(timeout_s=DRAIN_S)
    return max(answered, 1) / elapsed


def soak(
    engine: BatchedEngine, *, seconds: float, rate: float, every_s: float, seed: int
) -> tuple[Traffic, list[tuple[float, int]]]:
    """Let customers arrive `rate` times a second. Returns the traffic and (second, resident bytes) samples."""
    chance = random.Random(seed)
    traffic = Traffic(engine, random.Random(seed + 1))
    samples: list[tuple[float, int]] = []
    started = time.monotonic()
    next_arrival = next_line = 0.0
    before = engine.stats().tokens_total
    print(f"{'second':>7}{'waiting':>9}{'running':>9}{'free slots':>12}{'RSS MiB':>10}{'tokens/s':>10}{'ended':>8}", flush=True)
    while (now := time.monotonic() - started) < seconds:
        while next_arrival <= now:
            traffic.arrive()
            next_arrival += chance.expovariate(rate)
        if now >= next_line:
            stats, resident = engine.stats(), resident_bytes()
            samples.append((now, resident))
            speed = (stats.tokens_total - before) / every_s if next_line else 0.0
            before = stats.tokens_total
            numbers = f"{now:>7.0f}{stats.waiting:>9}{stats.running:>9}{stats.free_cache_slots:>12}{resident / 2**20:>10.0f}"
            print(f"{numbers}{speed:>10.1f}{traffic.ended_count:>8}", flush=True)
            next_line += every_s
        time.sleep(min(0.05, max(0.0, next_arrival - now)))
    return traffic, samples


def judge(
    engine: BatchedEngine, samples: list[tuple[float, int]], *, left_open: int, new_threads: int, max_growth_mib: float
) -> list[str]:
    """What has leaked, in sentences; empty when nothing has."""
    stats = engine.stats()
    settled = [sample for sample in samples if sample[0] >= samples[-1][0] * SETTLING]
    grown_mib = growth_per_s(settled) * (settled[-1][0] - settled[0][0]) / 2**20
    print(f"memory over the last {settled[-1][0] - settled[0][0]:.0f} s: {grown_mib:+.1f} MiB (limit {max_growth_mib:g})")
    checks = {
        f"{left_open} answers never ended": left_open == 0,
        f"{stats.running} requests still run": stats.running == 0,
        f"{stats.waiting} requests still wait": stats.waiting == 0,
        f"{stats.cache_slots - stats.free_cache_slots} cache slots are not free": stats.cache_slots == stats.free_cache_slots,
        f"memory grew by {grown_mib:.0f} MiB": grown_mib <= max_growth_mib,
        "the inference thread died": engine.alive,
        f"{new_threads} threads are left": new_threads <= 0,
    }
    return [sentence for sentence, good in checks.items() if not good]


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="model folder; without it the configured one (MODEL, MODELS_DIR, DATA_DIR)")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--running", type=int, default=8, help="answers at once")
    parser.add_argument("--every", type=float, default=15, help="seconds between two lines")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-growth-mib", type=float, default=64, help="how much memory may grow after the settling part")
    return parser.parse_args()


def main() -> int:
    options = parse_options()
    try:
        device, dtype = choose_device(os.environ.get("MODEL_DEVICE") or "auto", os.environ.get("MODEL_DTYPE") or "auto")
        folder = options.model or configured_model()
        engine = BatchedEngine(folder, device=device, dtype=dtype, max_running=options.running, max_waiting=64)
        engine.start()
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1
    threads = threading.active_count()
    print("warming up: every cache slot is touched, then the capacity is measured", flush=True)
    warm_up(engine)
    seconds = options.minutes * 60
    capacity = measure_capacity(engine, seconds=min(CAPACITY_S, seconds / 4), seed=options.seed)
    print(f"{folder.name} on {device}, {dtype}: {capacity:.2f} answers/s at most; {LOAD * capacity:.2f} arrivals/s", flush=True)
    traffic, samples = soak(engine, seconds=seconds, rate=LOAD * capacity, every_s=options.every, seed=options.seed)
    left_open = traffic.wait_for_all(timeout_s=DRAIN_S)
    print(f"how they ended: {dict(Counter(traffic.endings).most_common())}")
    new_threads = threading.active_count() - threads
    leaks = judge(engine, samples, left_open=left_open, new_threads=new_threads, max_growth_mib=options.max_growth_mib)
    engine.stop()
    print("\n".join(f"LEAK: {leak}" for leak in leaks) or "nothing leaked")
    return 1 if leaks else 0


if __name__ == "__main__":
    sys.exit(main())
