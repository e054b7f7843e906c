from django.apps import AppConfig


class InsightsConfig(AppConfig):
    name = "chatbot.insights"
    label = "insights"
