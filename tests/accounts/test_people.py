"""The people pages: who may sign in and what they may do."""

from __future__ import annotations

import io
import re
import threading
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from chatbot.conversations import takeover
from chatbot.conversations.models import Conversation, Customer
from chatbot.errors import ChatbotError, Conflict
from chatbot.staffing.models import AuditEntry
from support_portal.accounts.models import User
from support_portal.accounts.people import change_person, deactivate_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client, omar: User) -> Client:
    client.force_login(omar)
    return client


def _shown_password(text: str) -> str:
    found = re.search(r'id="one-time-password">([^<]+)<', text)
    assert found is not None
    return found[1]


def test_only_administrators_enter(client: Client, dana: User, erin: User, omar: User) -> None:
    pages = ["/people/", "/people/add/", f"/people/{dana.pk}/"]
    actions = [f"/people/{dana.pk}/{action}/" for action in ("deactivate", "reactivate", "password")]
    for user in (dana, erin):
        client.force_login(user)
        assert {client.get(page).status_code for page in pages} == {403}
        assert {client.post(action).status_code for action in actions} == {403}
        assert "/people/" not in client.get("/faqs/").content.decode()
    dana.refresh_from_db()
    assert dana.is_active


def test_the_list_costs_the_same_for_many_people(
    admin: Client, dana: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    User.objects.bulk_create(User(username=f"u{n}", role="agent") for n in range(30))
    with django_assert_num_queries(3):
        text = admin.get("/people/").content.decode()
    assert "32 accounts" in text and "dana" in text


def test_adding_shows_a_password_once_that_must_be_changed(admin: Client) -> None:
    response = admin.post("/people/add/", {"username": "mia", "name": "Mia Lin", "email": "mia@shop.example", "role": "editor"})
    assert "no-store" in response["Cache-Control"]
    password = _shown_password(response.content.decode())
    mia = User.objects.get(username="mia")
    assert (mia.first_name, mia.email, mia.role, mia.must_change_password) == ("Mia Lin", "mia@shop.example", "editor", True)
    assert mia.check_password(password) and not (mia.is_staff or mia.is_superuser)
    assert password not in admin.get(f"/people/{mia.pk}/").content.decode()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"username": "OMAR"}, "Somebody already signs in as"),
        ({"username": "two words"}, "Enter a valid username"),
        ({"username": "x" * 151}, "at most 150 characters"),
        ({"role": "owner"}, "Select a valid choice"),
        ({"email": "nobody"}, "Enter a valid email address"),
        ({"username": "nul\x00"}, "Null characters are not allowed"),
    ],
)
def test_what_cannot_be_added_is_told_and_the_rest_stays(admin: Client, change: dict[str, str], sentence: str) -> None:
    form = {"username": "mia", "name": "Mia Lin", "email": "mia@shop.example", "role": "agent"} | change
    text = admin.post("/people/add/", form).content.decode()
    assert sentence in text and 'value="Mia Lin"' in text
    assert User.objects.count() == 1


def test_hidden_fields_raise_nobody(admin: Client, dana: User) -> None:
    form = {"name": "Dana", "email": "", "role": "agent", "is_superuser": "1", "is_staff": "1", "username": "root"}
    assert admin.post(f"/people/{dana.pk}/", form).status_code == 302
    dana.refresh_from_db()
    assert (dana.username, dana.is_superuser, dana.is_staff) == ("dana", False, False)


def test_a_changed_role_holds_at_once(admin: Client, dana: User) -> None:
    browser = Client()
    browser.force_login(dana)
    assert browser.get("/faqs/add/").status_code == 403
    admin.post(f"/people/{dana.pk}/", {"name": "Dana", "email": "", "role": "editor"})
    assert browser.get("/faqs/add/").status_code == 200


def test_deactivating_ends_sessions_for_good(admin: Client, dana: User) -> None:
    browser = Client()
    browser.force_login(dana)
    assert browser.get("/desk/").status_code == 200
    assert admin.post(f"/people/{dana.pk}/deactivate/").status_code == 302
    assert browser.get("/desk/").status_code == 302
    password = _shown_password(admin.post(f"/people/{dana.pk}/reactivate/").content.decode())
    assert browser.get("/desk/").status_code == 302
    assert browser.post("/accounts/login/", {"login": "dana", "password": password}).status_code == 302


def test_deactivating_gives_held_conversations_back(
    admin: Client, dana: User, alice: Customer, django_capture_on_commit_callbacks: Any
) -> None:
    conversation = Conversation.objects.create(customer=alice)
    takeover.take(conversation.pk, agent_id=dana.pk)
    with django_capture_on_commit_callbacks(execute=True):
        admin.post(f"/people/{dana.pk}/deactivate/")
    conversation.refresh_from_db()
    assert conversation.assigned_to_id is None and conversation.status != "held"


