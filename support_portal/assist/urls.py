from django.urls import path

from support_portal.assist import canned_views, views

app_name = "assist"
urlpatterns = [
    path("assist/<uuid:conversation_id>/draft/", views.draft, name="draft"),
    path("assist/<uuid:conversation_id>/rewrite/", views.rewrite, name="rewrite"),
    path("assist/<uuid:conversation_id>/translate/", views.translate, name="translate"),
    path("assist/<uuid:conversation_id>/faqs/", views.faqs, name="faqs"),
    path("assist/<uuid:conversation_id>/canned/", views.canned, name="canned"),
    path("assist/<uuid:conversation_id>/kept/", views.kept, name="kept"),
    path("assist/<uuid:conversation_id>/note/", views.note, name="note"),
    path("assist/canned/<int:reply_id>/used/", views.used, name="used"),
    path("assist/jobs/<slug:token>/", views.job, name="job"),
    path("assist/jobs/<slug:token>/cancel/", views.cancel, name="cancel"),
    path("canned/", canned_views.replies, name="replies"),
    path("canned/add/", canned_views.add, name="reply_add"),
    path("canned/<int:reply_id>/", canned_views.edit, name="reply"),
    path("canned/<int:reply_id>/remove/", canned_views.remove, name="reply_remove"),
]
