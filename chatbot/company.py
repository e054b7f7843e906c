"""Whose customers are answered: name, voice and look of the company, read once from one JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

LocaleTexts = dict[str, str]
T = TypeVar("T")
# Every prompt carries them; a model on a CPU reads about 250 tokens a second.
MAX_INSTRUCTIONS_CHARS = 2_000


class Company(BaseModel):
    """The file behind COMPANY_FILE. Texts that customers read are given by locale; "en" must be there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    tagline: LocaleTexts | str = ""
    bot_name: LocaleTexts | str
    accent: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
    site_url: str = ""
    phone: str = ""
    email: str = ""
    hours: LocaleTexts | str = ""
    greeting: LocaleTexts
    suggestions: dict[str, list[str]]
    unknown: LocaleTexts
    # What the model is told besides its rules: tone, words to prefer. No facts: the passages alone have those.
    instructions: Annotated[str, Field(max_length=MAX_INSTRUCTIONS_CHARS)] = ""

    def text(self, field: str, *, locale: str) -> str:
        """The field's text in this locale, else in its language, else in English."""
        value: LocaleTexts | str = getattr(self, field)
        return value if isinstance(value, str) else _best(value, locale=locale)

    def suggestions_for(self, locale: str) -> list[str]:
        return _best(self.suggestions, locale=locale)


def _best(texts: dict[str, T], *, locale: str) -> T:
    return texts.get(locale) or texts.get(locale.split("-")[0]) or texts["en"]


def load_company(path: Path) -> Company:
    """Raises ValueError with a sentence for the operator."""
    try:
        return Company.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ValueError(f"COMPANY_FILE {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"COMPANY_FILE {path}: {where}: {first['msg']}.") from error
