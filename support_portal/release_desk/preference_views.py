"""Two versions' answers side by side, in an order that says nothing: which would you rather send?"""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from chatbot.errors import ChatbotError, NotFound
from chatbot.learning import preferring
from chatbot.releases import reading
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires


@requires("manage_releases")
@require_http_methods(["GET", "POST"])
def side_by_side(request: HttpRequest, *, evaluation_id: int) -> HttpResponse:
    person_id = cast(User, request.user).pk
    try:
        found = reading.access_evaluation(evaluation_id)
        if request.method == "POST":
            key, choice = request.POST.get("key", ""), request.POST.get("choice", "")
            try:
                preferring.vote(found, key=key, choice=choice, person_id=person_id)
            except NotFound:
                raise
            except ChatbotError as error:
                messages.error(request, f"Nothing was kept: {error.message}")
            return redirect("releases:side_by_side", evaluation_id=found.pk)
        pairing, left = preferring.next_pairing(found, person_id=person_id)
        tally = preferring.tally(found)
    except NotFound as error:
        raise Http404(error.message) from error
    shares = [round(100 * value) for value in (tally.share, tally.lower95, tally.upper95)]
    context = {"section": "releases", "tab": "versions", "evaluation": found, "pairing": pairing, "left": left, "tally": tally}
    return render(request, "releases/side_by_side.html", context | {"shares": shares})
