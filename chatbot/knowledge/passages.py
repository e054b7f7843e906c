"""The texts of a FAQ that the search is built from, and how they are told apart. No database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

FALLBACK_LOCALE = "en"


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(rows: Iterable[tuple[int, str]], *, embedder: str) -> str:
    """Identify a set of embedded phrasings, (faq id, text hash) each, whatever their order."""
    digest = hashlib.sha256(embedder.encode())
    for faq_id, hashed in sorted(rows):
        digest.update(f"{faq_id}:{hashed};".encode())
    return digest.hexdigest()


def best_locale(available: Sequence[str], *, wanted: str) -> str:
    """Choose a reader's locale: the wanted one, its language, English, else the first. `available` is not empty."""
    wanted = wanted.lower()
    language = wanted.split("-")[0]

    def distance(locale: str) -> tuple[int, str]:
        spoken = locale.split("-")[0]
        fits = (
            locale == wanted,
            locale == language,
            spoken == language,
            locale == FALLBACK_LOCALE,
            spoken == FALLBACK_LOCALE,
            True,
        )
        return fits.index(True), locale

    return min(available, key=distance)
