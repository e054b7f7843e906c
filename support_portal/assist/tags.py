"""What the panel beside the composer shows of a conversation at once; the rest is fetched when it is asked for."""

from __future__ import annotations

from typing import Any

from django import template

from chatbot.answering.language import NAMES
from chatbot.assist.models import ConversationReading
from chatbot.assist.noting import newest_note
from chatbot.assist.rewriting import STYLES
from chatbot.conversations.models import Conversation

register = template.Library()
_MOODS = {"angry": "badge-danger", "unhappy": "badge-warning", "pleased": "badge-success"}
_COMMON = ("en", "zh-hans", "zh-hant", "ms", "ta", "de", "fr", "es", "ja", "ko")


@register.simple_tag
def conversation_help(conversation: Conversation) -> dict[str, Any]:
    reading = ConversationReading.objects.filter(conversation=conversation).first()
    language = conversation.language or conversation.locale
    return {
        "note": newest_note(conversation.pk),
        "mood": reading.get_sentiment_display() if reading and reading.sentiment != "neutral" else "",
        "mood_badge": _MOODS.get(reading.sentiment, "") if reading else "",
        "topic": conversation.topic,
        "language": language if language in NAMES else "en",
        "language_name": NAMES.get(language, language),
        "languages": sorted(NAMES.items(), key=lambda item: (item[0] not in _COMMON, item[1])),
        "styles": [(name, name.title()) for name in STYLES],
    }
