"""`manage.py learn`: from approved examples to a promoted version, in one command, with the table before and after."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from chatbot import runtime
from chatbot.engine.requests import EngineError
from chatbot.errors import ChatbotError
from chatbot.learning import approving, datasets, evaluating, examples, rehearsal, runs
from chatbot.learning.datasets import Filters
from chatbot.learning.models import Dataset, Example, TrainingRun
from chatbot.quality import light_parts
from chatbot.quality.regression import regressions
from chatbot.releases import scaling, stages, versions
from chatbot.releases.models import Evaluation, ModelVersion
from chatbot.training.failures import TrainingError

# What fits into 45 minutes on two cores with the default model, a comparison at less strength apart; --quick into about 13.
FULL = {"conversations": 600, "train": 96, "questions": 120, "minutes": 25.0}
QUICK = {"conversations": 300, "train": 48, "questions": 48, "minutes": 5.0}
# Short answers to few examples: a high rate, one pass, and only the upper half of the layers, which halves the way back.
DEMO_OPTIONS = {
    "epochs": 1.0,
    "batch": 2,
    "accumulate": 2,
    "learning_rate": 3e-4,
    "upper_share": 0.5,
    "evaluate_every": 12,
    "save_every": 12,
    "patience": 0,
    "max_tokens": 560,
}
# What the gate holds against a version that learnt its lessons and forgot others: at less strength it may forget less.
FORGOTTEN = {"plain_tasks_lose", "regression_broken"}
LESS = (0.7, 0.5)
ROWS = (
    ("right", "right answers"),
    ("answers_right", "  of answerable questions"),
    ("refusals_wanted", "  of unanswerable ones: refused"),
    ("refusals_right", "refusals that were right"),
    ("grounded", "answers all of whose sentences stand"),
    ("style", "house style"),
    ("language", "language kept"),
)


class Command(BaseCommand):
    help = "Build a dataset, train, compare with the live version on held-out corrections, and promote if the gate passes it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--demo", action="store_true", help="first invent a month of feedback from the FAQs, and approve it")
        parser.add_argument("--quick", action="store_true", help="fewer examples and questions: about 13 minutes on two cores")
        parser.add_argument("--json", type=Path, help="write the figures to this file")
        parser.add_argument("--dataset", help="an existing dataset instead of a new one")
        parser.add_argument("--method", choices=TrainingRun.Method.values, default="sft")
        parser.add_argument("--train", type=int, help="training examples at most")
        parser.add_argument("--questions", type=int, help="held-out questions at most")
        parser.add_argument("--minutes", type=float, help="training time at most")
        parser.add_argument("--no-promote", action="store_true", help="compare only")

    def handle(self, *args: Any, **options: Any) -> None:
        begun = time.monotonic()
        sizes = {name: options.get(name) or value for name, value in (QUICK if options["quick"] else FULL).items()}
        try:
            self._know_base()
            dataset = self._dataset(options, sizes)
            run = self._train(dataset, options, sizes)
            evaluation = self._compare(run, sizes)
            promoted = not options["no_promote"] and self._promote(evaluation)
        except (ChatbotError, EngineError, TrainingError) as error:
            raise CommandError(f"{error} [{error.code}]") from error
        self._report(evaluation, promoted=promoted, seconds=time.monotonic() - begun, path=options["json"])

    def _know_base(self) -> None:
        """Where no worker has run yet, the configured weights are the live version."""
        if versions.live_version() is None:
            folder = runtime.model_folder()
            versions.record_loaded(folder.name, folder=folder)

    def _dataset(self, options: dict[str, Any], sizes: dict[str, Any]) -> Dataset:
        if options["dataset"]:
            found = Dataset.objects.filter(name=options["dataset"]).first()
            if found is None:
                raise CommandError(f"There is no dataset called {options['dataset']}.")
            return found
        if options["demo"]:
            made = rehearsal.rehearse(conversations=int(sizes["conversations"]))
            self.stdout.write(f"{made} conversations invented, each with a correction")
        gathered = examples.gather()
        flags = approving.flag_all()
        self.stdout.write(f"{gathered.proposed} examples proposed; flags: {flags or 'none'}")
        if options["demo"]:
            waiting = Example.objects.filter(status=Example.Status.PROPOSED).values_list("pk", flat=True)
            self.stdout.write(f"{approving.approve(waiting, by_id=None)} approved without a look: this is the demo")
        sources = (Example.Source.CORRECTION.value,) if options["demo"] else ()
        name = f"{'demo' if options['demo'] else 'learn'}-{timezone.now():%Y%m%d-%H%M%S}"
        dataset = datasets.build(name, filters=Filters(sources=sources, most=int(sizes["train"])))
        self.stdout.write(f"dataset {dataset}: {dataset.manifest['counts']['method']}")
        return dataset

    def _train(self, dataset: Dataset, options: dict[str, Any], sizes: dict[str, Any]) -> TrainingRun:
        chosen = {**DEMO_OPTIONS, "budget_minutes": float(sizes["minutes"])}
        run = runs.start(dataset, method=options["method"], options=chosen)
        self.stdout.write(f"training run {run.pk} of at most {sizes['minutes']:.0f} minutes; curve in {runs.folder_of(run)}")
        runs.execute(run.pk)
        run.refresh_from_db()
        if run.status == TrainingRun.Status.WAITING:
            runs.stop(run)
            again = f"manage.py learn --dataset {dataset.name}"
            raise CommandError(
                f"Another training run is under way. Wait for its end or stop it in the release desk; then: {again}"
            )
        if run.status != TrainingRun.Status.DONE:
            raise CommandError(f"The run ended as {run.status}: {run.error_text} [{run.error}]")
        result = run.result
        memory = result["peak_memory_bytes"] / 2**30
        self.stdout.write(f"{result['steps']} steps in {result['seconds']:.0f} s, {memory:.1f} GiB; version {run.version}")
        return run

    def _compare(self, run: TrainingRun, sizes: dict[str, Any]) -> Evaluation:
        """The version's comparison with the live one; of one that only forgot too much, that of the same at less strength."""
        assert run.version is not None  # a run that is done has one
        evaluation = self._evaluate(run.version, run.dataset, sizes)
        for strength in LESS:
            reasons = {code for code, _ in evaluation.verdict["reasons"]}
            if evaluation.passed or not reasons <= FORGOTTEN:
                break
            self.stdout.write(f"the same at {100 * strength:.0f} % of its strength may forget less")
            evaluation = self._evaluate(scaling.scaled(run.version, strength=strength), run.dataset, sizes)
        self.stdout.write(light_parts.in_words(light_parts.refit(evaluation.version)))
        return evaluation

    def _evaluate(self, version: ModelVersion, dataset: Dataset, sizes: dict[str, Any]) -> Evaluation:
        evaluation = evaluating.evaluate(
            version,
            dataset,
            most=int(sizes["questions"]),
            regression=list(regressions()),
            progress=lambda name: self.stdout.write(f"{name} answers the held-out questions"),
        )
        for _, text in evaluation.verdict["reasons"]:
            self.stdout.write(f"  refused: {text}")
        return evaluation

    def _promote(self, evaluation: Evaluation) -> bool:
        if evaluation.passed:
            stages.to_live(evaluation.version.name)
        return evaluation.passed

    def _report(self, evaluation: Evaluation, *, promoted: bool, seconds: float, path: Path | None) -> None:
        before, after, verdict = evaluation.table["before"], evaluation.table["after"], evaluation.verdict
        self.stdout.write(f"\n{evaluation.table['questions']} held-out questions{'':<22} before   after")
        for key, label in ROWS:
            self.stdout.write(f"  {label:<42} {100 * before[key]:6.1f}  {100 * after[key]:6.1f}")
        if "loss" in before:
            self.stdout.write(f"  {'loss of approved answers (nats a token)':<42} {before['loss']:6.3f}  {after['loss']:6.3f}")
        plain = verdict["plain"]
        self.stdout.write(f"  {'plain tasks':<42} {100 * plain['before']:6.1f}  {100 * plain['after']:6.1f}")
        for one in verdict["slices"]:
            span = f"{100 * one['lower95']:+.1f} to {100 * one['upper95']:+.1f}"
            label = f"{one['name'][:24] or 'none'} ({one['questions']})"
            self.stdout.write(f"    {label:<40} {100 * one['before']:6.1f}  {100 * one['after']:6.1f}   {span}")
        bounds = f"{100 * verdict['lower95']:+.1f} to {100 * verdict['upper95']:+.1f}"
        gain = f"{100 * verdict['gain']:+.1f} points, 95 % interval {bounds}"
        memory = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 2**20
        self.stdout.write(
            f"gain {gain}; {'promoted' if promoted else 'not promoted'}; {seconds / 60:.1f} minutes, {memory:.1f} GiB"
        )
        if path:
            figures = {
                "before": before["right"],
                "after": after["right"],
                "lower95": verdict["lower95"],
                "upper95": verdict["upper95"],
                "plain_before": plain["before"],
                "plain_after": plain["after"],
                "seconds": round(seconds, 1),
                "promoted": promoted,
            }
            path.write_text(json.dumps(figures) + "\n")
