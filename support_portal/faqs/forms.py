"""Forms of the FAQ pages. They shape what was typed; chatbot.knowledge.authoring decides what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from chatbot.errors import InvalidInput
from chatbot.knowledge.faq_files import MAX_FILE_BYTES, format_of
from chatbot.knowledge.models import MAX_ANSWER_CHARS, MAX_CATEGORY_CHARS, MAX_KEY_CHARS, MAX_QUESTION_CHARS, Faq
from support_portal.faqs.listing import editors

_MOMENT_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"]


def _moment() -> forms.DateTimeInput:
    return forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


class FaqForm(forms.Form):
    key = forms.CharField(
        max_length=MAX_KEY_CHARS,
        help_text="A short name for links and files, the same in every language, such as returns-damaged.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )
    locale = forms.CharField(
        label="Language",
        max_length=35,
        initial="en",
        help_text="Such as en or zh-hans.",
        widget=forms.TextInput(attrs={"list": "locales", "autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )
    category = forms.CharField(
        max_length=MAX_CATEGORY_CHARS, required=False, widget=forms.TextInput(attrs={"list": "categories", "autocomplete": "off"})
    )
    question = forms.CharField(
        max_length=MAX_QUESTION_CHARS,
        help_text="As a customer would read it above the answer.",
        widget=forms.TextInput(attrs={"dir": "auto"}),
    )
    phrasings = forms.CharField(
        required=False,
        label="Other ways to ask it",
        help_text="One per line, in the customers' own words. Five or more make answers much surer.",
        widget=forms.Textarea(attrs={"rows": 6, "dir": "auto"}),
    )
    answer = forms.CharField(
        max_length=MAX_ANSWER_CHARS,
        error_messages={
            "max_length": "An answer has at most %(limit_value)d characters; this one has %(show_value)d. Nothing is lost: "
            "split it into several FAQs, or upload it as a document."
        },
        help_text="Markdown: **bold**, lists with -, [a link](https://…). Customers may be shown it word for word.",
        widget=forms.Textarea(attrs={"rows": 12, "dir": "auto"}),
    )

    valid_from = forms.DateTimeField(required=False, widget=_moment(), input_formats=_MOMENT_FORMATS)
    valid_until = forms.DateTimeField(required=False, widget=_moment(), input_formats=_MOMENT_FORMATS)
    owner = forms.ChoiceField(required=False, help_text="Who looks after it.")
    note = forms.CharField(
        max_length=150,
        required=False,
        help_text="Why, for the reviewer and the history.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, faq: Faq | None = None, **kwargs: Any) -> None:
        """faq: the one that is edited; links and files know it by its key and language, so these stay."""
        super().__init__(*args, **kwargs)
        people = {str(user.pk): user.display_name for user in editors()}
        if faq and faq.owner_id and str(faq.owner_id) not in people:
            people[str(faq.owner_id)] = f"{getattr(faq.owner, 'display_name', '')} (no longer an editor)"
        owner = self.fields["owner"]
        assert isinstance(owner, forms.ChoiceField)
        owner.choices = [("", "Nobody"), *people.items()]
        for name in ("key", "locale") if faq else ():
            self.fields[name].disabled = True
            self.fields[name].help_text = ""
            self.initial[name] = getattr(faq, name)

    def clean_owner(self) -> int | None:
        return int(self.cleaned_data["owner"]) if self.cleaned_data["owner"] else None

    def clean_phrasings(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["phrasings"].splitlines() if line.strip()]


class BulkForm(forms.Form):
    """What is done with the ticked FAQs. faqs: "id:revision" each, with commas between them."""

    action = forms.ChoiceField(choices=[(name, name) for name in ("publish", "archive", "category", "owner")])
    faqs = forms.CharField(max_length=400_000)
    category = forms.CharField(
        max_length=MAX_CATEGORY_CHARS, required=False, widget=forms.TextInput(attrs={"list": "categories", "autocomplete": "off"})
    )
    owner = forms.ChoiceField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        owner = self.fields["owner"]
        assert isinstance(owner, forms.ChoiceField)
        owner.choices = [("", "Nobody"), *((str(user.pk), user.display_name) for user in editors())]

    def clean_faqs(self) -> dict[int, int]:
        return revisions_in(self.cleaned_data["faqs"].split(","))

    @property
    def value(self) -> str:
        """What the action sets."""
        return str(self.cleaned_data.get(self.cleaned_data["action"], ""))


def revisions_in(ticked: Iterable[str]) -> dict[int, int]:
    """Read "id:revision" texts; what is none is passed over."""
    pairs = (text.split(":") for text in ticked)
    return {
        int(pair[0]): int(pair[1])
        for pair in pairs
        if len(pair) == 2 and all(part.isascii() and part.isdigit() and len(part) < 10 for part in pair)
    }


class ImportForm(forms.Form):
    file = forms.FileField(
        label="File",
        help_text="JSONL, CSV or an XLSX sheet, at most 20 MB, with key, locale, category, question, phrasings and answer.",
        widget=forms.ClearableFileInput(attrs={"accept": ".jsonl,.ndjson,.csv,.xlsx"}),
    )

    def clean_file(self) -> UploadedFile[bytes]:
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > MAX_FILE_BYTES:
            raise forms.ValidationError("This file is larger than 20 MB. Split it into smaller ones.")
        try:
            format_of(file.name or "")
        except InvalidInput as error:
            raise forms.ValidationError(error.message) from error
        return file
