"""Preference tuning: from pairs (DPO: what an agent wrote instead) or from thumbs (KTO: good or not, unpaired).

    python -m chatbot.training.preference --method dpo --model FOLDER --data DATASET --out RUN
    python -m chatbot.training.preference --method kto ...

Reads dpo.*.jsonl or kto.*.jsonl of the dataset. Everything else is as in `chatbot.training.sft`: resuming, stopping, files.
Sources of the losses: Rafailov et al. 2023 (DPO), Ethayarajh et al. 2024 (KTO).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import KTOTrainer

from chatbot.training.failures import TrainingError
from chatbot.training.options import Options, parsed
from chatbot.training.running import Lines, run

MIN_OF_EACH_THUMB = 4


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    method = "dpo"
    if "--method" in given:
        at = given.index("--method")
        method = given[at + 1] if at + 1 < len(given) else ""
        del given[at : at + 2]
    if method not in ("dpo", "kto"):
        print("--method is dpo or kto", file=sys.stderr)
        return 2
    options = parsed(given, description=__doc__ or "")
    check = check_thumbs if method == "kto" else check_pairs
    return run(options, method=method, make_trainer=partial(make_trainer, method=method), check=check)


def check_thumbs(train: Lines) -> None:
    up = sum(line["label"] for line in train)
    down = len(train) - up
    if min(up, down) < MIN_OF_EACH_THUMB:
        raise TrainingError(
            "one_sided_labels",
            f"{up} thumbs up and {down} down: there is nothing to tell apart. At least {MIN_OF_EACH_THUMB} of each are needed.",
        )


def check_pairs(train: Lines) -> None:
    if all(line["chosen"] == line["rejected"] for line in train):
        raise TrainingError("one_sided_labels", "No pair differs: there is nothing to prefer.")


def make_trainer(
    options: Options,
    *,
    method: str,
    model: Any,
    tokenizer: Any,
    train: Any,
    tuning: Any,
    arguments: Any,
    adapter: Any,
    callbacks: Any,
) -> Any:
    makers: dict[str, tuple[Any, Any]] = {"dpo": (DPOConfig, DPOTrainer), "kto": (KTOConfig, KTOTrainer)}
    config, trainer = makers[method]
    return trainer(
        model=model,
        args=config(**arguments, beta=options.beta),
        train_dataset=_turns(train),
        eval_dataset=_turns(tuning),
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=callbacks,
    )


def _turns(lines: Any) -> Any:
    names = [name for name in ("completion", "chosen", "rejected") if name in lines.column_names]
    return lines.map(
        lambda line: {name: [{"role": "assistant", "content": line[name]}] for name in names},
        remove_columns=[name for name in lines.column_names if name not in ("prompt", "label", *names)],
    )


if __name__ == "__main__":
    sys.exit(main())
