from django.urls import include, path
from django.views.i18n import set_language

from support_portal import health

urlpatterns = [
    path("", include("support_portal.chat.urls")),
    path("desk/", include("support_portal.assist.urls")),
    path("desk/", include("support_portal.desk.urls")),
    path("review/", include("support_portal.review.urls")),
    path("faqs/", include("support_portal.quality.urls")),
    path("faqs/documents/", include("support_portal.documents.urls")),
    path("faqs/", include("support_portal.faqs.urls")),
    path("insights/", include("support_portal.insight_pages.urls")),
    path("releases/", include("support_portal.release_desk.urls")),
    path("people/", include("support_portal.accounts.people_urls")),
    path("accounts/", include("support_portal.accounts.urls")),
    path("language/", set_language, name="set_language"),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
]
