from django.apps import AppConfig


class StaffingConfig(AppConfig):
    name = "chatbot.staffing"
    label = "staffing"
