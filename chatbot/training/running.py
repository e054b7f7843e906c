"""What supervised and preference training share: read, check, load, train on, save once and whole.

Not here: which loss. `sft` and `preference` make the trainer.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, EarlyStoppingCallback
from transformers.utils.logging import disable_progress_bar

from chatbot.training import checkpoints, manifest
from chatbot.training.callbacks import Watch, peak_memory_bytes
from chatbot.training.failures import EXIT_FAILED, EXIT_STOPPED, TrainingError, explained
from chatbot.training.options import ALL_LINEAR, Options

RESULT_FILE = "result.json"
ADAPTER_FOLDER = "adapter"
MIN_TRAIN = 16
MIN_TUNING = 4
_ROTARY = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
Lines = list[dict[str, Any]]
MakeTrainer = Callable[..., Any]


def run(options: Options, *, method: str, make_trainer: MakeTrainer, check: Callable[[Lines], None]) -> int:
    """Run a training to its end and leave result.json; returns the exit code."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    disable_progress_bar()  # type: ignore[no-untyped-call]
    options.out.mkdir(parents=True, exist_ok=True)
    # Of two processes in one folder the second waits: the first may be ending, its worker gone.
    lock = (options.out / ".lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    (options.out / RESULT_FILE).unlink(missing_ok=True)
    try:
        result = _train(options, method=method, make_trainer=make_trainer, check=check)
    except Exception as error:
        failure = explained(error)
        _leave_result(options.out, {"status": "failed", "error": failure.code, "text": str(failure)})
        print(f"{failure} [{failure.code}]", file=sys.stderr)
        if failure.code == "internal":
            raise
        return EXIT_FAILED
    _leave_result(options.out, result)
    print(json.dumps(result), flush=True)
    return EXIT_STOPPED if result["status"] == "stopped" else 0


def _train(options: Options, *, method: str, make_trainer: MakeTrainer, check: Callable[[Lines], None]) -> dict[str, Any]:
    begun = time.monotonic()
    if options.threads:
        torch.set_num_threads(options.threads)
    tokenizer, train, tuning = _read(options, method=method, check=check)
    device, dtype = _device_and_dtype(options)
    watch = Watch(options.out, budget_s=options.budget_minutes * 60)
    model = _load(options, device=device, dtype=dtype)
    trainer = make_trainer(
        options,
        model=model,
        tokenizer=tokenizer,
        train=Dataset.from_list(train),
        tuning=Dataset.from_list(tuning),
        arguments=_arguments(options, device=device, dtype=dtype),
        adapter=None if options.full else _adapter(options, model),
        callbacks=[watch, *([EarlyStoppingCallback(options.patience)] if options.patience else [])],
    )
    _describe(options, method=method, train=train, tuning=tuning, dtype=dtype)
    resumed = checkpoints.last_whole(options.out)
    trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    result = {
        "status": "stopped" if watch.stopped else "done",
        "ended": "stopped" if watch.stopped else "budget" if watch.out_of_time else "steps" if _all_steps(trainer) else "early",
        "steps": trainer.state.global_step,
        "best_loss": trainer.state.best_metric,
        "seconds": round(time.monotonic() - begun, 1),
        "peak_memory_bytes": peak_memory_bytes(),
        "resumed_from": resumed.name if resumed else "",
    }
    if not watch.stopped:
        _save(trainer, options)
    return result


def _read(options: Options, *, method: str, check: Callable[[Lines], None]) -> tuple[Any, Lines, Lines]:
    if not (options.model / "config.json").exists():
        raise TrainingError("base_missing", f"{options.model} holds no model; fetch it again with `manage.py fetchmodel`.")
    manifest.read_manifest(options.data)
    train = manifest.read_lines(options.data, method=method, half="train")
    tuning = manifest.read_lines(options.data, method=method, half="tuning")
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    train = [line for line in train if _fits(line, tokenizer, options.max_tokens)]
    tuning = [line for line in tuning if _fits(line, tokenizer, options.max_tokens)]
    if len(train) < MIN_TRAIN or len(tuning) < MIN_TUNING:
        raise TrainingError(
            "dataset_too_small",
            f"{len(train)} examples to train on, {len(tuning)} to tune on: too few; {MIN_TRAIN} and {MIN_TUNING} are needed. "
            "Approve more examples and build the dataset again.",
        )
    heldout = {line["id"] for line in manifest.read_lines(options.data, method=method, half="heldout")}
    if heldout & {line["id"] for line in [*train, *tuning]}:
        raise TrainingError(
            "heldout_in_training", "The training half holds examples of the held-out half; build the dataset again."
        )
    check(train)
    return tokenizer, train, tuning


def _fits(line: dict[str, Any], tokenizer: Any, max_tokens: int) -> bool:
    longest = max((line.get(name, "") for name in ("completion", "chosen", "rejected")), key=len)
    text = "\n".join(message["content"] for message in line["prompt"]) + longest
    return len(tokenizer(text)["input_ids"]) + 8 * len(line["prompt"]) <= max_tokens


def _device_and_dtype(options: Options) -> tuple[str, torch.dtype]:
    device = options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    if options.dtype != "auto":
        return device, {"float32": torch.float32, "bfloat16": torch.bfloat16}[options.dtype]
    # Processors with bfloat16 products are nearly twice as quick with them, and the adapter itself stays in float32.
    quick = device == "cuda" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device, torch.bfloat16 if quick else torch.float32


def _load(options: Options, *, device: str, dtype: torch.dtype) -> Any:
    transformers.set_seed(options.seed)
    model: Any = AutoModelForCausalLM.from_pretrained(options.model, dtype=dtype, trust_remote_code=False)
    model.config.use_cache = False
    return model.to(device)


def _adapter(options: Options, model: Any) -> LoraConfig:
    """Adapt all linear layers of the upper share of the layers; below them nothing is computed backwards."""
    layers = AutoConfig.from_pretrained(options.model).num_hidden_layers
    names = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
    rotary = all(name in names for name in _ROTARY)
    first = int(round(layers * (1 - options.upper_share)))
    upper: dict[str, Any] = (
        {"layers_to_transform": list(range(first, layers)), "layers_pattern": "layers"} if rotary and first else {}
    )
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules=list(_ROTARY) if rotary else ALL_LINEAR,
        **upper,
    )


