"""The interface speaks English and Chinese: every word of the chat is in the catalogue, and the compiled file is current."""

from __future__ import annotations

import gettext
import re
from pathlib import Path

import pytest
from django.utils import translation

from support_portal.chat.labels import CUSTOMER_ERRORS, HANDOFF_WORDS, chat_labels

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "locale/zh_Hans/LC_MESSAGES/django.po"
SCRIPTS = sorted((ROOT / "static/js/chat").glob("*.js"))
TEMPLATES = [
    *sorted((ROOT / "templates/chat").glob("*.html")),
    *(ROOT / "templates" / name for name in ("base.html", "403.html", "404.html")),
]
_ENTRY = re.compile(r'msgid "((?:[^"\\]|\\.)+)"\nmsgstr "((?:[^"\\]|\\.)*)"')


def entries() -> dict[str, str]:
    return {_unescaped(source): _unescaped(text) for source, text in _ENTRY.findall(CATALOGUE.read_text())}


def _unescaped(text: str) -> str:
    return text.replace('\\"', '"').replace("\\\\", "\\")


def template_words() -> set[str]:
    words = set()
    for path in TEMPLATES:
        source = path.read_text()
        words |= {double or single for double, single in re.findall(r"""{% translate (?:"([^"]+)"|'([^']+)')""", source)}
        for block in re.findall(r"{% blocktranslate[^%]*%}(.*?){% endblocktranslate %}", source, re.S):
            words.add(re.sub(r"{{ (\w+) }}", r"%(\1)s", block))
    return words


def used_labels() -> set[str]:
    plain, counted = set(), set()
    for path in SCRIPTS:
        source = path.read_text()
        plain |= set(re.findall(r"""\bt\(["'](\w+)["']""", source))
        counted |= set(re.findall(r"""\.count\(["'](\w+)["']""", source))
        for first, second in re.findall(r"""\bt\([^()]+ \? "(\w+)" : "(\w+)"\)""", source):
            plain |= {first, second}
    return plain | {f"{key}_{form}" for key in counted for form in ("one", "other")}


def test_labels_and_scripts_name_the_same_words() -> None:
    optional = {key for key in chat_labels() if key.startswith("reply_failed_")}
    assert used_labels() == set(chat_labels()) - optional


@pytest.mark.parametrize("word", sorted(template_words() | set(CUSTOMER_ERRORS) | set(HANDOFF_WORDS)))
def test_word_is_translated(word: str) -> None:
    assert entries()[word]


def test_labels_are_translated() -> None:
    with translation.override("en"):
        english = chat_labels()
    with translation.override("zh-hans"):
        chinese = chat_labels()
    assert [key for key in english if english[key] == chinese[key]] == []
    for key in english:
        assert sorted(re.findall(r"{\w+}", english[key])) == sorted(re.findall(r"{\w+}", chinese[key])), key


def test_compiled_catalogue_is_current() -> None:
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    assert {source: compiled.gettext(source) for source in entries()} == entries()
