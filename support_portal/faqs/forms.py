"""Forms of the FAQ pages. They shape what was typed; chatbot.knowledge.authoring decides what is allowed."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from chatbot.errors import InvalidInput
from chatbot.knowledge.faq_files import MAX_FILE_BYTES, format_of
from chatbot.knowledge.models import MAX_ANSWER_CHARS, MAX_CATEGORY_CHARS, MAX_KEY_CHARS, MAX_QUESTION_CHARS, Faq


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
        help_text="Markdown: **bold**, lists with -, [a link](https://…). Customers may be shown it word for word.",
        widget=forms.Textarea(attrs={"rows": 12, "dir": "auto"}),
    )

    def __init__(self, *args: Any, faq: Faq | None = None, **kwargs: Any) -> None:
        """faq: the one that is edited; links and files know it by its key and language, so these stay."""
        super().__init__(*args, **kwargs)
        for name in ("key", "locale") if faq else ():
            self.fields[name].disabled = True
            self.fields[name].help_text = ""
            self.initial[name] = getattr(faq, name)

    def clean_phrasings(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["phrasings"].splitlines() if line.strip()]


class ImportForm(forms.Form):
    file = forms.FileField(
        label="File",
        help_text="JSONL or CSV, at most 20 MB, with key, locale, category, question, phrasings and answer.",
        widget=forms.ClearableFileInput(attrs={"accept": ".jsonl,.ndjson,.csv"}),
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
