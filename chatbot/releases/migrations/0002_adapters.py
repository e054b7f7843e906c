from django.conf import settings
from django.db import migrations, models
from django.db.models import Q, deletion


class Migration(migrations.Migration):

    dependencies = [
        ("releases", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RenameField("modelversion", "first_loaded_at", "added_at"),
        migrations.AlterField("modelversion", "last_loaded_at", models.DateTimeField(blank=True, null=True)),
        migrations.AlterModelOptions("modelversion", {"ordering": ["pk"]}),
        migrations.AddField(
            "modelversion",
            "base",
            models.ForeignKey(
                blank=True, null=True, on_delete=deletion.PROTECT, related_name="adapters", to="releases.modelversion"
            ),
        ),
        migrations.AddField("modelversion", "folder", models.CharField(blank=True, default="", max_length=500)),
        migrations.AddField("modelversion", "files", models.JSONField(blank=True, default=dict)),
        migrations.AddField("modelversion", "is_live", models.BooleanField(default=False)),
        migrations.AddField("modelversion", "live_since", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("modelversion", "load_error", models.CharField(blank=True, default="", max_length=40)),
        migrations.AddField(
            "modelversion",
            "added_by",
            models.ForeignKey(
                blank=True, null=True, on_delete=deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddConstraint(
            "modelversion",
            models.UniqueConstraint(condition=Q(is_live=True), fields=("is_live",), name="model_version_one_live"),
        ),
        migrations.AddConstraint(
            "modelversion",
            models.CheckConstraint(
                condition=Q(is_live=False) | Q(live_since__isnull=False), name="model_version_live_has_time"
            ),
        ),
        migrations.AddConstraint(
            "modelversion",
            models.CheckConstraint(
                condition=~Q(base__isnull=False, folder="", is_live=True), name="model_version_live_adapter_has_files"
            ),
        ),
    ]
