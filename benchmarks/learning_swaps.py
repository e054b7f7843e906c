"""Promotion and rollback under streaming chats: does any answer fail, does any mix two versions, how soon is a version gone?

    python benchmarks/learning_swaps.py --model FOLDER --tiny    # random weights, nonsense at once: 8 minutes on 2 cores
    python benchmarks/learning_swaps.py --model FOLDER           # those weights

The whole product as a user starts it, with a real worker; 16 customers ask all the time, three questions a conversation, while
the live version goes back and forth between two random adapters. Afterwards each version answers the same prompts alone, and
every sentence that was shown or withheld must be in its answer word for word. Targets: no failed answer, each names one version,
none mixed, a rollback within 5 s.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.learning_stack import product, random_adapter, tiny_like  # noqa: E402
from tests.faults.customer import Customer, visitor_cookie  # noqa: E402
from tests.stack import SEVERAL_QUESTIONS, Stack  # noqa: E402

NAMES = ("first", "second")
TURNS = 3
ZERO = {"failed answers": "failed", "answers without one version": "without_one_version", "answers of two versions": "mixed"}
WAIT_S = 180.0
# Two questions that are sure by themselves and one between them that is not: the model writes the answer.
QUESTIONS = (
    SEVERAL_QUESTIONS,
    "How long does delivery take? Is there a playground in your store? And how do I get an invoice?",
    "How do I get an invoice? Is there a piano in your store? And how long does delivery take?",
    "How long does delivery take? May my dog come into your café? And how do I get an invoice?",
)


@dataclass
class Seen:
    """What the customers met. failed: answers that did not come whole; refused: errors the site sent."""

    answers: int = 0
    failed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


async def chat(stack: Stack, seen: Seen, *, number: int, until: asyncio.Event) -> None:
    """Ask on and on, a new conversation after every third answer."""
    cookie = await asyncio.to_thread(visitor_cookie, stack.url)
    turn = number
    while not until.is_set():
        customer = await Customer(stack.url, cookie).start()
        for _ in range(TURNS):
            turn += 1
            try:
                reply = await customer.until_answered(await customer.ask(QUESTIONS[turn % len(QUESTIONS)]), timeout_s=WAIT_S)
                seen.answers += 1
                seen.failed += [] if reply["status"] == "complete" else [reply["status"]]
            except TimeoutError:
                seen.failed.append("no answer")
            if until.is_set():
                break
        seen.refused += customer.errors
        await customer.close()


def swap(number: int) -> tuple[float, float]:
    """Promote the second, or roll back to the first. Returns when, and seconds until the worker had followed."""
    from chatbot.releases import stages
    from chatbot.releases.models import ModelVersion

    # Taken before: a worker may follow before this process has its answer from the database.
    asked_at, begun = time.time(), time.monotonic()
    version = stages.roll_back(reason="a benchmark") if number % 2 else stages.to_live("second", reason="a benchmark of swaps")
    while time.monotonic() - begun < 60:
        loaded_at = ModelVersion.objects.values_list("last_loaded_at", flat=True).get(pk=version.pk)
        if loaded_at and loaded_at.timestamp() >= asked_at:
            return asked_at, loaded_at.timestamp() - asked_at
        time.sleep(0.02)
    return asked_at, float("inf")


def prepare(folder: Path, model: Path, *, strength: float) -> None:
    """List both adapters and let the first answer."""
    from chatbot.releases import stages, versions

    for seed, name in enumerate(NAMES, start=1):
        versions.add_adapter(random_adapter(folder / name, model, seed=seed, strength=strength), name=name)
    stages.to_live("first", reason="a benchmark of swaps")


async def traffic(stack: Stack, options: argparse.Namespace) -> tuple[Seen, list[tuple[float, float]]]:
    seen, until = Seen(), asyncio.Event()
    await asyncio.sleep(5)  # the worker takes the first version up
    chats = [asyncio.create_task(chat(stack, seen, number=n, until=until)) for n in range(options.chats)]
    await asyncio.sleep(5)
    swaps = []
    for number in range(options.swaps):
        swaps.append(await asyncio.to_thread(swap, number))
        if number % 10 == 9:
            print(f"{number + 1} swaps, {seen.answers} answers, slowest {max(s for _, s in swaps):.1f} s", flush=True)
        await asyncio.sleep(options.dwell_s)
    until.set()
    await asyncio.gather(*chats)
    return seen, swaps


def rows(*, since: float) -> list[dict[str, Any]]:
    """Every answer of the customers as the database has it."""
    from chatbot.conversations.models import Generation

    begun = datetime.fromtimestamp(since, tz=UTC)
    wanted = Generation.objects.filter(reply__in_reply_to__text__in=QUESTIONS, created_at__gte=begun).order_by("pk")
    return list(wanted.values("status", "error", "model_version", "decision", "text", "trace", "completion_tokens", "started_at"))


def last_begun(answers: list[dict[str, Any]], swaps: list[tuple[float, float]]) -> float:
    """Of all answers begun after a swap on the version before it: the latest, in seconds after the swap."""
    found = [0.0]
    for number, (done_at, _) in enumerate(swaps):
        old, ends = NAMES[number % 2], swaps[number + 1][0] if number + 1 < len(swaps) else float("inf")
        begun = [row["started_at"].timestamp() for row in answers if row["model_version"] == old]
        found += [at - done_at for at in begun if done_at <= at < ends]
    return max(found)


def plain(text: str) -> str:
    from chatbot.answering.grounding import renumber

    return "".join(renumber(text, numbers={}).split())


def sentences_of(row: dict[str, Any]) -> list[str]:
    """What the model wrote, as far as the product keeps it: sentences shown, and sentences withheld with the reason."""
    from chatbot.answering.sentences import sentences

    composed = row["trace"].get("outcome") == "written"
    shown = sentences(row["text"].split("\n\n")[0]) if composed else []
    return [words for words in map(plain, [*shown, *(item["sentence"] for item in row["trace"].get("withheld", []))]) if words]


def against_each_alone(answers: list[dict[str, Any]], folder: Path, model: Path, *, most: int, dtype: str) -> dict[str, int]:
    """Let each version answer the prompts alone, one after the other, and look every sentence up in what it wrote."""
    from chatbot.answering.prompting import MAX_NEW_TOKENS_SEVERAL
    from chatbot.engine.device import choose_device
    from chatbot.engine.engine import BatchedEngine
    from chatbot.engine.requests import ChatMessage, GenerationRequest

    device, chosen = choose_device("auto", dtype)
    engine = BatchedEngine(model, device=device, dtype=chosen, max_running=1, context_tokens=4096)
    engine.start()
    for name in NAMES:
        engine.load_version(name, folder / name)
    alone: dict[tuple[str, str], str] = {}

    def written(name: str, prompt: list[dict[str, Any]]) -> str:
        key = (name, json.dumps(prompt))
        if key not in alone:
            messages = [ChatMessage(**message) for message in prompt]
            request = GenerationRequest("r", messages, max_new_tokens=MAX_NEW_TOKENS_SEVERAL, version=name, deadline_s=WAIT_S)
            alone[key] = plain(engine.submit(request).output.text)
        return alone[key]

    counts = {"checked": 0, "sentences": 0, "mixed": 0, "telling": 0}
    step = max(1, len(answers) // most) if most else 1
    for row in answers[::step]:
        own, prompt = row["model_version"], row["trace"]["prompt"]
        found = sentences_of(row)
        counts["checked"] += 1
        counts["sentences"] += len(found)
        counts["mixed"] += any(words not in written(own, prompt) for words in found)
        other = NAMES[1 - NAMES.index(own)]
        counts["telling"] += any(words not in written(other, prompt) for words in found)
    engine.stop()
    return counts


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    model = tiny_like(options.model, folder / "tiny") if options.tiny else options.model.resolve()
    environment = {"MODEL_MAX_RUNNING": str(options.chats), "MODEL_DTYPE": options.dtype, "REPLY_DEADLINE_S": str(int(WAIT_S))}
    with product(options.data_dir or folder / "data", model, **environment) as stack:
        prepare(folder, model, strength=options.strength)
        since = time.time()
        seen, swaps = asyncio.run(traffic(stack, options))
        answers = rows(since=since)
    written = [row for row in answers if "outcome" in row["trace"]]
    named = [row for row in written if row["model_version"] in NAMES and row["trace"]["model"] == row["model_version"]]
    figures = {
        "swaps": len(swaps),
        "answers": len(answers),
        "failed": len(seen.failed) + len(seen.refused) + sum(row["status"] != "done" or bool(row["error"]) for row in answers),
        "not_by_the_model": dict(
            Counter(str(row["trace"].get("fallback") or row["decision"]) for row in answers if row not in written)
        ),
        "without_one_version": len(written) - len(named),
        "of_first": sum(row["model_version"] == "first" for row in named),
        "slowest_promotion_s": round(max(s for _, s in swaps[::2]), 2),
        "slowest_rollback_s": round(max(s for _, s in swaps[1::2]), 2),
        "last_begun_on_the_former_s": round(last_begun(named, swaps), 2),
    }
    print("each version writes alone", flush=True)
    return figures | against_each_alone(named, folder, model, most=options.check, dtype=options.dtype)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of base weights")
    parser.add_argument("--tiny", action="store_true", help="random weights with that model's words instead")
    parser.add_argument("--chats", type=int, default=16)
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--dwell-s", type=float, default=1.0, help="seconds between a swap's end and the next")
    parser.add_argument("--strength", type=float, default=0.5, help="of the random adapters")
    parser.add_argument("--check", type=int, default=0, help="so many answers against what each version writes alone; 0 for all")
    parser.add_argument("--dtype", default="float32", help="float32 rounds alike alone and in a batch; auto is what serves")
    parser.add_argument("--data-dir", type=Path, help="keep the product's data here: a later run starts sooner")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(KeyboardInterrupt):
        row = measure(options, Path(name))
        print(json.dumps(row))
        whole = {label: row[name] for label, name in ZERO.items()}
        for label, count in whole.items():
            print(f"  {label:<44} {count:>6}   target 0   {'MISS' if count else 'PASS'}")
        late = row["slowest_rollback_s"]
        verdict = "PASS" if late <= 5 else "MISS"
        print(f"  {'slowest rollback, seconds':<44} {late:>6}   target 5   {verdict}")
        sys.exit(any(whole.values()) or late > 5 or not row["telling"])


if __name__ == "__main__":
    main()
