from django.apps import AppConfig


class ReleasesConfig(AppConfig):
    name = "chatbot.releases"
    label = "releases"
