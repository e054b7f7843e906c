"""The demo's four log-ins. Their passwords are random and lie beside the data, readable by its owner only."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from support_portal.accounts.models import User
from support_portal.devservices.folder import write_private

NAMES = {
    User.Role.AGENT: "Dana Agent",
    User.Role.LEAD: "Lena Lead",
    User.Role.EDITOR: "Erin Editor",
    User.Role.ADMIN: "Omar Admin",
}
PAGES = {User.Role.AGENT: "/desk/", User.Role.LEAD: "/insights/", User.Role.EDITOR: "/faqs/", User.Role.ADMIN: "/people/"}
CHANGED = "(changed by its owner)"


@dataclass(frozen=True)
class DemoAccount:
    role: str
    username: str
    password: str
    url: str


def ensure_accounts(path: Path, *, base_url: str) -> list[DemoAccount]:
    """Make the accounts that are missing and write all of them to `path`. What exists keeps its password.

    Where the file is lost, the accounts get new passwords, or nobody could sign in any more; where the owner has chosen
    another one, that one stays and is not shown.
    """
    known = _known_passwords(path)
    accounts = [_ensure(role, known=known.get(str(role), ""), url=f"{base_url}{page}") for role, page in PAGES.items()]
    write_private(path, json.dumps([asdict(account) for account in accounts], indent=1) + "\n")
    return accounts


def _ensure(role: str, *, known: str, url: str) -> DemoAccount:
    username = str(role)
    user = User.objects.filter(username=username).first()
    if user is None:
        user = User(username=username, role=role, first_name=NAMES[User.Role(role)])
    elif known:
        shown = known if user.check_password(known) else CHANGED
        return DemoAccount(username, username, shown, url)
    password = secrets.token_urlsafe(12)
    user.set_password(password)
    user.save()
    return DemoAccount(username, username, password, url)


def _known_passwords(path: Path) -> dict[str, str]:
    """Passwords by user name; none where the file is missing or cannot be read as ours."""
    try:
        return {row["username"]: row["password"] for row in json.loads(path.read_text())}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
