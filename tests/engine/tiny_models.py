"""Model folders of a few kilobytes with random weights, made on the spot: every shape of network, no download."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    Gemma2Config,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VOCABULARY = 260
CONTEXT = 1024
SHAPE = {"vocab_size": VOCABULARY, "bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 256}
ROTARY = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
    # Random weights of the usual size give flat logits; these make choices that rounding cannot tip.
    "initializer_range": 0.3,
    **SHAPE,
}


def configurations() -> dict[str, PretrainedConfig]:
    return {
        "gpt2": GPT2Config(n_embd=64, n_layer=3, n_head=4, n_positions=CONTEXT, initializer_range=0.3, **SHAPE),
        "llama": LlamaConfig(num_key_value_heads=4, **ROTARY),
        "qwen2": Qwen2Config(num_key_value_heads=2, tie_word_embeddings=True, **ROTARY),
        "mistral": MistralConfig(num_key_value_heads=1, sliding_window=48, **ROTARY),
        "gemma": GemmaConfig(num_key_value_heads=1, head_dim=32, **ROTARY),
        "gemma2": Gemma2Config(num_key_value_heads=2, head_dim=32, sliding_window=48, query_pre_attn_scalar=32, **ROTARY),
        # ALiBi, and attention of its own: it runs in padded batches.
        "bloom": BloomConfig(hidden_size=64, n_layer=3, n_head=4, initializer_range=0.3, **SHAPE),
    }


def tiny_tokenizer(*, chat_template: str | None = CHAT_TEMPLATE) -> PreTrainedTokenizerFast:
    """One token a byte, so that a Chinese character takes three."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={letter: at for at, letter in enumerate(alphabet)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<|im_start|>", eos_token="<|im_end|>", additional_special_tokens=["<|a|>", "<|b|>"]
    )
    tokenizer.chat_template = chat_template
    return tokenizer


def write_tiny_model(folder: Path, *, shape: str = "qwen2", chat_template: str | None = CHAT_TEMPLATE) -> Path:
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(configurations()[shape], dtype=torch.float32)
    tokenizer = tiny_tokenizer(chat_template=chat_template)
    letters = {chr(code) for code in range(33, 127)} | {"\u0120"}
    silent = [at for word, at in tokenizer.get_vocab().items() if word not in letters]
    with torch.no_grad():
        # A logit of 0 never wins, so these write plain letters without end.
        model.get_output_embeddings().weight[silent] = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def end_after(folder: Path, token: int) -> None:
    """Make `token` the end of every answer of this model."""
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": token}))
