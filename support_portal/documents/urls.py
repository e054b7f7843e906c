from django.urls import path

from support_portal.documents import views

app_name = "documents"
urlpatterns = [
    path("", views.documents, name="list"),
    path("upload/", views.upload, name="upload"),
    path("<int:document_id>/", views.document, name="document"),
    path("<int:document_id>/file/", views.file, name="file"),
    path("<int:document_id>/archive/", views.archive, name="archive"),
    path("<int:document_id>/restore/", views.restore, name="restore"),
    path("<int:document_id>/delete/", views.delete, name="delete"),
    path("<int:document_id>/suggest/", views.suggest, name="suggest"),
    path("<int:document_id>/suggestions/<int:faq_id>/", views.judge, name="judge"),
    path("passages/<int:passage_id>/", views.passage, name="passage"),
]
