from django.urls import path

from support_portal.review import views

app_name = "review"
urlpatterns = [
    path("", views.queue, name="queue"),
    path("agreement/", views.agreement_page, name="agreement"),
    path("message/<uuid:message_id>/", views.of_message, name="message"),
    path("<int:item_id>/", views.item, name="item"),
    path("<int:item_id>/mark/", views.mark, name="mark"),
    path("<int:item_id>/unmark/", views.unmark, name="unmark"),
    path("<int:item_id>/ask/", views.ask, name="ask"),
    path("<int:item_id>/correct/", views.correct, name="correct"),
]
