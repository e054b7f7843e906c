"""What binds a company: refunds, guarantees, "free", deadlines without a number, legal and medical statements, deeds.

A sentence may speak of such a matter only where a passage does. The words of a matter are told apart by group, in the
languages customers write in, so that a passage in one language covers a sentence in another. A customer's wish covers nothing.
"""

# ruff: noqa: E501 (tables of words: one matter a row)
from __future__ import annotations

import re
from collections.abc import Iterable

_GROUPS: dict[str, str] = {
    "refund": r"refund|money[- ]back|(?:money|amount|fee|deposit|it|price|cost)s? (?:goes |is |are )?(?:paid )?back\b|get .{0,40}\bback\b|"
    r"reimburs|compensat|credited|deduct|erstatt|geld zurück|zurückerhalt|rembours|reembols|devoluci|rimbors|terugbetal|zwrot|возврат|"
    r"退款|退钱|退錢|退还|退還|退回|退给|退給|赔|賠|返金|返還|환불|استرداد|החזר",
    "guarantee": r"guarant|warrant|\bpromises?\b|\bassure|\bwe (?:will )?ensure|garanti|garantie|gewährleist|保证|保證|承诺|承諾|"
    r"保修|質保|质保|保固|保証|보증|гаранти|ضمان|אחריות",
    "free": r"\bfree\b(?! to\b)|at no (?:extra |additional )?(?:cost|charge)|no (?:fee|charge)\b|without charge|complimentary|gratis|"
    r"kostenlos|kostenfrei|gratuit|grátis|免费|免費|不收费|不收費|不收取|包邮|免运费|免邮|無料|무료|бесплатн|مجان|חינם|免手续费|免利息|0 ?元",
    "discount": r"discount|\d\s?% off|percent off|voucher|coupon|promo|rabatt|gutschein|remise|réduction|descuento|sconto|desconto|korting|"
    r"\breduc(?:ed|tion)|lower price|price match|save \d|\d\s?折|打折|折扣|优惠|優惠|减免|減免|降价|割引|할인|скидк|خصم|הנחה|便宜",
    "law": r"\blegal|\billegal|\blaws?\b|\blawful|\bliab(?:le|ility)|\blawsuit|\bsue\b|\bcourt\b|\bentitled\b|\brechtlich|\bgesetz|légal|\bloi\b|"
    r"\bley(?:es)?\b|\blegge\b|法律|法规|法規|违法|違法|合法|起诉|起訴|律师|律師|法定|法的|법률|закон|قانون|חוק|regulation",
    "health": r"\bmedic(?:al|ine|ation)|\bdoctor|\bdosage|painkiller|\bsymptom|\bdiagnos|\bibuprofen|\bparacetamol|\baspirin|\bcure\b|"
    r"\bärzt|\barzt\b|médic|医生|醫生|医院|醫院|药|藥|治疗|治療|诊断|診斷|疼|病",
    "today": r"\btoday\b|\btonight\b|\bsame[- ]day\b|this (?:evening|afternoon|morning)|\bheute\b|aujourd|\bhoy\b|\boggi\b|\bhoje\b|今天|今日|오늘|сегодня",
    "tomorrow": r"\btomorrow\b|\bnext[- ](?:working |business )?day\b|\bovernight\b|\bmorgen\b|\bdemain\b|\bmañana\b|\bdomani\b|\bamanhã\b|明天|明日|次日|隔天|第二天|내일|завтра",
    "at once": r"immediate|instant|right away|straight ?away|\bat once\b|\bprompt|within seconds|sofort|unverzüglich|immédiat|inmediat|"
    r"subito|立即|立刻|马上|馬上|即时|即時|一次性|当场|同日|すぐ|즉시|сразу|немедленно",
}  # fmt: skip
# Wordings that are too common to be a claim, and yet show that a passage speaks of the matter.
_ALSO_COVERS = {
    "refund": r"\bback\b|退|还|還",
    "free": r"no .{0,20}fee|not charge|we pay|免|没有.{0,6}费|無.{0,4}料",
    "discount": r"\boff\b|cheaper|减|減|折",
    "law": r"依法|按法|rule|规定|規定",
    "today": r"same day|当天|當天|当日|當日|at once",
    "tomorrow": r"24 hours|1 (?:working |business )?day",
    "at once": r"same day|as soon as|within \d+ (?:minute|second)|即刻|当即|随即|就|分钟",
    "guarantee": r"承担|负责|warranty",
}
# Deeds: the assistant can do nothing, so that it did or will do something is never true. A passage's own "I" covers it.
_DEEDS = re.compile(
    r"\b(?:i|we)(?:['’]ve| have)(?: already| just)? (?:cancel|refund|process|ship|sent|updat|chang|book|arrang|receiv|escalat|forward|"
    r"contact|creat|issu|appl|register|reset|check)\w*|\bi(?:['’]ll| will| am going to|['’]m going to) (?!need|not\b)\w+|"
    r"\byour (?:order|refund|parcel|package|account|request|return|appointment|booking) (?:has been|is being|was|will be) "
    r"(?:cancel|refund|process|ship|updat|chang|book|arrang|delet|clos|receiv|escalat|approv)\w*|"
    r"\bich (?:habe|werde) |\bj['’]ai |\bje vais |\bhe (?:cancelado|enviado|reembolsado)\b|"
    r"我(?:已经|已經|已|会|會|这就|這就|马上|馬上|将|將)(?:为|為|帮|幫|给|給|替)?(?:您|你)|已(?:经|經)?(?:为|為|帮|幫|给|給|替)(?:您|你)",
    re.I,
)
# What a model writes instead of NO_ANSWER. It speaks of itself or of its passages, which no answer does.
DECLINES = re.compile(
    r"^\W*(?:(?:i['’]m |i am |we are |we['’]re )?(?:so |very )?(?:sorry|afraid)\b.{0,20})?(?:but )?(?:i|we) (?:can(?:no|['’])t|am not able to|"
    r"are not able to|are unable to|am unable to) (?:help|assist|answer|provide|give you|find|see any)|"
    r"\b(?:the|these|provided|given) (?:passages?|faqs?|information|context) (?:do(?:es)?(?: not|n['’]t)|contains? no|has no|is not)|"
    r"\b(?:is|are) not (?:mentioned|stated|specified|provided|covered)\b|\bno (?:information|mention) (?:about|on|of|is|in)\b|"
    r"(?:don['’]t|do not) have (?:any |that |this |enough )?information|"
    r"(?:没有|未|沒有)(?:提及|提到|说明|說明|相关信息|相關資訊|提供.{0,6}信息)|(?:无法|無法|不能)(?:回答|提供.{0,8}(?:信息|帮助|协助)|帮助您|协助)",
    re.I,
)
OWN_AFFAIRS = re.compile(
    r"\b(?:you|your|yours|ihre?[nmrs]?|sie|votre|vos|vous|su|sus|usted|vostr[oa]|seu|sua|uw)\b|您|你|お客|고객|ваш|вы\b", re.I
)
OFFERS = re.compile(
    r"\bcodes?\b|coupon|voucher|promo|discount|\bfree\b|gutschein|rabatt|remise|descuento|码|碼|优惠|優惠|折|免费|免費", re.I
)
# The company as the one who does something: then a sum is no affair of the customer's alone.
COMPANY_ACTS = re.compile(r"\b(?:we|i)\b|\bwir\b|\bnous\b|nosotros|\bwij\b|我们|我們|当社|弊社|私たち|저희|우리|\bмы\b", re.I)
_MATTERS = {group: re.compile(pattern, re.I) for group, pattern in _GROUPS.items()}
_COVERS = {
    group: re.compile(f"{pattern}|{_ALSO_COVERS[group]}" if group in _ALSO_COVERS else pattern, re.I)
    for group, pattern in _GROUPS.items()
}


class Commitments:
    """The matters that the passages speak of."""

    def __init__(self, passages: Iterable[str]) -> None:
        text = "\n".join(passages)
        self._covered = frozenset(group for group, pattern in _COVERS.items() if pattern.search(text))
        self._deeds = frozenset(match.group().casefold() for match in _DEEDS.finditer(text))

    def unfounded(self, sentence: str) -> list[str]:
        """Return the groups of matters that the sentence speaks of and no passage does."""
        found = [group for group, pattern in _MATTERS.items() if group not in self._covered and pattern.search(sentence)]
        deeds = {match.group().casefold() for match in _DEEDS.finditer(sentence)}
        return [*found, *(["deed"] if deeds - self._deeds else [])]
