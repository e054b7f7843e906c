"""The form of a correction: the better answer, and what shall come of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django import forms

from chatbot.answering.grounding import renumber
from chatbot.answering.language import NAMES
from chatbot.assist.correcting import MODES, NewFaq, Wishes
from chatbot.knowledge.models import KEY_PATTERN, MAX_CATEGORY_CHARS, MAX_KEY_CHARS, MAX_QUESTION_CHARS, Faq
from chatbot.learning.corrections import MAX_BETTER_CHARS
from chatbot.learning.review_models import AnswerReview
from chatbot.learning.reviews import Opened

_ONE_WORD = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}


class CorrectionForm(forms.Form):
    verdict = forms.ChoiceField(
        label="What is wrong with it",
        choices=[choice for choice in AnswerReview.Verdict.choices if choice[0] != "right"],
        initial="wrong",
    )
    better = forms.CharField(
        label="The better answer",
        max_length=MAX_BETTER_CHARS,
        help_text="Markdown. What the customer should have read.",
        widget=forms.Textarea(attrs={"rows": 7, "dir": "auto", "autofocus": True}),
    )
    faq = forms.ChoiceField(
        label="Which FAQ this is about",
        required=False,
        help_text="What the bot used, and what the search found for the question.",
    )
    mode = forms.ChoiceField(label="The FAQ", required=False, choices=MODES, widget=forms.RadioSelect)
    publish = forms.BooleanField(required=False, label="Publish it at once; otherwise it is kept as an unpublished change")
    key = forms.CharField(required=False, max_length=MAX_KEY_CHARS, widget=forms.TextInput(attrs=_ONE_WORD))
    locale = forms.ChoiceField(label="Language", required=False, choices=[(code, name) for code, name in NAMES.items()])
    question = forms.CharField(required=False, max_length=MAX_QUESTION_CHARS, widget=forms.TextInput(attrs={"dir": "auto"}))
    category = forms.CharField(required=False, max_length=MAX_CATEGORY_CHARS)
    teach = forms.BooleanField(required=False, label="Teach the FAQ this way to ask")
    phrasing = forms.CharField(
        required=False,
        max_length=MAX_QUESTION_CHARS,
        help_text="The customer's own words. Take out names, numbers and what is not typical.",
        widget=forms.TextInput(attrs={"dir": "auto"}),
    )
    test_question = forms.BooleanField(
        required=False, label="Keep the question as a test: this FAQ must answer it (without a FAQ: the bot must not know)"
    )
    example = forms.BooleanField(required=False, label="Propose question and better answer as a training example")

    def __init__(self, *args: Any, faqs: Sequence[Faq], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.faqs = {f"{faq.pk}.{faq.latest_revision}": faq for faq in faqs}
        choices = [("", "None of these"), *((value, self._name(faq)) for value, faq in self.faqs.items())]
        sent = str(self.data.get("faq", "")) if self.is_bound else ""
        if re.fullmatch(r"\d{1,18}\.\d{1,9}", sent) and sent not in self.faqs:
            # It has moved on since the page was made; saving says so in its own words.
            choices.append((sent, "The FAQ you chose (changed meanwhile)"))
        self.fields["faq"].choices = choices  # type: ignore[attr-defined]

    @staticmethod
    def _name(faq: Faq) -> str:
        state = "" if faq.status == "published" else f", {faq.get_status_display().lower()}"
        return f"{faq.question[:90]} ({faq.key}, {faq.locale}{state})"

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("mode") in ("replace", "append") and not data.get("faq"):
            self.add_error("faq", "Choose the FAQ that shall change.")
        if data.get("mode") == "new":
            for name in ("key", "question"):
                if not data.get(name):
                    self.add_error(name, "A new FAQ needs this.")
            if data.get("key") and not re.fullmatch(KEY_PATTERN, data["key"]):
                self.add_error("key", "Letters, digits or . _ - only, without blanks, beginning with a letter or digit.")
        if data.get("teach") and not data.get("phrasing"):
            self.add_error("phrasing", "Write how it is asked.")
        if data.get("teach") and data.get("mode") != "new" and not data.get("faq"):
            self.add_error("faq", "Choose the FAQ that shall learn it.")
        return data

    def wishes(self) -> Wishes:
        data = self.cleaned_data
        faq_id, _, revision = data["faq"].partition(".")
        new = NewFaq(data["key"], data["locale"], data["question"], data["category"]) if data["mode"] == "new" else None
        return Wishes(
            verdict=data["verdict"],
            better=data["better"],
            mode=data["mode"],
            faq_id=int(faq_id) if faq_id else None,
            faq_revision=int(revision) if revision else None,
            publish=data["publish"],
            new=new,
            phrasing=data["phrasing"] if data["teach"] else "",
            test_question=data["test_question"],
            example=data["example"],
        )


def initial_of(opened: Opened, *, faqs: Sequence[Faq], verdict: str = "") -> dict[str, Any]:
    """The shown answer to mend, the customer's words as phrasing, and the FAQ that the answer came from."""
    asked = " ".join(opened.question.text.split())[:MAX_QUESTION_CHARS] if opened.question else ""
    locale = opened.item.locale if opened.item.locale in NAMES else "en"
    own = opened.own.verdict if opened.own else ""
    return {
        "verdict": next((name for name in (verdict, own) if name and name != "right"), "wrong"),
        "better": renumber(opened.generation.text, numbers={}) if opened.generation.decision in ("direct", "compose") else "",
        "faq": f"{faqs[0].pk}.{faqs[0].latest_revision}" if faqs and opened.citations else "",
        "mode": "",
        "question": asked[:120],
        "locale": locale,
        "phrasing": asked,
    }
