from django.urls import path

from support_portal.release_desk import dataset_views, example_views, preference_views, run_views, version_views

app_name = "releases"
urlpatterns = [
    path("", version_views.versions, name="versions"),
    path("roll-back/", version_views.roll_back, name="roll_back"),
    path("versions/<int:version_id>/", version_views.version, name="version"),
    path("versions/<int:version_id>/do/<slug:deed>/", version_views.do, name="do"),
    path("versions/<int:version_id>/compare/", version_views.compare, name="compare"),
    path("versions/<int:version_id>/merge/", version_views.merge, name="merge"),
    path("versions/<int:version_id>/comparing/", version_views.comparing, name="comparing"),
    path("comparisons/<int:evaluation_id>/", version_views.comparison, name="comparison"),
    path("comparisons/<int:evaluation_id>/side-by-side/", preference_views.side_by_side, name="side_by_side"),
    path("examples/", example_views.examples, name="examples"),
    path("examples/gather/", example_views.gather, name="gather"),
    path("examples/bulk/", example_views.bulk, name="bulk"),
    path("examples/<int:example_id>/", example_views.example, name="example"),
    path("examples/<int:example_id>/decide/", example_views.decide, name="decide"),
    path("datasets/", dataset_views.datasets, name="datasets"),
    path("datasets/build/", dataset_views.build, name="build"),
    path("datasets/compare/", dataset_views.compare, name="compare_datasets"),
    path("datasets/<int:dataset_id>/", dataset_views.dataset, name="dataset"),
    path("datasets/<int:dataset_id>/<slug:method>/<slug:half>/", dataset_views.download, name="download"),
    path("runs/", run_views.runs, name="runs"),
    path("runs/start/", run_views.start, name="run_start"),
    path("runs/anew/<int:version_id>/", run_views.retrain, name="retrain"),
    path("runs/<int:run_id>/", run_views.run, name="run"),
    path("runs/<int:run_id>/progress/", run_views.progress, name="run_progress"),
    path("runs/<int:run_id>/stop/", run_views.stop, name="run_stop"),
    path("runs/<int:run_id>/go-on/", run_views.go_on, name="run_go_on"),
]
