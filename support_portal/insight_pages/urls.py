from django.urls import path

from support_portal.insight_pages import export_views, views

app_name = "insights"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("export/", export_views.export, name="export"),
    path("conversations.csv", export_views.csv_file, name="csv"),
    path("conversations.xlsx", export_views.xlsx_file, name="xlsx"),
]
