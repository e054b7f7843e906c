"""Frozen sets of approved examples: build one, look into it, hold two side by side, take the lines along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from chatbot.errors import ChatbotError, NotFound
from chatbot.learning import datasets as dataset_store
from chatbot.learning import reading
from chatbot.learning.models import Dataset, Example
from chatbot.staffing import audit
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires
from support_portal.release_desk import words
from support_portal.release_desk.forms import BuildForm, dataset_choices

GROUPS = {"source": "From", "locale": "Language", "topic": "Topic", "refusal": "Answers and refusals"}
PREVIEWED = {"kind": "Kind", "source": "From", "locale": "Language", "topic": "Topic", "half": "Half"}
LEFT_OUT = {
    "near_heldout": "nearly the same as a held-out question: it would make the result look better than it is",
    "answers_heldout": "a held-out question stands in the answer: it would be known before it is asked",
    "person_cap": "from one person, who would count too much",
    "day_cap": "from one day, which would count too much",
    "most": "over the number asked for",
}


@requires("manage_releases")
@require_GET
def datasets(request: HttpRequest) -> HttpResponse:
    context = {
        "section": "releases",
        "tab": "datasets",
        "datasets": reading.list_datasets(),
        "approved": reading.status_counts()[Example.Status.APPROVED],
        "choices": dataset_choices(),
    }
    return render(request, "releases/datasets.html", context)


@requires("manage_releases")
@require_http_methods(["GET", "POST"])
def build(request: HttpRequest) -> HttpResponse:
    """First the counts, then, with the second button, the dataset."""
    form = BuildForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        if form.is_valid() and request.POST.get("action") == "build":
            by_id = cast(User, request.user).pk
            try:
                with transaction.atomic():
                    made = dataset_store.build(form.cleaned_data["name"], filters=form.filters(), by_id=by_id)
                    audit.record(by_id, "dataset.built", f"dataset {made.name}", {"examples": made.manifest["examples"]})
            except ChatbotError as error:
                form.add_error(error.field if error.field in form.fields else None, error.message)
            else:
                messages.success(request, f"{made.name} is built and frozen.")
                return redirect("releases:dataset", dataset_id=made.pk)
        if request.POST.get("action") != "build":
            form.errors.pop("name", None)  # whoever counts has not named it yet
        shown = reading.preview(form.filters())
    else:
        shown = reading.preview(dataset_store.Filters())
    preview = [(label, _named(name, shown.by[name])) for name, label in PREVIEWED.items()]
    context = {"section": "releases", "tab": "datasets", "form": form, "examples": shown.examples, "preview": preview}
    return render(request, "releases/build.html", context)


@requires("manage_releases")
@require_GET
def dataset(request: HttpRequest, *, dataset_id: int) -> HttpResponse:
    found = _dataset(dataset_id)
    counts = found.manifest.get("counts", {})
    left_out = [(LEFT_OUT.get(name, name), count) for name, count in found.manifest.get("left_out", {}).items()]
    context = {
        "section": "releases",
        "tab": "datasets",
        "dataset": found,
        "methods": _methods(counts.get("method", {})),
        "halves": words.HALVES,
        "groups": [(label, _named(name, counts.get(name, {}))) for name, label in GROUPS.items()],
        "left_out": left_out,
        "filters": [(name, value) for name, value in found.manifest.get("filters", {}).items() if value],
        "lines": reading.first_lines(found),
        "others": [choice for choice in dataset_choices() if choice[0] != str(found.pk)],
        "runs": reading.list_runs().filter(dataset=found),
    }
    return render(request, "releases/dataset.html", context)


@requires("manage_releases")
@require_GET
def compare(request: HttpRequest) -> HttpResponse:
    """?a= and ?b=: what two datasets share and what each has alone."""
    pair = [_chosen(request.GET.get(name, "")) for name in ("a", "b")]
    rows = []
    for name, label in {"method": "Method and half", **GROUPS}.items():
        ours, theirs = (one.manifest.get("counts", {}).get(name, {}) for one in pair)
        for key in sorted({*ours, *theirs}):
            here, there = ours.get(key, 0), theirs.get(key, 0)
            rows.append((label, _word(name, key), here, there, there - here))
    context = {
        "section": "releases",
        "tab": "datasets",
        "a": pair[0],
        "b": pair[1],
        "shared": dataset_store.compare(pair[0], pair[1]),
        "rows": rows,
    }
    return render(request, "releases/compare_datasets.html", context)


@requires("manage_releases")
@require_GET
def download(request: HttpRequest, *, dataset_id: int, method: str, half: str) -> HttpResponse:
    found = _dataset(dataset_id)
    try:
        path = reading.lines_path(found, method=method, half=half)
    except NotFound as error:
        raise Http404(error.message) from error
    with transaction.atomic():
        audit.record(cast(User, request.user).pk, "dataset.downloaded", f"dataset {found.name}", {"method": method, "half": half})
    response = HttpResponse(path.read_bytes(), content_type="application/jsonl; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{found.name}.{method}.{half}.jsonl"'
    return response


def _methods(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {"name": name, "label": label, "halves": [(half, counts.get(f"{name}.{half}", 0)) for half in words.HALVES]}
        for name, (label, _) in words.METHODS.items()
    ]


def _named(group: str, counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(_word(group, key), count) for key, count in counts.items()]


def _word(group: str, key: str) -> str:
    """How a count's key is called for a person."""
    if group == "source":
        return str(dict(Example.Source.choices).get(key, key))
    if group == "kind":
        return str(dict(Example.Kind.choices).get(key, key))
    if group == "half":
        return words.HALVES[key][0]
    if group == "method":
        method, _, half = key.partition(".")
        return f"{words.METHODS.get(method, (method,))[0]}, {words.HALVES.get(half, (half,))[0].lower()}"
    return key or "none"


def _chosen(value: str) -> Dataset:
    if not value.isdecimal() or len(value) > 17:
        raise Http404("Choose two datasets.")
    return _dataset(int(value))


def _dataset(dataset_id: int) -> Dataset:
    try:
        return reading.access_dataset(dataset_id)
    except NotFound as error:
        raise Http404(error.message) from error
