"""Does a training run that is killed again and again end with the same weights as one that was left alone?

    python benchmarks/learning_kills.py                   # a model of 0.1 MB, 20 kills: 6 minutes on 2 cores
    python benchmarks/learning_kills.py --model FOLDER    # those weights

Kills -9 come at random moments: of four one in the start-up, two up to three steps on, and one in the middle of a checkpoint's
writing. Each time the same command is started again. Target: all bytes of the adapter equal.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chatbot.training import manifest  # noqa: E402
from tests.training.conftest import tiny_model, write_dataset  # noqa: E402
from tests.training.test_training import ENVIRONMENT, is_saving  # noqa: E402

POLL_S = 0.002
STATE_FILE = "state.json"


def command(options: argparse.Namespace, data: Path, out: Path) -> list[str]:
    told = {
        "epochs": 1,
        "batch": 2,
        "accumulate": 1,
        "evaluate-every": 2,
        "save-every": 2,
        "patience": 0,
        "threads": options.threads,
    }
    parts = [sys.executable, "-m", "chatbot.training.sft", "--model", str(options.model), "--data", str(data), "--out", str(out)]
    return [*parts, *(word for name, value in told.items() for word in (f"--{name}", str(value)))]


def begin(parts: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(parts, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT, cwd=ROOT)


def state(out: Path) -> dict[str, Any]:
    return (manifest.lines_so_far(out / STATE_FILE) or [{}])[-1]


def step_of(out: Path) -> int:
    return int(state(out).get("step", 0))


def adapter_sha256(out: Path) -> str:
    return hashlib.sha256((out / "adapter" / "adapter_model.safetensors").read_bytes()).hexdigest()


def strike(parts: list[str], out: Path, *, way: int, rng: random.Random, start_s: float, step_s: float) -> dict[str, Any] | None:
    """Start, and kill in the start-up (way 0), some steps on (1, 2) or in the next checkpoint's writing (3).

    None: the run was done before.
    """
    (out / STATE_FILE).unlink(missing_ok=True)  # it is there again when this start has cleared away what the last kill left
    process, begun = begin(parts), time.monotonic()
    early_s, steps, late_s = rng.uniform(0, 0.8 * start_s), rng.randrange(3), rng.uniform(0, step_s)
    gone_on_from, reached_at = -1, 0.0
    while process.poll() is None:
        now, trains = time.monotonic(), (out / STATE_FILE).exists()
        step = step_of(out)
        gone_on_from = step if trains and gone_on_from < 0 else gone_on_from
        reached_at = reached_at or (now if trains and step >= gone_on_from + steps else 0.0)
        due = now - begun >= early_s if way == 0 else bool(reached_at) and now - reached_at >= late_s
        if (trains and is_saving(out)) if way == 3 else due:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return {"at_s": round(now - begun, 1), "step": step if trains else None, "in_save": trains and is_saving(out)}
        time.sleep(POLL_S)
    return None


def kills(options: argparse.Namespace, parts: list[str], out: Path, *, start_s: float, step_s: float) -> Iterator[dict[str, Any]]:
    rng = random.Random(options.seed)
    for number in range(options.kills):
        struck = strike(parts, out, way=number % 4, rng=rng, start_s=start_s, step_s=step_s)
        if struck is None:
            return
        yield struck


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    options.model = options.model or tiny_model(folder / "base" / "tiny")
    data = write_dataset(folder / "lessons", counts={"train": 2 * options.steps, "tuning": 6, "heldout": 6})
    whole, broken = folder / "whole", folder / "broken"
    begun = time.monotonic()
    if begin(command(options, data, whole)).wait():
        raise SystemExit("the unbroken run failed; start its command by hand to see why")
    whole_s = time.monotonic() - begun
    own_s = state(whole)["seconds"]
    print(f"unbroken: {options.steps} steps in {whole_s:.0f} s, of which {whole_s - own_s:.0f} s are start and end", flush=True)
    parts, struck = command(options, data, broken), []
    for one in kills(options, parts, broken, start_s=whole_s - own_s, step_s=own_s / options.steps):
        struck.append(one)
        where = "in a checkpoint's writing" if one["in_save"] else f"after {one['at_s']} s"
        step = "in the start-up" if one["step"] is None else f"at step {one['step']}"
        print(f"kill {len(struck):>2}: {where}, {step}", flush=True)
    if begin(parts).wait():
        raise SystemExit("the last start after the kills failed")
    return {
        "model": options.model.name,
        "steps": options.steps,
        "kills": len(struck),
        "kills_in_save": sum(one["in_save"] for one in struck),
        "same_bytes": adapter_sha256(whole) == adapter_sha256(broken),
        "sha256": adapter_sha256(broken)[:16],
        "seconds": round(time.monotonic() - begun),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of base weights; without it a model of 0.1 MB")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=36)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        row = measure(options, Path(name))
    print(json.dumps(row))
    met = row["same_bytes"] and row["kills"] >= options.kills
    print(f"  {row['kills']} kills, {row['kills_in_save']} of them in a checkpoint's writing; same bytes: {row['same_bytes']}")
    print(f"  target: {options.kills} kills, the same bytes   {'PASS' if met else 'MISS'}")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
