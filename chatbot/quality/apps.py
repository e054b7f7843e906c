from django.apps import AppConfig


class QualityConfig(AppConfig):
    name = "chatbot.quality"
    label = "quality"
