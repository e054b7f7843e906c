"""The scripts as processes, on a tiny model: they learn, they survive kills bit by bit, and they say what is wrong."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from chatbot.training import checkpoints, manifest
from chatbot.training.failures import EXIT_FAILED, EXIT_STOPPED, explained
from tests.training.conftest import write_dataset

QUICK = [
    "--epochs",
    "2",
    "--batch",
    "2",
    "--accumulate",
    "1",
    "--evaluate-every",
    "3",
    "--save-every",
    "3",
    "--threads",
    "1",
    "--patience",
    "0",
]
ENVIRONMENT = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}


def command(base: Path, data: Path, out: Path, *more: str, module: str = "sft") -> list[str]:
    where = ["--model", str(base), "--data", str(data), "--out", str(out)]
    return [sys.executable, "-m", f"chatbot.training.{module}", *where, *QUICK, *more]


def train(base: Path, data: Path, out: Path, *more: str, module: str = "sft") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(base, data, out, *more, module=module), capture_output=True, text=True, env=ENVIRONMENT)


def result(out: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((out / "result.json").read_text())
    return found


def weights(out: Path) -> dict[str, bytes]:
    return {name: tensor.tobytes() for name, tensor in load_file(out / "adapter" / "adapter_model.safetensors").items()}


def test_killed_at_random_a_run_ends_with_the_same_weights(tiny_base: Path, lessons: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    done = train(tiny_base, lessons, whole)
    assert done.returncode == 0, done.stderr[-2000:]
    curve = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert curve[-1]["step"] == 24 and any("eval_loss" in line for line in curve)
    described = manifest.read_manifest(whole)
    assert described["train"] == 24 and described["options"]["seed"] == 17 and "torch" in described["versions"]

    broken, rng, kills = tmp_path / "broken", random.Random(3), 0
    while kills < 3:
        process = subprocess.Popen(
            command(tiny_base, lessons, broken), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT
        )
        target = rng.randrange(2, 8) + 7 * kills
        while process.poll() is None and not (is_saving(broken) if kills == 1 else step_of(broken) >= target):
            time.sleep(0.001)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    assert kills == 3
    last = train(tiny_base, lessons, broken)
    assert last.returncode == 0 and str(result(broken)["resumed_from"]).startswith("checkpoint-")
    assert weights(broken) == weights(whole)
    steps = [json.loads(line)["step"] for line in (broken / "metrics.jsonl").read_text().splitlines() if '"loss"' in line]
    assert steps == sorted(set(steps))


def is_saving(out: Path) -> bool:
    """Whether a checkpoint is being written: it is there and not sealed."""
    return any(not checkpoints.is_whole(folder) for folder in out.glob("checkpoint-*"))


def step_of(out: Path) -> int:
    try:
        return int(json.loads((out / "state.json").read_text())["step"])
    except (OSError, ValueError):
        return 0


def test_a_run_stops_when_asked_and_goes_on(tiny_base: Path, lessons: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "stop").touch()
    stopped = train(tiny_base, lessons, out)
    assert stopped.returncode == EXIT_STOPPED and result(out)["status"] == "stopped" and not (out / "adapter").exists()
    (out / "stop").unlink()
    assert train(tiny_base, lessons, out).returncode == 0 and (out / "adapter").is_dir()


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_learns_from_preferences(method: str, tiny_base: Path, lessons: Path, tmp_path: Path) -> None:
    done = train(tiny_base, lessons, tmp_path / "run", "--method", method, "--max-steps", "4", module="preference")
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "run/adapter/adapter_model.safetensors").exists()


def refused(done: subprocess.CompletedProcess[str], out: Path, code: str) -> None:
    assert done.returncode == EXIT_FAILED, done.stderr[-2000:]
    assert result(out)["error"] == code and f"[{code}]" in done.stderr and not (out / "adapter").exists()


def test_says_what_is_wrong_with_data_and_base(tiny_base: Path, lessons: Path, tmp_path: Path) -> None:
    few = write_dataset(tmp_path / "few", counts={"train": 3, "tuning": 1, "heldout": 1})
    refused(train(tiny_base, few, tmp_path / "a"), tmp_path / "a", "dataset_too_small")
    refused(train(tmp_path / "nowhere", lessons, tmp_path / "b"), tmp_path / "b", "base_missing")
    thumbs = manifest.lines_file(lessons, method="kto", half="train")
    manifest.write_lines(thumbs, [{**line, "label": True} for line in manifest.read_lines(lessons, method="kto", half="train")])
    done = train(tiny_base, lessons, tmp_path / "c", "--method", "kto", module="preference")
    refused(done, tmp_path / "c", "one_sided_labels")
    own = manifest.lines_file(lessons, method="sft", half="heldout")
    manifest.write_lines(own, manifest.read_lines(lessons, method="sft", half="train")[:4])
    refused(train(tiny_base, lessons, tmp_path / "d"), tmp_path / "d", "heldout_in_training")


def test_a_loss_that_is_no_number_ends_the_run(tiny_base: Path, lessons: Path, tmp_path: Path) -> None:
    refused(
        train(tiny_base, lessons, tmp_path / "run", "--learning-rate", "1e30", "--warmup-share", "0"),
        tmp_path / "run",
        "loss_not_finite",
    )


def test_a_checkpoint_that_is_not_whole_is_not_gone_on_from(tmp_path: Path) -> None:
    for step in (3, 6, 9):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "weights").write_bytes(bytes(step))
        if step != 9:
            checkpoints.seal(folder)
    (tmp_path / "checkpoint-6" / "weights").write_bytes(b"cut")
    assert checkpoints.last_whole(tmp_path) == tmp_path / "checkpoint-3"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"]


def test_a_full_disk_has_its_own_words() -> None:
    assert explained(OSError(28, "No space left on device")).code == "disk_full"
    assert explained(MemoryError()).code == "out_of_memory"
