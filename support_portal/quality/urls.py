from django.urls import path

from support_portal.quality import gap_views, question_views, run_views, try_views

app_name = "quality"
urlpatterns = [
    path("try/", try_views.ask, name="try"),
    path("try/<slug:token>/", try_views.trial, name="trial"),
    path("try/<slug:token>/result/", try_views.result, name="trial_result"),
    path("questions/", question_views.questions, name="questions"),
    path("questions/add/", question_views.add, name="question_add"),
    path("questions/import/", question_views.upload, name="questions_import"),
    path("questions/export/", question_views.export, name="questions_export"),
    path("questions/run/", run_views.start, name="run_start"),
    path("questions/<int:question_id>/", question_views.edit, name="question"),
    path("questions/<int:question_id>/remove/", question_views.remove, name="question_remove"),
    path("questions/runs/<uuid:run_id>/", run_views.run, name="run"),
    path("questions/runs/<uuid:run_id>/progress/", run_views.progress, name="run_progress"),
    path("questions/runs/<uuid:run_id>/stop/", run_views.stop, name="run_stop"),
    path("questions/runs/<uuid:run_id>/go-on/", run_views.go_on, name="run_go_on"),
    path("changes/", run_views.changes, name="changes"),
    path("gaps/", gap_views.gaps, name="gaps"),
    path("gaps/gather/", gap_views.gather, name="gaps_gather"),
    path("gaps/<int:gap_id>/", gap_views.gap, name="gap"),
    path("gaps/<int:gap_id>/decide/", gap_views.decide, name="gap_decide"),
    path("gaps/<int:gap_id>/draft/", gap_views.draft, name="gap_draft"),
    path("gaps/<int:gap_id>/propose/", gap_views.propose, name="gap_propose"),
]
