"""The words of each internal note, kept as those of messages are (0005_search_words)."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("conversations", "0007_unused_indexes")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE conversations_note ADD COLUMN words tsvector GENERATED ALWAYS AS (conversations_words(text)) STORED",
            "ALTER TABLE conversations_note DROP COLUMN words",
        ),
        migrations.RunSQL("CREATE INDEX note_words ON conversations_note USING gin (words)", "DROP INDEX note_words"),
    ]
