from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0003_who_wrote_what")]

    operations = [
        migrations.AddField(
            model_name="knowledgeindex",
            name="embedder_source",
            field=models.CharField(blank=True, default="", max_length=1000),
        ),
    ]
