"""Count the facts in written answers that no source and no customer has stated, with rules of its own.

    manage.py evaluateanswers QUESTIONS --out answers.jsonl
    python benchmarks/answers.py answers.jsonl [MORE ...] [--show 50]

Shares no line with the check that the product makes before it shows a sentence, so that one can catch the other's mistakes.
Sentences that the product says itself ("this is what our help pages say (in English):") are nobody's claim and not counted.
For every composed answer it takes numbers with what they count (money, per cent, times, days, sizes), links, addresses,
telephone numbers, codes, weekdays, months and names, and looks for each in the sources and in what the customer said; links and
addresses must come from a source. Sentences that the product withheld are judged too: one in which this script finds no fault,
that asks and declines nothing, and most of whose words the sources have, counts as useful and withheld in vain. So does an answer
that was replaced by its source's text on account of such a sentence. Prints the sentences, a table and one JSON line; exits with
1 when a shown answer has a fault.
"""

# ruff: noqa: SIM905 (lists of words)
from __future__ import annotations

import argparse
import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chatbot.answering.wording import without_phrases  # noqa: E402

WORDS_EN = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
TENS_EN = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
NUMBER_WORDS = {**{word: value for value, word in enumerate(WORDS_EN)}, **TENS_EN}
HAN = {"零": 0, "一": 1, "二": 2, "两": 2, "兩": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
# What a number counts -> how that is written after it. A source must count the same with it, or nothing that is listed here.
COUNTS = {
    "%": r"%|per ?cent|％",
    "minute": r"min(?:ute)?s?\b|分钟|分鐘|Minuten?",
    "hour": r"h(?:ou)?rs?\b|个?小时|個?小時|Stunden?",
    "day": r"(?:(?:working|business|calendar|consecutive)[ -])?days?\b|个?工作日|個?工作日|天|Tagen?\b|Werktagen?",
    "week": r"weeks?\b|周|週|个?星期|Wochen?",
    "month": r"(?:monthly|months?)\b|个月|個月|期|Monaten?",
    "year": r"years?\b|年|岁|歲|Jahren?",
    "km": r"km\b|公里",
    "kg": r"kg\b|公斤|千克",
    "cm": r"cm\b|厘米",
    "mm": r"mm\b|毫米",
    "point": r"points?\b|积分|分(?![钟鐘])",
}
MONEY_BEFORE = r"(?:S\$|US\$|\$|€|£|¥|SGD|USD|EUR|GBP|CNY|RMB)"
MONEY_AFTER = r"(?:dollars?|euros?|pounds?|yuan|EUR|USD|SGD|GBP|元|新元|新币|欧元|美元|块)"
NUMBER = r"\d+(?:[.,:]\d+)*"
LINK = re.compile(r"(?:https?://|www\.)[^\s)\]>\"'，。；、]+|\]\(([^)\s]+)")
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.A)
CODE = re.compile(r"\b(?=[A-Z0-9-]*[A-Z])(?=[A-Z0-9-]*\d)[A-Z0-9]+(?:-[A-Z0-9]+)*\b")
PHONE = re.compile(r"\+\d[\d ()-]{6,16}\d")
DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
HAN_DAYS = dict(zip("一二三四五六日天", [0, 1, 2, 3, 4, 5, 6, 6], strict=True))
MONTHS = "january february march april june july august september october november december".split()
NAME = re.compile(r"(?<=[a-z0-9,;)] )[A-Z][A-Za-z]{2,}|\b[a-z]*[A-Z][a-z]+[A-Z]\w*")
LATIN_IN_HAN = re.compile(r"[A-Za-z]{3,}")
NOT_NAMES = {"faq", "faqs", "www", "https", "http", "mailto", "example", "com"}
HAN_TEXT = re.compile("[\u4e00-\u9fff]")
REFUSES = re.compile(r"NO[ _-]?ANSWER|can(?:no|')t (?:help|answer)|not (?:mentioned|specified|stated)|无法|没有提", re.I)
# Of a useful sentence's words, the share that the sources have.
MOST = 0.6
# Faults for which the product shows the source's own text instead of the whole answer.
GIVEN_UP = {"fact", "misplaced", "commitment", "name"}


