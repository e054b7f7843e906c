"""`manage.py resetsignin USERNAME`: the way back in for somebody whom no other administrator can help."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from support_portal.accounts.models import User
from support_portal.accounts.people import reactivate_person, remove_second_factor


class Command(BaseCommand):
    help = "Give an account a new one-time password, remove its authenticator app, and reactivate it. Its sessions end."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", help="what the person types to sign in")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"Nobody signs in as {options['username']}.")
        with transaction.atomic():
            remove_second_factor(user.pk, changed_by=None)
            new = reactivate_person(user.pk, changed_by=None)
        self.stdout.write(f"One-time password of {new.user.username}: {new.password}")
        self.stdout.write("It must be changed at the next sign-in.")
