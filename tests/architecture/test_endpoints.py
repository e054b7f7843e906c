"""The matrix of roles, addresses and methods, over HTTP and websocket: built from the running routes, every cell tried.

The columns are a stranger, the customer who owns the conversation, another customer, and every role.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.db import connections, transaction
from django.test import Client
from django.test.client import ClientHandler
from django.urls import URLPattern, URLResolver, get_resolver

from chatbot.conversations.models import Conversation, Customer
from support_portal.accounts.models import User
from support_portal.accounts.roles import RIGHTS
from support_portal.asgi import application
from support_portal.chat.visitors import COOKIE
from tests.architecture.endpoints import ALL_METHODS, ENDPOINTS, SAMPLES, SOCKETS, Owner, Right, Rule, SignedIn
from tests.conftest import visitor_cookie

CONVERSATION = uuid.UUID("00000000-0000-4000-8000-00000000c0de")
# What stands in the place of an address's parameters: nothing that exists, but for the conversation.
_VALUES = {
    "int": "2147483647",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "slug": "1-abc",
    "str": "nothing",
    "path": "no/thing",
}


def _routes(patterns: list[URLPattern | URLResolver], prefix: str = "/") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, path)
        else:
            yield path, pattern.callback


@cache
def handler() -> ClientHandler:
    """One for all requests: it builds the middleware when it is first used."""
    return ClientHandler(enforce_csrf_checks=False)


@cache
def http_routes() -> dict[str, Any]:
    return dict(_routes(get_resolver().url_patterns))


@cache
def socket_routes() -> dict[str, Any]:
    """The routes behind whatever wraps them in asgi.py."""
    found = application.application_mapping["websocket"]
    while not hasattr(found, "routes"):
        found = next(vars(found)[name] for name in ("inner", "application", "app") if name in vars(found))
    return dict(_routes(found.routes))


def address(route: str) -> str:
    """The route with something in the place of each parameter."""
    if route in SAMPLES:
        return SAMPLES[route]
    parts = route.replace("<uuid:conversation_id>", str(CONVERSATION)).split("<")
    return parts[0] + "".join(_VALUES[part.partition(":")[0]] + part.partition(">")[2] for part in parts[1:])


def room_of(route: str) -> str:
    """The first part of an address."""
    return route.split("/")[1]


Cookies = dict[str, str]


def signed_in(user: User) -> Cookies:
    client = Client()
    client.force_login(user)
    return {settings.SESSION_COOKIE_NAME: client.cookies[settings.SESSION_COOKIE_NAME].value}


@pytest.fixture
def cast(db: None) -> dict[str, Cookies]:
    """The cookies of each column of the matrix. Cheap accounts: nobody signs in with a password here."""
    User.objects.bulk_create(User(username=role, role=role, password="") for role in RIGHTS)
    owner, other = Customer.objects.create(), Customer.objects.create()
    Conversation.objects.create(pk=CONVERSATION, customer=owner)
    customers = {"owner": {COOKIE: visitor_cookie(owner.pk)}, "other": {COOKIE: visitor_cookie(other.pk)}}
    return {"stranger": {}, **customers, **{user.role: signed_in(user) for user in User.objects.all()}}


def ask(cookies: Cookies, method: str, path: str) -> str:
    """What happened: "sign in", "refused", "absent", "wrong method", "let in", or "broken". What it did is undone."""
    client = Client(raise_request_exception=False)
    client.handler = handler()
    client.cookies.load(cookies)
    with transaction.atomic():
        response = client.generic(method, path)
        transaction.set_rollback(True)
    status = response.status_code
    if status == 302 and response["Location"].startswith(f"{settings.LOGIN_URL}?next="):
        return "sign in"
    return {403: "refused", 404: "absent", 405: "wrong method", 500: "broken"}.get(status, "let in")


def expected(rule: Rule, who: str, method: str) -> set[str]:
    """What may happen in a cell. Whoever is let in may still meet an id that does not exist."""
    answers = {"let in", "absent"} if method in rule.methods else {"wrong method"}
    if isinstance(rule, Right):
        return {"sign in"} if who not in RIGHTS else answers if rule.right in RIGHTS[who] else {"refused"}
    if isinstance(rule, SignedIn):
        return {"sign in"} if who not in RIGHTS else answers
    if isinstance(rule, Owner):
        return answers - {"absent"} if who == "owner" else answers - {"let in"}
    return answers


def line_for(route: str, cast: dict[str, Cookies]) -> str:
    """The line that ENDPOINTS lacks, as far as the view itself tells."""
    view, path = http_routes()[route], address(route)
    right = getattr(view, "right", "")
    methods = [method for method in ALL_METHODS if ask(cast["admin"], method, path) != "wrong method"]
    shown = ", ".join(f'"{method}"' for method in methods)
    if right:
        return f'    "{route}": Right("{right}", {shown}),'
    kind = "SignedIn" if ask({}, methods[0] if methods else "GET", path) == "sign in" else "Anyone"
    return f'    "{route}": {kind}({shown}),   # it has no @requires(...): is that right?'


def test_every_address_has_a_rule(cast: dict[str, Cookies]) -> None:
    missing = [line_for(route, cast) for route in http_routes() if route not in ENDPOINTS]
    assert not missing, "Add to ENDPOINTS in tests/architecture/endpoints.py:\n" + "\n".join(missing)
    gone = [route for route in ENDPOINTS if route not in http_routes()]
    assert not gone, f"Remove from ENDPOINTS in tests/architecture/endpoints.py, these addresses are gone: {gone}"


def test_every_socket_has_a_rule() -> None:
    missing = [f'    "{route}": Right("read_conversations"),   # or Owner()' for route in socket_routes() if route not in SOCKETS]
    assert not missing, "Add to SOCKETS in tests/architecture/endpoints.py:\n" + "\n".join(missing)
    gone = [route for route in SOCKETS if route not in socket_routes()]
    assert not gone, f"Remove from SOCKETS in tests/architecture/endpoints.py, these sockets are gone: {gone}"


@pytest.mark.parametrize("room", sorted({room_of(route) for route in ENDPOINTS}))
def test_every_cell_of_every_address(cast: dict[str, Cookies], room: str) -> None:
    wrong = []
    for route in (route for route in ENDPOINTS if room_of(route) == room and route in http_routes()):
        rule, path = ENDPOINTS[route], address(route)
        for who, method in product(cast, ALL_METHODS):
            happened, allowed = ask(cast[who], method, path), expected(rule, who, method)
            if happened not in allowed:
                wrong.append(f"{who} {method} {route}: {happened}, but the rule {rule} says {' or '.join(sorted(allowed))}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("route", [route for route in SOCKETS if route in socket_routes()])
def test_every_cell_of_a_socket(cast: dict[str, Cookies], route: str) -> None:
    rule = SOCKETS[route]
    for who, cookies in cast.items():
        may = (
            who in ("owner", "other")
            if isinstance(rule, Owner)
            else isinstance(rule, Right) and rule.right in RIGHTS.get(who, ())
        )
        assert async_to_sync(stays_open)(address(route), cookies) is may, f"{who} at {route}, whose rule is {rule}"
    connections.close_all()


async def stays_open(path: str, cookies: dict[str, str]) -> bool:
    """Whether a browser with these cookies gets in and is still in half a second later."""
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    headers = [(b"origin", b"http://127.0.0.1"), (b"host", b"127.0.0.1"), (b"cookie", cookie.encode())]
    scope = {
        "type": "websocket",
        "path": path,
        "query_string": b"",
        "headers": headers,
        "subprotocols": [],
        "client": ["127.0.0.1", 1],
    }
    socket = ApplicationCommunicator(application, scope)
    await socket.send_input({"type": "websocket.connect"})
    opened = False
    while True:
        try:
            event = await socket.receive_output(timeout=5 if not opened else 0.5)
        except TimeoutError:  # Nothing more is said: it is open. (asgiref has cancelled the consumer.)
            return opened
        if event["type"] == "websocket.close":
            assert not opened or event.get("code", 1000) >= 4400
            return False
        opened = True