@dataclass
class Count:
    answers: int = 0
    sentences: int = 0
    facts: int = 0
    faults: int = 0
    answers_with_faults: int = 0
    withheld: int = 0
    withheld_with_faults: int = 0
    written: int = 0
    useful_withheld: int = 0
    replaced: int = 0
    replaced_in_vain: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def plain(text: str) -> str:
    """One writing for all: half-width, digits for number words, no citation marks, no signs of emphasis."""
    text = re.sub(r"\[\d{1,2}\]", " ", text)
    text = re.sub(r"(?m)^\s*\d{1,2}[.)]\s", " ", text)
    text = unicodedata.normalize("NFKC", text.replace("，", ", ")).replace("**", "")
    text = re.sub(r"(\d),(\d{3})(?!\d)", r"\1\2", text)
    text = re.sub(r"(?i)\b(?:half an hour)\b", "30 minutes", text)
    text = re.sub(r"半个?小时", "30分钟", text)

    def english(match: re.Match[str]) -> str:
        tens, ones = match[1], match[2]
        return str(NUMBER_WORDS[tens.lower()] + (NUMBER_WORDS[ones.lower()] if ones else 0))

    words = "|".join(sorted(NUMBER_WORDS, key=len, reverse=True))
    text = re.sub(rf"(?i)\b(?!one\b)({words})\b(?:-({words})\b)?", english, text)
    counted = r"(?=个|個|天|年|周|週|小时|分钟|月|次|家|件|岁|万|元|块)"
    text = re.sub(rf"(?<![第周期])([{''.join(HAN)}])?十([{''.join(HAN)}])?{counted}", _tens_of_han, text)
    return re.sub(rf"(?<![第周期十])([{''.join(HAN)}]){counted}", _one_of_han, text)


def _tens_of_han(match: re.Match[str]) -> str:
    return str((HAN[match[1]] if match[1] else 1) * 10 + (HAN[match[2]] if match[2] else 0))


def _one_of_han(match: re.Match[str]) -> str:
    """一 is mostly an article, as "one" is in English; 零 before 件 is a part."""
    after = match.string[match.end() : match.end() + 1]
    return match[1] if match[1] == "零" or (match[1] == "一" and after in "个個次家件万") else str(HAN[match[1]])


def numbers(text: str) -> Iterator[tuple[str, str]]:
    """Yield each number with what it counts ("" for nothing listed, "money" for a price)."""
    for match in re.finditer(NUMBER, text):
        after, before = text[match.end() : match.end() + 24], text[max(0, match.start() - 6) : match.start()]
        # In "1-3 days" the first number counts days too.
        after = re.sub(rf"^\s?(?:-|–|—|~|to|至|到|or|and)\s?{MONEY_BEFORE}?{NUMBER}", "", after)
        counts = next((name for name, written in COUNTS.items() if re.match(rf"[\s-]?(?:{written})", after, re.I)), "")
        if re.search(rf"{MONEY_BEFORE}\s?$", before) or re.match(rf"\s?{MONEY_AFTER}", after, re.I):
            counts = "money"
        yield _value(match.group()), counts


def _value(written: str) -> str:
    if ":" in written:
        return ":".join(part.zfill(2) for part in written.split(":"))
    whole, _, rest = written.partition(".")
    rest = rest.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{rest}" if rest else "")


class Known:
    """What sources and customer state."""

    def __init__(self, sources: Sequence[str], *, said: Sequence[str]) -> None:
        self.sources = "\n".join(plain(text) for text in sources)
        self.all = self.sources + "\n" + "\n".join(plain(text) for text in said)
        self.lower = self.all.lower()
        self.numbers: dict[str, set[str]] = {}
        for value, counts in numbers(self.all):
            self.numbers.setdefault(value, set()).add(counts)
        self.asked = set(re.findall(r"[a-z]{4,}", " ".join(said).lower()))
        self.letters = re.sub(r"[^a-z0-9]", "", self.lower)
        self.digits = re.sub(r"\D", "", self.all)
        self.days = set(days(self.all))

    def has_number(self, value: str, counts: str) -> bool:
        if any(counts == other or not counts or not other for other in self.numbers.get(value, ())):
            return True
        return not counts and any(value in written for written in _other_clock(value, self.numbers))


