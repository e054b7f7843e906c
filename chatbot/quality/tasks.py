"""The Celery doors of this room: ids in, one service call."""

from __future__ import annotations

import uuid

from celery import shared_task

from chatbot.learning.tasks import QUEUE as TRAINING
from chatbot.quality import gathering, running, trials, version_jobs
from chatbot.releases import jobs
from chatbot.tasks import send


@shared_task(name="quality.try_question", ignore_result=True)
def try_question(token: str) -> None:
    trials.run_trial(token)


@shared_task(name="quality.run_questions", ignore_result=True)
def run_questions(run_id: str) -> None:
    running.execute(uuid.UUID(run_id))


@shared_task(name="quality.resume_runs", ignore_result=True)
def resume_runs() -> None:
    """Hand over again what a worker has left behind. What somebody works on is not claimed twice."""
    for run_id in running.orphans():
        enqueue_run(run_id)
    for job_id in jobs.waiting():
        enqueue_version_job(job_id)


@shared_task(name="quality.gather_gaps", ignore_result=True)
def gather_gaps() -> None:
    gathering.gather()


@shared_task(name="quality.work_on_version", ignore_result=True)
def work_on_version(job_id: int) -> None:
    version_jobs.execute(job_id)


def enqueue_trial(token: str) -> bool:
    return send(try_question, token, queue="generation")


def enqueue_run(run_id: uuid.UUID) -> None:
    """When the broker is down, resume_runs hands it over later."""
    send(run_questions, str(run_id), queue="generation")


def enqueue_gathering() -> bool:
    return send(gather_gaps, queue="general")


def enqueue_version_job(job_id: int) -> bool:
    return send(work_on_version, job_id, queue=TRAINING)
