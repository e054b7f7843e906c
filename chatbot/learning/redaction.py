"""Take personal data out of a text before it may train a model: names, phones, mails, addresses, cards, ids, orders.

Rules find what has a form (and, where there is one, a check digit); the tagger finds names and addresses in Latin, Greek and
Cyrillic letters; Chinese names and addresses are found by their cues. What the company itself publishes stays: its own phone
number in an answer is no secret, and an example without it would teach the model to hide it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from chatbot.answering.support import UNSPACED
from chatbot.learning.chinese_personal_data import CHINESE_ADDRESS, chinese_names
from chatbot.learning.name_tagger import TaggedRun, tagged_runs

# Goes up with every change of what is found; examples remember which version they passed.
REDACTION_VERSION = 2

_STREET_WORD = (
    r"(?:street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|close|crescent|terrace|place|pl|square|sq|highway|hwy|"
    r"parade|grove|mews|[^\W\d_]*(?:stra(?:ß|ss)e|str|gasse|weg|platz|gade|gata|gatan|gate|veien|vegen|vej|vägen|tie|katu|kuja|"
    r"straat|laan|hof|utca))\b\.?"
)
_STREET_FIRST = r"(?:rue|avenue|avenida|avda\.?|calle|c/|via|viale|piazza|ul\.|rua|largo|plaza|allée|chemin|ulica)"
_WORDS = r"(?:[^\W_][\w.'’-]*[ ]){1,4}?"
_TOWN = r"(?:,? (?:\d{4,6} )?[A-ZÀ-Þ][\w'’-]+(?: [A-ZÀ-Þ][\w'’-]+)?)?(?:,? [A-Z]{2})?(?:,? \d{4,6}(?:-\d{3,4})?)?"
STREET = re.compile(
    rf"(?<!\w)\d{{1,5}}[a-z]?,? (?:\d{{1,5}} )?{_WORDS}(?i:{_STREET_WORD})(?: \d{{1,4}}[a-z]?)?{_TOWN}"
    rf"|(?<!\w)(?:\d{{1,5}} )?(?i:[^\W\d_]*(?:stra(?:ß|ss)e|strasse|gasse|straat|gatan|vej|gade))\.? \d{{1,4}}[a-z]?{_TOWN}"
    rf"|(?<!\w)(?:\d{{1,5}},? )?(?i:{_STREET_FIRST}) (?:[^\W\d_][\w.'’-]*,? ){{1,4}}\d{{1,4}}{_TOWN}"
    rf"|(?<!\w)\d{{1,5}},? (?i:{_STREET_FIRST})(?: [^\W\d_][\w.'’-]*){{1,4}}{_TOWN}"
)
UNIT = re.compile(
    r"(?<!\w)(?:apt|suite|apartment|flat|unit)\.? ?(?:no\.? ?|#)?\d{1,5}[a-z]?(?!\w)"
    r"|(?<!\w)(?:US\w{1,2} \w+\s+)?(?:FPO|APO|DPO) A[APE] \d{5}",
    re.I,
)

_SEPARATORS = r"[ .\-‐-―/]?"
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("email", re.compile(r"[\w.+%-]+@(?:[\w-]+\.)+[^\W\d_]{2,}")),
    ("iban", re.compile(r"\b[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,4})?\b", re.I)),
    ("ip", re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")),
    ("ip", re.compile(r"(?<![\w:])(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{1,4}(?![\w:])", re.I)),
    ("id", re.compile(r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)")),
    ("id", re.compile(r"(?<!\d)[1-9]\d{5}(?:18|19|20)\d{2}(?:0\d|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dXx](?![\dA-Za-z])")),
    (
        "id",
        re.compile(
            r"(?:licen[cs]e|passport|护照|驾照|身份证|insurance|ssn|social security|tax|vat id)\D{0,24}?"
            r"(?P<value>(?=[A-Za-z\d-]*\d{3})[A-Za-z\d][A-Za-z\d-]{5,})",
            re.I,
        ),
    ),
    ("card", re.compile(rf"(?<![A-Za-z0-9_-])\d{{3,4}}(?:{_SEPARATORS}\d{{2,7}}){{2,4}}(?![A-Za-z0-9_-])")),
    ("card", re.compile(r"(?:card|cc|credit|debit|visa|mastercard|卡号|银行卡|信用卡)\D{0,30}?(?P<value>\d{11,19})(?!\d)", re.I)),
    ("order", re.compile(r"(?<![A-Za-z0-9_])[A-Z]{2,4}-?\d{4,12}(?![A-Za-z0-9_])")),
    (
        "order",
        re.compile(
            r"(?:order|invoice|tracking|parcel|booking|reference|ref|ticket"
            r"|订单号?|单号|运单号?|快递单号)[\w ]{0,12}?[\s#:：no.]*"
            r"(?P<value>(?=[A-Za-z-]*\d)[A-Za-z\d][A-Za-z\d-]{4,23})(?![A-Za-z0-9_])",
            re.I,
        ),
    ),
    ("phone", re.compile(r"(?<![A-Za-z0-9.])1[3-9]\d(?:[ -]?\d{4}){2}(?!\d)")),
    (
        "phone",
        re.compile(
            r"(?<![A-Za-z0-9_.,/:-])(?:\+|00)?(?:\(?\d{1,4}\)?[ .\-‐-―]?)?(?:\(\d{1,4}\)[ .\-‐-―]?)?"
            r"\d{2,4}(?:[ .\-‐-―]?\d{2,5}){1,5}(?![A-Za-z0-9_%€$£元块円]|[.,:]\d)"
        ),
    ),
    ("address", CHINESE_ADDRESS),
    ("address", STREET),
    ("address", UNIT),
    (
        "address",
        re.compile(
            r"(?:\bzip|postal|post|\bPLZ|邮编)[ -]*(?:code)?(?: is|:|：| )\s*(?P<value>[A-Z\d][A-Z\d -]{2,9}\d[A-Z\d]*)", re.I
        ),
    ),
)
_DATE = re.compile(
    r"(?:19|20)\d{2}[-./ ](?:0?\d|1[0-2])[-./ ][0-3]?\d(?:\D.*)?\Z|[0-3]?\d[./-][0-3]?\d[./-](?:19|20)?\d{2}\Z"
    r"|(?:19|20)\d{2} ?[-–] ?(?:19|20)\d{2}\Z"
)
_PHONE_CUE = re.compile(
    r"(?:phone|\btel|mobile|cell|fax|desk|office|call|number|reach|sms|whats|\bat|电话|手机|联系|致电)\W{0,3}[^\n]{0,18}\Z", re.I
)
_AMOUNT_BEFORE = re.compile(r"(?:[€$£¥]|\b(?:eur|usd|gbp|cny|rmb|chf|hkd)) ?\Z", re.I)
_HOUSE_AND_WORD = re.compile(r"\d.*[^\W\d_]{2}|[^\W\d_]{2}.*\d|^the corner|(?<![A-Za-z\d])\d{4,5}(?![A-Za-z\d])", re.S | re.I)
_NEAR = 40
# Words before a Chinese address that its first part would swallow.
_LEAD = re.compile("(?:请)?(?:我)?(?:家)?(?:住在|住|寄到|寄往|送到|发到|改成|改到|改为|地址是|地址为|地址|位于|在|到|是)")
_MIN_PHONE_DIGITS = 7
# Of two finds that overlap, the one with the lower number says what it is.
_TRUST = {"email": 0, "iban": 1, "id": 2, "ip": 3, "card": 4, "address": 5, "order": 6, "phone": 7, "name": 8}


@dataclass(frozen=True)
class PersonalData:
    """One find; kind is one of email, iban, id, ip, card, order, phone, address, name."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class Redacted:
    """The text with a mark such as [name] in the place of each find. counts: finds by kind."""

    text: str
    counts: dict[str, int]