def _other_clock(value: str, known: Iterable[str]) -> Iterator[str]:
    """5 pm is 17:00: a bare hour is known where a time of that hour is."""
    if value.isdigit() and int(value) <= 12:
        yield from (value for time in known if ":" in time and int(time.split(":")[0]) % 12 == int(value) % 12)
    elif ":" in value:
        hour, rest = value.split(":", 1)
        yield from (
            value for time in known if ":" in time and time.split(":", 1)[1] == rest and int(time[:2]) % 12 == int(hour) % 12
        )
        if set(rest) <= set("0:"):
            yield from (value for number in known if number.isdigit() and int(number) % 12 == int(hour) % 12 and int(number) < 24)


def days(text: str) -> Iterator[int]:
    lower = text.lower()
    for number, name in enumerate(DAYS):
        if re.search(rf"\b{name}|\b{name[:3]}\b\.?", lower):
            yield number
    found = [HAN_DAYS[day] for day in re.findall(r"(?:周|星期|週)([一二三四五六日天])", text)]
    yield from found
    english = "|".join(DAYS)
    han = f"(?:周|星期|週)([{''.join(HAN_DAYS)}])"
    ranges = re.findall(rf"({english})s?\s?(?:to|-|–|through)\s?({english})", lower)
    spans = [(DAYS.index(first), DAYS.index(last)) for first, last in ranges]
    spans += [(HAN_DAYS[first], HAN_DAYS[last]) for first, last in re.findall(rf"{han}\s?(?:至|到|-|–)\s?{han}", text)]
    for first_day, last_day in spans:
        yield from ((first_day + step) % 7 for step in range((last_day - first_day) % 7 + 1))


def facts_of(sentence: str, known: Known) -> Iterator[tuple[str, bool]]:
    """Yield each fact of a sentence, and whether it is known."""
    text = plain(sentence)
    for match in LINK.finditer(text):
        link = (match[1] or match.group()).rstrip(".,;:!?")
        yield link, _bare(link) in _bare(known.sources)
    text = LINK.sub(" ", text)
    for email in EMAIL.findall(text):
        yield email, email.lower().rstrip(".") in known.sources.lower()
    text = EMAIL.sub(" ", text)
    for phone in PHONE.findall(text):
        yield phone, re.sub(r"\D", "", phone) in known.digits
    text = PHONE.sub(" ", text)
    for code in CODE.findall(text):
        yield code, code.replace("-", "").lower() in known.letters
    text = CODE.sub(" ", text)
    for value, counts in numbers(text):
        yield f"{value} {counts}".strip(), known.has_number(value, counts)
    for day in set(days(text)):
        yield DAYS[day], day in known.days
    for month in MONTHS:
        if re.search(rf"\b{month}\b", text.lower()):
            yield month, month[:3] in known.lower
    # Places and labels are translated; a name with a capital inside is written alike everywhere.
    translated = bool(HAN_TEXT.search(known.sources)) and not HAN_TEXT.search(text)
    for name in names(text):
        if translated and name[1:].islower():
            continue
        yield name, re.sub(r"[^a-z0-9]", "", name.lower()).rstrip("s") in known.letters


def names(text: str) -> Iterator[str]:
    pattern = LATIN_IN_HAN if HAN_TEXT.search(text) else NAME
    for name in dict.fromkeys(pattern.findall(text)):
        if name.lower() not in NOT_NAMES and name.lower() not in DAYS and name.lower() not in MONTHS:
            yield name


def _bare(link: str) -> str:
    return re.sub(r"(?:https?://)?(?:www\.)?", "", link.lower()).rstrip("/")


def sentences_of(answer: str) -> list[str]:
    parts = re.split(r"(?<=[.!?])\s+(?=[A-Z*\-\d[])|(?<=[。！？])|\n+", answer)
    return [part for part in parts if part.strip() and not re.fullmatch(r"\s*\d{1,2}[.)]\s*", part)]


