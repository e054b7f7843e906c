"""A disk that is full when a checkpoint is written, as a process on a tiny model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from chatbot.training import checkpoints
from chatbot.training.failures import EXIT_FAILED
from tests.training.test_training import ENVIRONMENT, command, refused

FULL = """
import errno, os, sys, torch
from chatbot.training import sft
save = torch.save
def full(thing, file, *more, **named):
    if "checkpoint-6" in str(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
    return save(thing, file, *more, **named)
torch.save = full
sys.exit(sft.main(sys.argv[1:]))
"""


def test_a_full_disk_at_a_checkpoint_costs_nothing_but_that_checkpoint(tiny_base: Path, lessons: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    plain = command(tiny_base, lessons, out, "--max-steps", "6")
    at = plain.index("chatbot.training.sft")
    broken = [sys.executable, "-c", FULL, *plain[at + 1 :]]
    done = subprocess.run(broken, capture_output=True, text=True, env=ENVIRONMENT)
    refused(done, out, "disk_full")
    assert done.returncode == EXIT_FAILED and "goes on from its last whole checkpoint" in done.stderr
    assert checkpoints.last_whole(out) == out / "checkpoint-3" and not (out / "checkpoint-6").exists()
    done = subprocess.run(plain, capture_output=True, text=True, env=ENVIRONMENT)
    told = json.loads((out / "result.json").read_text())
    assert done.returncode == 0 and (told["status"], told["resumed_from"], told["steps"]) == ("done", "checkpoint-3", 6)
    assert (out / "adapter/adapter_model.safetensors").exists()
