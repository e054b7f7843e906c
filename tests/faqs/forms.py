"""The FAQ form as a browser sends it."""

from __future__ import annotations

from chatbot.knowledge.models import Faq


def typed(faq: Faq | None = None, **changes: str) -> dict[str, str]:
    fields = {
        "key": "returns",
        "locale": "en",
        "category": "Returns",
        "question": "Can I return it?",
        "answer": "Within 30 days.",
        "phrasings": "send it back",
        "expected_revision": str(faq.latest_revision if faq else 0),
    }
    return fields | changes
