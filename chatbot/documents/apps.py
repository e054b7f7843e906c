from django.apps import AppConfig


class DocumentsConfig(AppConfig):
    name = "chatbot.documents"
    label = "documents"
