"""Which language a text is in. Script first, then words; a short text falls back to the interface's locale."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from typing import Literal

from py3langid.langid import MODEL_FILE, LanguageIdentifier

NAMES = {
    "en": "English", "zh-hans": "Simplified Chinese", "zh-hant": "Traditional Chinese", "ja": "Japanese", "ko": "Korean",
    "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese", "nl": "Dutch", "pl": "Polish",
    "cs": "Czech", "sk": "Slovak", "hu": "Hungarian", "ro": "Romanian", "sv": "Swedish", "da": "Danish", "no": "Norwegian",
    "fi": "Finnish", "tr": "Turkish", "vi": "Vietnamese", "id": "Indonesian", "ru": "Russian", "uk": "Ukrainian",
    "bg": "Bulgarian", "el": "Greek", "ar": "Arabic", "fa": "Persian", "ur": "Urdu", "he": "Hebrew", "hi": "Hindi", "th": "Thai",
}  # fmt: skip
_LATIN = ["en", "de", "fr", "es", "it", "pt", "nl", "pl", "cs", "sk", "hu", "ro", "sv", "da", "no", "fi", "tr", "vi", "id"]
_SCRIPTS = {  # the start of a character's Unicode name
    "CJK": "han", "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "ARABIC": "arabic", "HEBREW": "he", "CYRILLIC": "cyrillic",
    "GREEK": "el", "THAI": "th", "DEVANAGARI": "hi", "LATIN": "latin",
}  # fmt: skip
_SIMPLIFIED = (
    "们这个说国会来时为后对么没还过订单货吗请问几钱买运费账号开关点选里当发产详应实现种样长给让认识电话邮换约务员级优惠码设备断"
)
_TRADITIONAL = (
    "們這個說國會來時為後對麼沒還過訂單貨嗎請問幾錢買運費帳號開關點選裡當發產詳應實現種樣長給讓認識電話郵換約務員級優惠碼設備斷"
)
_ENGLISH_WORDS = (
    "a am an and any are be been can could did do does for from get had has have how i if in is it its me my no not of on or our "
    "please so that the there they this to was we what when where which who why will with would you your i'm i've don't"
)
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_WORDS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_CHINESE = {"zh": "zh-hans", "zh-cn": "zh-hans", "zh-sg": "zh-hans", "zh-tw": "zh-hant", "zh-hk": "zh-hant"}
_MIN_LETTERS = 14
_MIN_PROBABILITY = 0.8


def detect(text: str, *, fallback: str) -> str:
    """Return the locale code of a text ("en", "zh-hans", ...); `fallback` where it is too short to tell."""
    # Addresses and codes are nobody's language.
    text = re.sub(r"\S*(?:@|://)\S*|\S*\d\S*", lambda found: found.group() if _has_han(found.group()) else " ", text)
    scripts = _scripts(text)
    if not scripts:
        return fallback
    latin = scripts.pop("latin", 0)
    other, count = scripts.most_common(1)[0] if scripts else ("", 0)
    # Product names stay Latin in every language, so a few characters of another script outweigh them.
    # An English sentence with a foreign name in it stays English, though.
    english = _english_words(text)
    if count and ((count * 4 >= latin and english < 3) or (count >= 2 and english < 2)):
        return _of_script(other, text, scripts=scripts, fallback=fallback)
    return _of_latin(text, letters=latin, fallback=fallback)


def same_language(first: str, second: str) -> bool:
    """Tell whether readers of one locale read the other's text as their own: en and en-gb, but not zh-hans and zh-hant."""
    one, other = (_CHINESE.get(locale.lower(), locale.lower()) for locale in (first, second))
    return one == other or one.split("-")[0] == other.split("-")[0] != "zh"


def direction(text: str) -> Literal["ltr", "rtl"]:
    """Return "rtl" where the letters are mostly Arabic or Hebrew, else "ltr"."""
    kinds = Counter(unicodedata.bidirectional(character) for character in text[:2000])
    right = kinds["R"] + kinds["AL"]
    return "rtl" if right > 0.4 * (right + kinds["L"]) else "ltr"


def _has_han(text: str) -> bool:
    return any("\u3040" <= character <= "\u9fff" for character in text)


def _scripts(text: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for character in text[:1000]:
        if character.isalpha():
            script = _SCRIPTS.get(unicodedata.name(character, "").split(" ")[0].split("-")[0])
            if script:
                found[script] += 1
    return found


def _of_script(script: str, text: str, *, scripts: Counter[str], fallback: str) -> str:
    if scripts["ja"]:
        return "ja"
    if script == "han":
        return _of_han(text, fallback=fallback)
    if script == "arabic":
        return "ur" if re.search("[ٹڈڑںے]", text) else "fa" if re.search("[پچژگی]", text) else "ar"
    if script == "cyrillic":
        if re.search("[іїєґ]", text.lower()):
            return "uk"
        return _classify(text, ("ru", "bg"))[0] if scripts[script] >= _MIN_LETTERS else ("bg" if fallback == "bg" else "ru")
    return script


def _of_han(text: str, *, fallback: str) -> str:
    simplified = sum(character in _SIMPLIFIED and character not in _TRADITIONAL for character in text)
    traditional = sum(character in _TRADITIONAL and character not in _SIMPLIFIED for character in text)
    if simplified == traditional:
        return fallback if fallback in ("zh-hans", "zh-hant", "ja") else "zh-hans"
    return "zh-hant" if traditional > simplified else "zh-hans"


def _english_words(text: str) -> int:
    return sum(word.lower().replace("’", "'") in _ENGLISH for word in _WORDS.findall(text))


def _of_latin(text: str, *, letters: int, fallback: str) -> str:
    words = _WORDS.findall(text)
    english = _english_words(text)
    if (english >= 2 and english * 4 >= len(words)) or letters < _MIN_LETTERS or len(words) < 3:
        return "en" if english >= 2 or (english and fallback not in _LATIN) else fallback if fallback in _LATIN else "en"
    language, probability = _classify(text, tuple(_LATIN))
    if probability >= _MIN_PROBABILITY:
        return language
    return fallback if fallback in _LATIN else "en"


def _classify(text: str, languages: tuple[str, ...]) -> tuple[str, float]:
    language, probability = _identifier(languages).classify(text[:1000])
    return str(language), float(probability)


@functools.cache
def _identifier(languages: tuple[str, ...]) -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(languages))
    return identifier
