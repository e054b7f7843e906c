from django.urls import path

from support_portal.chat import sources, views

app_name = "chat"
urlpatterns = [
    path("", views.home, name="home"),
    path("chat/", views.page, name="new"),
    path("chat/conversations.json", views.conversations, name="conversations"),
    path("chat/<uuid:conversation_id>/", views.page, name="conversation"),
    path("help/document:<int:passage_id>/", sources.passage, name="passage"),
    path("help/<str:key>/", views.faq, name="faq"),
    path("theme.css", views.theme, name="theme"),
]
