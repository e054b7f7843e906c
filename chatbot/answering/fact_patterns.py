"""How facts are written. Patterns over text whose numbers are ASCII digits already; values are read in facts.py."""

# ruff: noqa: E501 (a table: one pattern a line)
from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from chatbot.answering.fact_words import CURRENCIES, MONTHS, TOP_LEVEL_DOMAINS, UNITS, WEEKDAYS

Kind = Literal["link", "email", "phone", "code", "date", "weekday", "time", "percent", "money", "quantity", "number"]


def _alternatives(words: Iterable[str]) -> str:
    """A pattern of these words, longest first; words of letters must end where a word ends."""
    return "|".join(re.escape(word) + ("(?![a-zà-ÿ])" if word[-1].isalpha() and word[-1] < "\u0250" else "")
                    for word in sorted(words, key=len, reverse=True))  # fmt: skip


NUMBER = r"(?<!\d)(?<!\d[.,])(?:\d{1,3}(?: \d{3})+(?![\d.,]*\d)|\d+(?:[.,'’]\d+)*)"
_RANGE = r"\s?(?:-|–|—|~|to|and|or|bis|a|à|至|到|или|から)\s?"
_LOW = rf"(?:(?P<low>{NUMBER}){_RANGE})?"
# A country's letters before a dollar sign belong to it, known or not: S$, NT$, J$.
_CURRENCY = rf"(?:[a-z]{{1,3}}\$|{_alternatives(CURRENCIES)})"
_UNIT = rf"(?:(?:full|business|working|work|calendar|consecutive)[\s-]+)?(?:{_alternatives(UNITS)})"
_MONTH = _alternatives(MONTHS)
_TLD = "|".join(sorted(TOP_LEVEL_DOMAINS, key=len, reverse=True))
_HALF_DAY = "凌晨|早上|早晨|上午|中午|下午|傍晚|晚上|夜里|午前|午後|夜"

CITATION = re.compile(r"\[\d{1,2}\]")
LIST_NUMBER = re.compile(r"^\s*\d{1,2}[.)]\s", re.M)
# In this order: what one pattern takes, no later one sees.
PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("email", re.compile(r"(?:mailto:)?(?<![\w.+-])(?P<value>[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})", re.A | re.I)),
    ("link", re.compile(r"\]\(\s{0,9}<?(?P<value>[^()\s>]{1,500})[^()]{0,200}\)|(?P<url>(?<![a-z])(?:[a-z][a-z+.-]{0,12}://|www\.)[^\s<>()\[\]\"'，。；、！？）」]+)", re.I)),
    ("link", re.compile(rf"(?<![\w@.-])(?P<value>(?:[a-z0-9-]+\.)+(?-i:{_TLD})(?![\w-])(?:/[\w./?=&%#-]*)?)", re.I | re.A)),
    ("date", re.compile(r"(?<!\d)(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?!\d)")),
    ("date", re.compile(r"(?<![\d.])(?P<a>\d{1,2})(?P<s>[/.-])(?P<b>\d{1,2})(?P=s)(?P<y>\d{4}|\d{2})(?!\d)")),
    ("date", re.compile(r"(?:(?P<y>\d{4})\s?年\s?)?(?<!\d)(?P<m>\d{1,2})\s?月\s?(?P<d>\d{1,2})\s?[日号號]")),
    ("date", re.compile(rf"(?<!\d)(?P<d>\d{{1,2}})(?:st|nd|rd|th|\.)?\s(?:of\s|de\s)?(?P<month>{_MONTH})\.?(?:,?\s(?:de\s)?(?P<y>\d{{4}}))?", re.I)),
    ("date", re.compile(rf"(?<![a-z])(?P<month>{_MONTH})\.?\s(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?!\d)(?:,?\s(?P<y>\d{{4}}))?", re.I)),
    ("time", re.compile(r"(?<![\d:])(?:(?P<lh>\d{1,2})(?:[:.](?P<lm>\d{2}))?\s?(?:-|–|to)\s?)?(?P<h>\d{1,2})(?:[:.](?P<m>\d{2}))?\s?(?P<half>[ap])\.?m\b\.?", re.I)),
    ("time", re.compile(rf"(?P<part>{_HALF_DAY})?\s?(?<![\d.:-])(?P<h>\d{{1,2}}):(?P<m>\d{{2}})(?!\d)(?:\s?Uhr)?")),
    ("time", re.compile(rf"(?P<part>{_HALF_DAY})?\s?(?<!\d)(?P<h>\d{{1,2}})(?:[点點](?!儿)|[时時](?![间間]))(?:(?P<mhalf>半)|(?P<m>\d{{1,2}})分?)?")),
    ("time", re.compile(r"(?<![\d.])(?P<h>\d{1,2})(?:\sUhr\b|h(?P<m>\d{2})(?!\d)|\so['’]clock)", re.I)),
    ("time", re.compile(r"\b(?P<word>noon|midnight)\b|正午", re.I)),
    ("percent", re.compile(rf"{_LOW}(?P<n>{NUMBER})\s?(?:%|percent\b|per cent\b|prozent\b|pour cent\b|por ciento\b|por cento\b)", re.I)),
    ("money", re.compile(rf"(?<![a-z])(?P<cur>{_CURRENCY})\s?(?P<n>{NUMBER})(?:\s?[-–—~]\s?(?P<high>{NUMBER}))?", re.I)),
    ("money", re.compile(rf"{_LOW}(?P<n>{NUMBER})\s?(?P<cur>{_CURRENCY})", re.I)),
    ("phone", re.compile(r"(?<![\w.,+/-])(?:\+\s?\d|\(\d|0\d|[48]00[\s-])[\d\s()./-]{5,18}\d(?![\w%])", re.A)),
    ("phone", re.compile(r"(?<![\w.,+/-])\d{3}[\s.-]\d{3,4}[\s.-]\d{3,4}(?![\w%.-]\d)", re.A)),
    ("code", re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z][A-Za-z]*-?\d[A-Za-z0-9]*(?:[.-][A-Za-z0-9]+)*")),
    ("number", re.compile(r"(?<!\d)(?:19|20)\d\d(?=\s?年(?!\s?[内內以之的]))")),
    ("quantity", re.compile(rf"{_LOW}(?P<n>{NUMBER})[\s-]?(?P<unit>{_UNIT})", re.I)),
    ("weekday", re.compile(rf"(?<![a-z])(?P<day>{_alternatives(WEEKDAYS)})", re.I)),
    # 26-622 is a size, a part or a reference: its halves mean nothing alone.
    ("code", re.compile(r"(?<![\w.,-])\d{2,}(?:-\d{2,})+(?![\w-])")),
    ("number", re.compile(NUMBER)),
)  # fmt: skip
WEEKDAY_RANGE = re.compile(
    rf"(?<![a-z])(?P<first>{_alternatives(WEEKDAYS)})\s?(?:-|–|—|~|to|through|until|bis|a|à|至|到)\s?(?P<last>{_alternatives(WEEKDAYS)})",
    re.I,
)
