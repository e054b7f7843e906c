"""`manage.py mergeversion NAME`: an adapter merged into its base weights, and what that costs and gains."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot.engine.requests import EngineError
from chatbot.errors import ChatbotError
from chatbot.learning import compressing
from chatbot.learning.models import Dataset
from chatbot.quality.regression import regressions
from chatbot.releases import merging, versions
from chatbot.releases.models import Evaluation, ModelVersion
from chatbot.training.failures import TrainingError


class Command(BaseCommand):
    help = (
        "Merge an adapter into its base weights: a version of its own, without the adapter's cost at every step. "
        "With a dataset, both answer its held-out questions and the table is kept. Workers started with MODEL=NAME serve it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="an adapter of `manage.py versions`; merged already, it is only measured again")
        parser.add_argument("--as", dest="new_name", default="", help="what replies will name it; given once, for ever")
        parser.add_argument("--dataset", help="whose held-out questions are asked; default: the one it was trained from")
        parser.add_argument("--questions", type=int, default=0, help="held-out questions at most")
        parser.add_argument("--no-measure", action="store_true", help="merge only")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            adapter = versions.access_version(options["name"])
            merged = merging.merged_of(adapter) or merging.merge(adapter, name=options["new_name"])
            self.stdout.write(f"{merged}: {merged.size_bytes / 1e9:.2f} GB in {merged.folder}")
            if not options["no_measure"]:
                self._measure(merged, options)
        except (ChatbotError, EngineError, TrainingError) as error:
            raise CommandError(f"{error} [{error.code}]") from error
        self.stdout.write(f"Workers started with MODEL={merged} answer with it (docs/operations.md, merged weights).")

    def _measure(self, merged: ModelVersion, options: dict[str, Any]) -> None:
        name = options["dataset"] or merged.lineage.get("dataset", "")
        dataset = Dataset.objects.filter(name=name).first()
        if dataset is None:
            raise CommandError(f"There is no dataset called {name or '(unknown)'}: name one with --dataset, or use --no-measure.")
        evaluation = compressing.measure(
            merged,
            dataset,
            regression=list(regressions()),
            most=options["questions"],
            progress=lambda told: self.stdout.write(f"  {told}"),
        )
        self._report(evaluation)

    def _report(self, evaluation: Evaluation) -> None:
        verdict, compression = evaluation.verdict, evaluation.table["compression"]
        before, after = evaluation.table["before"], evaluation.table["after"]
        self.stdout.write(f"\n{evaluation.table['questions']} held-out questions{'':<14} adapter   merged")
        self.stdout.write(f"  {'right answers, %':<32}{100 * before['right']:9.1f}{100 * after['right']:9.1f}")
        if "loss" in before and "loss" in after:
            self.stdout.write(f"  {'loss on the approved answers':<32}{before['loss']:9.3f}{after['loss']:9.3f}")
        speeds = f"{compression['tokens_per_s_before']:9.1f}{compression['tokens_per_s_after']:9.1f}"
        self.stdout.write(f"  {'tokens a second':<32}{speeds}   {compression['speed_ratio']:.2f} times")
        bounds = f"{100 * verdict['lower95']:+.1f} to {100 * verdict['upper95']:+.1f}"
        gain = f"right answers {100 * verdict['gain']:+.1f} points, 95 % interval {bounds}"
        self.stdout.write(f"the same, word for word: {100 * compression['same']:.1f} %; {gain}")
        for _, text in verdict["reasons"]:
            self.stdout.write(f"  against it: {text}")
