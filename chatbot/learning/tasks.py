"""The Celery doors of this room, on a queue of their own: training must never stand in the way of an answer."""

from __future__ import annotations

from celery import shared_task

from chatbot.learning import canary, retraining, runs, shadowing, sweeping
from chatbot.tasks import send

QUEUE = "training"


@shared_task(name="learning.train", ignore_result=True)
def train(run_id: int) -> None:
    runs.execute(run_id)


@shared_task(name="learning.resume_runs", ignore_result=True)
def resume_runs() -> None:
    """Hand over again what waits or was left behind. A run that somebody works on is not claimed twice."""
    for run_id in runs.orphans():
        enqueue_run(run_id)


@shared_task(name="learning.watch_canary", ignore_result=True)
def watch_canary() -> None:
    canary.watch()


@shared_task(name="learning.answer_unseen", ignore_result=True)
def answer_unseen() -> None:
    """On the generation queue, where the weights are. One answer a call: customers' messages pass in between."""
    for generation_id in shadowing.waiting()[:1]:
        shadowing.answer_unseen(generation_id)


@shared_task(name="learning.sweep", ignore_result=True)
def sweep(by_id: int) -> None:
    sweeping.sweep(by_id=by_id)


@shared_task(name="learning.sweep_at_night", ignore_result=True)
def sweep_at_night() -> None:
    sweeping.sweep_at_night()


@shared_task(name="learning.retrain_at_night", ignore_result=True)
def retrain_at_night() -> None:
    for run_id in retraining.retrain_at_night():
        enqueue_run(run_id)


def enqueue_run(run_id: int) -> None:
    """When the broker is down, resume_runs hands it over later."""
    send(train, run_id, queue=QUEUE)


def enqueue_sweep(*, by_id: int) -> bool:
    return send(sweep, by_id, queue="general")
