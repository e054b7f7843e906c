"""Who may ask what: one rule for every address and every websocket of the site. test_endpoints.py tries every cell of it.

A new address needs a line here. Anyone(...) is open to the world; Owner(...) belongs to the customer whose conversation stands in
the address, and does not exist for others; SignedIn(...) is about one's own account; Right("name", ...) takes that right. Then
come the methods it answers; every other one is answered with 405.
"""

from __future__ import annotations

from dataclasses import dataclass

ALL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, init=False)
class Rule:
    methods: tuple[str, ...]

    def __init__(self, *methods: str) -> None:
        object.__setattr__(self, "methods", methods)


class Anyone(Rule):
    pass


class Owner(Rule):
    pass


class SignedIn(Rule):
    pass


@dataclass(frozen=True, init=False)
class Right(Rule):
    right: str

    def __init__(self, right: str, *methods: str) -> None:
        super().__init__(*methods)
        object.__setattr__(self, "right", right)


ENDPOINTS: dict[str, Rule] = {
    # Customers
    "/": Anyone("GET"),
    "/chat/": Anyone("GET"),
    "/chat/conversations.json": Anyone("GET"),
    "/chat/<uuid:conversation_id>/": Owner("GET"),
    "/chat/<uuid:conversation_id>/transcript/": Owner("GET"),
    "/chat/<uuid:conversation_id>/transcript.txt": Owner("GET"),
    "/chat/<uuid:conversation_id>/transcript/mail": Owner("POST"),
    "/help/document:<int:passage_id>/": Anyone("GET"),
    "/help/<str:key>/": Anyone("GET"),
    "/theme.css": Anyone("GET"),
    "/language/": Anyone(*ALL_METHODS),
    # Machines. /metrics wants its token from everybody who is not on this machine (tests/test_health.py).
    "/healthz": Anyone("GET"),
    "/readyz": Anyone("GET"),
    "/metrics": Anyone("GET"),
    # The desk
    "/desk/assist/<uuid:conversation_id>/draft/": Right("take_conversations", "POST"),
    "/desk/assist/<uuid:conversation_id>/rewrite/": Right("take_conversations", "POST"),
    "/desk/assist/<uuid:conversation_id>/translate/": Right("take_conversations", "POST"),
    "/desk/assist/<uuid:conversation_id>/faqs/": Right("read_conversations", "POST"),
    "/desk/assist/<uuid:conversation_id>/canned/": Right("take_conversations", "GET"),
    "/desk/assist/<uuid:conversation_id>/kept/": Right("take_conversations", "POST"),
    "/desk/assist/<uuid:conversation_id>/note/": Right("read_conversations", "GET"),
    "/desk/assist/canned/<int:reply_id>/used/": Right("take_conversations", "POST"),
    "/desk/assist/jobs/<slug:token>/": Right("read_conversations", "GET"),
    "/desk/assist/jobs/<slug:token>/cancel/": Right("read_conversations", "POST"),
    "/desk/canned/": Right("read_conversations", "GET"),
    "/desk/canned/add/": Right("lead_teams", "GET", "POST"),
    "/desk/canned/<int:reply_id>/": Right("lead_teams", "GET", "POST"),
    "/desk/canned/<int:reply_id>/remove/": Right("lead_teams", "POST"),
    "/desk/": Right("read_conversations", "GET"),
    "/desk/many/": Right("take_conversations", "POST"),
    "/desk/undo/": Right("take_conversations", "POST"),
    "/desk/lists/": Right("read_conversations", "POST"),
    "/desk/lists/<int:view_id>/forget/": Right("read_conversations", "POST"),
    "/desk/messages/<uuid:message_id>/why/": Right("read_conversations", "GET"),
    "/desk/<uuid:conversation_id>/": Right("read_conversations", "GET"),
    "/desk/<uuid:conversation_id>/state/": Right("read_conversations", "GET"),
    "/desk/<uuid:conversation_id>/messages/": Right("take_conversations", "POST"),
    "/desk/<uuid:conversation_id>/notes/": Right("take_conversations", "POST"),
    "/desk/<uuid:conversation_id>/mentions-seen/": Right("read_conversations", "POST"),
    "/desk/<uuid:conversation_id>/do/<slug:action>/": Right("take_conversations", "POST"),
    # Reviews
    "/review/": Right("review_answers", "GET"),
    "/review/agreement/": Right("review_answers", "GET"),
    "/review/message/<uuid:message_id>/": Right("review_answers", "GET"),
    "/review/<int:item_id>/": Right("review_answers", "GET"),
    "/review/<int:item_id>/mark/": Right("review_answers", "POST"),
    "/review/<int:item_id>/unmark/": Right("review_answers", "POST"),
    "/review/<int:item_id>/ask/": Right("review_answers", "POST"),
    "/review/<int:item_id>/correct/": Right("review_answers", "GET", "POST"),
    # Quality
    "/faqs/try/": Right("check_answers", "GET", "POST"),
    "/faqs/try/<slug:token>/": Right("check_answers", "GET"),
    "/faqs/try/<slug:token>/result/": Right("check_answers", "GET"),
    "/faqs/questions/": Right("check_answers", "GET"),
    "/faqs/questions/add/": Right("check_answers", "GET", "POST"),
    "/faqs/questions/import/": Right("check_answers", "POST"),
    "/faqs/questions/export/": Right("check_answers", "GET"),
    "/faqs/questions/run/": Right("check_answers", "POST"),
    "/faqs/questions/<int:question_id>/": Right("check_answers", "GET", "POST"),
    "/faqs/questions/<int:question_id>/remove/": Right("check_answers", "POST"),
    "/faqs/questions/runs/<uuid:run_id>/": Right("check_answers", "GET"),
    "/faqs/questions/runs/<uuid:run_id>/progress/": Right("check_answers", "GET"),
    "/faqs/questions/runs/<uuid:run_id>/stop/": Right("check_answers", "POST"),
    "/faqs/questions/runs/<uuid:run_id>/go-on/": Right("check_answers", "POST"),
    "/faqs/changes/": Right("check_answers", "GET", "POST"),
    "/faqs/gaps/": Right("check_answers", "GET"),
    "/faqs/gaps/gather/": Right("check_answers", "POST"),
    "/faqs/gaps/<int:gap_id>/": Right("check_answers", "GET"),
    "/faqs/gaps/<int:gap_id>/decide/": Right("check_answers", "POST"),
    "/faqs/gaps/<int:gap_id>/draft/": Right("check_answers", "GET", "POST"),
    "/faqs/gaps/<int:gap_id>/propose/": Right("check_answers", "POST"),
    # Documents
    "/faqs/documents/": Right("read_faqs", "GET"),
    "/faqs/documents/upload/": Right("edit_faqs", "POST"),
    "/faqs/documents/<int:document_id>/": Right("read_faqs", "GET"),
    "/faqs/documents/<int:document_id>/file/": Right("edit_faqs", "GET"),
    "/faqs/documents/<int:document_id>/archive/": Right("edit_faqs", "POST"),
    "/faqs/documents/<int:document_id>/restore/": Right("edit_faqs", "POST"),
    "/faqs/documents/<int:document_id>/delete/": Right("edit_faqs", "POST"),
    "/faqs/documents/<int:document_id>/suggest/": Right("edit_faqs", "POST"),
    "/faqs/documents/<int:document_id>/suggestions/<int:faq_id>/": Right("edit_faqs", "POST"),
    "/faqs/documents/passages/<int:passage_id>/": Right("read_faqs", "GET"),
    # FAQs
    "/faqs/": Right("read_faqs", "GET"),
    "/faqs/add/": Right("edit_faqs", "GET", "POST"),
    "/faqs/preview/": Right("edit_faqs", "POST"),
    "/faqs/bulk/": Right("edit_faqs", "POST"),
    "/faqs/bulk/confirm/": Right("edit_faqs", "POST"),
    "/faqs/check/": Right("edit_faqs", "POST"),
    "/faqs/suggest/": Right("edit_faqs", "POST"),
    "/faqs/help/<slug:token>/": Right("edit_faqs", "GET"),
    "/faqs/help/<slug:token>/cancel/": Right("edit_faqs", "POST"),
    "/faqs/export/": Right("edit_faqs", "GET"),
    "/faqs/import/": Right("edit_faqs", "GET", "POST"),
    "/faqs/import/confirm/": Right("edit_faqs", "POST"),
    # Whoever may read opens it; its form takes edit_faqs (tests/faqs/test_views.py).
    "/faqs/<int:faq_id>/": Right("read_faqs", "GET", "POST"),
    "/faqs/<int:faq_id>/history/": Right("read_faqs", "GET"),
    "/faqs/<int:faq_id>/restore/<int:number>/": Right("edit_faqs", "POST"),
    "/faqs/<int:faq_id>/still-right/": Right("edit_faqs", "POST"),
    # Insights
    "/insights/": Right("read_insights", "GET"),
    "/insights/export/": Right("read_insights", "GET"),
    "/insights/conversations.csv": Right("read_insights", "GET"),
    "/insights/conversations.xlsx": Right("read_insights", "GET"),
    # Releases
    "/releases/": Right("manage_releases", "GET"),
    "/releases/roll-back/": Right("manage_releases", "POST"),
    "/releases/versions/<int:version_id>/": Right("manage_releases", "GET"),
    "/releases/versions/<int:version_id>/do/<slug:deed>/": Right("manage_releases", "POST"),
    "/releases/versions/<int:version_id>/compare/": Right("manage_releases", "POST"),
    "/releases/versions/<int:version_id>/merge/": Right("manage_releases", "POST"),
    "/releases/versions/<int:version_id>/comparing/": Right("manage_releases", "GET"),
    "/releases/comparisons/<int:evaluation_id>/": Right("manage_releases", "GET"),
    "/releases/comparisons/<int:evaluation_id>/side-by-side/": Right("manage_releases", "GET", "POST"),
    "/releases/examples/": Right("manage_releases", "GET"),
    "/releases/examples/gather/": Right("manage_releases", "POST"),
    "/releases/examples/bulk/": Right("manage_releases", "POST"),
    "/releases/examples/<int:example_id>/": Right("manage_releases", "GET"),
    "/releases/examples/<int:example_id>/decide/": Right("manage_releases", "POST"),
    "/releases/datasets/": Right("manage_releases", "GET"),
    "/releases/datasets/build/": Right("manage_releases", "GET", "POST"),
    "/releases/datasets/compare/": Right("manage_releases", "GET"),
    "/releases/datasets/<int:dataset_id>/": Right("manage_releases", "GET"),
    "/releases/datasets/<int:dataset_id>/<slug:method>/<slug:half>/": Right("manage_releases", "GET"),
    "/releases/runs/": Right("manage_releases", "GET"),
    "/releases/runs/start/": Right("manage_releases", "GET", "POST"),
    "/releases/runs/anew/<int:version_id>/": Right("manage_releases", "POST"),
    "/releases/runs/<int:run_id>/": Right("manage_releases", "GET"),
    "/releases/runs/<int:run_id>/progress/": Right("manage_releases", "GET"),
    "/releases/runs/<int:run_id>/stop/": Right("manage_releases", "POST"),
    "/releases/runs/<int:run_id>/go-on/": Right("manage_releases", "POST"),
    # People. A lead changes teams of the own only (tests/accounts/test_teams_pages.py).
    "/people/": Right("manage_users", "GET"),
    "/people/add/": Right("manage_users", "GET", "POST"),
    "/people/teams/": Right("lead_teams", "GET"),
    "/people/teams/add/": Right("manage_teams", "GET", "POST"),
    "/people/teams/<int:team_id>/": Right("lead_teams", "GET", "POST"),
    "/people/teams/<int:team_id>/remove/": Right("manage_teams", "POST"),
    "/people/audit/": Right("read_audit", "GET"),
    "/people/audit/export/": Right("read_audit", "GET"),
    "/people/<int:user_id>/": Right("manage_users", "GET", "POST"),
    "/people/<int:user_id>/deactivate/": Right("manage_users", "POST"),
    "/people/<int:user_id>/reactivate/": Right("manage_users", "POST"),
    "/people/<int:user_id>/password/": Right("manage_users", "POST"),
    "/people/<int:user_id>/second-factor/remove/": Right("manage_users", "POST"),
    # One's own account
    "/accounts/": SignedIn("GET"),
    "/accounts/logout/": SignedIn("POST"),
    "/accounts/reauthenticate/": SignedIn("GET", "POST"),
    "/accounts/password/": SignedIn("GET", "POST"),
    "/accounts/second-factor/again/": SignedIn("GET", "POST"),
    "/accounts/second-factor/add/": SignedIn("GET", "POST"),
    "/accounts/second-factor/remove/": SignedIn("GET", "POST"),
    "/accounts/recovery-codes/": SignedIn("GET"),
    "/accounts/recovery-codes/make/": SignedIn("GET", "POST"),
    "/accounts/recovery-codes/download/": SignedIn("GET"),
    "/accounts/sessions/end/": SignedIn("POST"),
    "/accounts/sessions/<int:session_id>/end/": SignedIn("POST"),
    # Signing in
    "/accounts/login/": Anyone("GET", "POST"),
    "/accounts/inactive/": Anyone("GET"),
    "/accounts/password/reset/": Anyone("GET", "POST"),
    "/accounts/password/reset/sent/": Anyone("GET"),
    "/accounts/password/reset/done/": Anyone("GET"),
    "/accounts/^password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": Anyone("GET", "POST"),
    "/accounts/second-factor/": Anyone("GET"),
    "/accounts/second-factor/code/": Anyone("GET", "POST"),
    "/accounts/sso/company/login/": Anyone("POST"),
    "/accounts/sso/company/login/callback/": Anyone("GET"),
    "/accounts/sso/connected/": Anyone("GET"),
    "/accounts/sso/cancelled/": Anyone("GET"),
}

# Websockets. Anyone is not used: a socket belongs to a customer (by the visitor's cookie) or takes a right.
SOCKETS: dict[str, Rule] = {
    "/ws/chat/": Owner(),
    "/ws/desk/": Right("read_conversations"),
}

# Addresses that are written as regular expressions: one that fits.
SAMPLES = {
    "/accounts/^password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": "/accounts/password/reset/1-abc-def/",
}
