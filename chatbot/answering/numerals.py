"""Numbers in any writing, turned into plain digits: "twenty-five", 二十五, ２５, ٢٥ all become 25."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ENGLISH = {word: value for value, word in enumerate(_UNITS.split())}
_ENGLISH |= {word: 10 * tens for tens, word in enumerate(_TENS.split(), start=2)}
_ENGLISH_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
# Only words that mean nothing else in a language the product meets ("due", "once", "sei", "six" are left out).
_OTHER_LANGUAGES = (
    "zwei=2 drei=3 vier=4 fünf=5 sechs=6 sieben=7 acht=8 neun=9 zehn=10 elf=11 zwölf=12 vierzehn=14 fünfzehn=15 zwanzig=20 "
    "dreißig=30 sechzig=60 neunzig=90 hundert=100 deux=2 trois=3 quatre=4 cinq=5 sept=7 huit=8 neuf=9 dix=10 onze=11 "
    "douze=12 quatorze=14 quinze=15 vingt=20 trente=30 soixante=60 cent=100 dos=2 tres=3 cuatro=4 cinco=5 seis=6 siete=7 "
    "ocho=8 nueve=9 diez=10 doce=12 catorce=14 veinte=20 treinta=30 sesenta=60 noventa=90 cien=100 dois=2 duas=2 três=3 "
    "quatro=4 sete=7 oito=8 nove=9 dez=10 doze=12 vinte=20 trinta=30 tre=3 quattro=4 cinque=5 sette=7 otto=8 dieci=10 "
    "twee=2 drie=3 vijf=5 zeven=7 negen=9 tien=10 dertig=30"
)
_OTHER = dict(pair.split("=") for pair in _OTHER_LANGUAGES.split())
_WORD = "|".join(sorted([*_ENGLISH, *_ENGLISH_SCALES], key=len, reverse=True))
_WORDS = re.compile(rf"(?<![\w-])(?:{_WORD})(?:(?:[\s-]+|[\s-]+and[\s-]+)(?:{_WORD}))*(?!\w)", re.I)
_OTHER_WORDS = re.compile(rf"(?<![\w-])(?:{'|'.join(sorted(_OTHER, key=len, reverse=True))})(?!\w)", re.I)
# "one" and 一 are mostly pronouns and articles; before a unit of time or money they count.
_COUNTED = re.compile(
    r"[\s-]*(?:(?:business|working|full|calendar)[\s-]+)?"
    r"(?:day|week|month|year|hour|minute|euro|dollar|pound|cent|percent|per cent)",
    re.I,
)
_HALVES = (
    (re.compile(r"\bhalf (?:an|a) hour\b", re.I), "30 minutes"),
    (re.compile("半(?:个|個)?(?:小时|小時|钟头)"), "30分钟"),
    (re.compile("半时间|半時間"), "30分"),
)
_HAN_DIGITS = {character: value for value, characters in enumerate(
    ("零〇", "一壹", "二两兩贰", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖")
) for character in characters}  # fmt: skip
_HAN_SCALES = {"十": 10, "拾": 10, "百": 100, "千": 1_000, "万": 10_000, "萬": 10_000, "亿": 100_000_000, "億": 100_000_000}
_HAN = "".join([*_HAN_DIGITS, *_HAN_SCALES])
_HAN_UNITS = (
    "个?工作日|個?工作日|营业日|営業日|个?月|個?月|[ヶか]月|个?星期|個?星期|週間|个?小时|個?小時|時間|分钟|分鐘|秒|天|日|号|號|年|周|週|"
    "元|块|塊|圆|圓|円|美元|欧元|歐元|英镑|折|%"
)
_HAN_COUNTERS = (
    "个|個|次|件|位|名|人|倍|点|點|时|時|分|公斤|千克|克|斤|米|厘米|公里|升|毫升|种|種|步|楼|层|期|岁|年级|张|条|款|双|台|家"
)
_HAN_PERCENT = re.compile(rf"百分之\s*([{_HAN}]+(?:点[{_HAN}]+)?|[\d.]+)")
_HAN_NUMBER = re.compile(
    rf"(?<![第{_HAN}])(?!零[件售食散部钱錢])([{_HAN}]+)(?=(?P<unit>(?:[到至~-][{_HAN}]+)?(?:{_HAN_UNITS}))|(?:{_HAN_COUNTERS}))"
)
_SCALED = re.compile(
    r"(?<![\d.,])(\d[\d,.]{0,20})\s?(?:(?P<k>[kK])(?![\w/])|(?P<wan>[万萬])|(?P<yi>[亿億])|(?P<qian>千)(?![克瓦米])|(?P<million>million\b))"
)


def with_digits(text: str) -> str:
    """Rewrite every number of a text in ASCII digits; the rest stays as it is, but NFKC-normalised."""
    # The wide comma parts clauses, where the narrow one that NFKC makes of it would part digits.
    text = unicodedata.normalize("NFKC", re.sub("(?<![\uff10-\uff19])，", ", ", text))
    text = "".join(str(unicodedata.digit(c)) if not c.isascii() and c.isdigit() else c for c in text)
    text = text.replace("\u066b", ".").replace("\u066c", ",").replace("\u066a", "%")
    for pattern, digits in _HALVES:
        text = pattern.sub(digits, text)
    text = _WORDS.sub(_english, text)
    text = _OTHER_WORDS.sub(lambda found: _OTHER[found.group().lower()], text)
    text = _HAN_PERCENT.sub(lambda found: f"{_han_value(found[1])}%", text)
    text = _HAN_NUMBER.sub(_han, text)
    return _SCALED.sub(_scaled, text)


def readings(number: str) -> frozenset[str]:
    """Return every value digits with separators may stand for: "1,500" is 1500 and, in parts of Europe, 1.5."""
    number = re.sub(r"[\s'’]", "", number)
    marks = re.findall(r"[.,]", number)
    if not marks:
        return frozenset({_plain(number)})
    if len(set(marks)) == 2 or len(marks) > 1:
        decimal = marks[-1] if len(set(marks)) == 2 and marks.count(marks[-1]) == 1 else ""
        return frozenset({_plain("".join("." if c == decimal else c for c in number if c.isdigit() or c == decimal))})
    whole, fraction = re.split(r"[.,]", number)
    found = {_plain(f"{whole}.{fraction}")}
    if len(fraction) == 3 and 1 <= len(whole) <= 3 and whole != "0":
        found.add(_plain(whole + fraction))
    return frozenset(found)


def _plain(number: str) -> str:
    # A run of thousands of digits is somebody's joke; its text is value enough.
    return number if len(number) > 40 else format(Decimal(number or "0").normalize(), "f")


def _english(found: re.Match[str]) -> str:
    words = [word for word in re.split(r"[\s-]+", found.group().lower()) if word != "and"]
    if words == ["one"] and not _COUNTED.match(found.string, found.end()):
        return found.group()
    if len(words) > 1 and all(_ENGLISH.get(word, 10) < 10 for word in words):
        return " ".join(str(_ENGLISH[word]) for word in words)  # "one two three" is a list, not a sum
    total = current = 0
    for word in words:
        if word in _ENGLISH:
            current += _ENGLISH[word]
        elif word == "hundred":
            current = max(current, 1) * 100
        else:
            total += max(current, 1) * _ENGLISH_SCALES[word]
            current = 0
    return str(total + current)


def _han(found: re.Match[str]) -> str:
    run = found[1]
    if run in ("一", "千万", "万", "千", "百", "亿") and not (run == "一" and found["unit"]):
        return run
    if (
        run == "十"
        and found.string[found.end() : found.end() + 1] == "分"
        and not re.match("分[钟鐘]", found.string[found.end() :])
    ):
        return run  # 十分 is "very"
    value = _han_value(run)
    # 三四天 is "three or four days".
    return "-".join(str(_HAN_DIGITS[c]) for c in run) if len(run) == 2 and value is not None and _is_pair(run) else str(value)


def _is_pair(run: str) -> bool:
    return all(c in _HAN_DIGITS for c in run) and _HAN_DIGITS[run[1]] - _HAN_DIGITS[run[0]] == 1


def _han_value(run: str) -> Decimal | int | str:
    if run[0].isdigit():
        return run
    whole, _, fraction = run.partition("点")
    if fraction:
        return f"{_han_value(whole)}.{''.join(str(_HAN_DIGITS.get(c, 0)) for c in fraction)}"
    if all(character in _HAN_DIGITS for character in whole):
        return int("".join(str(_HAN_DIGITS[character]) for character in whole))
    total = section = digit = 0
    for character in whole:
        if character in _HAN_DIGITS:
            digit = _HAN_DIGITS[character]
            continue
        scale = _HAN_SCALES[character]
        if scale >= 10_000:
            total, section, digit = (total + section + digit or 1) * scale, 0, 0
        else:
            section, digit = section + (digit or 1) * scale, 0
    return total + section + digit


def _scaled(found: re.Match[str]) -> str:
    factor = {"k": 1_000, "wan": 10_000, "yi": 100_000_000, "qian": 1_000, "million": 1_000_000}[str(found.lastgroup)]
    number = found[1].rstrip(".,")
    tail = found[1][len(number) :]
    if tail or len(number) > 20:
        return found.group()
    value = min(readings(number), key=len)
    return format((Decimal(value) * factor).normalize(), "f")
