from django.apps import AppConfig


class SupportPortalConfig(AppConfig):
    name = "support_portal"

    def ready(self) -> None:
        # Registers the start-up checks with Django.
        from support_portal import checks  # noqa: F401
