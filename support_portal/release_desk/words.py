"""What the figures and codes of training mean to somebody who has never trained a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FLAGS = {
    "burst": "Many at once: these came in a heap within an hour, from one person or with one outcome.",
    "strange_word": "Strange word: a word or phrase the company never uses comes with one answer only. It may be planted.",
    "contradicts": "Contradicts another: the same question is answered here and refused there.",
    "not_grounded": "Not in the FAQs: the checks would withhold this answer, because no FAQ that was found supports it.",
    "answer_in_question": "Answer in the question: the question holds the whole answer, so nothing is learnt.",
}
FLAG_NAMES = {
    "burst": "many at once",
    "strange_word": "strange word",
    "contradicts": "contradicts",
    "not_grounded": "not in the FAQs",
    "answer_in_question": "answer in question",
}
HALVES = {
    "train": ("Training", "what the model learns from"),
    "tuning": ("Tuning", "watched while it learns, so that it stops in time"),
    "heldout": ("Held out", "never shown to the model; the comparison asks these"),
}
METHODS = {
    "sft": ("Right answers", "Shows the model questions with right answers. Start with this one."),
    "dpo": ("Better and worse", "Shows two answers and which is better. Needs corrections."),
    "kto": ("Thumbs", "Shows given answers and whether customers liked them. Needs thumbs up and down."),
}
# What to do about what the gate holds against a version.
ADVICE = {
    "saw_heldout": "Train again from this dataset; a version must not have seen the questions it is measured by.",
    "looks_planted": "Open the flagged examples, reject those that are not genuine, build a new dataset and train again.",
    "too_few": "Approve more corrections and reviewed answers, build a new dataset and compare again.",
    "no_gain": "More or better examples may help. So may more held-out questions: they make the interval narrower.",
    "language_unasked": "Approve corrections and reviewed answers in this language, build a new dataset and compare again.",
    "language_may_lose": "Approve more examples in this language, so that a loss can be ruled out.",
    "language_loses": "Approve more examples in the rarer languages.",
    "topic_may_lose": "Look at this topic's examples: are some of them wrong or out of date?",
    "topic_loses": "Look at this topic's examples: are some of them wrong or out of date?",
    "plain_tasks_lose": "Take it at less strength (manage.py scaleversion), or train shorter, so that the model forgets less.",
    "merged_loses": "Do not roll it out: go on with the adapter as it is.",
    "merged_plain_tasks_lose": "The same model rounded to 8 bits at other places: go on with the adapter, or serve in bfloat16.",
    "merged_regression_broken": "The same model rounded to 8 bits at other places. See under Quality whether it matters.",
    "regression_broken": "See which broke under Quality. Add examples, or take it at less strength: manage.py scaleversion.",
}
FAILURES = {
    "killed": "The training process was killed, perhaps for want of memory. Go on: it starts again from its last checkpoint.",
    "crashed": "The training process ended unexpectedly. The last line of its log stands below.",
    "dataset_too_small": "The dataset has too few examples of this kind. Approve more and build a new dataset.",
    "dataset_missing": "The dataset's folder is not here any more. Build the dataset again.",
    "dataset_broken": "The dataset's folder is damaged. Build the dataset again.",
    "one_sided_labels": "All thumbs point the same way, so there is nothing to tell apart.",
    "one_answer_only": "All examples have the same answer; the model would only learn to repeat it.",
    "heldout_in_training": "A held-out question stands in the training half too. Build the dataset again.",
    "base_missing": "The base weights are not here any more: `manage.py fetchmodel` brings them.",
    "loss_not_finite": "The numbers went out of range. Start again with a smaller learning rate.",
    "out_of_memory": "There was not enough memory. Use a smaller model or a machine with more memory.",
    "disk_full": "The disk is full. Free some space, then go on: it starts again from its last checkpoint.",
}
# Why a comparison or a merge ended without a result: what happened, and what to do.
AGAIN = "Then begin it again: answers that were written are kept."
JOB_FAILURES = {
    "killed": (
        "The training worker, or the process it had started, ended before it was done: a restart, or too little memory.",
        f"Look whether the worker runs and has memory enough. {AGAIN}",
    ),
    "disk_full": ("The disk is full. Nothing half-written was kept.", f"Free some space. {AGAIN}"),
    "model_disk_full": ("There is too little free disk. Nothing half-written was kept.", f"Free some space. {AGAIN}"),
    "model_memory": ("There is too little memory for the model beside what runs.", f"Stop other programs. {AGAIN}"),
    "dataset_missing": ("The dataset's folder is not here any more.", "Build the dataset again, or choose another."),
    "dataset_broken": ("The dataset's folder is damaged.", "Build the dataset again, or choose another."),
    "nothing_to_measure": ("The held-out half has no corrected or reviewed answer to measure by.", "Choose another dataset."),
    "adapter_wrong_base": (
        "The version and the live one do not run on the same base weights any more.",
        "Compare it when a version on its own base weights is live.",
    ),
    "model_hash_mismatch": ("The version's files are not what was added.", "Add the adapter again, from a backup or its run."),
    "merge_busy": ("Another merge is under way on this machine.", "Begin this one when that is done."),
    "internal": ("Something failed that nobody has foreseen.", "The training worker's log says where. Then begin it again."),
}
OPTIONS = {
    "budget_minutes": "{:g} minutes at most",
    "epochs": "{:g} passes over the examples",
    "learning_rate": "learning rate {:g}",
}
# Of an evaluation's table: key, name, what it says, unit, whether more is better (None: neither).
FIGURES: tuple[tuple[str, str, str, str, bool | None], ...] = (
    ("right", "Right answers", "Of all held-out questions, as people corrected or reviewed them. The main measure.", "%", True),
    ("answers_right", "Right where an answer exists", "Of the questions the knowledge answers.", "%", True),
    ("refusals_wanted", "Refused where it should", "Of the questions nobody can answer from the knowledge.", "%", True),
    ("refusals_right", "Refusals that were right", "Of all it refused.", "%", True),
    ("grounded", "Supported by the FAQs", "Of the answers written.", "%", True),
    ("language", "In the customer's language", "Of all answers.", "%", True),
    ("style", "In the house's style", "No longer than people here write.", "%", True),
    ("loss", "Loss on the approved answers", "How far its words are from the right ones; less is nearer.", "", False),
    ("chars", "Length of an answer", "On average.", "characters", None),
    ("median_ms", "Time for an answer", "Half of them take longer; measured while others ran.", "s", False),
)


def failure(code: str, text: str) -> str:
    """One sentence for a code; what the process said itself where the code is new."""
    return FAILURES.get(code) or (f"{text} ({code})" if text else f"Something failed ({code}).")


def job_failure(code: str, text: str) -> tuple[str, str]:
    """What happened and what to do; what the process said itself where the code is new."""
    return JOB_FAILURES.get(code) or (f"{text} ({code})", "Mend that, then begin it again: answers that were written are kept.")


def compression(table: Mapping[str, Any]) -> dict[str, str]:
    """What merging has cost and gained, in words; empty for other comparisons."""
    found = table.get("compression")
    if not found:
        return {}
    return {
        "same": f"{100 * found['same']:.1f} %",
        "before": f"{found['tokens_per_s_before']:.1f}",
        "after": f"{found['tokens_per_s_after']:.1f}",
        "ratio": f"{found['speed_ratio']:.2f}",
    }


def options(chosen: Mapping[str, Any]) -> list[str]:
    """What a run was told, each in a word or two."""
    return [OPTIONS.get(name, f"{name} {{}}").format(value) for name, value in chosen.items()]


def reasons(verdict: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What stands against promotion, each with what may be done about it."""
    return [(text, ADVICE.get(code, "")) for code, text in verdict.get("reasons", [])]


