"""What a version says of itself in its own folder: lineage for machines, a model card for people."""

from __future__ import annotations

import json
from pathlib import Path

from chatbot.releases.models import Evaluation, ModelVersion

LINEAGE_FILE = "lineage.json"
CARD_FILE = "README.md"


def describe(version: ModelVersion, folder: Path) -> None:
    """Write both files. Neither counts among the version's hashed files."""
    described = {"name": version.name, "lineage": version.lineage, "trained_on": version.trained_on}
    (folder / LINEAGE_FILE).write_text(json.dumps(described, indent=1), encoding="utf-8")
    (folder / CARD_FILE).write_text(card(version), encoding="utf-8")


def card(version: ModelVersion) -> str:
    """What the version is, in the shape of a model card."""
    origin, result, merged = version.lineage, version.lineage.get("result", {}), version.merged_from
    base, evaluation = str(origin.get("base", "")) or version.root.name, version.evaluations.first()
    licence = (version if merged else version.root).licence or "licence of the base unknown"
    what = f"The adapter {merged}, merged into the weights of {base}" if merged else f"A LoRA adapter on {base}"
    lines = [
        "---",
        f"library_name: {'transformers' if merged else 'peft'}",
        f"base_model: {base}",
        "---",
        f"# {version.name}",
        "",
        f"{what} ({licence}; what was learnt is yours).",
        "",
        "| what | value |",
        "| --- | --- |",
        f"| base, SHA-256 of its source | {origin.get('base_sha256') or version.root.weights_sha256 or 'unknown'} |",
        *([f"| adapter, SHA-256 | {merged}, {origin.get('adapter_sha256') or 'unknown'} |"] if merged else []),
        f"| method | {origin.get('method', 'unknown')} |",
        f"| dataset, SHA-256 | {origin.get('dataset', 'unknown')}, {origin.get('dataset_sha256', 'unknown')} |",
        f"| examples, steps, seconds | {origin.get('examples', '?')}, {result.get('steps', '?')}, {result.get('seconds', '?')} |",
        f"| code | {origin.get('code_commit') or 'unknown'} |",
        f"| libraries | {', '.join(f'{k} {v}' for k, v in origin.get('versions', {}).items()) or 'unknown'} |",
        f"| size | {version.size_bytes:,} bytes |",
    ]
    if evaluation:
        lines += ["", _measured(evaluation)]
    return "\n".join([*lines, "", "It was trained on what customers asked of one company: use it for that company only.", ""])


def _measured(evaluation: Evaluation) -> str:
    verdict, compression = evaluation.verdict, evaluation.table.get("compression")
    gain = f"{100 * verdict['gain']:+.1f} points ({100 * verdict['lower95']:+.1f} to {100 * verdict['upper95']:+.1f})"
    rates = f"{100 * verdict['before']:.1f} % by {evaluation.against}, {100 * verdict['after']:.1f} % by this version"
    right = f"Right answers to {verdict['questions']} held-out questions: {rates}: {gain}."
    if not compression:
        return f"{right} The gate {'passed' if evaluation.passed else 'refused'} it."
    speed = f"{compression['tokens_per_s_before']} tokens a second with the adapter, {compression['tokens_per_s_after']} merged"
    return f"{right} {100 * compression['same']:.1f} % of the answers are the same, word for word; {speed}."
