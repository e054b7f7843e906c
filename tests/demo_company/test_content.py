"""The demo company's texts: enough of them, unambiguous, and the same facts in every language."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from chatbot.company import load_company

FOLDER = Path(__file__).resolve().parents[2] / "support_portal" / "demo_company"
HOST = "larkwheel.example"
LOCALES = ("en", "zh-hans")
CATEGORIES = {
    "Orders",
    "Delivery",
    "Returns & refunds",
    "Payment",
    "Gift cards & loyalty",
    "Products & sizing",
    "Repair & warranty",
    "Account & privacy",
    "Stores & company",
    "Small talk",
}
LINK = re.compile(r"https?://[^\s)\]]+")
NAMED_LINK = re.compile(r"\[(www\.[^\]]+)\]\(([^)]+)\)")
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
PHONE = re.compile(r"\+\d[\d ]{7,}\d")
PRICE = re.compile(r"S\$\d[\d,.]*\d|S\$\d")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ENGLISH_WORD = re.compile(r"[A-Za-z]{2,}")

Row = dict[str, Any]


def rows(name: str) -> list[Row]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


FAQS = rows("faqs.jsonl")
QUESTIONS = rows("questions.jsonl")
ANSWERS = {(faq["key"], faq["locale"]): faq["answer"] for faq in FAQS}
COMPANY = load_company(FOLDER / "company.json")


def wordings(faq: Row) -> list[str]:
    return [faq["question"], *faq["phrasings"]]


def facts(text: str) -> dict[str, set[str]]:
    """What must not differ between two languages."""
    return {
        "numbers": set(re.findall(r"\d+", text)),
        "prices": set(PRICE.findall(text)),
        "links": set(LINK.findall(text)),
        "e-mails": set(EMAIL.findall(text)),
        "phones": set(PHONE.findall(text)),
    }


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_there_are_enough_faqs_and_each_is_there_once() -> None:
    counts = Counter(faq["locale"] for faq in FAQS)
    assert set(counts) == set(LOCALES)
    assert counts["en"] >= 88
    assert counts["zh-hans"] >= 44
    assert len(ANSWERS) == len(FAQS)
    assert {faq["category"] for faq in FAQS} == CATEGORIES


def test_every_chinese_faq_has_its_english_counterpart_in_the_same_category() -> None:
    english = {faq["key"]: faq["category"] for faq in FAQS if faq["locale"] == "en"}
    chinese = {faq["key"]: faq["category"] for faq in FAQS if faq["locale"] == "zh-hans"}
    assert chinese.items() <= english.items()


@pytest.mark.parametrize("faq", FAQS, ids=lambda faq: f"{faq['key']}-{faq['locale']}")
def test_a_faq_is_complete_short_and_links_only_to_the_shop(faq: Row) -> None:
    assert set(faq) == {"key", "locale", "category", "question", "phrasings", "answer"}
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", faq["key"])
    assert 5 <= len(faq["phrasings"]) <= 8
    assert all(text == text.strip() != "" for text in [*wordings(faq), faq["answer"]])
    assert len(faq["answer"]) <= 1200
    # With or without a link around it: no other host may be named.
    assert all(re.match(rf"https://www\.{re.escape(HOST)}(/|$)", link) for link in LINK.findall(faq["answer"]))
    assert all(address.endswith(f"@{HOST}") for address in EMAIL.findall(faq["answer"]))
    assert all(href == f"https://{label}" for label, href in NAMED_LINK.findall(faq["answer"]))
    if faq["locale"] == "zh-hans":
        assert all(CHINESE.search(text) for text in [*wordings(faq), faq["answer"]])


@pytest.mark.parametrize("locale", LOCALES)
def test_no_wording_belongs_to_two_faqs_or_twice_to_one(locale: str) -> None:
    owners: dict[str, list[str]] = defaultdict(list)
    for faq in FAQS:
        if faq["locale"] == locale:
            for text in wordings(faq):
                owners[text.casefold()].append(faq["key"])
    assert {text: keys for text, keys in owners.items() if len(keys) > 1} == {}


@pytest.mark.parametrize("key", [key for key, locale in ANSWERS if locale == "zh-hans"])
def test_the_chinese_answer_states_the_same_facts_as_the_english_one(key: str) -> None:
    assert facts(ANSWERS[key, "zh-hans"]) == facts(ANSWERS[key, "en"])


def test_there_is_one_telephone_number_each_for_calls_and_messages() -> None:
    phones = {phone for answer in ANSWERS.values() for phone in PHONE.findall(answer)}
    assert phones == {COMPANY.phone, "+65 8000 0142"}


def test_there_are_enough_test_questions_of_each_kind() -> None:
    tags = Counter(tag for question in QUESTIONS for tag in question["tags"])
    nothing = Counter(question["locale"] for question in QUESTIONS if question["expected"] is None)
    assert len(QUESTIONS) >= 170
    assert set(tags) == {"plain", "typo", "slang", "follow_up", "mixed", "zh", "keyword", "long", "none"}
    assert tags["zh"] >= 35
    assert tags["follow_up"] >= 15
    assert tags["typo"] + tags["slang"] >= 20
    assert tags["mixed"] >= 8
    assert tags["none"] >= 44
    assert min(nothing[locale] for locale in LOCALES) >= 15


def test_every_english_faq_is_asked_for_at_least_once() -> None:
    assert {faq["key"] for faq in FAQS} == {question["expected"] for question in QUESTIONS} - {None}


@pytest.mark.parametrize("question", QUESTIONS, ids=range(1, len(QUESTIONS) + 1))
def test_a_question_is_well_formed_and_its_faq_exists(question: Row) -> None:
    assert set(question) - {"history"} == {"text", "locale", "expected", "tags"}
    assert question["locale"] in LOCALES
    expected = question["expected"]
    assert expected is None or (expected, question["locale"]) in ANSWERS or (expected, "en") in ANSWERS
    assert ("none" in question["tags"]) == (expected is None)
    assert ("zh" in question["tags"]) == (question["locale"] == "zh-hans")
    assert ("follow_up" in question["tags"]) == ("history" in question)
    if "mixed" in question["tags"]:
        assert CHINESE.search(question["text"])
        assert ENGLISH_WORD.search(question["text"])
    for turn in question.get("history", []):
        assert set(turn) == {"role", "text"}
        assert turn["role"] in {"user", "assistant"}
        assert turn["role"] == "user" or turn["text"] in ANSWERS.values()


def test_questions_are_kept_apart_from_the_wordings_and_from_each_other() -> None:
    texts = Counter(question["text"].casefold() for question in QUESTIONS)
    known = {text.casefold() for faq in FAQS for text in wordings(faq)}
    assert max(texts.values()) == 1
    assert texts.keys() & known == set()


def test_the_company_speaks_every_language_and_agrees_with_its_faqs() -> None:
    assert COMPANY.text("bot_name", locale="en") == f"{COMPANY.name} assistant"
    assert COMPANY.site_url == f"https://www.{HOST}/"
    for locale in LOCALES:
        for field in ("tagline", "bot_name", "hours", "greeting", "unknown"):
            assert getattr(COMPANY, field)[locale]
        contact = ANSWERS["contact", locale]
        assert COMPANY.phone in contact
        assert COMPANY.email in contact
        assert set(re.findall(r"\d\d:\d\d", COMPANY.text("hours", locale=locale))) == set(re.findall(r"\d\d:\d\d", contact))


@pytest.mark.parametrize("locale", LOCALES)
def test_the_suggested_questions_are_questions_of_faqs(locale: str) -> None:
    suggestions = COMPANY.suggestions[locale]
    assert len(set(suggestions)) == 4
    assert set(suggestions) <= {faq["question"] for faq in FAQS if faq["locale"] == locale}


def test_the_accent_can_be_read_on_white() -> None:
    assert 1.05 / (luminance(COMPANY.accent) + 0.05) >= 4.5
