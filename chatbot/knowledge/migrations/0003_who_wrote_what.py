"""Fill in who wrote the words there are, and when, from the newest revision of each FAQ."""

from django.db import migrations
from django.db.models import F, OuterRef, Subquery


def fill_in(apps, schema_editor):
    faq = apps.get_model("knowledge", "Faq")
    newest = apps.get_model("knowledge", "FaqRevision").objects.filter(faq=OuterRef("pk")).order_by("-number")
    faq.objects.update(written_by=Subquery(newest.values("author")[:1]), written_at=F("updated_at"))


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0002_faq_desk")]

    operations = [migrations.RunPython(fill_in, migrations.RunPython.noop)]
