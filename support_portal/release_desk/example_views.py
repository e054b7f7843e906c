"""What people's feedback proposes to learn: looked at, approved or rejected, one by one or many at once."""

from __future__ import annotations

from typing import cast
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from chatbot.errors import ChatbotError, NotFound
from chatbot.learning import approving, reading, sweeping
from chatbot.learning.models import Example
from chatbot.learning.reading import Sought
from chatbot.learning.tasks import enqueue_sweep
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires
from support_portal.release_desk import words
from support_portal.release_desk.forms import SoughtForm

PAGE_EXAMPLES = 50
MAX_AT_ONCE = 5000


@requires("manage_releases")
@require_GET
def examples(request: HttpRequest) -> HttpResponse:
    asked = request.GET if request.GET else QueryDict("status=proposed")
    form = SoughtForm(asked)
    sought = form.sought()
    page = Paginator(reading.examples(sought), PAGE_EXAMPLES).get_page(request.GET.get("page"))
    counts = reading.status_counts()
    query = _query(sought)
    context = {
        "section": "releases",
        "tab": "examples",
        "form": form,
        "page": page,
        "rows": [(row, _flag_names(row)) for row in page],
        "query": query,
        "page_link": f"?{query}&" if query else "?status=&",
        "lists": [(value, label, counts[value]) for value, label in Example.Status.choices],
        "status": sought.status,
        "known": sum(counts.values()),
        "swept": sweeping.last_sweep(),
    }
    return render(request, "releases/examples.html", context)


@requires("manage_releases")
@require_POST
def gather(request: HttpRequest) -> HttpResponse:
    """Have what is new swept up, and everything looked at for what is strange; a month of feedback takes a minute."""
    if enqueue_sweep(by_id=cast(User, request.user).pk):
        messages.success(request, "Looking now, for up to a minute. Load this page again to see what was found.")
    else:
        messages.error(request, "The workers cannot be reached, so nothing was looked for. Try again in a minute.")
    return redirect("releases:examples")


@requires("manage_releases")
@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """Approve or reject what was ticked, or everything found. Examples with serious flags stay: each is looked at by itself."""
    query = request.POST.get("query", "")[:2000]
    back = f"{reverse('releases:examples')}?{query or 'status=proposed'}"
    if request.POST.get("everything"):
        found = reading.examples(SoughtForm(QueryDict(query)).sought())
        ids = list(found.values_list("pk", flat=True)[: MAX_AT_ONCE + 1])
    else:
        ids = [int(value) for value in request.POST.getlist("example") if value.isdecimal() and len(value) < 18]
    action = request.POST.get("action", "")
    if action not in ("approve", "reject") or not 1 <= len(ids) <= MAX_AT_ONCE:
        messages.error(request, f"Nothing was changed. Tick the examples first, at most {MAX_AT_ONCE:,} at a time.")
        return redirect(back)
    by_id = cast(User, request.user).pk
    if action == "approve":
        done = approving.approve(ids, by_id=by_id)
        left = len(ids) - done
        told = (
            f" {left} were left as they are: decided already, without consent, or flagged. Open the flagged ones." if left else ""
        )
        messages.success(request, f"{done} approved.{told}")
    else:
        messages.success(request, f"{approving.reject(ids, by_id=by_id)} rejected.")
    return redirect(back)


@requires("manage_releases")
@require_GET
def example(request: HttpRequest, *, example_id: int) -> HttpResponse:
    found = _example(example_id)
    sought = SoughtForm(request.GET).sought()
    following = reading.next_example(sought, after=found.pk)
    context = {
        "section": "releases",
        "tab": "examples",
        "example": found,
        "serious": reading.is_serious(found),
        "flags": [words.FLAGS.get(flag, flag) for flag in found.flags],
        "query": _query(sought),
        "following": following,
        "left": reading.examples(sought).count(),
        "datasets": found.lines.values_list("dataset_id", "dataset__name", "half").distinct(),
    }
    return render(request, "releases/example.html", context)


@requires("manage_releases")
@require_POST
def decide(request: HttpRequest, *, example_id: int) -> HttpResponse:
    found, action = _example(example_id), request.POST.get("action", "")
    query = request.POST.get("query", "")[:2000]
    sought = SoughtForm(QueryDict(query)).sought()
    by_id = cast(User, request.user).pk
    done = 0
    try:
        if action == "approve":
            done = approving.approve([found.pk], by_id=by_id, even_flagged=True)
        elif action == "reject":
            done = approving.reject([found.pk], by_id=by_id)
    except ChatbotError as error:
        messages.error(request, f"Nothing was changed: {error.message}")
    if not done:
        messages.error(request, "Nothing was changed: it is decided already, or its person does not agree.")
        return redirect(f"{reverse('releases:example', kwargs={'example_id': found.pk})}?{query}")
    messages.success(request, f"Example {found.pk} {'approved' if action == 'approve' else 'rejected'}.")
    following = reading.next_example(sought, after=found.pk)
    if following is None:
        return redirect(f"{reverse('releases:examples')}?{query}")
    return redirect(f"{reverse('releases:example', kwargs={'example_id': following.pk})}?{query}")


def _query(sought: Sought) -> str:
    return urlencode({name: value for name, value in vars(sought).items() if value})


def _flag_names(row: Example) -> list[str]:
    return [words.FLAG_NAMES.get(flag, flag) for flag in row.flags]


def _example(example_id: int) -> Example:
    try:
        return reading.access_example(example_id)
    except NotFound as error:
        raise Http404(error.message) from error
