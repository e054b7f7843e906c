from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "support_portal.accounts"
    label = "accounts"
