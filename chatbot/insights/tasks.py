"""Doors to what beat asks for."""

from __future__ import annotations

from celery import shared_task

from chatbot.insights import drift, facts


@shared_task(name="insights.refresh_facts", ignore_result=True)
def refresh_facts() -> None:
    """Each minute: count what happened in the conversations."""
    facts.refresh()


@shared_task(name="insights.report_drift", ignore_result=True)
def report_drift() -> None:
    """Once a day: do customers' questions still look like what the confidence was calibrated for?"""
    drift.report_drift()
