"""What happens between the steps of a run: curves and signs of life on disk, stops, numbers that are none."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from chatbot.training import checkpoints
from chatbot.training.failures import TrainingError
from chatbot.training.manifest import PARENT_VARIABLE

METRICS_FILE = "metrics.jsonl"
STATE_FILE = "state.json"
STOP_FILE = "stop"
_KEPT = ("loss", "eval_loss", "learning_rate", "grad_norm", "epoch", "rewards/accuracies", "rewards/margins", "kl")


class Watch(TrainerCallback):
    """Writes metrics.jsonl and state.json, seals checkpoints, and ends the run when asked to or when its time is over.

    stopped: whether somebody asked for the end; out_of_time: whether the budget did.
    """

    def __init__(self, out: Path, *, budget_s: float) -> None:
        self._out = out
        self._budget_s = budget_s
        self._begun = time.monotonic()
        self._parent = int(os.environ.get(PARENT_VARIABLE, 0))
        self.stopped = False
        self.out_of_time = False
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopped", True))

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._begun = time.monotonic()
        # Lines of a cut-off attempt beyond the checkpoint it goes on from would be written twice.
        path = self._out / METRICS_FILE
        if path.exists():
            lines = [line for line in path.read_text().splitlines() if _step_of(line) <= state.global_step]
            _write_whole(path, "".join(f"{line}\n" for line in lines))
        self._say(state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._say(state)
        if (self._out / STOP_FILE).exists() or (self._parent and os.getppid() != self._parent):
            self.stopped = True
        self.out_of_time = 0 < self._budget_s <= time.monotonic() - self._begun
        if self.stopped:
            control.should_training_stop = control.should_save = True
        elif self.out_of_time:
            control.should_training_stop = control.should_evaluate = control.should_save = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        values = {name.replace("eval_rewards", "rewards"): value for name, value in (logs or {}).items()}
        kept = {
            name: round(float(value), 6) for name, value in values.items() if name in _KEPT and isinstance(value, int | float)
        }
        for name in ("loss", "eval_loss", "grad_norm"):
            if name in kept and not math.isfinite(kept[name]):
                raise TrainingError(
                    "loss_not_finite",
                    f"The {name} is no number at step {state.global_step}; use a smaller learning rate or float32.",
                )
        if "loss" in kept or "eval_loss" in kept:
            line = {"step": state.global_step, "at_s": round(time.monotonic() - self._begun, 1), **kept}
            with (self._out / METRICS_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        folder = self._out / f"checkpoint-{state.global_step}"
        if folder.is_dir():
            checkpoints.seal(folder)

    def _say(self, state: TrainerState) -> None:
        said = {
            "step": state.global_step,
            "steps": state.max_steps,
            "seconds": round(time.monotonic() - self._begun, 1),
            "peak_memory_bytes": peak_memory_bytes(),
        }
        _write_whole(self._out / STATE_FILE, json.dumps(said))


def peak_memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _write_whole(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_text(text)
    os.replace(draft, path)


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 1 << 60
