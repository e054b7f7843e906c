"""Many chats, one model: the engine against transformers' own ways, on the same weights, prompts and lengths, in one run.

    make bench BENCHMARKS=benchmarks/generation.py ARGS="--quick --json rows.jsonl"

Every chat arrives at once: 400 to 900 prompt tokens of which the rules are shared, 40 to 120 tokens out, greedy, nobody ends
early. Competitors: `engine`; `sequential` calls generate() for one chat after the other, which is what a task per message would
do; `static` puts all chats into one padded generate(). All run on one device, which MODEL_DEVICE and MODEL_DTYPE
choose as for the product. transformers runs in bfloat16, the engine on a CPU in int8. With `--json` each row is one line.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chatbot.answering.prompting import RULES  # noqa: E402
from chatbot.engine.device import choose_device  # noqa: E402
from chatbot.engine.engine import BatchedEngine  # noqa: E402
from chatbot.engine.loading import load_model  # noqa: E402
from chatbot.engine.requests import ChatMessage, GenerationRequest  # noqa: E402

FAQS = Path(__file__).resolve().parents[1] / "support_portal/demo_company/faqs.jsonl"

# After the engine, which sets OpenMP up for everybody in this process.
import torch  # noqa: E402

SYSTEM = ChatMessage("system", RULES)
DEVICE, DTYPE = choose_device(os.environ.get("MODEL_DEVICE") or "auto", os.environ.get("MODEL_DTYPE") or "auto")


@dataclass(frozen=True)
class Chat:
    messages: Sequence[ChatMessage]
    new_tokens: int


@dataclass(frozen=True)
class Row:
    competitor: str
    model: str
    chats: int
    output_tok_s: float
    ttft_p50_s: float
    ttft_max_s: float
    wall_s: float


@dataclass(frozen=True)
class Figure:
    """One number of the engine alone."""

    competitor: str
    model: str
    figure: str
    value: float


def passages() -> list[tuple[str, str]]:
    rows = [json.loads(line) for line in FAQS.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [(row["question"], row["answer"]) for row in rows if row["locale"] == "en"]


def make_chats(count: int, *, quick: bool) -> list[Chat]:
    """Questions over real passages, longer and shorter in turn."""
    faqs = passages()
    chats = []
    for at in range(count):
        chosen = [faqs[(at * 7 + n * 5) % len(faqs)] for n in range(2 + at % 4)]
        listed = "\n".join(f"[{n + 1}] {question} {answer}" for n, (question, answer) in enumerate(chosen))
        asked = ChatMessage("user", f"Passages:\n{listed}\n\nCustomer: {chosen[0][0]}")
        new_tokens = 40 + (at * 37) % 81
        chats.append(Chat([SYSTEM, asked], new_tokens // 2 if quick else new_tokens))
    return chats


def start_engine(folder: Path, *, max_running: int) -> BatchedEngine:
    engine = BatchedEngine(folder, device=DEVICE, dtype=DTYPE, max_running=max_running, context_tokens=4096)
    engine.start()
    # Equal lengths for everybody: nothing ends an answer early.
    engine._loaded = replace(engine._loaded, stop_tokens=frozenset())
    engine.submit(GenerationRequest("warm", [SYSTEM, ChatMessage("user", "Hello")], max_new_tokens=2)).output  # noqa: B018
    return engine


def ask_engine(engine: BatchedEngine, chat: Chat, *, conversation: str = "") -> tuple[float, float, Any]:
    """Returns seconds to the first piece, seconds to the end, and the output."""
    started = time.perf_counter()
    request = GenerationRequest("r", chat.messages, max_new_tokens=chat.new_tokens, deadline_s=3600, conversation=conversation)
    handle = engine.submit(request)
    first = next(iter(handle), None)
    first_s = time.perf_counter() - started
    assert first is not None, handle.output
    output = handle.output
    return first_s, time.perf_counter() - started, output


def run_engine(folder: Path, chats: Sequence[Chat]) -> tuple[list[float], float]:
    engine = start_engine(folder, max_running=len(chats))
    firsts: list[float] = []
    threads = [threading.Thread(target=lambda chat=chat: firsts.append(ask_engine(engine, chat)[0])) for chat in chats]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall_s = time.perf_counter() - started
    engine.stop()
    return firsts, wall_s


class FirstToken:
    """A streamer that only looks at the clock."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def put(self, value: object) -> None:
        self.at.append(time.perf_counter())

    def end(self) -> None:
        return None


def load_plain(folder: Path) -> tuple[Any, Any]:
    loaded = load_model(folder, device=DEVICE, dtype="bfloat16", attention="sdpa")
    return loaded.model, loaded.chat


def run_sequential(folder: Path, chats: Sequence[Chat]) -> tuple[list[float], float]:
    model, chat_format = load_plain(folder)
    firsts = []
    started = time.perf_counter()
    for chat in chats:
        clock = FirstToken()
        ids = torch.tensor([chat_format.encode(chat.messages)[0]])
        generate(model, ids, torch.ones_like(ids), new_tokens=chat.new_tokens, streamer=clock)
        firsts.append(clock.at[1] - started)  # the first call is the prompt
    return firsts, time.perf_counter() - started


