"""The passage of a document that a reply cites, as its customer opens it."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chatbot.answering.language import direction
from chatbot.conversations.access import is_cited
from chatbot.documents.access import access_live_passage, passage_key
from chatbot.errors import NotFound
from chatbot.rendering import render_markdown


@require_safe
def passage(request: HttpRequest, passage_id: int) -> HttpResponse:
    """Only what some reply has cited: nobody reads a whole document by counting up."""
    try:
        found = access_live_passage(passage_id)
    except NotFound as error:
        raise Http404(error.message) from error
    if not is_cited(passage_key(found.pk)):
        raise Http404("This page does not exist.")
    html = render_markdown(found.text)
    context = {"passage": found, "document": found.document, "html": html, "dir": direction(found.text)}
    return render(request, "chat/passage.html", context)
