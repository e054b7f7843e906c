from django.urls import path

from support_portal.accounts import audit_views, people_views, team_views

app_name = "people"
urlpatterns = [
    path("", people_views.people, name="list"),
    path("add/", people_views.add, name="add"),
    path("teams/", team_views.teams, name="teams"),
    path("teams/add/", team_views.add, name="team_add"),
    path("teams/<int:team_id>/", team_views.team, name="team"),
    path("teams/<int:team_id>/remove/", team_views.remove, name="team_remove"),
    path("audit/", audit_views.entries, name="audit"),
    path("audit/export/", audit_views.export, name="audit_export"),
    path("<int:user_id>/", people_views.person, name="person"),
    path("<int:user_id>/deactivate/", people_views.deactivate, name="deactivate"),
    path("<int:user_id>/reactivate/", people_views.reactivate, name="reactivate"),
    path("<int:user_id>/password/", people_views.new_password, name="password"),
    path("<int:user_id>/second-factor/remove/", people_views.second_factor_removed, name="second_factor_remove"),
]
