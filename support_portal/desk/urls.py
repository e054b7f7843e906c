from django.urls import path

from support_portal.desk import views

app_name = "desk"
urlpatterns = [
    path("", views.conversations, name="list"),
    path("<uuid:conversation_id>/", views.conversation, name="conversation"),
]
