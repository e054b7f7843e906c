"""The words of every message, for searching.py: a generated column, so that whoever writes a message keeps it right.

The column is no field of Message: nothing reads it but the search, and loading it with every message would cost more than
the message itself.
"""

from django.db import migrations

# Scripts that put no spaces between words: their neighbouring characters are kept in pairs.
UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
    r"\U00020000-\U0003ffff"
)
# Marks belong to the letters they stand on.
WORD = r"[:alnum:]\u0300-\u036f\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"

# Pairs from the first character of a run on, then from the second; the last character remains by itself in one of the two.
FUNCTION = rf"""
CREATE FUNCTION conversations_words(said text) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $function$
DECLARE
  folded text := lower(normalize(said, NFKC));
BEGIN
  IF folded ~ '[{UNSPACED}]' THEN
    folded := regexp_replace(folded, '([{UNSPACED}]+)', ' \1 ', 'g');
    folded := regexp_replace(folded, '([{UNSPACED}][{UNSPACED}])', '\1 ', 'g') || ' ' || regexp_replace(
      regexp_replace(folded, '(^|[^{UNSPACED}])[{UNSPACED}]', '\1', 'g'), '([{UNSPACED}][{UNSPACED}])', '\1 ', 'g');
  END IF;
  RETURN array_to_tsvector(ARRAY(
    SELECT left(word, 40) FROM regexp_split_to_table(folded, '[^{WORD}]+') AS word WHERE word <> ''));
END
$function$
"""


class Migration(migrations.Migration):
    dependencies = [("conversations", "0004_takeover_constraints")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION conversations_words(text)"),
        migrations.RunSQL(
            "ALTER TABLE conversations_message ADD COLUMN words tsvector GENERATED ALWAYS AS (conversations_words(text)) STORED",
            "ALTER TABLE conversations_message DROP COLUMN words",
        ),
        # Rare words (searching._RARE).
        migrations.RunSQL("CREATE INDEX message_words ON conversations_message USING gin (words)", "DROP INDEX message_words"),
        # Common words, from the newest message on (searching._WALK).
        migrations.RunSQL(
            "CREATE INDEX message_newest ON conversations_message (created_at DESC, id DESC)", "DROP INDEX message_newest"
        ),
    ]