def test_the_command_line_lets_the_last_administrator_back_in(client: Client, omar: User) -> None:
    TOTP.activate(omar, "JBSWY3DPEHPK3PXP")
    User.objects.update(is_active=False)
    printed = io.StringIO()
    call_command("resetsignin", "omar", stdout=printed)
    password = printed.getvalue().split("omar: ")[1].split()[0]
    assert client.post("/accounts/login/", {"login": "omar", "password": password})["Location"] == "/desk/"
    assert client.get("/desk/")["Location"] == "/accounts/password/"
    with pytest.raises(CommandError, match="Nobody signs in as mallory"):
        call_command("resetsignin", "mallory")


def test_every_deed_is_on_record_without_what_was_typed(admin: Client, dana: User) -> None:
    admin.post("/people/add/", {"username": "mia", "name": "Mia Lin", "email": "mia@shop.example", "role": "editor"})
    admin.post(f"/people/{dana.pk}/", {"name": "Secret Name", "email": "", "role": "lead"})
    for action in ("password", "second-factor/remove", "deactivate", "reactivate"):
        admin.post(f"/people/{dana.pk}/{action}/")
    entries = AuditEntry.objects.order_by("id")
    assert [entry.action for entry in entries] == [
        *("person.added", "person.changed", "person.role_changed", "person.password_given"),
        *("person.second_factor_removed", "person.deactivated", "person.reactivated"),
    ]
    assert {entry.actor_name for entry in entries} == {"omar"}
    assert "Secret" not in str(list(entries.values())) and "shop.example" not in str(list(entries.values()))
    assert AuditEntry.objects.get(action="person.role_changed").detail == {"from": "agent", "to": "lead"}


def test_a_reset_ends_sessions_and_shows_a_new_password(admin: Client, dana: User) -> None:
    browser = Client()
    browser.force_login(dana)
    password = _shown_password(admin.post(f"/people/{dana.pk}/password/").content.decode())
    assert browser.get("/desk/").status_code == 302
    dana.refresh_from_db()
    assert dana.check_password(password) and dana.must_change_password


def test_nobody_demotes_or_deactivates_himself(admin: Client, omar: User) -> None:
    text = admin.post(f"/people/{omar.pk}/", {"name": "Omar", "email": "", "role": "agent"}).content.decode()
    assert "You cannot take the administrator role from yourself" in text
    admin.post(f"/people/{omar.pk}/deactivate/")
    assert "You cannot deactivate yourself" in admin.get("/people/").content.decode()
    omar.refresh_from_db()
    assert (omar.role, omar.is_active) == ("admin", True)


def test_a_deactivated_account_gets_no_password(admin: Client, dana: User) -> None:
    deactivate_person(dana.pk, changed_by=User.objects.get(username="omar"))
    assert admin.post(f"/people/{dana.pk}/password/").status_code == 302
    assert "Reactivate it first" in admin.get(f"/people/{dana.pk}/").content.decode()


def test_bad_ids_and_wrong_verbs(admin: Client, dana: User) -> None:
    for path in ("/people/999999/", "/people/99999999999999999999999/", "/people/x/"):
        assert admin.get(path).status_code == 404
    for action in ("deactivate", "reactivate", "password"):
        assert admin.post(f"/people/999999/{action}/").status_code == 404
        assert admin.get(f"/people/{dana.pk}/{action}/").status_code == 405
    assert admin.post("/people/").status_code == 405


def test_an_unknown_role_is_refused_below_the_form_too(omar: User, dana: User) -> None:
    with pytest.raises(ChatbotError, match="Choose one of the roles"):
        change_person(dana.pk, name="", email="", role="owner", changed_by=omar)


@pytest.mark.django_db(transaction=True)
def test_two_administrators_cannot_remove_each_other_at_once(omar: User) -> None:
    olga = User.objects.create_user(username="olga", password="x", role=User.Role.ADMIN)
    together = threading.Barrier(2)
    refused: list[str] = []

    def remove(victim: User, by: User) -> None:
        together.wait()
        try:
            deactivate_person(victim.pk, changed_by=by)
        except Conflict as error:
            refused.append(error.message)
        finally:
            connection.close()

    threads = [threading.Thread(target=remove, args=pair) for pair in ((omar, olga), (olga, omar))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["You cannot deactivate the last administrator."]
    assert User.objects.filter(role="admin", is_active=True).count() == 1
