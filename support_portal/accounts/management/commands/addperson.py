"""`manage.py addperson USERNAME --role admin`: the first administrator of a new installation; the others are added at /people/."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot.errors import ChatbotError
from support_portal.accounts.forms import NewPersonForm
from support_portal.accounts.models import User
from support_portal.accounts.people import add_person


class Command(BaseCommand):
    help = "Add a person who may sign in, and print a one-time password."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--role", choices=User.Role.values, default=User.Role.AGENT)
        parser.add_argument("--name", default="")
        parser.add_argument("--email", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        form = NewPersonForm({name: options[name] for name in ("username", "name", "email", "role")})
        if not form.is_valid():
            field, problems = next(iter(form.errors.items()))
            raise CommandError(f"{field}: {problems[0]}")
        try:
            new = add_person(**form.cleaned_data)
        except ChatbotError as error:
            raise CommandError(error.message) from error
        self.stdout.write(
            f"{new.user.username} ({new.user.get_role_display()}) may sign in with this one-time password: {new.password}"
        )
