"""Single sign-on: against a provider by other hands, which signs its tokens and checks ours, and against a small one of our own
that can be wrong in every way: who comes in, as what, and who stays out."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from django.test import Client
from oidc_provider_mock import User as ProviderUser
from oidc_provider_mock import run_server_in_thread

from chatbot.staffing.models import AuditEntry
from support_portal.accounts.models import User
from support_portal.accounts.oidc_settings import Oidc
from support_portal.accounts.single_sign_on import role_of

LOGIN = "/accounts/sso/company/login/"


class Issuer(ThreadingHTTPServer):
    """Says of everybody what `claims` says. Nobody checks the tokens' key: they come from here."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.claims: dict[str, Any] = {}
        self.broken = False


class _Answer(BaseHTTPRequestHandler):
    server: Issuer

    def do_GET(self) -> None:
        url = self.server.url
        if self.path.endswith("/.well-known/openid-configuration"):
            names = {
                "authorization_endpoint": "authorize",
                "token_endpoint": "token",
                "userinfo_endpoint": "me",
                "jwks_uri": "keys",
            }
            self._say({"issuer": url, **{field: f"{url}/{name}" for field, name in names.items()}})
        else:
            self._say(self.server.claims)

    def do_POST(self) -> None:
        if self.server.broken:
            self.send_error(500)
            return
        self.rfile.read(int(self.headers["Content-Length"]))
        claims = {"iss": self.server.url, "aud": "answerdesk", "exp": 2**31, "iat": 0, **self.server.claims}
        token = jwt.encode(claims, "k" * 32, algorithm="HS256")
        self._say({"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": token})

    def _say(self, answer: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def issuer(settings: Any) -> Iterator[Issuer]:
    server = Issuer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    _configure(settings, server.url, roles={})
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _configure(settings: Any, url: str, *, roles: dict[str, str], claim: str = "groups") -> None:
    settings.OIDC = Oidc(url, "answerdesk", "secret", "Larkwheel ID", claim, roles)
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [settings.OIDC.as_app()]}}


def _come_in(client: Client, issuer: Issuer, *, process: str = "", **claims: Any) -> Any:
    """Walk the way of a browser: to the issuer with a state, and back with a code."""
    issuer.claims = {"sub": "mia-1", "preferred_username": "mia", "name": "Mia Lin", "email": "mia@shop.example", **claims}
    gone = client.post(LOGIN + (f"?process={process}" if process else ""))
    assert gone.status_code == 302, gone.content
    asked = parse_qs(urlsplit(gone["Location"]).query)
    assert gone["Location"].startswith(f"{issuer.url}/authorize?") and "code_challenge" in asked
    assert asked["redirect_uri"] == [f"http://testserver{LOGIN}callback/"]
    return client.get(f"{LOGIN}callback/", {"state": asked["state"][0], "code": "c"})


@pytest.mark.django_db
@pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning")  # the provider's own
def test_the_way_through_a_real_provider(client: Client, settings: Any) -> None:
    """Discovery, PKCE, a code that is good once, and user claims, as the library on the other side understands the standard."""
    claims = {"preferred_username": "mia", "name": "Mia Lin", "email": "mia@shop.example", "groups": ["it"]}
    with run_server_in_thread(user_claims=[ProviderUser(sub="mia-1", claims=claims)]) as provider:
        _configure(settings, f"http://localhost:{provider.server_port}", roles={"it": "admin"})
        asked = client.post(LOGIN)["Location"]
        assert parse_qs(urlsplit(asked).query)["code_challenge_method"] == ["S256"]
        chosen = requests.post(asked, data={"sub": "mia-1"}, allow_redirects=False, timeout=10)
        back = urlsplit(chosen.headers["Location"])
        assert client.get(f"{back.path}?{back.query}")["Location"] == "/desk/"
        assert (User.objects.get().username, User.objects.get().role) == ("mia", "admin")
        assert client.get("/people/").status_code == 200
        assert Client().get(f"{back.path}?{back.query}").status_code == 502  # the way back is of no use to anybody else
        refused = requests.post(Client().post(LOGIN)["Location"], data={"action": "deny"}, allow_redirects=False, timeout=10)
        assert "error=access_denied" in refused.headers["Location"]


@pytest.mark.django_db
def test_without_an_issuer_there_is_no_such_address(client: Client) -> None:
    assert client.post(LOGIN).status_code == client.get(f"{LOGIN}callback/").status_code == 404
    assert "Sign in with" not in client.get("/accounts/login/").content.decode()


@pytest.mark.django_db
def test_a_newcomer_becomes_an_agent_and_comes_back_as_the_same(client: Client, issuer: Issuer) -> None:
    assert "Sign in with Larkwheel ID" in client.get("/accounts/login/").content.decode()
    assert client.get(LOGIN).status_code == 405  # a link elsewhere signs nobody in
    assert _come_in(client, issuer)["Location"] == "/desk/"
    mia = User.objects.get(username="mia")
    assert (mia.first_name, mia.email, mia.role, mia.has_usable_password()) == ("Mia Lin", "mia@shop.example", "agent", False)
    assert AuditEntry.objects.filter(action="person.added", detail__by="single sign-on").exists()
    assert _come_in(Client(), issuer, email="other@shop.example", preferred_username="x")["Location"] == "/desk/"
    assert User.objects.count() == 1
    assert client.get("/accounts/").status_code == 200
    assert client.get("/accounts/password/")["Location"] == "/accounts/"


