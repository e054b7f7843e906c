"""The upload form. It shapes what was chosen; chatbot.documents.shelf decides what is allowed."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from chatbot.documents.shelf import too_large

ENDINGS = ".pdf,.docx,.html,.htm,.md,.markdown,.txt"


class UploadForm(forms.Form):
    file = forms.FileField(
        label="File",
        widget=forms.FileInput(attrs={"accept": ENDINGS}),
        error_messages={"empty": "This file is empty.", "required": "Choose a file first."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit = settings.DOCUMENT_MAX_BYTES
        field = self.fields["file"]
        field.help_text = f"PDF, DOCX, HTML, Markdown or plain text, at most {limit // 2**20} MB."
        field.widget.attrs["data-max-bytes"] = str(limit)

    def clean_file(self) -> UploadedFile[bytes]:
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > settings.DOCUMENT_MAX_BYTES:
            raise forms.ValidationError(
                too_large(file.name or "The file", size_bytes=file.size or 0, max_bytes=settings.DOCUMENT_MAX_BYTES).message
            )
        return file
