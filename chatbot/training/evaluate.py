"""Let a version write the answers to a file of prompts, with the same engine that serves chat. Judging is done elsewhere.

    python -m chatbot.training.evaluate --model FOLDER --prompts FILE --out FILE [--losses FILE] [--adapter FOLDER]

A prompt line: {"id", "messages", "max_new_tokens"}, and "completion" where the right answer is known. A line of --out: {"id",
"text", "finish_reason", "tokens", "ms"}; of --losses: {"id", "loss", "tokens"}, how far off it finds the right answer. What
stands there already is not written again, so a run that was cut off goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chatbot.engine.device import choose_device
from chatbot.engine.engine import BatchedEngine
from chatbot.engine.requests import ChatMessage, EngineError, GenerationHandle, GenerationRequest
from chatbot.training.failures import EXIT_FAILED
from chatbot.training.losses import write_losses

CANDIDATE = "candidate"
AT_ONCE = 8
DEADLINE_S = 1800.0
CONTEXT_TOKENS = 2048


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the base weights")
    parser.add_argument("--adapter", type=Path, help="folder of a LoRA adapter; without it the base weights answer")
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--losses", type=Path, help="how far off it finds the right answers")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--stop-file", type=Path, help="when it appears, the run ends after the answers in hand")
    options = parser.parse_args(arguments)
    try:
        write_answers(options)
        if options.losses:
            read_completions(options)
    except EngineError as error:
        print(f"{error} [{error.code}]", file=sys.stderr)
        return EXIT_FAILED
    return 0


def write_answers(options: Any) -> None:
    left = _left(options.prompts, done=options.out)
    if not left:
        return
    device, dtype = choose_device(options.device, "auto")
    engine = BatchedEngine(
        options.model, device=device, dtype=dtype, max_running=AT_ONCE, max_waiting=2 * AT_ONCE, context_tokens=CONTEXT_TOKENS
    )
    engine.start()
    try:
        if options.adapter:
            engine.load_version(CANDIDATE, options.adapter)
        with options.out.open("a", encoding="utf-8") as out:
            _answer(engine, left, out=out, version=CANDIDATE if options.adapter else "", stop_file=options.stop_file)
    finally:
        engine.stop()


def read_completions(options: Any) -> None:
    """After the answers: their engine has given its memory back."""
    left = [prompt for prompt in _left(options.prompts, done=options.losses) if "completion" in prompt]
    if left and not (options.stop_file and options.stop_file.exists()):
        device, dtype = choose_device(options.device, "auto")
        write_losses(
            left,
            options.losses,
            model=options.model,
            adapter=options.adapter,
            device=device,
            dtype=dtype,
            context_tokens=CONTEXT_TOKENS,
        )


def _left(prompts: Path, *, done: Path) -> list[dict[str, Any]]:
    known = {json.loads(line)["id"] for line in whole_lines(done)}
    asked = map(json.loads, prompts.read_text(encoding="utf-8").splitlines())
    return [prompt for prompt in asked if prompt["id"] not in known]


def _answer(engine: BatchedEngine, prompts: list[dict[str, Any]], *, out: Any, version: str, stop_file: Path | None) -> None:
    """Keep AT_ONCE answers running. The longest prompts stand where they stand: the order is the file's."""
    running: list[tuple[str, float, GenerationHandle]] = []
    waiting = list(reversed(prompts))
    while waiting or running:
        while waiting and len(running) < AT_ONCE and not (stop_file and stop_file.exists()):
            prompt = waiting.pop()
            request = GenerationRequest(
                request_id=prompt["id"],
                messages=[ChatMessage(**message) for message in prompt["messages"]],
                max_new_tokens=prompt["max_new_tokens"],
                deadline_s=DEADLINE_S,
                version=version,
            )
            running.append((prompt["id"], time.monotonic(), engine.submit(request)))
        if not running:
            return
        name, begun, handle = running.pop(0)
        output = handle.output
        if output.finish_reason == "error":
            raise EngineError(output.error_code or "internal", "the engine could not write an answer")
        line = {
            "id": name,
            "text": output.text,
            "finish_reason": output.finish_reason,
            "tokens": output.completion_tokens,
            "ms": round((time.monotonic() - begun) * 1000),
        }
        out.write(json.dumps(line, ensure_ascii=False) + "\n")
        out.flush()


def whole_lines(path: Path) -> list[str]:
    """The lines of a file that may have been cut off in the middle of its last; that one is taken away."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return whole.splitlines()


if __name__ == "__main__":
    sys.exit(main())
