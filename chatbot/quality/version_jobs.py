"""What the training worker does with a version when the release desk asks: compare it, merge it. It always says how it ended.

The test questions guard every comparison, so this stands here and not with learning.
"""

from __future__ import annotations

from chatbot.engine.requests import EngineError
from chatbot.errors import ChatbotError, Conflict
from chatbot.learning import compressing, evaluating
from chatbot.learning.models import Dataset
from chatbot.quality import light_parts
from chatbot.quality.regression import regressions
from chatbot.releases import jobs, merging
from chatbot.releases.models import Job
from chatbot.telemetry import log_crash, log_event
from chatbot.training.failures import TrainingError, explained


def execute(job_id: int) -> None:
    """Do a job, if nobody else does it, and write down how it ended."""
    job = jobs.claim(job_id)
    if job is None:
        return
    code, text = "", ""
    with jobs.alive(job):
        try:
            _do(job)
        except (ChatbotError, EngineError, TrainingError) as error:
            code, text = error.code, str(error)
        except Exception as error:
            log_crash(f"{job.kind} of a version failed", error)
            code = "disk_full" if isinstance(error, OSError) and explained(error).code == "disk_full" else "internal"
    jobs.end(job, error=code, text=text)
    log_event("version.job_ended", version=job.version.name, kind=job.kind, code=code)


def _do(job: Job) -> None:
    version = job.version
    if job.kind == Job.Kind.MERGE:
        version = merging.merged_of(version) or merging.merge(version, added_by=job.by)
        if not job.dataset:
            return
    dataset = Dataset.objects.filter(name=job.dataset).first()
    if dataset is None:
        raise Conflict(f"The dataset {job.dataset} is gone; choose another.", code="dataset_missing")
    if version.merged_from:
        compressing.measure(version, dataset, regression=list(regressions()))
        return
    evaluating.evaluate(version, dataset, regression=list(regressions()))
    light_parts.refit(version)