@pytest.mark.django_db
def test_roles_follow_the_claim_and_nobody_without_one_comes_in(issuer: Issuer, settings: Any) -> None:
    _configure(settings, issuer.url, roles={"support": "agent", "it": "admin"})
    refused = _come_in(Client(), issuer, groups=["cooks"])
    assert refused.status_code == 403 and "gives you no role" in refused.content.decode()
    assert not User.objects.exists()
    browser = Client()
    _come_in(browser, issuer, groups=["support", "it"])
    assert User.objects.get().role == "admin" and browser.get("/people/").status_code == 200
    _come_in(Client(), issuer, groups=["support"])
    assert User.objects.get().role == "agent" and browser.get("/faqs/").status_code == 302  # fewer rights end the sessions
    assert AuditEntry.objects.filter(action="person.role_changed", actor_id=None).exists()


@pytest.mark.parametrize(
    ("claims", "claim", "role"),
    [
        ({"userinfo": {"groups": "support"}}, "groups", "agent"),
        ({"id_token": {"realm_access": {"roles": ["x", "it"]}}}, "realm_access.roles", "admin"),
        ({"userinfo": {"https://shop/roles": ["it"]}}, "https://shop/roles", "admin"),
        ({"userinfo": {"groups": [["it"], {"it": 1}, 7, None]}}, "groups", None),
        ({"userinfo": {"groups": {"it": True}}}, "groups", None),
        ({"userinfo": "it"}, "groups", None),
        ({}, "groups", None),
    ],
)
def test_only_texts_at_the_claims_place_count(settings: Any, claims: dict[str, Any], claim: str, role: str | None) -> None:
    _configure(settings, "http://id.example", roles={"support": "agent", "it": "admin"}, claim=claim)
    assert role_of(claims) == role


@pytest.mark.django_db
def test_a_deactivated_person_stays_out(issuer: Issuer) -> None:
    _come_in(Client(), issuer)
    User.objects.update(is_active=False)
    browser = Client()
    assert _come_in(browser, issuer)["Location"] == "/accounts/inactive/"
    assert "_auth_user_id" not in browser.session and User.objects.count() == 1


@pytest.mark.django_db
def test_an_address_makes_nobody_the_colleague_who_has_it(issuer: Issuer, dana: User) -> None:
    dana.email = "Mia@shop.example"
    dana.save()
    refused = _come_in(Client(), issuer, email_verified=True)
    assert refused.status_code == 403 and "already has your e-mail address" in refused.content.decode()
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_a_colleague_connects_and_comes_in_either_way(client: Client, issuer: Issuer, dana: User) -> None:
    client.force_login(dana)
    assert "Connect Larkwheel ID" in client.get("/accounts/").content.decode()
    assert _come_in(client, issuer, process="connect", email="dana@shop.example")["Location"] == "/accounts/"
    assert "Connected" in client.get("/accounts/").content.decode()
    browser = Client()
    _come_in(browser, issuer)
    assert browser.session["_auth_user_id"] == str(dana.pk) and User.objects.count() == 1


@pytest.mark.django_db
def test_the_same_subject_of_another_issuer_is_somebody_else(
    issuer: Issuer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _come_in(Client(), issuer)
    settings.OIDC = Oidc("https://other.example", "answerdesk", "secret", "Other", "groups", {})
    _come_in(Client(), issuer, email="two@shop.example")
    assert User.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fault", ["issuer broken", "issuer gone", "wrong audience", "wrong issuer", "state of another", "refused there"]
)
def test_a_fault_lets_nobody_in_and_says_so(issuer: Issuer, settings: Any, fault: str) -> None:
    browser = Client()
    if fault == "issuer gone":
        _configure(settings, "http://127.0.0.1:1", roles={})
        response = browser.post(LOGIN)
    elif fault == "state of another":
        response = browser.get(f"{LOGIN}callback/", {"state": "made-up", "code": "c"})
    elif fault == "refused there":
        state = parse_qs(urlsplit(browser.post(LOGIN)["Location"]).query)["state"][0]
        response = browser.get(f"{LOGIN}callback/", {"state": state, "error": "server_error"})
    else:
        issuer.broken = fault == "issuer broken"
        wrong = {"wrong audience": {"aud": "somebody"}, "wrong issuer": {"iss": "https://evil.example"}}
        response = _come_in(browser, issuer, **wrong.get(fault, {}))
    assert response.status_code == 502 and "did not work this time" in response.content.decode()
    assert "_auth_user_id" not in browser.session and not User.objects.exists()
