"""A customer takes a copy of an own conversation along: as a file, on paper, or by e-mail."""

from __future__ import annotations

import smtplib
import uuid
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe

from chatbot import runtime
from chatbot.conversations import texts
from chatbot.conversations.written import WrittenConversation, written_conversation
from chatbot.errors import ChatbotError, InvalidInput, NotFound, TooFast, Unavailable
from chatbot.telemetry import log_event
from support_portal.chat.throttling import Throttle
from support_portal.chat.visitors import visitor_of

# An hour's worth each: of one visitor, to one address, from one machine. Nobody's mailbox is filled from here.
_visitors = Throttle(per_minute=6 / 60, burst=3)
_recipients = Throttle(per_minute=3 / 60, burst=3)
_machines = Throttle(per_minute=30 / 60, burst=15)


@require_safe
@cache_control(no_store=True)
def text_file(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    written = _own(request, conversation_id)
    response = HttpResponse("\ufeff" + written.text, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="conversation-{conversation_id}.txt"'
    return response


@require_safe
@cache_control(no_store=True)
def printable(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    context = {"written": _own(request, conversation_id), "conversation_id": conversation_id}
    return render(request, "chat/transcript.html", context)


@require_POST
def mail(request: HttpRequest, conversation_id: uuid.UUID) -> JsonResponse:
    """Answers {sent, message, field}: the message is for the customer in any case."""
    written = _own(request, conversation_id)
    try:
        recipient = _send(request, written)
    except ChatbotError as error:
        status = 400 if isinstance(error, InvalidInput) else 429 if isinstance(error, TooFast) else 503
        return JsonResponse({"sent": False, "message": _(error.message), "field": error.field}, status=status)
    log_event("transcript.mailed", conversation=conversation_id)
    return JsonResponse({"sent": True, "message": _("Sent to %(email)s.") % {"email": recipient}, "field": ""})


def _own(request: HttpRequest, conversation_id: uuid.UUID) -> WrittenConversation:
    visitor = visitor_of(request) or uuid.UUID(int=0)
    try:
        return written_conversation(conversation_id, customer_id=visitor, locale=get_language() or "en")
    except NotFound as error:
        raise Http404(error.message) from error


def _send(request: HttpRequest, written: WrittenConversation) -> str:
    """Returns the address. Raises InvalidInput, TooFast or Unavailable."""
    if not settings.MAIL_CONFIGURED:
        raise Unavailable("This site cannot send e-mail. You can download or print the conversation instead.", code="mail_off")
    recipient = texts.email_address(request.POST.get("email", ""))
    _throttle(request, recipient)
    try:
        _message(written, recipient).send()
    except (smtplib.SMTPException, OSError) as error:
        log_event("transcript.mail_failed", error=type(error).__name__)
        raise Unavailable("The e-mail could not be sent. Please try again later, or download the conversation.") from error
    return recipient


def _throttle(request: HttpRequest, recipient: str) -> None:
    _machines.spend(request.META.get("REMOTE_ADDR", ""))
    _visitors.spend(str(visitor_of(request)))
    _recipients.spend(recipient.casefold())


def _message(written: WrittenConversation, recipient: str) -> EmailMessage:
    company = runtime.company().name
    fields: dict[str, Any] = {"name": company}
    subject = _("Your conversation with %(name)s") % fields
    reason = (
        _("You receive this because somebody typed your address in the chat of %(name)s. Nothing else will be sent.") % fields
    )
    return EmailMessage(" ".join(subject.split()), f"{reason}\n\n{written.text}", None, [recipient])