def _arguments(options: Options, *, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """For any of trl's configurations. Every run can be repeated bit by bit on a CPU: one seed for order, dropout and weights."""
    return {
        "output_dir": str(options.out),
        "learning_rate": options.learning_rate,
        "num_train_epochs": options.epochs,
        "max_steps": options.max_steps or -1,
        "per_device_train_batch_size": options.batch,
        "per_device_eval_batch_size": options.batch,
        "gradient_accumulation_steps": options.accumulate,
        "max_length": options.max_tokens,
        "lr_scheduler_type": "cosine",
        "warmup_steps": options.warmup_share,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "eval_strategy": "steps",
        "eval_steps": options.evaluate_every,
        "save_strategy": "steps",
        "save_steps": options.save_every,
        "save_total_limit": options.keep_checkpoints,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "seed": options.seed,
        "data_seed": options.seed,
        "use_cpu": device == "cpu",
        "bf16": device == "cuda" and dtype == torch.bfloat16,
        "gradient_checkpointing": options.checkpoint_activations or device == "cuda",
        "dataloader_pin_memory": False,
        "report_to": "none",
        "disable_tqdm": True,
    }


def _describe(options: Options, *, method: str, train: Sequence[Any], tuning: Sequence[Any], dtype: torch.dtype) -> None:
    data = manifest.read_manifest(options.data)
    weights = sorted(options.model.glob("*.safetensors"))
    fields = {
        "method": method,
        "options": options.as_json(),
        "dataset": data.get("name", ""),
        "dataset_sha256": data.get("sha256", ""),
        "train": len(train),
        "tuning": len(tuning),
        "trained_on": sorted(line["id"] for line in train),
        "dtype": str(dtype).removeprefix("torch."),
        "base": options.model.name,
        "base_bytes": sum(path.stat().st_size for path in weights),
        "versions": manifest.versions(),
    }
    manifest.write_manifest(options.out, fields)


def _all_steps(trainer: Any) -> bool:
    return bool(trainer.state.global_step >= trainer.state.max_steps)


def _save(trainer: Any, options: Options) -> None:
    """Put the best weights in place in one step, and let the checkpoints go."""
    target, part = options.out / ADAPTER_FOLDER, options.out / f".{ADAPTER_FOLDER}"
    shutil.rmtree(part, ignore_errors=True)
    trainer.model.save_pretrained(part)
    if options.full:
        trainer.processing_class.save_pretrained(part)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    for folder in options.out.glob("checkpoint-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _leave_result(out: Path, result: dict[str, Any]) -> None:
    draft = out / f".{RESULT_FILE}"
    try:
        draft.write_text(json.dumps(result))
        os.replace(draft, out / RESULT_FILE)
    except OSError:  # the disk is full: the exit code and the last line say it
        draft.unlink(missing_ok=True)
