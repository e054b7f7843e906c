"""Files of a few kilobytes for the fetching tests: folders, safetensors and GGUF with the right structure and no sense."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import gguf
import numpy as np

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VOCABULARY, HIDDEN, INNER = 260, 32, 64


def safetensors_bytes(tensors: dict[str, tuple[int, ...]]) -> bytes:
    """Float32 zeros of the given shapes."""
    header, position = {}, 0
    for name, shape in tensors.items():
        end = position + math.prod(shape) * 4
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [position, end]}
        position = end
    return with_header(header, data=bytes(position))


def with_header(header: object, *, data: bytes) -> bytes:
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def write_model_folder(folder: Path) -> Path:
    """A folder that passes every check."""
    folder.mkdir(parents=True)
    config = {"model_type": "qwen2", "vocab_size": 8, "hidden_size": 4}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    (folder / "model.safetensors").write_bytes(safetensors_bytes({"model.embed_tokens.weight": (8, 4), "norm.weight": (4,)}))
    return folder


def byte_tokens() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in kept]
    names = {byte: chr(byte) for byte in kept} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [names[byte] for byte in range(256)]


def write_tiny_gguf(path: Path, *, template: str | None = TEMPLATE) -> dict[str, np.ndarray]:
    """Write a one-layer Qwen2 with random weights, one matrix of it quantised; return the weights it stands for."""
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name("tiny")
    writer.add_license("cc0-1.0")
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    add_tiny_tokenizer(writer, template=template)
    weights = tiny_weights()
    for name, weight in weights.items():
        if name == "blk.0.ffn_up.weight":
            packed = gguf.quants.quantize(weight, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
            weights[name] = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def add_tiny_tokenizer(writer: gguf.GGUFWriter, *, template: str | None) -> None:
    """Bytes, one merge and three special tokens (257 to 259)."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([*byte_tokens(), "ab", "<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    writer.add_token_types([gguf.TokenType.NORMAL] * 257 + [gguf.TokenType.CONTROL] * 3)
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(259)
    writer.add_pad_token_id(257)
    if template is not None:
        writer.add_chat_template(template)


def tiny_weights() -> dict[str, np.ndarray]:
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (VOCABULARY, HIDDEN),
        "output.weight": (VOCABULARY, HIDDEN),
        "output_norm.weight": (HIDDEN,),
        "blk.0.attn_norm.weight": (HIDDEN,),
        "blk.0.ffn_norm.weight": (HIDDEN,),
        "blk.0.attn_q.weight": (HIDDEN, HIDDEN),
        "blk.0.attn_q.bias": (HIDDEN,),
        "blk.0.attn_k.weight": (HIDDEN // 2, HIDDEN),
        "blk.0.attn_k.bias": (HIDDEN // 2,),
        "blk.0.attn_v.weight": (HIDDEN // 2, HIDDEN),
        "blk.0.attn_v.bias": (HIDDEN // 2,),
        "blk.0.attn_output.weight": (HIDDEN, HIDDEN),
        "blk.0.ffn_gate.weight": (INNER, HIDDEN),
        "blk.0.ffn_up.weight": (INNER, HIDDEN),
        "blk.0.ffn_down.weight": (HIDDEN, INNER),
    }
    random = np.random.default_rng(7)
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