def redact(text: str, *, published: str = "") -> Redacted:
    """Replace personal data by marks. published: what the company says itself; values that stand in it stay."""
    found = find(text, published=published)
    pieces, at = [], 0
    for item in found:
        pieces += [text[at : item.start], f"[{item.kind}]"]
        at = item.end
    return Redacted("".join([*pieces, text[at:]]), dict(Counter(item.kind for item in found)))


def find(text: str, *, published: str = "") -> list[PersonalData]:
    """Everything personal in a text, in order and without overlaps."""
    public = published.casefold()
    candidates = [item for item in [*_by_rules(text), *_by_words(text)] if item.end > item.start]
    candidates = [item for item in candidates if not public or text[item.start : item.end].casefold().strip() not in public]
    return _merged(text, sorted(candidates, key=lambda item: (item.start, -item.end)))


def _merged(text: str, candidates: list[PersonalData]) -> list[PersonalData]:
    """Join finds that overlap, and pieces of an address that nothing but blanks parts; the longer find gives its kind."""
    merged: list[PersonalData] = []
    for item in candidates:
        last = merged[-1] if merged else None
        gap = text[last.end : item.start] if last else ""
        same_address = last is not None and last.kind == item.kind == "address" and not gap.strip(" ,;\n>?")
        if last is None or (item.start >= last.end and not (same_address and len(gap) <= 6)):
            merged.append(item)
            continue
        if _has_form(text, last) and not _has_form(text, item):
            continue  # the words around a card's number are no address
        if _has_form(text, item) and not _has_form(text, last):
            merged[-1:] = [PersonalData(last.kind, last.start, item.start), item] if last.start < item.start else [item]
            continue
        stronger = min((last, item), key=lambda one: (_TRUST[one.kind], one.start - one.end))
        merged[-1] = PersonalData(stronger.kind, last.start, max(last.end, item.end))
    return merged


