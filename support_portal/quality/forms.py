"""Forms of the quality pages. They shape what was typed; chatbot.quality decides what is allowed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django import forms
from django.db.models import Q

from chatbot import runtime
from chatbot.answering.language import NAMES
from chatbot.answering.prompting import Turn
from chatbot.company import MAX_INSTRUCTIONS_CHARS
from chatbot.knowledge.content import FaqText
from chatbot.knowledge.models import MAX_ANSWER_CHARS, MAX_CATEGORY_CHARS, MAX_KEY_CHARS, MAX_QUESTION_CHARS, Faq, FaqStatus
from chatbot.protocol import MAX_TEXT_CHARS
from chatbot.quality import changing
from chatbot.quality.asked import MAX_FILE_BYTES, MAX_TURNS, Asked
from chatbot.quality.starting import ANSWERS_AT_ONCE, MAX_ANSWERS, MAX_MESSAGES
from chatbot.quality.suite import known_keys
from chatbot.quality.thresholds import Thresholds, live_thresholds

_SPEAKER = re.compile(r"^\s*(customer|bot)\s*[:：]\s*", re.I)
_LANGUAGES = [(code, f"{name} ({code})") for code, name in NAMES.items()]
_MAX_DRAFTS = 500


class QuestionFields(forms.Form):
    text = forms.CharField(
        label="Question",
        max_length=MAX_TEXT_CHARS,
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
        help_text="As a customer would write it.",
    )
    locale = forms.ChoiceField(
        label="Customer's browser asks for",
        choices=_LANGUAGES,
        initial="en",
        help_text="The language of the text wins where it can be told.",
    )
    history = forms.CharField(
        label="Said before",
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto", "placeholder": "Customer: …\nBot: …"}),
        help_text="One turn after the other, each beginning with “Customer:” or “Bot:”.",
    )

    def clean_history(self) -> tuple[Turn, ...]:
        turns: list[Turn] = []
        for line in self.cleaned_data["history"].splitlines():
            if found := _SPEAKER.match(line):
                role = "user" if found.group(1).lower() == "customer" else "assistant"
                turns.append(Turn("user" if role == "user" else "assistant", line[found.end() :].strip()))
            elif turns:
                turns[-1] = Turn(turns[-1].role, f"{turns[-1].text}\n{line}".strip())
            elif line.strip():
                raise forms.ValidationError("The first line must begin with “Customer:” or “Bot:”.")
        if len(turns) > MAX_TURNS:
            raise forms.ValidationError(f"At most {MAX_TURNS} earlier turns are kept.")
        return tuple(turn for turn in turns if turn.text)

    def asked(self, **more: Any) -> Asked:
        data = self.cleaned_data
        return Asked(text=data["text"], locale=data["locale"], history=data["history"], **{"judged": False, **more})


class TryForm(QuestionFields):
    draft = forms.ChoiceField(
        label="Use the draft of",
        required=False,
        help_text="Searches the published FAQs with this one as it stands now, published or not. Customers notice nothing.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["draft"].choices = drafts()  # type: ignore[attr-defined]

    def draft_id(self) -> int | None:
        return int(self.cleaned_data["draft"]) if self.cleaned_data["draft"] else None


class QuestionForm(QuestionFields):
    expected = forms.CharField(
        label="FAQ that answers it",
        required=False,
        max_length=100,
        help_text="Its key. Leave it empty where nothing does and the bot must say that it does not know.",
        widget=forms.TextInput(attrs={"list": "keys", "autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )
    note = forms.CharField(required=False, max_length=300, help_text="Why it matters, for whoever breaks it.")
    source = forms.UUIDField(required=False, widget=forms.HiddenInput)

    keys = staticmethod(known_keys)

    def expecting(self) -> Asked:
        return self.asked(expected=self.cleaned_data["expected"].strip() or None, judged=True)


class QuestionFileForm(forms.Form):
    file = forms.FileField(
        label="File",
        help_text='JSONL: {"text", "locale", "expected": a key or null, "history" (optional)} a line.',
        widget=forms.ClearableFileInput(attrs={"accept": ".jsonl,.ndjson,.json"}),
    )

    def clean_file(self) -> bytes:
        file = self.cleaned_data["file"]
        if file.size > MAX_FILE_BYTES:
            raise forms.ValidationError(f"This file is larger than {MAX_FILE_BYTES // 1024**2} MB.")
        content: bytes = file.read()
        return content


class ChangeForm(forms.Form):
    draft = forms.ChoiceField(label="Publish the draft of", required=False, help_text="With its words as they stand now.")
    version = forms.ChoiceField(label="Let another version of the model write", required=False)
    instructions = forms.CharField(
        label="Instructions to the model",
        required=False,
        max_length=MAX_INSTRUCTIONS_CHARS,
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
        help_text="Tone, length, words to prefer; facts come from the FAQs alone. To keep them: “instructions” in COMPANY_FILE.",
    )
    direct_at = forms.FloatField(
        label="Quote from", min_value=0.01, max_value=0.99, widget=forms.NumberInput(attrs={"step": "0.01"})
    )
    compose_at = forms.FloatField(
        label="Compose from", min_value=0.01, max_value=0.99, widget=forms.NumberInput(attrs={"step": "0.01"})
    )
    clarify_at = forms.FloatField(
        label="Ask back from", min_value=0.01, max_value=0.99, widget=forms.NumberInput(attrs={"step": "0.01"})
    )
    messages = forms.IntegerField(
        label="Newest customer messages to ask again",
        min_value=0,
        max_value=MAX_MESSAGES,
        initial=100,
        help_text="Besides the test questions. Nobody expects anything of these: you see what would be different.",
    )
    answers = forms.IntegerField(
        label="Answers to compare at most",
        required=False,
        min_value=1,
        max_value=MAX_ANSWERS,
        initial=ANSWERS_AT_ONCE,
        help_text="For another version or other instructions, the model writes each of them twice, between customers' answers.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["draft"].choices = drafts()  # type: ignore[attr-defined]
        names = [(found.name, f"{found.name} ({found.kind})") for found in changing.candidates()]
        self.fields["version"].choices = [("", "–"), *names]  # type: ignore[attr-defined]
        if not names:
            self.fields["version"].help_text = "There is no other one here; the command addadapter brings a trained one."
        own = {"instructions": runtime.company().instructions}
        self.initial = {**live_thresholds().as_json(), **own, **self.initial}

    def thresholds(self) -> Thresholds | None:
        """None where they are the live ones. Raises InvalidInput when they do not rise."""
        wanted = Thresholds(*(self.cleaned_data[name] for name in ("direct_at", "compose_at", "clarify_at")))
        return None if wanted == live_thresholds() else wanted


class DraftForm(forms.Form):
    """The missing FAQ. Everything else about it can be set once it is there."""

    question = forms.CharField(
        max_length=MAX_QUESTION_CHARS,
        help_text="As a customer would read it above the answer. Proposed: the most typical of the customers' own questions.",
        widget=forms.TextInput(attrs={"dir": "auto"}),
    )
    answer = forms.CharField(
        max_length=MAX_ANSWER_CHARS,
        help_text="Markdown. Customers may be shown it word for word.",
        widget=forms.Textarea(attrs={"rows": 8, "dir": "auto"}),
    )
    phrasings = forms.CharField(
        required=False,
        label="Other ways to ask it",
        help_text="One per line. These are customers' own words: take out names, numbers and what is not typical.",
        widget=forms.Textarea(attrs={"rows": 6, "dir": "auto"}),
    )
    key = forms.CharField(
        max_length=MAX_KEY_CHARS,
        help_text="A short name for links and files, the same in every language, such as returns-damaged.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )
    locale = forms.CharField(label="Language", max_length=35, help_text="Such as en or zh-hans.")
    category = forms.CharField(max_length=MAX_CATEGORY_CHARS, required=False)

    def words(self) -> FaqText:
        data = self.cleaned_data
        phrasings = [line.strip() for line in data["phrasings"].splitlines() if line.strip()]
        return FaqText(question=data["question"], answer=data["answer"], phrasings=phrasings, category=data["category"])


def drafts(*, most: int = _MAX_DRAFTS) -> list[tuple[str, str]]:
    """The FAQs with words that customers do not get yet, the newest first, for a field to choose from."""
    rows = Faq.objects.exclude(status=FaqStatus.ARCHIVED).order_by("-updated_at")
    waiting = rows.filter(~Q(status=FaqStatus.PUBLISHED) | ~Q(change_status=""))[:most]
    return [("", "–"), *((str(faq.pk), f"{faq.question[:80]} ({faq.key}, {faq.locale})") for faq in waiting)]


def history_text(turns: Sequence[Turn]) -> str:
    """Turns as the field shows them."""
    return "\n".join(f"{'Customer' if turn.role == 'user' else 'Bot'}: {turn.text}" for turn in turns)


def initial_of(asked: Asked) -> dict[str, str]:
    return {
        "text": asked.text,
        "locale": asked.locale if asked.locale in NAMES else "en",
        "history": history_text(asked.history),
        "expected": asked.expected or "",
    }
