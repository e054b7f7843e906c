"""Many chats, one model: the engine beside its competitors, on the same weights, prompts and lengths, in one run.

    python -m benchmarks.generation --quick                        # ten minutes on 2 cores
    python -m benchmarks.generation --repeat 3 --json rows.jsonl --figures figures.jsonl

Every chat arrives at once: 400 to 900 prompt tokens of which the rules are shared, 40 to 120 tokens out, greedy, nobody ends
early. docs/benchmarks.md says what each competitor is and what each figure means. MODEL, MODEL_DEVICE, MODEL_DTYPE and DATA_DIR
count as for the product.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from transformers import AutoTokenizer  # noqa: E402

from benchmarks.generation_child import CompetitorFailed, Job, run_child  # noqa: E402
from benchmarks.generation_report import ROW_HEADER, Figure, Row, alone_figures, ratios, summarise, write_lines  # noqa: E402
from benchmarks.generation_workload import Chat, alone_chats, make_round, shared_tokens, warm_chat  # noqa: E402
from benchmarks.llama_server import LlamaMissing, find_gguf, find_server  # noqa: E402
from chatbot.engine.chat_format import ChatFormat  # noqa: E402
from chatbot.engine.device import choose_device  # noqa: E402
from chatbot.engine.fetching import resolve_model  # noqa: E402
from chatbot.engine.requests import EngineError  # noqa: E402
from support_portal.devservices.environment import data_dir  # noqa: E402

COMPETITORS = ("engine", "llama.cpp", "transformers_cb", "static", "sequential")
FIGURES = ("no_drafts", "alone", "engine", "quality")


@dataclass
class Bench:
    """One run's fixed parts."""

    options: argparse.Namespace
    folder: Path
    device: str
    dtype: str
    chat_format: ChatFormat
    llama: dict[str, Any]
    failed: bool = False

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Say aloud that a competitor failed, and measure the others."""
        try:
            yield
        except CompetitorFailed as error:
            self.failed = True
            print(f"\n*** {error}\n", file=sys.stderr, flush=True)

    def encode(self, messages: Any) -> list[int]:
        return self.chat_format.encode(messages)[0]

    def rounds(self, count: int, *, repeat: int) -> list[list[Chat]]:
        quick = self.options.quick
        return [make_round(count, number=number, encode=self.encode, quick=quick) for number in range(repeat)]

    def job(self, rounds: list[list[Chat]], **settings: Any) -> Job:
        warm = warm_chat(self.encode)
        return Job(str(self.folder), self.device, self.dtype, self.options.threads, warm, rounds, settings)


def measure(bench: Bench, name: str, *, chats: int) -> tuple[Row, list[dict[str, Any]]]:
    slow = name in {"sequential", "static"}
    repeat = bench.options.slow_repeat if slow and bench.options.slow_repeat else bench.options.repeat
    rounds = run_child(name, bench.job(bench.rounds(chats, repeat=repeat), **(bench.llama if name == "llama.cpp" else {})))
    return summarise(name, bench.folder.name, chats=chats, rounds=rounds), rounds


def drafting_figures(bench: Bench, own: Row, rounds: list[dict[str, Any]]) -> Iterator[Figure]:
    """What guessing ahead brought, and the same chats without it."""
    model, text = bench.folder.name, f"{own.chats} chats"
    yield Figure(f"engine, tokens an answer gains per step, {text}", model, rounds[0]["tokens_per_step"])
    yield Figure(f"engine, share of tokens beyond the natural end, {text}", model, rounds[0]["beyond_end"])
    if "no_drafts" in bench.options.figures_of:
        plain = run_child("engine", bench.job(bench.rounds(own.chats, repeat=len(rounds)), draft_rows=0))
        row = summarise("engine", model, chats=own.chats, rounds=plain)
        yield Figure(f"engine without drafts, output tokens/s, {text}", model, row.output_tok_s, " tok/s")
        yield Figure(f"engine without drafts, time to first token p50, {text}", model, row.ttft_p50_s, " s")


def engine_figures(bench: Bench) -> Iterator[Figure]:
    """One chat alone, a later turn, stop, start, memory."""
    model = bench.folder.name
    alone = alone_chats(1 if bench.options.quick else 3, encode=bench.encode)
    found = run_child("engine_figures", bench.job([make_round(16, number=90, encode=bench.encode), alone]))
    other = None
    if bench.llama and "alone" in bench.options.figures_of:
        other = run_child("llama.cpp", bench.job([alone], **bench.llama, alone=True))
    yield from alone_figures(model, found["alone"], other)
    yield Figure("one chat alone, tokens per step", model, found["alone"]["tokens_per_step"])
    yield Figure("one chat alone, share of tokens beyond the natural end", model, found["alone"]["beyond_end"])
    if "no_drafts" in bench.options.figures_of and not bench.options.quick:
        plain = run_child("engine", bench.job([[chat] for chat in alone], draft_rows=0))
        speed = statistics.median((r["tokens"] - 1) / (r["wall_s"] - r["firsts"][0]) for r in plain)
        yield Figure("one chat alone, decode speed of engine without drafts", model, speed, " tok/s")
    yield Figure(f"turn 10 ({found['turn_prompt_tokens']} tokens), time to first token", model, found["turn_reuse_s"], " s")
    times = found["turn_reuse_s"] / found["turn_without_s"]
    yield Figure("turn 10, time to first token against the same without reuse", model, times, "x", 0.25)
    yield Figure("stop at 16 running chats, slot free after, p50", model, found["stop_p50_ms"], " ms")
    yield Figure("stop at 16 running chats, slot free after, worst of 5", model, found["stop_ms"], " ms", 200)
    yield Figure("stop at 16 running chats, steps until the slot is free", model, found["stop_steps"], "", 1)
    yield Figure("start with cached weights, until the first request is answered", model, found["start_s"], " s", 15)
    yield Figure("resident memory, 16 chats running", model, found["resident_gib"], " GiB", 4.5)
    yield Figure("memory per running chat", model, found["running_mib"], " MiB")
    yield Figure("memory per waiting chat", model, found["waiting_mib"] / 200, " MiB")
    yield Figure("200 waiting chats add", model, found["waiting_mib"], " MiB", 200)


def quality_figures(bench: Bench) -> Iterator[Figure]:
    """The stated quality loss of the quantised path."""
    if bench.dtype != "int8":
        print("nothing is quantised on this device: no quality loss to state", flush=True)
        return
    asked = bench.options.questions or (4 if bench.options.quick else 60)
    found = run_child("engine_quality", bench.job([], questions=asked))
    model, text = bench.folder.name, f"stated quality loss of int8, {found['questions']} questions"
    yield Figure(f"{text}: same first choice ({found['tokens']} tokens)", model, found["top1"])
    yield Figure(f"{text}: mean divergence from bfloat16", model, found["kl"], " nats")
    yield Figure(f"{text}: answers identical word for word", model, found["identical"])


def run(bench: Bench, rows: list[Row], figures: list[Figure]) -> None:
    """Print every row and figure as soon as it is known."""

    def add(found: Iterable[Figure]) -> None:
        for figure in found:
            figures.append(figure)
            print(figure, flush=True)

    options = bench.options
    print(f"\n{ROW_HEADER}", flush=True)
    drafting: list[Figure] = []
    for count in options.chats or ([8] if options.quick else [8, 16]):
        for name in options.competitors:
            with bench.going_on():
                row, rounds = measure(bench, name, chats=count)
                rows.append(row)
                print(row, flush=True)
                if name == "engine":
                    drafting.extend(drafting_figures(bench, row, rounds))
    print(f"\n{'figure':<66}{'value':>10}{'':6}{'target':>12}", flush=True)
    add(ratios(rows))
    add(drafting)
    for name, part in (("engine", engine_figures), ("quality", quality_figures)):
        if name in options.figures_of:
            with bench.going_on():
                add(part(bench))


def find_llama(options: argparse.Namespace, folder: Path, *, cuda: bool) -> dict[str, Any]:
    """Where llama.cpp's server and weights are; empty when left out, which is said aloud. Raises LlamaMissing if asked for."""
    if options.competitors and "llama.cpp" not in options.competitors:
        return {}
    place = data_dir(os.environ) / "benchmarks"
    try:
        gguf = options.gguf or find_gguf(folder, place)
        server = options.llama_server or find_server(place, cuda=cuda)
    except (LlamaMissing, EngineError) as error:
        if options.competitors:
            raise LlamaMissing(str(error)) from error
        print(f"\n*** llama.cpp IS LEFT OUT: {error}\n", file=sys.stderr, flush=True)
        return {}
    return {"server": str(server.resolve()), "gguf": str(gguf.resolve())}


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="model folder; without it the configured one (MODEL, MODELS_DIR, DATA_DIR)")
    parser.add_argument("--chats", type=int, nargs="+", help="how many at once (8 16; with --quick 8)")
    parser.add_argument("--competitors", nargs="+", choices=COMPETITORS, help="only these (all)")
    parser.add_argument("--repeat", type=int, help="rounds, each with other prompts; medians are printed (3; with --quick 1)")
    parser.add_argument("--slow-repeat", type=int, help="rounds of sequential and static, which take longest (as --repeat)")
    parser.add_argument("--figures-of", nargs="*", choices=FIGURES, default=list(FIGURES), help="only these figures (all)")
    parser.add_argument("--questions", type=int, help="questions of the quality figures (60; with --quick 4)")
    parser.add_argument("--quick", action="store_true", help="8 chats, one round, half the tokens out: ten minutes on 2 cores")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads of every competitor")
    parser.add_argument("--llama-server", type=Path, help="a llama-server of your own instead of the one built here")
    parser.add_argument("--gguf", type=Path, help="the same weights for llama.cpp; fetched for the known models")
    parser.add_argument("--json", type=Path, help="write each row as one line of JSON to this file")
    parser.add_argument("--figures", type=Path, help="write each figure as one line of JSON to this file")
    options = parser.parse_args()
    options.repeat = options.repeat or (1 if options.quick else 3)
    return options