def _has_form(text: str, item: PersonalData) -> bool:
    """Whether it was found by a form that is hardly ever anything else."""
    return _TRUST[item.kind] <= _TRUST["card"] or (item.kind == "phone" and text[item.start] in "+(")


def _by_rules(text: str) -> Iterator[PersonalData]:
    for kind, pattern in _RULES:
        for match in pattern.finditer(text):
            start, end = match.span("value") if "value" in pattern.groupindex else match.span()
            if kind == "address" and (lead := _LEAD.match(text, start, end)):
                start = lead.end()
            if kind != "phone" and kind != "card" or _is_number_of(kind, text, start, end, named="value" in pattern.groupindex):
                yield PersonalData(kind, start, end)


def _by_words(text: str) -> Iterator[PersonalData]:
    for start, end in chinese_names(text):
        yield PersonalData("name", start, end)
    runs = [run for run in tagged_runs(text) if not _is_guess(text, run)]
    whole = [run for run in runs if run.tag == "address" and _HOUSE_AND_WORD.search(text[run.start : run.end])]
    for run in runs:
        # A lone number or a lone word is part of an address only where the rest of it stands close by.
        beside = any(run.start - other.end < _NEAR and other.start - run.end < _NEAR for other in whole)
        if run.tag == "name" or (run.tag == "address" and beside):
            yield PersonalData(run.tag, run.start, run.end)


def _is_guess(text: str, run: TaggedRun) -> bool:
    """Whether the tagger, which knows no Chinese, takes Chinese words, or the numbers between them, for somebody's."""
    own = text[run.start : run.end]
    return bool(UNSPACED.search(own)) or (bool(UNSPACED.search(text)) and not re.search(r"[^\W\d_]", own))


def _is_number_of(kind: str, text: str, start: int, end: int, *, named: bool) -> bool:
    value = text[start:end]
    digits = [int(character) for character in value if character.isdigit()]
    if kind == "card":
        return named or (12 <= len(digits) <= 19 and (_luhn(digits) or len(digits) >= 13))
    if len(digits) > 15 or _DATE.match(value) or _AMOUNT_BEFORE.search(text[:start]):
        return False
    if len(digits) < _MIN_PHONE_DIGITS:
        return len(digits) == 6 and "+" in value
    plain = value.isdigit()
    return not plain or len(digits) >= 9 or bool(_PHONE_CUE.search(text[:start]))


def _luhn(digits: list[int]) -> bool:
    doubled = [digit if index % 2 == 0 else sum(divmod(2 * digit, 10)) for index, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0
