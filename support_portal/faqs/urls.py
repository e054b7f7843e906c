from django.urls import path

from support_portal.faqs import bulk_views, help_views, importing_views, views

app_name = "faqs"
urlpatterns = [
    path("", views.faqs, name="list"),
    path("add/", views.add, name="add"),
    path("preview/", views.preview, name="preview"),
    path("bulk/", bulk_views.look, name="bulk"),
    path("bulk/confirm/", bulk_views.confirm, name="bulk_confirm"),
    path("check/", help_views.check, name="check"),
    path("suggest/", help_views.suggest, name="suggest"),
    path("help/<slug:token>/", help_views.look, name="help"),
    path("help/<slug:token>/cancel/", help_views.cancel, name="help_cancel"),
    path("export/", importing_views.export, name="export"),
    path("import/", importing_views.upload, name="import"),
    path("import/confirm/", importing_views.confirm, name="import_confirm"),
    path("<int:faq_id>/", views.faq, name="faq"),
    path("<int:faq_id>/history/", views.changes, name="history"),
    path("<int:faq_id>/restore/<int:number>/", views.restore, name="restore"),
    path("<int:faq_id>/still-right/", views.still_right, name="still_right"),
]
