"""Supervised fine-tuning: the model learns to write the approved answers to the prompts that chat sends it.

    python -m chatbot.training.sft --model FOLDER --data DATASET --out RUN

Reads sft.train.jsonl and sft.tuning.jsonl of the dataset, writes RUN/adapter (peft's format) and RUN/result.json; curves grow in
RUN/metrics.jsonl. Killed at any moment, the same command goes on from the last whole checkpoint. To stop it: touch RUN/stop, or
SIGTERM. Several GPUs: `accelerate launch -m chatbot.training.sft ...`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from chatbot.training.failures import TrainingError
from chatbot.training.options import Options, parsed
from chatbot.training.running import Lines, run


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed(arguments, description=__doc__ or "")
    return run(options, method="sft", make_trainer=make_trainer, check=check)


def check(train: Lines) -> None:
    """Refuse lessons that teach one answer to everything."""
    answers = {line["completion"] for line in train}
    if len(answers) == 1:
        raise TrainingError("one_answer_only", "All examples have the same answer; the model would learn to say nothing else.")


def make_trainer(
    options: Options, *, model: Any, tokenizer: Any, train: Any, tuning: Any, arguments: Any, adapter: Any, callbacks: Any
) -> Any:
    return SFTTrainer(
        model=model,
        args=SFTConfig(**arguments, packing=options.packing, completion_only_loss=True),
        train_dataset=_turns(train),
        eval_dataset=_turns(tuning),
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=callbacks,
    )


def _turns(lines: Any) -> Any:
    """Prompts are messages; the completion becomes the assistant's, so that the chat template sets both as in chat."""
    return lines.map(
        lambda line: {"prompt": line["prompt"], "completion": [{"role": "assistant", "content": line["completion"]}]},
        remove_columns=[name for name in lines.column_names if name not in ("prompt", "completion")],
    )


if __name__ == "__main__":
    sys.exit(main())
