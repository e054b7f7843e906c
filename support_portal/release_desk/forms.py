"""Forms of the release desk. They shape what was typed; chatbot.learning and chatbot.releases decide what is allowed."""

from __future__ import annotations

from typing import Any

from django import forms

from chatbot.learning import reading
from chatbot.learning.datasets import Filters
from chatbot.learning.models import Dataset, Example, TrainingRun
from chatbot.learning.reading import Sought
from chatbot.releases.stages import MAX_PERCENT, MIN_REASON_CHARS
from support_portal.release_desk.words import FLAG_NAMES

MAX_BUDGET_MINUTES = 24 * 60
_ANY = ("", "All")


class DeedForm(forms.Form):
    percent = forms.IntegerField(
        label="Share of the conversations, in percent",
        required=False,
        min_value=1,
        max_value=MAX_PERCENT,
        help_text="A conversation keeps its version; raising the share moves nobody back.",
    )
    reason = forms.CharField(
        label="Reason",
        required=False,
        max_length=500,
        help_text=f"At least {MIN_REASON_CHARS} characters. It is kept with your name.",
        widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}),
    )


class CompareForm(forms.Form):
    dataset = forms.ChoiceField(label="Questions of the dataset", help_text="Its held-out half is asked: both versions answer.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dataset"].choices = dataset_choices()  # type: ignore[attr-defined]


class SoughtForm(forms.Form):
    status = forms.ChoiceField(label="Status", required=False, choices=[_ANY, *Example.Status.choices])
    kind = forms.ChoiceField(label="Kind", required=False, choices=[_ANY, *Example.Kind.choices])
    source = forms.ChoiceField(label="From", required=False, choices=[_ANY, *Example.Source.choices])
    locale = forms.ChoiceField(label="Language", required=False)
    topic = forms.ChoiceField(label="Topic", required=False)
    flags = forms.ChoiceField(
        label="Flags", required=False, choices=[_ANY, ("none", "None"), ("any", "Any"), *FLAG_NAMES.items()]
    )
    text = forms.CharField(
        label="Words", required=False, max_length=200, widget=forms.TextInput(attrs={"type": "search", "data-key": "/"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("locale", "topic"):
            self.fields[name].choices = [_ANY, *((value, value) for value in reading.used(name))]  # type: ignore[attr-defined]

    def sought(self) -> Sought:
        """What was understood of it; a filter that was not is left out."""
        self.is_valid()
        return Sought(**{name: self.cleaned_data.get(name) or "" for name in self.fields})


class BuildForm(forms.Form):
    name = forms.CharField(label="Name", max_length=80, help_text="Letters, digits, dots and dashes, as “march-2026”.")
    locales = forms.MultipleChoiceField(label="Languages", required=False, widget=forms.CheckboxSelectMultiple)
    sources = forms.MultipleChoiceField(
        label="From", required=False, choices=Example.Source.choices, widget=forms.CheckboxSelectMultiple
    )
    topics = forms.MultipleChoiceField(label="Topics", required=False, widget=forms.CheckboxSelectMultiple)
    most = forms.IntegerField(
        label="Training lines of each method at most",
        required=False,
        min_value=1,
        max_value=1_000_000,
        help_text="Empty for all. Fewer lines train faster; a fair sample is taken.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field, name in (("locales", "locale"), ("topics", "topic")):
            values = reading.used(name, status=Example.Status.APPROVED)
            self.fields[field].choices = [(value, value) for value in values]  # type: ignore[attr-defined]

    def filters(self) -> Filters:
        """Of what was understood; call it after is_valid()."""
        data = self.cleaned_data
        locales, sources, topics = (tuple(data.get(name) or ()) for name in ("locales", "sources", "topics"))
        return Filters(locales, sources, topics, data.get("most") or 0)


class RunForm(forms.Form):
    dataset = forms.ChoiceField(label="Dataset")
    method = forms.ChoiceField(
        label="What it learns from",
        choices=TrainingRun.Method.choices,
        initial="sft",
        help_text="Right answers: questions with their right answers; start with these. Better and worse answers: needs "
        "corrections. Thumbs: needs thumbs up and down.",
    )
    budget_minutes = forms.IntegerField(
        label="Time at most, in minutes",
        initial=30,
        min_value=1,
        max_value=MAX_BUDGET_MINUTES,
        help_text="It ends in good order when the time is over, with what it has learnt. Chats go first all the while.",
    )
    epochs = forms.FloatField(
        label="Passes over the examples",
        required=False,
        min_value=0.01,
        max_value=50,
        help_text="Empty for 2. More passes learn the examples by heart.",
    )
    learning_rate = forms.FloatField(
        label="Learning rate",
        required=False,
        min_value=1e-7,
        max_value=0.1,
        widget=forms.NumberInput(attrs={"step": "any"}),
        help_text="How far each step moves the model. Empty for 0.0002.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dataset"].choices = dataset_choices()  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """A dataset without lines for this method fails after minutes on a worker; it is told here."""
        data = super().clean() or {}
        if "dataset" in data and "method" in data:
            counts = reading.access_dataset(int(data["dataset"])).manifest.get("counts", {}).get("method", {})
            if not counts.get(f"{data['method']}.train"):
                self.add_error("method", "This dataset has nothing of this kind in its training half.")
        return data

    def options(self) -> dict[str, Any]:
        names = ("budget_minutes", "epochs", "learning_rate")
        return {name: self.cleaned_data[name] for name in names if self.cleaned_data[name] is not None}


def dataset_choices() -> list[tuple[str, str]]:
    return [(str(one.pk), _described(one)) for one in reading.list_datasets()]


def _described(dataset: Dataset) -> str:
    return f"{dataset.name} ({dataset.manifest.get('examples', 0)} examples)"