def configured_model() -> Path:
    """The folder MODEL names, as the product finds it."""
    models_dir = Path(os.environ.get("MODELS_DIR") or data_dir(os.environ) / "models").resolve()
    return resolve_model(os.environ.get("MODEL") or "default", models_dir=models_dir)


def prepare(options: argparse.Namespace) -> Bench:
    """Find device, model and competitors, and check the workload. Raises what stops the run."""
    device, dtype = choose_device(os.environ.get("MODEL_DEVICE") or "auto", os.environ.get("MODEL_DTYPE") or "auto")
    folder = (options.model or configured_model()).resolve()
    llama = find_llama(options, folder, cuda=device != "cpu")
    options.competitors = options.competitors or [name for name in COMPETITORS if llama or name != "llama.cpp"]
    chat_format = ChatFormat(AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False))
    bench = Bench(options, folder, device, dtype, chat_format, llama)
    lengths = sorted(len(chat.tokens) for chat in bench.rounds(16, repeat=1)[0])
    shared = shared_tokens([chat.tokens for chat in bench.rounds(16, repeat=1)[0]])
    print(f"{folder.name} on {device}, {dtype}; {options.threads} threads; rounds: {options.repeat}")
    print(f"16 prompts of {lengths[0]} to {lengths[-1]} tokens, of which they share {shared}")
    return bench


def main() -> int:
    options = parse_options()
    started = time.monotonic()
    rows: list[Row] = []
    figures: list[Figure] = []
    try:
        bench = prepare(options)
        run(bench, rows, figures)
    except (EngineError, LlamaMissing, ValueError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    finally:
        if options.json:
            write_lines(options.json, (asdict(row) for row in rows))
        if options.figures:
            write_lines(options.figures, (figure.as_json() for figure in figures))
    verdicts = [figure.verdict for figure in figures if figure.verdict]
    minutes = (time.monotonic() - started) / 60
    print(f"\n{len(verdicts)} targets, {verdicts.count('MISS')} missed; {minutes:.1f} minutes")
    return int(bench.failed)


if __name__ == "__main__":
    sys.exit(main())
