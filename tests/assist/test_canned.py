"""Canned replies: variables, teams, languages, counts."""

from __future__ import annotations

import pytest

from chatbot.assist import canned
from chatbot.assist.canned import Words, fill_in
from chatbot.assist.models import CannedReply
from chatbot.conversations.models import Customer
from chatbot.errors import Conflict, InvalidInput
from chatbot.staffing.models import AuditEntry, Team
from support_portal.accounts.models import User
from tests.assist.talks import talk

pytestmark = pytest.mark.django_db


def _words(shortcut: str = "hello", text: str = "Hello {customer_name|there}, I am {agent_name}.", **more: object) -> Words:
    return Words(shortcut=shortcut, title="A greeting", text=text, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "filled", "missing"),
    [
        ("Hi {customer_name}", "Hi {customer_name}", ("customer_name",)),
        ("Hi {customer_name|there}", "Hi there", ()),
        ("Hi {customer_name|}!", "Hi !", ()),
        ("{agent_name} of {company_name}", "Dana of Larkwheel", ()),
        ("{{agent_name}} { agent_name } {AGENT_NAME} {0.__class__}", "{Dana} { agent_name } {AGENT_NAME} {0.__class__}", ()),
    ],
)
def test_variables(text: str, filled: str, missing: tuple[str, ...]) -> None:
    known = {"customer_name": "", "agent_name": "Dana", "company_name": "Larkwheel"}
    assert fill_in(text, known=known) == (filled, missing)


def test_values_that_look_like_variables_are_not_filled_in_again() -> None:
    assert fill_in("{agent_name}", known={"agent_name": "{company_email}", "company_email": "x"}) == ("{company_email}", ())


def test_an_agent_is_offered_everybodys_and_their_teams(alice: Customer, dana: User, lena: User) -> None:
    bikes, money = Team.objects.create(name="Bikes"), Team.objects.create(name="Money")
    bikes.members.add(dana)
    for words in (
        _words("all"),
        _words("bikes", team_id=bikes.pk),
        _words("money", team_id=money.pk),
        _words("hallo", text="Guten Tag!", locale="de"),
    ):
        canned.add(words, author=lena)
    canned.count_use(CannedReply.objects.get(shortcut="bikes").pk)
    conversation = talk(alice, "c: Guten Tag, wo ist mein Paket?", language="en")
    found = canned.offered(conversation.pk, agent_id=dana.pk, agent_name="Dana")
    assert [one.shortcut for one in found] == ["bikes", "all", "hallo"]
    assert found[1].text == "Hello there, I am Dana."
    conversation.team = money
    conversation.save()
    assert "money" in [one.shortcut for one in canned.offered(conversation.pk, agent_id=dana.pk, agent_name="Dana")]


def test_a_shortcut_is_taken_once_a_team_and_language(lena: User) -> None:
    team = Team.objects.create(name="Bikes")
    canned.add(_words("/Hello"), author=lena)
    canned.add(_words("hello", team_id=team.pk), author=lena)
    canned.add(_words("hello", locale="de"), author=lena)
    with pytest.raises(Conflict, match="/hello is taken"):
        canned.add(_words("HELLO"), author=lena)
    assert CannedReply.objects.count() == 3


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (_words("with blank"), "shortcut"),
        (_words(""), "shortcut"),
        (_words("x" * 41), "shortcut"),
        (_words(text=" \u200b "), "text"),
        (_words(text="x" * 4001), "text"),
        (_words(text="{customer_password}"), "text"),
        (Words("a", " ", "text"), "title"),
    ],
)
def test_what_cannot_be_one_is_refused(lena: User, words: Words, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        canned.add(words, author=lena)
    assert caught.value.field == field


def test_changing_and_removing_is_recorded(lena: User, omar: User) -> None:
    reply = canned.add(_words(), author=lena)
    canned.change(reply.pk, words=_words(text="Hello!"), author=omar)
    canned.remove(reply.pk, by_id=omar.pk)
    canned.count_use(reply.pk)  # Somebody still had it on the screen.
    said = list(AuditEntry.objects.order_by("pk").values_list("action", "actor_name"))
    assert said == [("canned_reply.added", "lena"), ("canned_reply.changed", "omar"), ("canned_reply.removed", "omar")]
