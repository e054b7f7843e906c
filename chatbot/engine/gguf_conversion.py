"""Convert a GGUF file: weights, tokenizer and chat template, and the proof that they agree.

Run by `chatbot.engine.gguf` as `python -m chatbot.engine.gguf_conversion FILE FOLDER`; tells each stage on standard output.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import safetensors
import tokenizers
import torch
import transformers

from chatbot.engine.manifest import ModelRefused

# Tokens that end an answer in the families we know; the GGUF format has room for one only.
TURN_ENDS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>", "<eos>", "</s>")
CHATML_START = "<|im_start|>"
CHATML_PROBE = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
CHATML_TEXT = "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"
QWEN2_VOCABULARY = 151_643
# What Qwen2.5's own tokenizer makes of this text.
QWEN2_TEXT, QWEN2_IDS = "Hello world 2025 你好", [9707, 1879, 220, 17, 15, 17, 20, 220, 108386]
ONE_SHARD = "1000GB"
PR_SET_PDEATHSIG = 1


def convert(source: Path, folder: Path, *, on_stage: Callable[[str], None]) -> dict[str, str]:
    """Write config, tokenizer, chat template and bfloat16 weights. Raises ModelRefused when they do not agree."""
    on_stage("starting")
    # transformers reads the header anew for the configuration, the tokenizer and the weights, ten seconds each time.
    gguf.GGUFReader = functools.lru_cache(maxsize=1)(gguf.GGUFReader)  # type: ignore[misc,assignment]
    os.umask(0o022)
    folder.mkdir(exist_ok=True)
    where = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    on_stage("tokenizer")
    tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
    if not tokenizer.chat_template:
        raise ModelRefused("model_missing_file", f"{source.name} has no chat template; choose the model's instruct version")
    tokenizer.save_pretrained(folder)
    on_stage("weights")
    dense = transformers.GgufConfig(dequantize=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.bfloat16, quantization_config=dense)
    forget_packing(model)
    on_stage("writing")
    model.save_pretrained(folder, max_shard_size=ONE_SHARD)
    tidy_folder(folder, tokenizer=tokenizer)
    on_stage("checking")
    check_tokenizer(folder)
    modules = (transformers, torch, tokenizers, safetensors)
    return {module.__name__: str(module.__version__) for module in modules}


def forget_packing(model: Any) -> None:
    """Make an unpacked model an ordinary one: transformers refuses to save anything that was read from GGUF."""
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def edit_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def tidy_folder(folder: Path, *, tokenizer: Any) -> None:
    """Put right what the GGUF format leaves out: every end token, the context length, normal form, no padding words."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer.get_vocab()
    ends = [tokenizer.eos_token_id, *(vocabulary[token] for token in TURN_ENDS if token in tokenizer.added_tokens_encoder)]
    generation = {
        "bos_token_id": config.get("bos_token_id"),
        "eos_token_id": list(dict.fromkeys(token for token in ends if token is not None)),
        "pad_token_id": tokenizer.pad_token_id,
        "transformers_version": transformers.__version__,
    }
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n", encoding="utf-8")
    edit_json(folder / "config.json", lambda document: document.pop("_model_name_or_path", None))

    def tidy_tokenizer_config(document: dict[str, Any]) -> None:
        for name in ("is_local", "local_files_only"):
            document.pop(name, None)
        document["model_max_length"] = config.get("max_position_embeddings", document.get("model_max_length"))

    edit_json(folder / "tokenizer_config.json", tidy_tokenizer_config)
    for path in folder.glob("*.safetensors"):
        # safetensors writes through a private temporary file, which only its owner could read.
        path.chmod(0o644)
    edit_json(folder / "tokenizer.json", functools.partial(tidy_tokenizer, model_type=config.get("model_type")))


def tidy_tokenizer(document: dict[str, Any], *, model_type: str | None) -> None:
    """Drop the words that only fill the embedding up, and normalise as Qwen's own tokenizer does."""
    vocabulary = document["model"]["vocab"]
    if isinstance(vocabulary, dict):
        document["model"]["vocab"] = {word: i for word, i in vocabulary.items() if not re.fullmatch(r"\[PAD\d+\]", word)}
    if model_type == "qwen2" and document.get("normalizer") is None:
        document["normalizer"] = {"type": "NFC"}


def check_tokenizer(folder: Path) -> None:
    """Load the written tokenizer as the engine will and hold it against the format its model was trained on."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rendered = tokenizer.apply_chat_template(CHATML_PROBE[1:], tokenize=False, add_generation_prompt=True)
    if "U" not in rendered:
        raise ModelRefused("model_conversion_failed", "the chat template drops what the customer says")
    if CHATML_START not in tokenizer.added_tokens_encoder:
        return
    rendered = tokenizer.apply_chat_template(CHATML_PROBE, tokenize=False, add_generation_prompt=True)
    ids = tokenizer.encode(rendered, add_special_tokens=False)
    ends = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))["eos_token_id"]
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    starts = ids.count(tokenizer.convert_tokens_to_ids(CHATML_START))
    if rendered != CHATML_TEXT or starts != 3 or ids.count(end) != 2 or end not in ends:
        raise ModelRefused("model_conversion_failed", "the chat template or its tokens are not the ones Qwen's format has")
    qwen2 = len(tokenizer) >= QWEN2_VOCABULARY and isinstance(tokenizer, transformers.Qwen2Tokenizer)
    if qwen2 and (tokenizer.encode(QWEN2_TEXT) != QWEN2_IDS or tokenizer.decode(QWEN2_IDS) != QWEN2_TEXT):
        raise ModelRefused("model_conversion_failed", "the tokenizer does not split text as Qwen2.5's own does")


def die_with_parent() -> None:
    """Have the kernel end this process with the one that started it; other systems than Linux let it finish."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(argv: list[str]) -> int:
    die_with_parent()

    def tell(**words: object) -> None:
        print(json.dumps(words), flush=True)

    try:
        tell(versions=convert(Path(argv[0]), Path(argv[1]), on_stage=lambda stage: tell(stage=stage)))
    except ModelRefused as error:
        tell(code=error.code, text=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
