"""The Celery doors of this room: ids in, one service call."""

from __future__ import annotations

import uuid
from typing import Any

from celery import shared_task
from kombu.exceptions import OperationalError

from chatbot.learning import evaluating
from chatbot.learning.models import Dataset
from chatbot.learning.tasks import QUEUE as TRAINING
from chatbot.quality import gathering, running, trials
from chatbot.quality.regression import regressions
from chatbot.releases.models import ModelVersion
from chatbot.telemetry import log_event


@shared_task(name="quality.try_question", ignore_result=True)
def try_question(token: str) -> None:
    trials.run_trial(token)


@shared_task(name="quality.run_questions", ignore_result=True)
def run_questions(run_id: str) -> None:
    running.execute(uuid.UUID(run_id))


@shared_task(name="quality.resume_runs", ignore_result=True)
def resume_runs() -> None:
    """Hand over again what a worker has left behind. A run that somebody works on is not claimed twice."""
    for run_id in running.orphans():
        enqueue_run(run_id)


@shared_task(name="quality.gather_gaps", ignore_result=True)
def gather_gaps() -> None:
    gathering.gather()


@shared_task(name="quality.compare_version", ignore_result=True)
def compare_version(version_id: int, dataset_id: int) -> None:
    """Hold a version against the live one. The test questions guard it, so it is this room's task and not learning's."""
    version, dataset = ModelVersion.objects.get(pk=version_id), Dataset.objects.get(pk=dataset_id)
    evaluating.evaluate(version, dataset, regression=list(regressions()))


def enqueue_trial(token: str) -> bool:
    return _sent(try_question, token, queue="generation")


def enqueue_run(run_id: uuid.UUID) -> None:
    """When the broker is down, resume_runs hands it over later."""
    _sent(run_questions, str(run_id), queue="generation")


def enqueue_gathering() -> bool:
    return _sent(gather_gaps, queue="general")


def enqueue_comparison(version_id: int, dataset_id: int) -> bool:
    return _sent(compare_version, version_id, dataset_id, queue=TRAINING)


def _sent(task: Any, *arguments: str | int, queue: str) -> bool:
    try:
        task.apply_async(arguments, queue=queue)
    except OperationalError as error:
        log_event("quality.enqueue_failed", error=type(error).__name__)
        return False
    return True
