"""What kind of message a customer's text is, before anything is searched: a wish for a person, several questions, a follow-up."""

from __future__ import annotations

import re

from chatbot.answering.sentences import sentences

MAX_QUESTIONS = 3

_ROLE = (
    "human(?: being)?|person|agent|representative|rep|operator|advis[eo]r|supervisor|manager|customer (?:service|support)|"
    "support team|staff"
)
_BETWEEN = (
    "me|us|through|over|on|back|with|to|in|touch|a|an|the|some|one|of|your|any|real|live|actual|human|customer|support|service|"
    "sales|another"
)
_WISHES = (
    rf"\b(?:talk|speak|chat|connect\w*|transfer\w*|put|pass)\b(?:\s+(?:{_BETWEEN})){{0,7}}\s+"
    rf"(?:{_ROLE}|people|someone|somebody|employee)\b",
    rf"\b(?:need|want|get|get me|give me)(?:\s+(?:a|an|the|real|live|actual|human|support|service)){{1,3}}\s+(?:{_ROLE})\b"
    r"(?!['’ -]\w)",
    rf"(?<!are you a )(?<!you )\b(?:real|live|actual|human) (?:{_ROLE}|support)\b(?! can| will)",
    r"(?:转|轉|找|要|接|换|換|叫|连|連)(?:接|到|一下|个|個|一个|一位|你们|你們)*的?(?:人工|真人|客服|活人)",
    r"人工(?:客服|服务|服務|坐席)|真人客服|(?:和|跟|与|與)(?:真人|人工|客服|活人)(?:说|說|聊|谈|談|讲|講|沟通|溝通|对话|對話)",
    r"オペレーター|(?:担当者|人間|スタッフ)(?:に|と)(?:つない|話|代わ|繋)|상담원|상담사|사람(?:이랑|하고|과)\s*(?:얘기|대화|상담)",
    r"\bmit (?:einem|einer|jemand\w*|eurem|ihrem)\s?(?:echten |richtigen )?"
    r"(?:menschen?|mitarbeiter\w*|person|berater\w*|kundenservice)?\s?(?:sprechen|reden|verbinden|verbunden)",
    r"\bparler (?:à|avec) (?:un|une|quelqu)\b|\b(?:hablar|comunicar\w*|contactar) con (?:una?|alguien|algún)\b",
    r"\bparlare con (?:una?|qualcuno)\b|\bfalar com (?:uma?|alguém)\b",
    r"позов\w+ (?:оператора|человека|сотрудника)|\bсо? (?:оператором|живым человеком|человеком|сотрудником)",
    r"(?:التحدث|أتحدث|اتحدث|أتكلم) (?:مع|إلى) (?:موظف|شخص|إنسان|خدمة العملاء|أحد)|לדבר עם (?:נציג|בן אדם|מישהו|אדם)",
)
_ASKS_FOR_PERSON = re.compile("|".join(_WISHES), re.I)
_BARE_PERSON = re.compile(
    r"\W*(?:human|agent|operator|representative|real person|live agent|human please|agent please|人工|真人|客服)\W*", re.I
)
# A question about reaching somebody, or about who is speaking, is a question, not a wish.
_ABOUT_PERSON = re.compile(
    r"^\W*(?:when|where|why|which|what|who|how (?:long|much|many|often)|am i|are you|is (?:this|it)|"
    r".{0,8}(?:是|不是)(?:真人|人工)|什么时候|几点|为什么|哪里)",
    re.I,
)
_MAX_WISH_CHARS = 160

_POINTS_BACK = re.compile(
    r"^\W*(?:and|but|so|also|or|then|what about|how about|what if|ok(?:ay)?,? (?:and|but|so)|und|aber|et|mais|y|pero|e|а|и)\b"
    r"|^\W*(?:那|还有|還有|而且|但是|可是|所以|如果|另外|这个|這個|它)|呢[?？]?\s*$|这个|那个|這個|那個|它|这些|那些|这样|那样|那里|同样"
    r"|\b(?:it|its|that|this|those|these|them|they|one|ones|there|same|instead|else|either|too)\b",
    re.I,
)
# Where a second question begins without a mark between: "how long does it take and what does it cost".
_SECOND_QUESTION = re.compile(
    r",?;?\s+(?:(?:and|also|plus|und|et|y|e)(?:\s+(?:also|then|please|auch|aussi))?,?)\s+(?=(?:how|what|when|where|who|which|why|can|could|do|"
    r"does|is|are|will|may|should|wie|was|wann|wo|kann|welche|comment|quand|où|quel|combien|cómo|cuándo|dónde|cuánto|puedo)\b)"
    r"|[，,；;]\s?(?=(?:还有|還有|另外|以及|而且|顺便|順便|并且|並且))|(?:还想问|還想問|另外问|顺便问)",
    re.I,
)
_MIN_PART_WORDS = 3
_WORD = re.compile(r"[^\W\d_]+|\d+")
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def asks_for_person(text: str) -> bool:
    """Tell whether a message asks, in so many words, to talk to a human being."""
    if len(text) > _MAX_WISH_CHARS or _ABOUT_PERSON.match(text):
        return False
    return bool(_BARE_PERSON.fullmatch(text) or _ASKS_FOR_PERSON.search(text))


def split_questions(text: str) -> list[str]:
    """Return the separate questions of a message, at most three; one element where it asks only one thing.

    Marks part them, or words as in "what does it cost and can I pay by card"; of the latter each part must be long enough to ask.
    """
    parts = [part.strip() for part in sentences(text)]
    asked = [part for part in parts if part.rstrip("\"'” ").endswith(("?", "？", "؟")) and _length(part) >= 2]
    if len(asked) < 2:
        asked = [part.strip() for part in _SECOND_QUESTION.split(asked[0] if asked and len(parts) == 1 else text)]
        if not all(_length(part) >= _MIN_PART_WORDS for part in asked):
            return [text]
    return asked[:MAX_QUESTIONS] if len(asked) >= 2 else [text]


def points_back(text: str) -> bool:
    """Tell whether a short message likely means nothing without what was said before ("and how much is that?")."""
    return _length(text) <= 4 or (_length(text) <= 12 and bool(_POINTS_BACK.search(text)))


def _length(text: str) -> float:
    """Words, or half as many wide characters."""
    wide = len(_WIDE.findall(text))
    return wide / 2 + len(_WORD.findall(_WIDE.sub(" ", text)))