def run_static(folder: Path, chats: Sequence[Chat]) -> tuple[list[float], float]:
    """All at once, padded on the left to the longest prompt and run to the longest answer."""
    model, chat_format = load_plain(folder)
    prompts = [chat_format.encode(chat.messages)[0] for chat in chats]
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    firsts: list[float] = []
    started = time.perf_counter()

    def watch(input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if not firsts:
            firsts.extend([time.perf_counter() - started] * len(chats))
        return scores

    generate(model, ids, mask, new_tokens=max(chat.new_tokens for chat in chats), logits_processor=[watch])
    return firsts, time.perf_counter() - started


def generate(model: Any, ids: torch.Tensor, mask: torch.Tensor, *, new_tokens: int, **settings: Any) -> None:
    lengths = {"max_new_tokens": new_tokens, "min_new_tokens": new_tokens}
    with torch.inference_mode():
        model.generate(ids.to(DEVICE), attention_mask=mask.to(DEVICE), do_sample=False, pad_token_id=0, **lengths, **settings)


def engine_figures(folder: Path, *, quick: bool) -> list[Figure]:
    """One chat alone, a later turn with and without its cache, stop, start and memory."""
    started = time.perf_counter()
    engine = start_engine(folder, max_running=16)
    found = {"start_s": time.perf_counter() - started}
    chat = next(c for c in make_chats(8, quick=quick) if 500 <= engine.count_tokens(c.messages) <= 800)
    first_s, total_s, output = ask_engine(engine, chat)
    found |= {"alone_prompt_tokens": output.prompt_tokens, "alone_ttft_s": first_s}
    found["alone_decode_tok_s"] = (output.completion_tokens - 1) / (total_s - first_s)
    history = list(chat.messages)
    for turn in range(3):
        output = ask_engine(engine, Chat(history, 24), conversation="alice")[2]
        history += [ChatMessage("assistant", output.text), ChatMessage("user", f"And what about number {turn + 2}?")]
    found["later_turn_ttft_s"] = ask_engine(engine, Chat(history, 4), conversation="alice")[0]
    found["later_turn_without_reuse_ttft_s"] = ask_engine(engine, Chat(history, 4), conversation="somebody else")[0]
    handle = engine.submit(GenerationRequest("r", chat.messages, max_new_tokens=400, deadline_s=600))
    next(iter(handle))
    stopped = time.perf_counter()
    handle.cancel()
    handle.output  # noqa: B018
    found["stop_s"] = time.perf_counter() - stopped
    engine.stop()
    found["resident_gib"] = resident_gib()
    found["peak_resident_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return [Figure("engine", folder.name, name, round(value, 3)) for name, value in found.items()]


def resident_gib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**30


COMPETITORS: dict[str, Callable[[Path, Sequence[Chat]], tuple[list[float], float]]] = {
    "engine": run_engine,
    "sequential": run_sequential,
    "static": run_static,
}


def measure(name: str, folder: Path, *, count: int, quick: bool) -> Row:
    chats = make_chats(count, quick=quick)
    firsts, wall_s = COMPETITORS[name](folder, chats)
    gc.collect()
    tokens = sum(chat.new_tokens for chat in chats)
    numbers = (tokens / wall_s, statistics.median(firsts), max(firsts), wall_s)
    return Row(name, folder.name, count, *(round(number, 2) for number in numbers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="model folder; without it the configured one (MODEL, DATA_DIR)")
    parser.add_argument("--chats", type=int, nargs="+", help="how many at once (8 16; with --quick 4)")
    parser.add_argument("--competitors", nargs="+", choices=list(COMPETITORS), default=list(COMPETITORS))
    parser.add_argument("--quick", action="store_true", help="fewer chats and half the tokens: about three minutes on 2 cores")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="torch threads")
    parser.add_argument("--json", type=Path, help="write each row as one line of JSON to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = options.model or configured_model()
    rows: list[Row | Figure] = []
    print(f"{'competitor':<12}{'chats':>6}{'tokens/s':>10}{'ttft p50':>10}{'ttft max':>10}{'wall':>9}")
    for count in options.chats or ([4] if options.quick else [8, 16]):
        for name in options.competitors:
            row = measure(name, folder, count=count, quick=options.quick)
            rows.append(row)
            times = f"{row.ttft_p50_s:>8.2f} s{row.ttft_max_s:>8.2f} s{row.wall_s:>7.1f} s"
            print(f"{row.competitor:<12}{row.chats:>6}{row.output_tok_s:>10.1f}{times}", flush=True)
    for figure in engine_figures(folder, quick=options.quick):
        rows.append(figure)
        print(f"{figure.figure:<34}{figure.value:>9.2f}", flush=True)
    lines = "".join(json.dumps(asdict(row)) + "\n" for row in rows)
    if options.json:
        options.json.write_text(lines, encoding="utf-8")
    print(json.dumps([asdict(row) for row in rows]))


def configured_model() -> Path:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "support_portal.settings")
    from chatbot import runtime  # reads the settings, which only a configured model needs

    return runtime.model_folder()


if __name__ == "__main__":
    main()