def is_useful(sentence: str, known: Known) -> bool:
    """Whether a sentence without a faulty fact tells the customer something of the sources. A translation always does."""
    text = plain(sentence).strip()
    if text.endswith(("?", "？")) or REFUSES.search(text):
        return False
    if bool(HAN_TEXT.search(text)) != bool(HAN_TEXT.search(known.sources)):
        return True
    if HAN_TEXT.search(text):
        pairs = {text[start : start + 2] for start in range(len(text) - 1) if HAN_TEXT.match(text[start + 1])}
        return sum(pair in known.sources for pair in pairs) >= MOST * max(len(pairs), 1)
    words = [word for word in re.findall(r"[a-z]{4,}", text.lower()) if word not in known.asked]
    return bool(words) and sum(word[:5] in known.sources.lower() for word in words) >= MOST * len(words)


def replaced(withheld: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the product gave the model's answer up for the source's own text."""
    return any(reason.split(":")[0] in GIVEN_UP for item in withheld for reason in item["reasons"])


def judge(lines: Iterable[Mapping[str, Any]], *, company: Sequence[str] = ()) -> tuple[Count, list[dict[str, Any]]]:
    """Count over the composed answers; returns also each sentence with a fault."""
    count, bad = Count(), []
    for line in lines:
        if line["decision"] != "compose":
            continue
        said = [line["text"], *(turn["text"] for turn in line.get("history") or [] if turn.get("role") == "user"), *company]
        known = Known(line["sources"], said=said)
        count.answers += 1
        withheld = line.get("withheld") or []
        given_up = replaced(withheld)
        count.replaced += given_up
        faulty = useful_lost = False
        for sentence in sentences_of(without_phrases(line["answer"])):
            checked = list(facts_of(sentence, known))
            missing = [fact for fact, stands in checked if not stands]
            count.sentences += 1
            count.written += not given_up
            count.facts += len(checked)
            count.faults += len(missing)
            faulty = faulty or bool(missing)
            if missing:
                bad.append({"question": line["text"], "sentence": sentence.strip(), "facts": missing, "shown": True})
        count.answers_with_faults += faulty
        for item in withheld:
            missing = [fact for fact, stands in facts_of(item["sentence"], known) if not stands]
            useful = not missing and is_useful(item["sentence"], known)
            count.useful_withheld += useful
            useful_lost = useful_lost or useful
            count.withheld += 1
            count.withheld_with_faults += bool(missing)
            count.reasons.update({reason.split(":")[0] for reason in item["reasons"]})
            if useful:
                bad.append({"question": line["text"], "sentence": item["sentence"], "facts": item["reasons"], "shown": False})
        count.replaced_in_vain += given_up and useful_lost
    return count, bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("answers", type=Path, nargs="+", help="files that evaluateanswers wrote")
    parser.add_argument("--company", nargs="*", default=[], help="names the assistant may use: the company's and its own")
    parser.add_argument("--show", type=int, default=50, help="how many sentences to print (50)")
    options = parser.parse_args()
    lines = [json.loads(line) for path in options.answers for line in path.read_text("utf-8").splitlines() if line.strip()]
    count, bad = judge(lines, company=options.company)
    for item in bad[: options.show]:
        label = "SHOWN, no source has" if item["shown"] else "withheld for"
        print(f"{label} {', '.join(item['facts'])}\n    {item['question'][:100]}\n    -> {item['sentence'][:300]}")
    kept = count.written / max(count.written + count.useful_withheld, 1)
    answers = count.answers - count.replaced
    kept_answers = answers / max(answers + count.replaced_in_vain, 1)
    figures = {
        "composed_answers": count.answers,
        "sentences": count.sentences,
        "facts": count.facts,
        "facts_without_source": count.faults,
        "answers_with_such_a_fact": count.answers_with_faults,
        "withheld_sentences": count.withheld,
        "withheld_with_a_fact_fault": count.withheld_with_faults,
        "withheld_though_useful": count.useful_withheld,
        "answers_replaced_by_their_source": count.replaced,
        "of_these_in_vain": count.replaced_in_vain,
        "useful_sentences_kept": round(kept, 4),
        "useful_answers_kept": round(kept_answers, 4),
    }
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):32} {value}")
    print(json.dumps(figures | {"withheld_reasons": dict(count.reasons)}))
    return 1 if count.faults else 0


if __name__ == "__main__":
    sys.exit(main())
