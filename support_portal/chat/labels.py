"""The words that the chat page's script says, from the same catalogue as the templates' words. It fills in the names in braces.

Keys that end in _one and _other are the two forms of a number; a language without plurals has the same text in both.
"""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from chatbot.conversations.notices import NOTICES, WHEN

# The sentences of expected errors that reach a customer. The consumer translates them as it sends them; here they are only
# named, so that they get into the catalogue.
CUSTOMER_ERRORS = (
    gettext_noop("This site cannot send e-mail. You can download or print the conversation instead."),
    gettext_noop("The e-mail could not be sent. Please try again later, or download the conversation."),
    gettext_noop("You can rate this conversation when it has ended."),
    gettext_noop("There is nobody to rate here."),
    gettext_noop("A message can have at most 4000 characters."),
    gettext_noop("A person answers you now."),
    gettext_noop("Binary frames are not understood."),
    gettext_noop("No e-mail address is needed here."),
    gettext_noop("Only the last answer can be written again."),
    gettext_noop("Please wait until your earlier messages are answered."),
    gettext_noop("Something went wrong on our side. Please try again."),
    gettext_noop("That was too fast. Please wait a moment."),
    gettext_noop("This answer is still being written."),
    gettext_noop("This conversation does not exist."),
    gettext_noop("This conversation does not exist or is not yours."),
    gettext_noop("This frame is not understood."),
    gettext_noop("This message does not exist or is not yours."),
    gettext_noop("This message is too long."),
    gettext_noop("This message was already sent with other words."),
    gettext_noop("This is not an e-mail address."),
    gettext_noop("This is too long to send."),
    gettext_noop("Write something first."),
)
# What a conversation itself says (conversations/notices.py).
HANDOFF_WORDS = (*NOTICES.values(), WHEN, gettext_noop("You can also reach us at"))


def chat_labels() -> dict[str, str]:
    return _message_labels() | _page_labels()


def _message_labels() -> dict[str, str]:
    return {
        "sending": _("Sending…"),
        "not_sent": _("Not sent."),
        "not_sent_offline": _("Not sent. It goes out as soon as you are connected."),
        "writing": _("Writing…"),
        "still_working": _("Still working…"),
        "stopping": _("Stopping…"),
        "queue_next": _("Your answer is next."),
        "queue_place": _("You are number {number} in the queue."),
        "answer_continues": _("The answer goes on as soon as you are connected."),
        "reply_stopped": _("You stopped this answer."),
        "reply_taken_over": _("A person took over here."),
        "reply_failed": _("This answer could not be written. Nothing you wrote is lost."),
        "reply_failed_deadline": _("This answer took too long and was ended. Please try again."),
        "source_number": _("Source {number}: {title}"),
        "answer_announced": _("{name} says: {text}"),
    }


def _page_labels() -> dict[str, str]:
    return {
        "who_held": _("{name} is here"),
        "who_waiting": _("A person was asked for"),
        "who_resolved": _("Resolved"),
        "person_next": _("You are next."),
        "person_place": _("You are number {number} in the line."),
        "person_opens": _("Somebody is there from {when}."),
        "agent_typing": _("{name} is writing…"),
        "placeholder_person": _("Write to {name}…"),
        "connecting": _("Connecting…"),
        "offline": _("You are offline. Your messages are kept and sent when you are back."),
        "reconnecting": _("Connection lost. Trying again in {seconds} s."),
        "try_now": _("Try now"),
        "reload": _("Reload"),
        "visit_expired": _("This page does not know you any more. Reload it; cookies must be allowed."),
        "needs_connection": _("This needs a connection. Please try again in a moment."),
        "load_earlier": _("Show earlier messages"),
        "loading_earlier": _("Loading earlier messages…"),
        "new_messages": _("New messages"),
        "latest": _("Latest"),
        "copied": _("Answer copied."),
        "copy_failed": _("The browser did not allow copying. Select the text instead."),
        "chars_left_one": _("{count} character left"),
        "chars_left_other": _("{count} characters left"),
        "chars_over_one": _("{count} character too many"),
        "chars_over_other": _("{count} characters too many"),
        "history_empty": _("Your conversations will be listed here."),
        "history_failed": _("Your conversations could not be loaded."),
    }
