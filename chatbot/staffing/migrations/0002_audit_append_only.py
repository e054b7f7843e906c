from django.db import migrations

# Row triggers, and one for TRUNCATE: whoever may write the table may still only add to it.
GUARD = """
CREATE FUNCTION staffing_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON staffing_auditentry
    FOR EACH ROW EXECUTE FUNCTION staffing_audit_append_only();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON staffing_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION staffing_audit_append_only();
"""
UNGUARD = """
DROP TRIGGER audit_no_truncate ON staffing_auditentry;
DROP TRIGGER audit_append_only ON staffing_auditentry;
DROP FUNCTION staffing_audit_append_only();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('staffing', '0001_staffing'),
    ]

    operations = [migrations.RunSQL(GUARD, UNGUARD)]
