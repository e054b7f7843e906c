"""The Celery doors of this room. Reading runs on the general worker, drafting FAQs where the model is."""

from __future__ import annotations

from celery import shared_task

from chatbot import runtime
from chatbot.documents import processing, suggesting
from chatbot.knowledge.embedding import default_embedder
from chatbot.tasks import send


@shared_task(name="documents.read", ignore_result=True)
def read_document(document_id: int, revision: int) -> None:
    processing.process_document(document_id, revision, embedder=default_embedder())


@shared_task(name="documents.catch_up", ignore_result=True)
def catch_up() -> None:
    for document_id, revision in processing.catch_up(embedder=default_embedder()):
        enqueue_reading(document_id, revision)


@shared_task(name="documents.suggest", ignore_result=True)
def suggest_faqs(document_id: int) -> None:
    suggesting.suggest_faqs(document_id, engine=runtime.engine(), embedder=default_embedder())


def enqueue_reading(document_id: int, revision: int) -> None:
    """When the broker is down, the regular catching up finds the upload still waiting."""
    send(read_document, document_id, revision, queue="general")


def enqueue_refresh() -> None:
    send(catch_up, queue="general")


def enqueue_suggesting(document_id: int) -> None:
    if not send(suggest_faqs, document_id, queue="generation"):
        suggesting.give_up(document_id, note="The workers cannot be reached. Ask again in a minute.")
