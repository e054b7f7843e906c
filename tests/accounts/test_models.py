from __future__ import annotations

import pytest
from django.core.management import call_command

from support_portal.accounts.models import User
from support_portal.accounts.roles import may


@pytest.mark.django_db
def test_createsuperuser_makes_an_administrator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse battery")
    call_command("createsuperuser", username="root", email="root@example.com", interactive=False)
    assert may(User.objects.get(username="root"), "manage_users")