def points(value: float) -> str:
    """A share's change in points: 0.0312 -> +3.1."""
    return f"{100 * value:+.1f}".replace("-", "−")


def gain(verdict: Mapping[str, Any]) -> str:
    """`+3.1 points (+0.4 to +5.9)`; empty where nothing was measured."""
    if "gain" not in verdict:
        return ""
    low, high = points(verdict["lower95"]), points(verdict["upper95"])
    return f"{points(verdict['gain'])} points ({low} to {high})"


def figure_rows(table: Mapping[str, Any]) -> list[tuple[str, str, str, str, str, str]]:
    """(name, meaning, before, after, change, "good" | "bad" | "") of every figure that both versions have."""
    before, after = table.get("before", {}), table.get("after", {})
    rows = []
    for key, name, meaning, unit, more_is_better in FIGURES:
        if key in before and key in after:
            old, new = before[key], after[key]
            sign = "" if more_is_better is None or _same(old, new) else "good" if (new > old) == more_is_better else "bad"
            rows.append((name, meaning, _said(old, unit), _said(new, unit), _change(new - old, unit), sign))
    return rows


def plain_row(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """The plain tasks of both versions; empty where none were set."""
    plain = verdict.get("plain") or {}
    if not plain.get("tasks"):
        return {}
    before, after = plain["before"], plain["after"]
    return {
        "tasks": plain["tasks"],
        "before": _said(before, "%"),
        "after": _said(after, "%"),
        "change": _change(after - before, "%"),
    }


def slice_rows(verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Languages and topics with their gain and its interval, in words."""
    found = []
    for one in verdict.get("slices", []):
        kind = "Language" if one["kind"] == "locale" else "Topic"
        sign = "good" if one["lower95"] > 0 else "bad" if one["upper95"] < 0 else ""
        shares = {name: f"{100 * one[name]:.1f} %" for name in ("before", "after")}
        interval = f"{points(one['lower95'])} to {points(one['upper95'])}"
        words = {"kind": kind, "gain": points(one["gain"]), "interval": interval, "sign": sign, "name": one["name"] or "none"}
        found.append({"questions": one["questions"], **shares, **words})
    return found


def _same(old: float, new: float) -> bool:
    return abs(new - old) < 0.0005


def _said(value: float, unit: str) -> str:
    if unit == "%":
        return f"{100 * value:.1f} %"
    if not unit:
        return f"{value:.3f}"
    return f"{value / 1000:.1f} s" if unit == "s" else f"{value:.0f} {unit}"


def _change(value: float, unit: str) -> str:
    if unit == "%":
        return f"{points(value)} points"
    number = f"{value / 1000:+.1f} s" if unit == "s" else f"{value:+.0f}" if unit else f"{value:+.3f}"
    return number.replace("-", "−")
