from django.contrib.auth.views import LogoutView
from django.urls import path

from support_portal.accounts.views import ChangePassword, SignIn

app_name = "accounts"
urlpatterns = [
    path("login/", SignIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", ChangePassword.as_view(), name="password_change"),
]
