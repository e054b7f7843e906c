"""No list is read by status and last change any more (inbox.py), and none of open contact requests alone."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("conversations", "0006_channel")]

    operations = [
        migrations.RemoveIndex(model_name="conversation", name="conversation_by_status"),
        migrations.RemoveIndex(model_name="contactrequest", name="contact_open"),
    ]
