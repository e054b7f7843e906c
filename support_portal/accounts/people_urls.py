from django.urls import path

from support_portal.accounts import people_views

app_name = "people"
urlpatterns = [
    path("", people_views.people, name="list"),
    path("add/", people_views.add, name="add"),
    path("<int:user_id>/", people_views.person, name="person"),
    path("<int:user_id>/deactivate/", people_views.deactivate, name="deactivate"),
    path("<int:user_id>/reactivate/", people_views.reactivate, name="reactivate"),
    path("<int:user_id>/password/", people_views.new_password, name="password"),
]
