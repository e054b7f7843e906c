from django.urls import path

from support_portal.chat import sources, transcript_views, views

app_name = "chat"
urlpatterns = [
    path("", views.home, name="home"),
    path("chat/", views.page, name="new"),
    path("chat/conversations.json", views.conversations, name="conversations"),
    path("chat/<uuid:conversation_id>/", views.page, name="conversation"),
    path("chat/<uuid:conversation_id>/transcript.txt", transcript_views.text_file, name="transcript_text"),
    path("chat/<uuid:conversation_id>/transcript/", transcript_views.printable, name="transcript"),
    path("chat/<uuid:conversation_id>/transcript/mail", transcript_views.mail, name="transcript_mail"),
    path("help/document:<int:passage_id>/", sources.passage, name="passage"),
    path("help/<str:key>/", views.faq, name="faq"),
    path("theme.css", views.theme, name="theme"),
]
