import django.contrib.postgres.indexes
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0003_fill_takeover'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(fields=['status', '-last_message_at', '-id'], name='conversation_status_last'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(fields=['-last_message_at', '-id'], name='conversation_last'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(condition=models.Q(('team__isnull', False)), fields=['team', '-last_message_at', '-id'], name='conversation_team_last'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(condition=models.Q(('status', 'held')), fields=['assigned_to', '-last_message_at', '-id'], name='conversation_held'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(models.OrderBy(models.F('priority'), descending=True), models.F('waiting_since'), models.F('id'), condition=models.Q(('status', 'waiting')), name='conversation_waiting'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(condition=models.Q(('status', 'waiting')), fields=['promised_until'], name='conversation_promised'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(condition=models.Q(('contact', 'left')), fields=['-contact_left_at'], name='conversation_contact_left'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=django.contrib.postgres.indexes.GinIndex(fields=['tags'], name='conversation_tags'),
        ),
        migrations.AddConstraint(
            model_name='conversation',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('assigned_to__isnull', False), ('held_since__isnull', False), ('status', 'held')), models.Q(models.Q(('status', 'held'), _negated=True), ('assigned_to__isnull', True), ('held_since__isnull', True)), _connector='OR'), name='conversation_held_iff_assigned'),
        ),
        migrations.AddConstraint(
            model_name='conversation',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('promised_until__isnull', False), ('status', 'waiting'), ('waiting_since__isnull', False)), models.Q(models.Q(('status', 'waiting'), _negated=True), ('promised_until__isnull', True), ('waiting_since__isnull', True)), _connector='OR'), name='conversation_waiting_iff_since'),
        ),
        migrations.AddConstraint(
            model_name='conversation',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('resolved_at__isnull', False), ('status', 'resolved')), models.Q(models.Q(('status', 'resolved'), _negated=True), ('resolved_at__isnull', True)), _connector='OR'), name='conversation_resolved_iff_time'),
        ),
        migrations.AddConstraint(
            model_name='conversation',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['open', 'waiting', 'held', 'resolved'])), name='conversation_status_known'),
        ),
    ]
