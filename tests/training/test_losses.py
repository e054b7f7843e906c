"""The loss on approved answers, on tiny weights: the engine reads what transformers computes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from chatbot.training import evaluate, losses

SYSTEM = {"role": "system", "content": "be good and short"}
PROMPTS = [
    {
        "id": str(number),
        "messages": [SYSTEM, {"role": "user", "content": question}],
        "completion": answer,
        "max_new_tokens": 2,
    }
    for number, (question, answer) in enumerate([("say one", "it is one"), ("say one and two", "no"), ("say", "it is " * 3)])
]


def adapter_of(base: Path, out: Path) -> Path:
    """An adapter that changes something."""
    torch.manual_seed(3)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "up_proj"], init_lora_weights=False),
    )
    model.save_pretrained(out)
    return out


def expected(model: Any, tokenizer: Any, prompt: dict[str, Any]) -> float:
    asked = tokenizer.apply_chat_template(prompt["messages"], add_generation_prompt=True, return_dict=False)
    wanted = tokenizer.encode(prompt["completion"], add_special_tokens=False) + [tokenizer.eos_token_id]
    labels = torch.tensor([[-100] * len(asked) + wanted])
    with torch.inference_mode():
        mean = model(input_ids=torch.tensor([[*asked, *wanted]]), labels=labels).loss
    return float(mean) * len(wanted)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # between peft and transformers
@pytest.mark.parametrize("adapted", [False, True], ids=["base", "adapter"])
def test_the_loss_is_that_of_the_right_answers_words(adapted: bool, tiny_base: Path, tmp_path: Path) -> None:
    adapter = adapter_of(tiny_base, tmp_path / "adapter") if adapted else None
    out = tmp_path / "losses.jsonl"
    long = {**PROMPTS[0], "id": "long", "completion": "x" * 600}
    losses.write_losses(
        [*PROMPTS, long], out, model=tiny_base, adapter=adapter, device="cpu", dtype="float32", context_tokens=512
    )
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["id"] for line in lines] == ["0", "1", "2"], "what does not fit is left out"
    model = AutoModelForCausalLM.from_pretrained(adapter or tiny_base, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    for line, prompt in zip(lines, PROMPTS, strict=True):
        assert line["loss"] == pytest.approx(expected(model, tokenizer, prompt), rel=1e-3)
        assert line["tokens"] == len(prompt["completion"]) + 1


def test_answers_and_losses_come_in_one_go_and_go_on_where_they_were(tiny_base: Path, tmp_path: Path) -> None:
    prompts, out, found = (tmp_path / name for name in ("prompts.jsonl", "answers.jsonl", "losses.jsonl"))
    plain = {"id": "plain:1", "messages": [{"role": "user", "content": "one and one"}], "max_new_tokens": 2}
    prompts.write_text("".join(json.dumps(line) + "\n" for line in [*PROMPTS, plain]))
    found.write_text('{"id": "0", "loss": 9.0, "tokens": 3}\n{"id": "1", "lo')
    wanted = ["--model", str(tiny_base), "--prompts", str(prompts), "--out", str(out), "--losses", str(found)]
    assert evaluate.main([*wanted, "--device", "cpu"]) == 0
    assert {json.loads(line)["id"] for line in out.read_text().splitlines()} == {"0", "1", "2", "plain:1"}
    lines = [json.loads(line) for line in found.read_text().splitlines()]
    assert [line["id"] for line in lines] == ["0", "1", "2"] and lines[0]["loss"] == 9.0
