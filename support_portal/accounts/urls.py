"""The addresses of allauth that we use, under the names that it looks for. What is not listed here does not exist."""

from allauth.account import views as account_views
from allauth.mfa.base import views as mfa_views
from allauth.mfa.recovery_codes import views as recovery_views
from allauth.socialaccount.providers.openid_connect import views as oidc_views
from django.urls import path, re_path
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.generic import RedirectView

from support_portal.accounts import views
from support_portal.accounts.oidc_settings import PROVIDER_ID
from support_portal.accounts.views import in_english, own_page

SSO = {"provider_id": PROVIDER_ID}
form = require_http_methods(["GET", "POST"])
to_account = require_GET(RedirectView.as_view(pattern_name="account"))
to_sign_in = require_GET(RedirectView.as_view(pattern_name="account_login"))

urlpatterns = [
    path("", views.account, name="account"),
    path("login/", in_english(form(views.SignIn.as_view())), name="account_login"),
    path("logout/", own_page(require_POST(account_views.LogoutView.as_view())), name="account_logout"),
    path(
        "inactive/",
        in_english(require_GET(account_views.AccountInactiveView.as_view(template_name="accounts/inactive.html"))),
        name="account_inactive",
    ),
    path(
        "reauthenticate/",
        own_page(form(account_views.ReauthenticateView.as_view(template_name="accounts/reauthenticate.html"))),
        name="account_reauthenticate",
    ),
    path("password/", own_page(form(views.ChangePassword.as_view())), name="account_change_password"),
    path("password/reset/", in_english(form(views.ResetPassword.as_view())), name="account_reset_password"),
    path(
        "password/reset/sent/",
        in_english(require_GET(account_views.PasswordResetDoneView.as_view(template_name="accounts/password_reset_sent.html"))),
        name="account_reset_password_done",
    ),
    path("password/reset/done/", to_sign_in, name="account_reset_password_from_key_done"),
    re_path(
        r"^password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        in_english(form(account_views.PasswordResetFromKeyView.as_view(template_name="accounts/password_reset_new.html"))),
        name="account_reset_password_from_key",
    ),
    # The second factor.
    path("second-factor/", to_account, name="mfa_index"),
    path("second-factor/code/", views.authenticate, name="mfa_authenticate"),
    path(
        "second-factor/again/",
        own_page(form(mfa_views.ReauthenticateView.as_view(template_name="accounts/reauthenticate.html"))),
        name="mfa_reauthenticate",
    ),
    path("second-factor/add/", own_page(form(views.AddAuthenticator.as_view())), name="mfa_activate_totp"),
    path("second-factor/remove/", own_page(form(views.RemoveAuthenticator.as_view())), name="mfa_deactivate_totp"),
    path(
        "recovery-codes/",
        own_page(require_GET(recovery_views.ViewRecoveryCodesView.as_view(template_name="accounts/recovery_codes.html"))),
        name="mfa_view_recovery_codes",
    ),
    path("recovery-codes/make/", own_page(form(views.MakeRecoveryCodes.as_view())), name="mfa_generate_recovery_codes"),
    path(
        "recovery-codes/download/",
        own_page(require_GET(recovery_views.DownloadRecoveryCodesView.as_view(template_name="accounts/recovery_codes.txt"))),
        name="mfa_download_recovery_codes",
    ),
    # One's own sessions.
    path("sessions/end/", views.sign_out_everywhere, name="account_sign_out_everywhere"),
    path("sessions/<int:session_id>/end/", views.end_one_session, name="account_end_session"),
    # Single sign-on; 404 while OIDC_ISSUER is not set.
    path(f"sso/{PROVIDER_ID}/login/", views.single_sign_on, SSO, name="openid_connect_login"),
    path(f"sso/{PROVIDER_ID}/login/callback/", in_english(require_GET(oidc_views.callback)), SSO, name="openid_connect_callback"),
    path("sso/connected/", to_account, name="socialaccount_connections"),
    path("sso/cancelled/", to_sign_in, name="socialaccount_login_cancelled"),
]
