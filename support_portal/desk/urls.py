from django.urls import path

from support_portal.desk import action_views, views

app_name = "desk"
urlpatterns = [
    path("", views.conversations, name="list"),
    path("many/", action_views.act_on_many, name="many"),
    path("undo/", action_views.undo, name="undo"),
    path("lists/", action_views.save, name="save_view"),
    path("lists/<int:view_id>/forget/", action_views.forget, name="forget_view"),
    path("messages/<uuid:message_id>/why/", views.why, name="why"),
    path("<uuid:conversation_id>/", views.conversation, name="conversation"),
    path("<uuid:conversation_id>/state/", views.state, name="state"),
    path("<uuid:conversation_id>/messages/", action_views.post_message, name="post_message"),
    path("<uuid:conversation_id>/notes/", action_views.post_note, name="post_note"),
    path("<uuid:conversation_id>/mentions-seen/", action_views.mentions_seen, name="mentions_seen"),
    path("<uuid:conversation_id>/do/<slug:action>/", action_views.act, name="act"),
]
