from django.urls import path

from support_portal.faqs import importing_views, views

app_name = "faqs"
urlpatterns = [
    path("", views.faqs, name="list"),
    path("add/", views.add, name="add"),
    path("preview/", views.preview, name="preview"),
    path("export/", importing_views.export, name="export"),
    path("import/", importing_views.upload, name="import"),
    path("import/confirm/", importing_views.confirm, name="import_confirm"),
    path("<int:faq_id>/", views.faq, name="faq"),
    path("<int:faq_id>/history/", views.changes, name="history"),
    path("<int:faq_id>/restore/<int:number>/", views.restore, name="restore"),
]
