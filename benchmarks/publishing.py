"""How soon a published FAQ answers, and how long the calibration takes, in knowledge bases of 1,000 and 10,000 FAQs.

    make bench BENCHMARKS=benchmarks/publishing.py
    make bench BENCHMARKS=benchmarks/publishing.py ARGS="--faqs 10000 --rounds 5"

The way is the product's: publishing puts a task into the queue, a general worker in a process of its own embeds the phrasings and
raises the index's version, and a process that searches, as generation workers do, finds the FAQ. Measured from before
`publish_faq` until that search has returned; it asks every 50 ms. "quiet": nothing else goes on. "calibrating": the worker fits
the confidence to the publishing before. The FAQs are made up, five phrasings each (see retrieval_scale.py); they stay in the
scratch database, so the sizes go upwards.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import django  # noqa: E402
import numpy as np  # noqa: E402

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "support_portal.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from benchmarks.retrieval_scale import make  # noqa: E402
from chatbot.knowledge import indexing, retrieval  # noqa: E402
from chatbot.knowledge.authoring import create_faq, publish_faq  # noqa: E402
from chatbot.knowledge.content import FaqText  # noqa: E402
from chatbot.knowledge.embedding import default_embedder  # noqa: E402
from chatbot.knowledge.models import Faq, FaqStatus, Phrasing  # noqa: E402
from chatbot.knowledge.passages import text_hash  # noqa: E402
from chatbot.knowledge.tasks import CALIBRATE_AFTER_S  # noqa: E402
from support_portal.celery import app  # noqa: E402

EACH = 5
WAIT_S = 600.0
# Words that no made-up FAQ has, so that each round's FAQ is the one its question finds.
THINGS = [
    "unicycle",
    "trombone",
    "aquarium",
    "glacier",
    "lighthouse",
    "accordion",
    "hammock",
    "telescope",
    "marzipan",
    "submarine",
    "chandelier",
    "orchid",
]


def fill(faqs: int) -> None:
    """Put published FAQs with ready vectors beside what is there already, until there are so many."""
    embedder = default_embedder()
    there = Faq.objects.filter(key__startswith="made-").count()
    made = make(faqs * EACH, each=EACH, questions=1)
    texts = [f"{text} n{row}" for row, text in enumerate(made.texts)]
    stored = Faq.objects.bulk_create((_faq(number, texts) for number in range(there, faqs)), batch_size=2000)
    for start in range(0, len(stored), 500):
        Phrasing.objects.bulk_create(
            phrasing
            for offset, faq in enumerate(stored[start : start + 500], start=there + start)
            for phrasing in _phrasings(faq, texts, made.vectors, number=offset, embedder=embedder.name)
        )
    with transaction.atomic():
        indexing.locked_state()
    indexing.refresh_index(embedder=embedder, calibrate=False)


def _faq(number: int, texts: list[str]) -> Faq:
    question, *phrasings = texts[EACH * number : EACH * (number + 1)]
    key, now = f"made-{number}", timezone.now()
    answer, status = "Made up.", FaqStatus.PUBLISHED
    return Faq(key=key, locale="en", question=question, phrasings=phrasings, answer=answer, status=status, published_at=now)


def _phrasings(faq: Faq, texts: list[str], vectors: np.ndarray, *, number: int, embedder: str) -> Iterator[Phrasing]:
    for row in range(EACH * number, EACH * (number + 1)):
        yield Phrasing(faq=faq, text=texts[row], text_hash=text_hash(texts[row]), embedder=embedder, vector=vectors[row])


@contextmanager
def general_worker() -> Iterator[None]:
    """A general worker as the demo starts it."""
    worker = [sys.executable, "-m", "celery", "-A", "support_portal", "worker", "--pool", "threads", "--loglevel", "WARNING"]
    process = subprocess.Popen([*worker, "--queues", "general", "--concurrency", "4"], cwd=ROOT)
    try:
        wait_until(lambda: bool(app.control.ping(timeout=0.5)), what="the worker's start")
        yield
    finally:
        process.kill()  # It may be in the middle of a calibration that nobody waits for.
        process.wait()


def wait_until(done: Callable[[], bool], *, what: str) -> None:
    until = time.monotonic() + WAIT_S
    while not done():
        if time.monotonic() > until:
            raise SystemExit(f"{what} took more than {WAIT_S:.0f} s")
        time.sleep(0.05)


def is_calibrated() -> bool:
    return indexing.is_calibrated(embedder=default_embedder())


def publish_to_answerable_s(thing: str, *, faqs: int) -> float:
    """Publish a FAQ about something new, as the web process does, and ask until it is the first that is found."""
    text = FaqText(question=f"Do you repair a {thing}?", answer="Yes, we do.", phrasings=[f"{thing} repair", f"my {thing} broke"])
    faq = create_faq(f"{thing}-{faqs}", locale="en", text=text, author=None)

    def answers() -> bool:
        found = retrieval.search(f"can you repair my {thing}", locale="en", limit=5)
        return any(match.key == faq.key for match in found.matches)

    started = time.monotonic()
    publish_faq(faq.pk, author=None)
    wait_until(answers, what="publishing")
    took_s = round(time.monotonic() - started, 2)
    print(f"{faqs} FAQs: one more answers after {took_s} s", file=sys.stderr, flush=True)
    return took_s


def measure(faqs: int, *, rounds: int) -> dict[str, Any]:
    fill(faqs)
    started = time.monotonic()
    indexing.calibrate_index(embedder=default_embedder())
    calibrate_s = time.monotonic() - started
    started = time.monotonic()
    retrieval.search("warm up", locale="en")
    load_s = time.monotonic() - started
    quiet, calibrating = [], []
    with general_worker():
        for number in range(rounds):
            wait_until(is_calibrated, what="calibrating")
            quiet.append(publish_to_answerable_s(THINGS[number], faqs=faqs))
            time.sleep(CALIBRATE_AFTER_S + 1.0)
            calibrating.append(publish_to_answerable_s(THINGS[rounds + number], faqs=faqs))
    return {
        "benchmark": "publishing",
        "faqs": faqs,
        "phrasings": EACH * faqs,
        "quiet_s": quiet,
        "calibrating_s": calibrating,
        "calibrate_s": round(calibrate_s, 1),
        "load_s": round(load_s, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faqs", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, len(THINGS) // 2 + 1))
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    default_embedder().encode(["warm up"])
    rows = [measure(faqs, rounds=options.rounds) for faqs in sorted(options.faqs)]
    print(f"{'FAQs':>8}{'publish to answerable: quiet':>32}{'while calibrating':>24}{'calibration':>14}{'first load':>12}")
    for row in rows:
        quiet, calibrating = (" / ".join(f"{s:.2f}" for s in row[name]) + " s" for name in ("quiet_s", "calibrating_s"))
        print(f"{row['faqs']:>8}{quiet:>32}{calibrating:>24}{row['calibrate_s']:>12} s{row['load_s']:>10} s")
    for row in rows:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
