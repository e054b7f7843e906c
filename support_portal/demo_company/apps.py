from django.apps import AppConfig


class DemoCompanyConfig(AppConfig):
    name = "support_portal.demo_company"
    label = "demo_company"
