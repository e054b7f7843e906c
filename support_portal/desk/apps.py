from django.apps import AppConfig


class DeskConfig(AppConfig):
    name = "support_portal.desk"
    label = "desk"
